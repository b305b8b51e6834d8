package stats

import (
	"context"
	"iter"
	"slices"
	"strings"
)

// Snapshot is the merged values of a Store at about one instant. It is immutable.
type Snapshot struct {
	store  *Store
	groups []group // exposed ones, by prefix
	texts  []Sample
	// byScope finds the merged values, hidden scopes included.
	byScope map[*Scope]*merged
}

// group is a scope with its values, or a sample that stands alone, whose name is the prefix then.
type group struct {
	prefix    string
	scope     *Scope // nil for a sample
	merged    *merged
	intervals []*histogram
	sample    Sample
}

// Snapshot gathers all shards and merges them. It waits at most a second for the workers, less when ctx ends sooner, and
// before that for readers that came earlier; a worker that does not answer is represented by what it had when it last did.
func (s *Store) Snapshot(ctx context.Context) *Snapshot {
	sn := &Snapshot{store: s, byScope: map[*Scope]*merged{}}
	s.gather(ctx, passAll, func() {
		for _, sc := range s.sortedScopes() {
			sn.addScope(sc)
		}
	})
	sn.addSingles()
	slices.SortStableFunc(sn.groups, func(a, b group) int { return strings.Compare(a.prefix, b.prefix) })
	slices.SortFunc(sn.texts, func(a, b Sample) int { return strings.Compare(a.Name, b.Name) })
	return sn
}

func (sn *Snapshot) addScope(sc *Scope) {
	m := sc.merge()
	if m != nil {
		sn.byScope[sc] = m
	}
	if sc.hidden {
		return
	}
	g := group{prefix: sc.prefix, scope: sc, merged: m}
	if all := sc.intervals.Load(); all != nil {
		g.intervals = *all
	}
	sn.groups = append(sn.groups, g)
}

// addSingles adds what is not part of a scope. Hooks are called without any lock.
func (sn *Snapshot) addSingles() {
	s := sn.store
	s.mu.Lock()
	singles := make(map[string]*single, len(s.singles))
	for name, g := range s.singles {
		singles[name] = g
	}
	hooks := s.hooks
	s.mu.Unlock()
	for name, g := range singles {
		sn.addSample(g.sample(name))
	}
	for _, hook := range hooks {
		(*hook)(func(sample Sample) {
			sample.Name = sanitizeName(sample.Name)
			sn.addSample(sample)
		})
	}
}

func (sn *Snapshot) addSample(sample Sample) {
	if reject := sn.store.options.Reject; reject != nil && reject(sample.Name) {
		return
	}
	if sample.Kind == TextReadout {
		sn.texts = append(sn.texts, sample)
		return
	}
	sn.groups = append(sn.groups, group{prefix: sample.Name, sample: sample})
}

// row is one statistic of a Snapshot, with its name in two parts.
type row struct {
	prefix, name string
	kind         Kind // Counter, Gauge or Histogram
	value        uint64
	used         bool
	total        Distribution
	interval     Distribution

	// Where it comes from, for the names of the Prometheus exposition.
	scope  *Scope // nil for a sample
	metric int    // index into the metrics of the schema
	code   int    // exact status, or 0
}

// compare compares the full names of r and o, without putting them together.
func (r *row) compare(o *row) int {
	n := len(r.prefix)
	if n > len(o.prefix) {
		return -o.compare(r)
	}
	if c := strings.Compare(r.prefix, o.prefix[:n]); c != 0 {
		return c
	}
	rest := o.prefix[n:]
	m := min(len(rest), len(r.name))
	if c := strings.Compare(r.name[:m], rest[:m]); c != 0 {
		return c
	}
	if m < len(rest) {
		return -1
	}
	return strings.Compare(r.name[m:], o.name)
}

// rows yields the counters, gauges and histograms in the order of their full names. The row is valid until yield returns.
func (sn *Snapshot) rows(yield func(*row) bool) {
	var run []row
	for first := 0; first < len(sn.groups); {
		// Names of two groups can only be mixed when one prefix begins with the other. So a group and those that begin
		// with its prefix are sorted together, which is nearly always one group, and sorted already.
		end := first + 1
		for end < len(sn.groups) && strings.HasPrefix(sn.groups[end].prefix, sn.groups[first].prefix) {
			end++
		}
		run = run[:0]
		for i := first; i < end; i++ {
			run = sn.groups[i].appendRows(run)
		}
		if end-first > 1 {
			slices.SortStableFunc(run, func(a, b row) int { return a.compare(&b) })
			run = addDoubles(run)
		}
		for i := range run {
			if !yield(&run[i]) {
				return
			}
		}
		first = end
	}
}

