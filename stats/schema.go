package stats

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind says what a statistic is.
type Kind uint8

// The kinds.
const (
	// Counter only grows.
	Counter Kind = iota
	// Gauge goes up and down.
	Gauge
	// Histogram is a distribution of recorded values.
	Histogram
	// StatusCode counts responses by status. A Def named "upstream_rq_" shows upstream_rq_completed always, and
	// upstream_rq_200 and upstream_rq_2xx from the first such response on, as Envoy's clusters do. A status outside
	// 100..599 shows as upstream_rq_unknown.
	StatusCode
	// StatusClass counts responses by status and shows the five classes and completed always, exact codes never, as
	// Envoy's connection managers do. Exact codes are kept nevertheless: see View.StatusCodes.
	StatusClass
	// TextReadout is a string. It occurs in Samples only, never in a Def.
	TextReadout
)

// Unit says what a histogram's values are.
type Unit uint8

// The units.
const (
	// Unspecified values are shown as recorded.
	Unspecified Unit = iota
	// Milliseconds are recorded in microseconds and shown in milliseconds.
	Milliseconds
	// Bytes are shown as recorded.
	Bytes
)

// perShown returns how many recorded units make one shown unit.
func (u Unit) perShown() float64 {
	if u == Milliseconds {
		return 1000
	}
	return 1
}

// Merge says how the values that several workers have of one gauge become one.
type Merge uint8

// The merges.
const (
	// Sum adds, for what each worker has a part of.
	Sum Merge = iota
	// Max takes the largest, for what each worker knows whole or what is a flag.
	Max
)

// Def describes one statistic of a Schema.
type Def struct {
	// Name is relative to the scope, as "upstream_rq_total".
	Name string
	Kind Kind
	// Unit is for histograms.
	Unit Unit
	// Merge is for gauges.
	Merge Merge
	// Dynamic hides the statistic until it is first used, as Envoy does with those it creates on demand.
	Dynamic bool
}

// Schema is a fixed list of statistics. It is immutable, and its address is its identity: declare one per kind of scope.
type Schema struct {
	defs []Def
	// ordinals[i] is the place of histogram i among the histograms, or of status i among the statuses.
	ordinals   []int
	histograms []int // indexes of the histograms, by ordinal
	statuses   []int // indexes of the statuses, by ordinal
	metrics    []metric
}

// metric is one name a Schema shows, other than exact status codes, which metrics of class precede.
type metric struct {
	name    string
	def     int
	kind    Kind // Counter, Gauge or Histogram
	unit    Unit
	part    statusPart
	dynamic bool
}

// statusPart is what a metric of a status statistic shows.
type statusPart uint8

// The parts. 1 to 5 are the classes.
const (
	notStatus       statusPart = 0
	lastClass       statusPart = 5
	statusCompleted statusPart = 6
	statusUnknown   statusPart = 7
)

// NewSchema returns the Schema with these statistics; index i stands for defs[i]. An empty or doubled name is a
// programming error and panics.
func NewSchema(defs ...Def) *Schema {
	s := &Schema{defs: slices.Clone(defs), ordinals: make([]int, len(defs))}
	for i, d := range defs {
		if d.Name == "" || d.Kind == TextReadout {
			panic(fmt.Sprintf("stats: definition %d (%q) of a schema needs a name and a numeric kind", i, d.Name))
		}
		switch d.Kind {
		case Histogram:
			s.ordinals[i] = len(s.histograms)
			s.histograms = append(s.histograms, i)
		case StatusCode, StatusClass:
			s.ordinals[i] = len(s.statuses)
			s.statuses = append(s.statuses, i)
		}
		s.metrics = append(s.metrics, metricsOf(i, d)...)
	}
	slices.SortFunc(s.metrics, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(s.metrics); i++ {
		if s.metrics[i].name == s.metrics[i-1].name {
			panic(fmt.Sprintf("stats: name %q occurs twice in a schema", s.metrics[i].name))
		}
	}
	return s
}

// Len returns how many statistics s has.
func (s *Schema) Len() int { return len(s.defs) }

// Def returns the definition of statistic i.
func (s *Schema) Def(i int) Def { return s.defs[i] }

func metricsOf(i int, d Def) []metric {
	if d.Kind != StatusCode && d.Kind != StatusClass {
		return []metric{{name: d.Name, def: i, kind: d.Kind, unit: d.Unit, dynamic: d.Dynamic}}
	}
	ms := []metric{
		{name: d.Name + "completed", def: i, part: statusCompleted, dynamic: d.Dynamic},
		{name: d.Name + "unknown", def: i, part: statusUnknown, dynamic: true},
	}
	for class := statusPart(1); class <= lastClass; class++ {
		ms = append(ms, metric{
			name: d.Name + strconv.Itoa(int(class)) + "xx", def: i, part: class, dynamic: d.Dynamic || d.Kind == StatusCode,
		})
	}
	return ms
}

// codeName returns the name of an exact status of status statistic i.
func (s *Schema) codeName(i, code int) string { return s.defs[i].Name + strconv.Itoa(code) }
