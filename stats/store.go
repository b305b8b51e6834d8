package stats

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// gatherTimeout is how long a reader waits for the workers. A worker that takes longer is stuck; what it had at the last
// gather stands for it, so that a reader still gets an answer well inside a scrape's time.
const gatherTimeout = time.Second

// FlushInterval is how often the owner of a Store should call Flush: Envoy's default stats_flush_interval.
const FlushInterval = 5 * time.Second

// Options configure a Store. The zero value is Envoy's default.
type Options struct {
	// Tags are the tags of the configuration. They are tried before Envoy's own.
	Tags []TagRule
	// NoDefaultTags leaves out Envoy's own tags: stats_config.use_all_default_tags false.
	NoDefaultTags bool
	// Reject tells which full names are not shown: stats_config.stats_matcher. nil shows all.
	Reject func(name string) bool
	// Buckets are the bucket bounds of histograms by name; the first that matches is used, else DefaultBuckets.
	Buckets []BucketRule
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// BucketRule gives histograms their own bucket bounds: stats_config.histogram_bucket_settings.
type BucketRule struct {
	// Match tells whether the rule is for the histogram of that full name.
	Match func(name string) bool
	// Bounds are ascending, in shown units.
	Bounds []float64
}

// DefaultBuckets returns Envoy's default bucket bounds, in shown units.
func DefaultBuckets() []float64 {
	return []float64{
		0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000,
	}
}

// Store is all statistics of a process. Its methods may be called by any goroutine.
type Store struct {
	options Options
	tagger  *tagger
	// defaultBounds are the bucket bounds without a rule.
	defaultBounds []float64

	// gathering is held while shards are read, for gatherTimeout and the time of a merge at most. It is taken before mu.
	gathering sync.Mutex
	flushedAt time.Time // guarded by gathering

	mu      sync.Mutex // guards all below
	scopes  map[scopeKey]*Scope
	sorted  []*Scope // scopes by prefix; nil when it has to be made anew
	shards  []*Shard
	singles map[string]*single
	hooks   []*func(emit func(Sample))
	windows []*Window
}

type scopeKey struct {
	prefix string
	schema *Schema
	hidden bool
}

// NewStore returns an empty Store.
func NewStore(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{
		options:       o,
		defaultBounds: DefaultBuckets(),
		tagger:        newTagger(o.Tags, !o.NoDefaultTags),
		flushedAt:     o.Now(),
		scopes:        map[scopeKey]*Scope{},
		singles:       map[string]*single{},
	}
}

// Scope returns the scope of that prefix, as "cluster.foo.", and schema, which is made at first use, and counts one more
// reference to it: the caller calls Release when done with it. A colon in prefix becomes an underscore, as in Envoy.
func (s *Store) Scope(prefix string, schema *Schema) *Scope {
	return s.scope(prefix, schema, false)
}

// HiddenScope is Scope for statistics that no exposition shows: read them with Snapshot.Of.
func (s *Store) HiddenScope(prefix string, schema *Schema) *Scope {
	return s.scope(prefix, schema, true)
}

func (s *Store) scope(prefix string, schema *Schema, hidden bool) *Scope {
	key := scopeKey{sanitizeName(prefix), schema, hidden}
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.scopes[key]
	if sc == nil {
		sc = &Scope{store: s, prefix: key.prefix, schema: schema, hidden: hidden}
		s.scopes[key] = sc
		s.sorted = nil
	}
	sc.refs++
	return sc
}

func (s *Store) release(sc *Scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc.refs--
	if sc.refs != 0 {
		return
	}
	sc.dead.Store(true)
	delete(s.scopes, scopeKey{sc.prefix, sc.schema, sc.hidden})
	s.sorted = nil
}

// sanitizeName makes a name of what a configuration calls a thing: a colon is not part of Envoy's names.
func sanitizeName(name string) string {
	return strings.ReplaceAll(name, ":", "_")
}

// NewShard returns the shard of a new worker. post has a function run on the worker's thread soon, or returns false when
// the worker is gone. A worker that ends calls Close; one that only stops running functions costs every reader gatherTimeout.
func (s *Store) NewShard(post func(func()) bool) *Shard {
	sh := &Shard{store: s, post: post, byScope: map[*Scope]*Block{}, gone: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shards = append(s.shards, sh)
	return sh
}

// sortedScopes returns the scopes by prefix. The result must not be modified.
func (s *Store) sortedScopes() []*Scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sorted == nil {
		s.sorted = make([]*Scope, 0, len(s.scopes))
		for _, sc := range s.scopes {
			s.sorted = append(s.sorted, sc)
		}
		slices.SortFunc(s.sorted, func(a, b *Scope) int {
			// Beyond the prefix any fixed order will do: what has the same prefix is shown sorted by full name.
			return cmp.Or(strings.Compare(a.prefix, b.prefix), cmp.Compare(len(a.schema.defs), len(b.schema.defs)))
		})
	}
	return s.sorted
}

// gather has every worker do a pass of this kind and then calls read, while the mirrors of each scope are linked and
// nobody else touches them. When ctx ends, the workers are not waited for.
func (s *Store) gather(ctx context.Context, kind passKind, read func()) {
	s.gathering.Lock()
	defer s.gathering.Unlock()
	s.mu.Lock()
	shards := slices.Clone(s.shards)
	s.mu.Unlock()
	s.runPasses(ctx, shards, kind)
	for _, sh := range shards {
		sh.mu.Lock()
		sh.link()
	}
	read()
	for _, sh := range shards {
		sh.unlink()
		sh.mu.Unlock()
	}
	s.retire(shards)
}

// runPasses runs a pass on every shard and waits for them together, at most gatherTimeout.
func (s *Store) runPasses(ctx context.Context, shards []*Shard, kind passKind) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	for _, sh := range shards {
		if sh.pending == nil {
			sh.pending = sh.start(kind)
		}
	}
	for _, sh := range shards {
		for sh.pending != nil {
			select {
			case <-sh.pending.done:
			case <-sh.gone:
			case <-ctx.Done():
			}
			if !sh.ended() {
				break // it is left to finish: the next reader waits for it before it starts its own
			}
			stale := sh.pending.kind != kind
			sh.pending = nil
			if stale && ctx.Err() == nil && !sh.closed.Load() {
				sh.pending = sh.start(kind)
			}
		}
	}
}