// addDoubles adds up neighbours of the same name.
func addDoubles(run []row) []row {
	kept := run[:0]
	for _, r := range run {
		if n := len(kept); n > 0 && kept[n-1].kind == r.kind && r.kind != Histogram && kept[n-1].compare(&r) == 0 {
			kept[n-1].value += r.value
			kept[n-1].used = kept[n-1].used || r.used
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// appendRows appends the rows of g in the order of their names.
func (g *group) appendRows(rows []row) []row {
	if g.scope == nil {
		s := &g.sample
		return append(rows, row{
			prefix: g.prefix, kind: s.Kind, value: s.Value, used: s.Used || s.Value != 0 || s.Total.Count() != 0,
			total: s.Total, interval: s.Interval,
		})
	}
	schema := g.scope.schema
	rejected := g.scope.rejected()
	for i := range schema.metrics {
		m := &schema.metrics[i]
		if m.part >= 1 && m.part <= lastClass {
			// "upstream_rq_204" sorts right before "upstream_rq_2xx".
			rows = g.appendCodes(rows, i)
		}
		if rejected != nil && rejected[i] {
			continue
		}
		r := row{prefix: g.prefix, name: m.name, kind: m.kind, scope: g.scope, metric: i}
		g.fill(&r, m)
		if r.used || !m.dynamic {
			rows = append(rows, r)
		}
	}
	return rows
}

// fill sets the value of r, which shows m.
func (g *group) fill(r *row, m *metric) {
	if m.kind == Histogram {
		ordinal := g.scope.schema.ordinals[m.def]
		r.total.unit, r.interval.unit = m.unit, m.unit
		if g.merged != nil {
			r.total.h = g.merged.histograms[ordinal]
		}
		if g.intervals != nil {
			r.interval.h = g.intervals[ordinal]
		}
		r.used = r.total.Count() != 0
		return
	}
	if g.merged == nil {
		return
	}
	if m.part == notStatus {
		r.value, r.used = g.merged.values[m.def], g.merged.isUsed(m.def)
		return
	}
	if s := g.merged.statuses[g.scope.schema.ordinals[m.def]]; s != nil {
		r.value = s.value(m.part)
		r.used = r.value != 0
	}
}

// appendCodes appends the exact codes of the class that metric i is, if its statistic shows them.
func (g *group) appendCodes(rows []row, i int) []row {
	m := &g.scope.schema.metrics[i]
	if g.merged == nil || g.scope.schema.defs[m.def].Kind != StatusCode {
		return rows
	}
	s := g.merged.statuses[g.scope.schema.ordinals[m.def]]
	if s == nil {
		return rows
	}
	reject := g.scope.store.options.Reject
	s.each(func(code int, n uint64) {
		if statusPart(code/100) != m.part {
			return
		}
		name := g.scope.schema.codeName(m.def, code)
		if reject != nil && reject(g.prefix+name) {
			return
		}
		rows = append(rows, row{
			prefix: g.prefix, name: name, kind: Counter, value: n, used: true,
			scope: g.scope, metric: i, code: code,
		})
	})
	return rows
}

// All yields every exposed statistic: text readouts, then the others, each in the order of their names.
func (sn *Snapshot) All() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for _, s := range sn.texts {
			if !yield(s) {
				return
			}
		}
		sn.rows(func(r *row) bool {
			return yield(Sample{
				Name: r.prefix + r.name, Kind: r.kind, Value: r.value, Used: r.used, Total: r.total, Interval: r.interval,
			})
		})
	}
}

// Value returns the counter or gauge of that full name.
func (sn *Snapshot) Value(name string) (value uint64, ok bool) {
	for i := range sn.groups {
		if !strings.HasPrefix(name, sn.groups[i].prefix) {
			continue
		}
		for _, r := range sn.groups[i].appendRows(nil) {
			if r.kind != Histogram && r.name == name[len(r.prefix):] {
				value += r.value
				ok = true
			}
		}
	}
	return value, ok
}

// StatusCodes adds up the responses by exact status of the exposed scopes whose prefix matches, as each counts them in the
// first status statistic of its schema.
func (sn *Snapshot) StatusCodes(match func(prefix string) bool) map[int]uint64 {
	codes := map[int]uint64{}
	for i := range sn.groups {
		g := &sn.groups[i]
		if g.merged == nil || len(g.merged.statuses) == 0 || g.merged.statuses[0] == nil || !match(g.prefix) {
			continue
		}
		g.merged.statuses[0].each(func(code int, n uint64) { codes[code] += n })
	}
	return codes
}

// Of returns the values of one scope, hidden or not. They are zero when the scope was not there when sn was taken.
func (sn *Snapshot) Of(sc *Scope) View {
	return View{schema: sc.schema, merged: sn.byScope[sc]}
}

// View is the values of one scope in a Snapshot.
type View struct {
	schema *Schema
	merged *merged
}

// Value returns the value of counter or gauge i.
func (v View) Value(i int) uint64 {
	if v.merged == nil {
		return 0
	}
	return v.merged.values[i]
}

// Distribution returns the values of histogram i since the start.
func (v View) Distribution(i int) Distribution {
	d := Distribution{unit: v.schema.defs[i].Unit}
	if v.merged != nil {
		d.h = v.merged.histograms[v.schema.ordinals[i]]
	}
	return d
}

// StatusCodes calls yield with the exact statuses that status statistic i has counted, ascending.
func (v View) StatusCodes(i int) iter.Seq2[int, uint64] {
	return func(yield func(int, uint64) bool) {
		if v.merged == nil || v.merged.statuses[v.schema.ordinals[i]] == nil {
			return
		}
		more := true
		v.merged.statuses[v.schema.ordinals[i]].each(func(code int, n uint64) {
			more = more && yield(code, n)
		})
	}
}
