package stats

import (
	"slices"
	"strings"
	"sync"

	dto "github.com/prometheus/client_model/go"
)

// Limits on what a tagger remembers, beside what belongs to scopes and goes with them.
const (
	// maxTables bounds the lists of family names that scopes of one schema share. A new one arises for each odd name, as
	// of a cluster "a.b"; beyond the bound such scopes keep a list of their own.
	maxTables = 8
	// maxSampleNames bounds the names of single samples: some hundreds, and a dozen per xDS subscription. When it is
	// reached, all are forgotten.
	maxSampleNames = 64 << 10
)

// promName is the name of a statistic in the Prometheus exposition.
type promName struct {
	family string
	labels []*dto.LabelPair // sorted by name; not to be modified
}

// nameTable are the families of the metrics of a schema, by metric, and which label set of the scope each has. Scopes
// share it: 10,000 clusters have the same families.
type nameTable struct {
	families []string
	sets     []int
}

// scopeNames are the names of the statistics of a scope.
type scopeNames struct {
	table  *nameTable
	labels [][]*dto.LabelPair // the label sets

	mu    sync.Mutex
	codes map[scopeCode]promName // names of exact statuses
}

// scopeCode is an exact status of a status statistic.
type scopeCode struct{ metric, code int }

// tagger turns names into Prometheus names, once each.
type tagger struct {
	mu       sync.Mutex // guards all below
	x        extraction
	families map[string]string // interned
	tables   map[*Schema][]*nameTable
	samples  map[string]promName
}

func newTagger(rules []TagRule, defaults bool) *tagger {
	rules = slices.Clone(rules)
	if defaults {
		rules = append(rules, defaultTags()...)
	}
	return &tagger{
		x:        extraction{rules: newRuleSet(rules)},
		families: map[string]string{},
		tables:   map[*Schema][]*nameTable{},
		samples:  map[string]promName{},
	}
}

// name returns the Prometheus name of the statistic that r shows.
func (t *tagger) name(r *row) promName {
	if r.scope == nil {
		return t.sampleName(r.prefix)
	}
	names := r.scope.names.Load()
	if names == nil {
		names = t.scopeNames(r.scope)
	}
	if r.code == 0 {
		return promName{names.table.families[r.metric], names.labels[names.table.sets[r.metric]]}
	}
	names.mu.Lock()
	defer names.mu.Unlock()
	key := scopeCode{r.metric, r.code}
	n, ok := names.codes[key]
	if !ok {
		n = t.extract(r.prefix + r.name)
		if names.codes == nil {
			names.codes = map[scopeCode]promName{}
		}
		names.codes[key] = n
	}
	return n
}

func (t *tagger) extract(name string) promName {
	t.mu.Lock()
	defer t.mu.Unlock()
	extracted, labels := t.x.extract(name)
	return promName{t.family(extracted), labelPairs(labels)}
}

// sampleName returns the name of a single sample.
func (t *tagger) sampleName(name string) promName {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.samples[name]
	if !ok {
		if len(t.samples) >= maxSampleNames {
			clear(t.samples)
		}
		extracted, labels := t.x.extract(name)
		n = promName{t.family(extracted), labelPairs(labels)}
		t.samples[name] = n
	}
	return n
}

// scopeNames makes and keeps the names of sc.
func (t *tagger) scopeNames(sc *Scope) *scopeNames {
	t.mu.Lock()
	defer t.mu.Unlock()
	table := &nameTable{
		families: make([]string, len(sc.schema.metrics)),
		sets:     make([]int, len(sc.schema.metrics)),
	}
	names := &scopeNames{}
	var sets [][]Label
	for i := range sc.schema.metrics {
		extracted, labels := t.x.extract(sc.prefix + sc.schema.metrics[i].name)
		table.families[i] = t.family(extracted)
		set := slices.IndexFunc(sets, func(have []Label) bool { return slices.Equal(have, labels) })
		if set < 0 {
			set = len(sets)
			sets = append(sets, slices.Clone(labels))
			names.labels = append(names.labels, labelPairs(labels))
		}
		table.sets[i] = set
	}
	names.table = t.share(sc.schema, table)
	sc.names.Store(names)
	return names
}

// share returns a table equal to the given one, which scopes of the schema share if there is room.
func (t *tagger) share(s *Schema, table *nameTable) *nameTable {
	tables := t.tables[s]
	for _, have := range tables {
		if slices.Equal(have.sets, table.sets) && slices.Equal(have.families, table.families) {
			return have
		}
	}
	if len(tables) < maxTables {
		t.tables[s] = append(tables, table)
	}
	return table
}

// family returns the interned family name for a name without tags. Families of scopes that are gone stay interned until
// there are maxSampleNames.
func (t *tagger) family(extracted []byte) string {
	if f, ok := t.families[string(extracted)]; ok {
		return f
	}
	if len(t.families) >= maxSampleNames {
		clear(t.families)
	}
	f := "envoy_" + promIdentifier(string(extracted))
	t.families[string(extracted)] = f
	return f
}

// labelPairs returns labels as Prometheus has them, sorted by name.
func labelPairs(labels []Label) []*dto.LabelPair {
	pairs := make([]*dto.LabelPair, len(labels))
	for i, l := range labels {
		name := promIdentifier(l.Name)
		if name == "" || name[0] >= '0' && name[0] <= '9' {
			name = "_" + name
		}
		value := strings.ToValidUTF8(l.Value, "\uFFFD")
		pairs[i] = &dto.LabelPair{Name: &name, Value: &value}
	}
	slices.SortFunc(pairs, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return pairs
}

// promIdentifier replaces every character outside [a-zA-Z0-9_].
func promIdentifier(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, s)
}

// rejected returns which metrics of sc the configuration does not want shown, or nil for none.
func (sc *Scope) rejected() []bool {
	reject := sc.store.options.Reject
	if reject == nil {
		return nil
	}
	if r := sc.hiddenMetrics.Load(); r != nil {
		return *r
	}
	r := make([]bool, len(sc.schema.metrics))
	for i := range r {
		r[i] = reject(sc.prefix + sc.schema.metrics[i].name)
	}
	sc.hiddenMetrics.Store(&r)
	return r
}
