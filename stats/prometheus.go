package stats

import (
	"cmp"
	"context"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// Gatherer gives the statistics of a Store to Prometheus libraries; it is a prometheus.Gatherer. Names and labels are
// Envoy's, without help texts.
type Gatherer struct {
	Store   *Store
	Options WriteOptions
}

// Gather takes a Snapshot and returns its families. They must not be modified.
func (g *Gatherer) Gather() ([]*dto.MetricFamily, error) {
	return g.Store.Snapshot(context.Background()).Families(g.Options), nil
}

// Families returns the statistics of sn as Prometheus families: counters, gauges, text readouts, histograms, each in the
// order of their names. The labels of metrics are shared between calls and must not be modified.
func (sn *Snapshot) Families(o WriteOptions) []*dto.MetricFamily {
	b := familyBuilder{snapshot: sn, families: map[string]*dto.MetricFamily{}, empty: map[*float64]*dto.Histogram{}}
	sel := &selection{WriteOptions: o}
	sn.rows(func(r *row) bool {
		if sel.admits(r) {
			b.add(r, sel.name)
		}
		return true
	})
	if o.TextReadouts {
		sel.texts(sn, b.addText)
	}
	return b.sorted()
}

// familyBuilder makes families out of rows. Messages are cut from slabs: a large configuration has a million of them.
type familyBuilder struct {
	snapshot *Snapshot
	families map[string]*dto.MetricFamily
	texts    map[*dto.MetricFamily]bool
	buckets  buckets
	// empty are histograms without values, by the address of their first bound: most histograms of a large configuration.
	empty map[*float64]*dto.Histogram

	metrics  slab[dto.Metric]
	counters slab[dto.Counter]
	gauges   slab[dto.Gauge]
	floats   slab[float64]
}

// slab hands out values that were allocated many at a time.
type slab[T any] struct{ free []T }

// slabSize is how many values are allocated at a time.
const slabSize = 256

func (s *slab[T]) next() *T {
	if len(s.free) == 0 {
		s.free = make([]T, slabSize)
	}
	v := &s.free[0]
	s.free = s.free[1:]
	return v
}

func (b *familyBuilder) add(r *row, full []byte) {
	name := b.snapshot.store.tagger.name(r)
	m := b.metrics.next()
	m.Label = name.labels
	switch r.kind {
	case Counter:
		m.Counter = b.counters.next()
		m.Counter.Value = b.float(float64(r.value))
		b.append(name.family, dto.MetricType_COUNTER, m)
	case Gauge:
		m.Gauge = b.gauges.next()
		m.Gauge.Value = b.float(float64(r.value))
		b.append(name.family, dto.MetricType_GAUGE, m)
	case Histogram:
		m.Histogram = b.histogram(r, b.snapshot.store.bounds(string(full)))
		b.append(name.family, dto.MetricType_HISTOGRAM, m)
	}
}

func (b *familyBuilder) float(v float64) *float64 {
	p := b.floats.next()
	*p = v
	return p
}

func (b *familyBuilder) histogram(r *row, bounds []float64) *dto.Histogram {
	if r.total.Count() != 0 || len(bounds) == 0 {
		return b.newHistogram(r, bounds)
	}
	h := b.empty[&bounds[0]]
	if h == nil {
		h = b.newHistogram(r, bounds)
		b.empty[&bounds[0]] = h
	}
	return h
}

func (b *familyBuilder) newHistogram(r *row, bounds []float64) *dto.Histogram {
	b.buckets.fill(r, bounds, Cumulative)
	count, sum := r.total.Count(), r.total.Sum()
	h := &dto.Histogram{SampleCount: &count, SampleSum: &sum, Bucket: make([]*dto.Bucket, len(bounds))}
	counts := slices.Clone(b.buckets.total)
	messages := make([]dto.Bucket, len(bounds))
	for i := range bounds {
		messages[i].CumulativeCount = &counts[i]
		messages[i].UpperBound = &bounds[i]
		h.Bucket[i] = &messages[i]
	}
	return h
}

// addText adds a text readout: a gauge of 0 whose label text_value is the text.
func (b *familyBuilder) addText(s *Sample) {
	name := b.snapshot.store.tagger.sampleName(s.Name)
	m := b.metrics.next()
	m.Label = append(labelPairs([]Label{{"text_value", s.Text}}), name.labels...)
	slices.SortStableFunc(m.Label, func(x, y *dto.LabelPair) int { return strings.Compare(x.GetName(), y.GetName()) })
	m.Gauge = b.gauges.next()
	m.Gauge.Value = b.float(0)
	f := b.append(name.family, dto.MetricType_GAUGE, m)
	if b.texts == nil {
		b.texts = map[*dto.MetricFamily]bool{}
	}
	b.texts[f] = true
}

// append adds m to the family of that name. A family has one type: when tags leave two kinds of statistics with one name,
// the later has its type added to the name.
func (b *familyBuilder) append(name string, t dto.MetricType, m *dto.Metric) *dto.MetricFamily {
	f := b.families[name]
	if f == nil {
		own, ownType := name, t // so that the parameters stay on the stack
		f = &dto.MetricFamily{Name: &own, Type: &ownType}
		b.families[name] = f
	}
	if *f.Type != t {
		return b.append(name+"_"+strings.ToLower(t.String()), t, m)
	}
	f.Metric = append(f.Metric, m)
	return f
}

// sorted returns the families in the order in which they are written.
func (b *familyBuilder) sorted() []*dto.MetricFamily {
	rank := func(f *dto.MetricFamily) int {
		switch {
		case f.GetType() == dto.MetricType_COUNTER:
			return 0
		case b.texts[f]:
			return 2
		case f.GetType() == dto.MetricType_GAUGE:
			return 1
		default:
			return 3
		}
	}
	list := make([]*dto.MetricFamily, 0, len(b.families))
	for _, f := range b.families {
		list = append(list, f)
	}
	slices.SortFunc(list, func(x, y *dto.MetricFamily) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), strings.Compare(x.GetName(), y.GetName()))
	})
	return list
}