// ended reports whether the pending pass will not touch the mirrors any more.
func (sh *Shard) ended() bool {
	if sh.closed.Load() {
		return true
	}
	select {
	case <-sh.pending.done:
		return true
	default:
		return false
	}
}

// link puts each mirror in its scope's list, and forgets those of released scopes. The caller holds sh.mu.
func (sh *Shard) link() {
	sh.mirrors = slices.DeleteFunc(sh.mirrors, func(m *mirror) bool { return m.scope.dead.Load() })
	for _, m := range sh.mirrors {
		m.next = m.scope.mirrors
		m.scope.mirrors = m
	}
}

// unlink takes the mirrors out of their scopes' lists.
func (sh *Shard) unlink() {
	for _, m := range sh.mirrors {
		m.next, m.scope.mirrors = nil, nil
	}
}

// retire adds what closed shards have counted to their scopes and forgets the shards. The caller holds gathering.
func (s *Store) retire(shards []*Shard) {
	for _, sh := range shards {
		if !sh.closed.Load() {
			continue
		}
		select {
		case <-sh.gone:
		default:
			continue // Close has begun but its last copy is not made
		}
		sh.mu.Lock()
		for _, m := range sh.mirrors {
			if m.scope.retired == nil {
				m.scope.retired = m
				continue
			}
			m.scope.retired.addCounts(m.scope.schema, &m.cells)
		}
		sh.mirrors = nil
		sh.mu.Unlock()
		s.mu.Lock()
		s.shards = slices.DeleteFunc(slices.Clone(s.shards), func(o *Shard) bool { return o == sh })
		s.mu.Unlock()
	}
}

// ResetCounters sets all counters to zero, as POST /reset_counters does. Gauges and histograms stay.
func (s *Store) ResetCounters(ctx context.Context) {
	s.gather(ctx, passReset, func() {
		for _, sc := range s.sortedScopes() {
			if sc.retired != nil {
				sc.retired.resetCounters(sc.schema)
			}
			if c := sc.shared.Load(); c != nil {
				c.resetCounters(sc.schema)
			}
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.singles {
		if g.counter != nil {
			g.counter.v.Store(0)
		}
	}
}
