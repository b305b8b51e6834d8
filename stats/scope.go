package stats

import (
	"sync"
	"sync/atomic"
)

// Scope is the statistics of one thing, as a cluster: a prefix and a schema. Workers write it through their Shard; its
// own methods are for all other goroutines.
type Scope struct {
	store  *Store
	prefix string
	schema *Schema
	hidden bool

	refs int         // guarded by Store.mu
	dead atomic.Bool // set by the last Release, for good

	shared atomic.Pointer[sharedCells]
	names  atomic.Pointer[scopeNames]
	// hiddenMetrics are those that Options.Reject refused, by metric; nil until asked.
	hiddenMetrics atomic.Pointer[[]bool]

	// Guarded by Store.gathering.
	mirrors *mirror      // of the gather that is under way
	flushed []*histogram // merged at the last flush
	retired *mirror      // what shards that were closed have counted

	intervals atomic.Pointer[[]*histogram] // of the last flush interval; immutable
}

// sharedCells are the values of a scope that others than workers write.
type sharedCells struct {
	values []atomic.Uint64
	used   []atomic.Uint64 // a bit per value
	mu     sync.Mutex      // guards all below
	// By ordinal.
	histograms []*histogram
	statuses   []*statusCounts
}

// Prefix returns the prefix of sc, with its final dot.
func (sc *Scope) Prefix() string { return sc.prefix }

// Schema returns the schema of sc.
func (sc *Scope) Schema() *Schema { return sc.schema }

// Release gives one reference back. The last one ends the scope: it is not shown any more, and a scope made later with
// the same prefix starts at zero, as in Envoy.
func (sc *Scope) Release() {
	sc.store.release(sc)
}

func (sc *Scope) cells() *sharedCells {
	if c := sc.shared.Load(); c != nil {
		return c
	}
	c := &sharedCells{
		values:     make([]atomic.Uint64, len(sc.schema.defs)),
		used:       make([]atomic.Uint64, (len(sc.schema.defs)+63)/64),
		histograms: make([]*histogram, len(sc.schema.histograms)),
		statuses:   make([]*statusCounts, len(sc.schema.statuses)),
	}
	if sc.shared.CompareAndSwap(nil, c) {
		return c
	}
	return sc.shared.Load()
}

func (c *sharedCells) use(i int) *atomic.Uint64 {
	if bit := uint64(1) << (i % 64); c.used[i/64].Load()&bit == 0 {
		c.used[i/64].Or(bit)
	}
	return &c.values[i]
}

func (c *sharedCells) isUsed(i int) bool {
	return c.used[i/64].Load()&(1<<(i%64)) != 0
}

// Inc adds one to counter or gauge i.
func (sc *Scope) Inc(i int) { sc.cells().use(i).Add(1) }

// Add adds n to counter or gauge i.
func (sc *Scope) Add(i int, n uint64) { sc.cells().use(i).Add(n) }

// Dec takes one from gauge i.
func (sc *Scope) Dec(i int) { sc.cells().use(i).Add(^uint64(0)) }

// Set sets gauge i to v, beside what workers have of it: a gauge is better written from one side only.
func (sc *Scope) Set(i int, v uint64) { sc.cells().use(i).Store(v) }

// Record adds v to histogram i. Times are in microseconds.
func (sc *Scope) Record(i int, v uint64) {
	c := sc.cells()
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.histograms[sc.schema.ordinals[i]]
	if *h == nil {
		*h = new(histogram)
	}
	(*h).record(v)
}

// IncStatus counts a response in the first status statistic of the schema.
func (sc *Scope) IncStatus(status int) {
	c := sc.cells()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.statuses[0] == nil {
		c.statuses[0] = new(statusCounts)
	}
	c.statuses[0].inc(status)
}

// resetCounters sets the counters to zero.
func (c *sharedCells) resetCounters(s *Schema) {
	for i := range s.defs {
		if s.defs[i].Kind == Counter {
			c.values[i].Store(0)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.statuses)
}
