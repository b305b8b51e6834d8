package stats

import (
	"io"
	"strconv"
)

// WriteText writes sn as Envoy's /stats: text readouts, then counters and gauges, then histograms, each in the order of
// their names. A histogram shows (interval,total) for each quantile.
func (sn *Snapshot) WriteText(out io.Writer, o WriteOptions) error {
	w := newErrWriter(out)
	sel := &selection{WriteOptions: o}
	sel.texts(sn, func(s *Sample) {
		w.string(s.Name)
		w.string(": ")
		w.string(strconv.Quote(s.Text))
		w.string("\n")
	})
	sel.rows(sn, w, false, func(r *row) {
		w.bytes(sel.name)
		w.string(": ")
		w.uint(r.value)
		w.string("\n")
	})
	t := textHistograms{w: w, store: sn.store, mode: o.HistogramBuckets}
	sel.rows(sn, w, true, func(r *row) {
		w.bytes(sel.name)
		t.write(r, sel.name)
	})
	return w.finish()
}

// textHistograms writes histograms in the text format.
type textHistograms struct {
	w       *errWriter
	store   *Store
	mode    BucketMode
	buckets buckets
}

func (t *textHistograms) write(r *row, name []byte) {
	switch t.mode {
	case Cumulative, Disjoint:
		t.w.string(": ")
		t.writeBuckets(r, name)
	case Detailed:
		t.w.string(":\n  totals=")
		t.writeBins(r.total)
		t.w.string("\n  intervals=")
		t.writeBins(r.interval)
		t.w.string("\n  summary=")
		t.writeSummary(r)
	default:
		t.w.string(": ")
		t.writeSummary(r)
	}
	t.w.string("\n")
}

func (t *textHistograms) writeSummary(r *row) {
	if r.total.Count() == 0 {
		t.w.string("No recorded values")
		return
	}
	for i, percent := range supportedQuantiles {
		if i > 0 {
			t.w.string(" ")
		}
		t.w.string("P")
		t.w.float(percent, "")
		t.w.string("(")
		t.w.float(r.interval.Quantile(percent/100), "nan")
		t.w.string(",")
		t.w.float(r.total.Quantile(percent/100), "nan")
		t.w.string(")")
	}
}

func (t *textHistograms) writeBuckets(r *row, name []byte) {
	if r.total.Count() == 0 {
		t.w.string("No recorded values")
		return
	}
	t.buckets.fill(r, t.store.bounds(string(name)), t.mode)
	for i, bound := range t.buckets.bounds {
		if i > 0 {
			t.w.string(" ")
		}
		t.w.string("B")
		t.w.float(bound, "")
		t.w.string("(")
		t.w.uint(t.buckets.interval[i])
		t.w.string(",")
		t.w.uint(t.buckets.total[i])
		t.w.string(")")
	}
}

// writeBins writes lower bound, width and count of each bin.
func (t *textHistograms) writeBins(d Distribution) {
	first := true
	d.bins(func(lower, width float64, n uint64) {
		if !first {
			t.w.string(" ")
		}
		first = false
		t.w.float(lower, "")
		t.w.string(",")
		t.w.float(width, "")
		t.w.string(":")
		t.w.uint(n)
	})
}
