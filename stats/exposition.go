package stats

import (
	"bufio"
	"io"
	"math"
	"regexp"
	"strconv"
)

// StatType selects statistics by kind: the type parameter of /stats.
type StatType uint8

// The types.
const (
	AllTypes StatType = iota
	OnlyCounters
	OnlyGauges
	OnlyHistograms
	OnlyTextReadouts
)

func (t StatType) includes(k Kind) bool {
	switch t {
	case OnlyCounters:
		return k == Counter
	case OnlyGauges:
		return k == Gauge
	case OnlyHistograms:
		return k == Histogram
	case OnlyTextReadouts:
		return k == TextReadout
	default:
		return true
	}
}

// BucketMode says how histograms are written: the histogram_buckets parameter of /stats.
type BucketMode uint8

// The modes.
const (
	// Summary writes quantiles.
	Summary BucketMode = iota
	// Cumulative writes for each bucket bound how many values are at most that.
	Cumulative
	// Disjoint writes how many values are in each bucket.
	Disjoint
	// Detailed writes the bins as they are, and the quantiles.
	Detailed
)

// WriteOptions select what an exposition writes. The zero value writes all.
type WriteOptions struct {
	// UsedOnly leaves out what was never written.
	UsedOnly bool
	// Filter, unless nil, is searched in full names.
	Filter *regexp.Regexp
	Type   StatType
	// HistogramBuckets is for text and JSON.
	HistogramBuckets BucketMode
	// TextReadouts includes text readouts in the Prometheus exposition. Text and JSON always have them.
	TextReadouts bool
}

// writeBuffer is the size of the buffer before the writer of an exposition: few writes for many short lines.
const writeBuffer = 64 << 10

// selection applies WriteOptions to the rows of a Snapshot.
type selection struct {
	WriteOptions
	name []byte
}

// admits reports whether r is to be written. Its full name is in s.name then.
func (s *selection) admits(r *row) bool {
	if s.UsedOnly && !r.used || !s.Type.includes(r.kind) {
		return false
	}
	s.name = append(append(s.name[:0], r.prefix...), r.name...)
	return s.Filter == nil || s.Filter.Match(s.name)
}

// texts yields the text readouts that are to be written.
func (s *selection) texts(sn *Snapshot, yield func(*Sample)) {
	if !s.Type.includes(TextReadout) {
		return
	}
	for i := range sn.texts {
		if s.Filter == nil || s.Filter.MatchString(sn.texts[i].Name) {
			yield(&sn.texts[i])
		}
	}
}

// rows yields the counters and gauges, or the histograms, that are to be written, until w has failed.
func (s *selection) rows(sn *Snapshot, w *errWriter, histograms bool, yield func(r *row)) {
	sn.rows(func(r *row) bool {
		if (r.kind == Histogram) == histograms && s.admits(r) {
			yield(r)
		}
		return w.err == nil
	})
}

// errWriter gathers small writes and keeps the first error.
type errWriter struct {
	*bufio.Writer
	scratch []byte
	err     error
}

func newErrWriter(w io.Writer) *errWriter {
	return &errWriter{Writer: bufio.NewWriterSize(w, writeBuffer)}
}

func (w *errWriter) bytes(b []byte) {
	if w.err == nil {
		_, w.err = w.Write(b)
	}
}

func (w *errWriter) string(s string) {
	if w.err == nil {
		_, w.err = w.WriteString(s)
	}
}

func (w *errWriter) uint(v uint64) {
	w.scratch = strconv.AppendUint(w.scratch[:0], v, 10)
	w.bytes(w.scratch)
}

// float writes v as Envoy does, or none when it is not a number.
func (w *errWriter) float(v float64, none string) {
	if math.IsNaN(v) {
		w.string(none)
		return
	}
	w.scratch = strconv.AppendFloat(w.scratch[:0], v, 'f', -1, 64)
	w.bytes(w.scratch)
}

func (w *errWriter) finish() error {
	if w.err == nil {
		w.err = w.Flush()
	}
	return w.err
}

// bounds returns the bucket bounds of the histogram of that name.
func (s *Store) bounds(name string) []float64 {
	for _, rule := range s.options.Buckets {
		if rule.Match(name) {
			return rule.Bounds
		}
	}
	return s.defaultBounds
}

// buckets are the counts of a histogram by bucket bound.
type buckets struct {
	bounds          []float64
	total, interval []uint64
}

// fill counts the values of r by the given bounds, cumulatively or by bucket.
func (b *buckets) fill(r *row, bounds []float64, mode BucketMode) {
	b.bounds = bounds
	b.total = r.total.cumulative(bounds, b.total)
	b.interval = r.interval.cumulative(bounds, b.interval)
	if mode == Disjoint {
		disjoint(b.total)
		disjoint(b.interval)
	}
}

func disjoint(counts []uint64) {
	for i := len(counts) - 1; i > 0; i-- {
		counts[i] -= counts[i-1]
	}
}
