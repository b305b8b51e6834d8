package stats

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// AtomicCounter is a counter that any goroutine may write.
type AtomicCounter struct{ v atomic.Uint64 }

// Inc adds one.
func (c *AtomicCounter) Inc() { c.v.Add(1) }

// Add adds n.
func (c *AtomicCounter) Add(n uint64) { c.v.Add(n) }

// Value returns the count.
func (c *AtomicCounter) Value() uint64 { return c.v.Load() }

// AtomicGauge is a gauge that any goroutine may write.
type AtomicGauge struct {
	v    atomic.Uint64
	used atomic.Bool
}

// Set sets the gauge to v.
func (g *AtomicGauge) Set(v uint64) { g.v.Store(v); g.used.Store(true) }

// Inc adds one.
func (g *AtomicGauge) Inc() { g.v.Add(1); g.used.Store(true) }

// Dec takes one away.
func (g *AtomicGauge) Dec() { g.v.Add(^uint64(0)); g.used.Store(true) }

// Value returns the gauge's value.
func (g *AtomicGauge) Value() uint64 { return g.v.Load() }

// Sample is one statistic as a reader sees it.
type Sample struct {
	// Name is the full name.
	Name string
	Kind Kind // Counter, Gauge, Histogram or TextReadout
	// Value is the value of a counter or gauge.
	Value uint64
	// Text is the value of a text readout.
	Text string
	// Used tells that the statistic was ever written.
	Used bool
	// Total and Interval are the values of a histogram: all, and those of the last flush interval.
	Total, Interval Distribution
}

// single is a statistic that is not part of a scope. One of its fields is set.
type single struct {
	counter *AtomicCounter
	gauge   *AtomicGauge
	value   func() uint64
	text    func() string
}

func (g *single) sample(name string) Sample {
	switch {
	case g.counter != nil:
		v := g.counter.Value()
		return Sample{Name: name, Kind: Counter, Value: v, Used: v != 0}
	case g.gauge != nil:
		return Sample{Name: name, Kind: Gauge, Value: g.gauge.Value(), Used: g.gauge.used.Load()}
	case g.value != nil:
		return Sample{Name: name, Kind: Gauge, Value: g.value(), Used: true}
	default:
		return Sample{Name: name, Kind: TextReadout, Text: g.text(), Used: true}
	}
}

// Counter returns the counter of that full name, made at first use. It lives as long as the store: what comes and goes
// with the configuration belongs in a Scope. A name that stands for something else panics.
func (s *Store) Counter(name string) *AtomicCounter {
	g := s.single(name, func() *single { return &single{counter: new(AtomicCounter)} })
	if g.counter == nil {
		panic(fmt.Sprintf("stats: %q is not a counter", name))
	}
	return g.counter
}

// Gauge returns the gauge of that full name, as Counter does.
func (s *Store) Gauge(name string) *AtomicGauge {
	g := s.single(name, func() *single { return &single{gauge: new(AtomicGauge)} })
	if g.gauge == nil {
		panic(fmt.Sprintf("stats: %q is not a gauge", name))
	}
	return g.gauge
}

// GaugeFunc makes value the gauge of that full name, in place of what had the name. value is called by readers, on any
// goroutine.
func (s *Store) GaugeFunc(name string, value func() uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.singles[sanitizeName(name)] = &single{value: value}
}

// Text makes text the text readout of that full name, in place of what had the name. text is called by readers, on any
// goroutine.
func (s *Store) Text(name string, text func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.singles[sanitizeName(name)] = &single{text: text}
}

func (s *Store) single(name string, make func() *single) *single {
	name = sanitizeName(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.singles[name]
	if g == nil {
		g = make()
		s.singles[name] = g
	}
	return g
}

// Collect has collect called at every Snapshot, on the reader's goroutine, to emit samples that are computed then. A
// sample of a name that a scope shows too adds to it. The result takes collect out again.
func (s *Store) Collect(collect func(emit func(Sample))) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hook := &collect
	s.hooks = append(s.hooks, hook)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hooks = slices.DeleteFunc(slices.Clone(s.hooks), func(h *func(func(Sample))) bool { return h == hook })
	}
}
