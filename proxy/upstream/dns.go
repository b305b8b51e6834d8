package upstream

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/dns"
)

// maxLookups bounds the lookups that run at a time, over all clusters.
const maxLookups = 64

// Lookup resolves a name for a network of "ip", "ip4" or "ip6", as dns.Lookup does. The answer is good for ttl; 0 is not known.
type Lookup func(ctx context.Context, network, name string) (found []netip.Addr, ttl time.Duration, err error)

// Resolver keeps the endpoints of STRICT_DNS and LOGICAL_DNS clusters resolved: every address of every name is an endpoint, or
// the first address of the one name there is. A lookup that fails leaves the addresses as they were. It runs on goroutines of its
// own, one per cluster, and tells of changes through publish.
type Resolver struct {
	lookup Lookup
	events ResolverEvents
	places chan struct{}

	mu      sync.Mutex             // guards what follows
	running map[string]*resolution // the last one of each cluster, until it has ended
	closed  bool
}

// ResolverEvents is who is told what a Resolver finds. The functions are called from the resolver's goroutines and may be called
// at the same time for different clusters. They may call Update.
type ResolverEvents struct {
	// Publish is told of the endpoints of a cluster when they are not as before.
	Publish func(cluster string, a *config.ClusterLoadAssignment)
	// Failed is told of lookups that failed.
	Failed func(cluster string, err error)
	// Count is told what to count in the statistics of a cluster, by an index of stats.Cluster; nil where nobody counts.
	Count func(cluster string, statistic int)
}

// resolution is the goroutine that resolves one cluster as it is configured.
type resolution struct {
	config *config.Cluster
	ctx    context.Context
	cancel context.CancelFunc
	before *resolution // of the same cluster, which has to end first; nil when there is none
	known  answers     // the goroutine's; anybody's once done is closed
	looked chan struct{}
	done   chan struct{}
}

// NewResolver returns a Resolver without clusters. A nil lookup means the system's; it must return when its context ends.
func NewResolver(lookup Lookup, events ResolverEvents) *Resolver {
	if lookup == nil {
		lookup = dns.Lookup
	}
	if events.Count == nil {
		events.Count = func(string, int) {}
	}
	return &Resolver{
		lookup: lookup, events: events,
		places:  make(chan struct{}, maxLookups),
		running: make(map[string]*resolution),
	}
}

// Update makes the STRICT_DNS and LOGICAL_DNS clusters among clusters the ones that are resolved. One whose configuration is the same
// value as before goes on undisturbed. It does not wait; the first answer for a changed cluster is published after
// everything that was found for it before.
func (r *Resolver) Update(clusters map[string]*config.Cluster) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, run := range r.running {
		if clusters[name] != run.config {
			run.cancel()
		}
	}
	if r.closed {
		return
	}
	for name, cfg := range clusters {
		if cfg.Type != config.ClusterStrictDNS && cfg.Type != config.ClusterLogicalDNS {
			continue
		}
		if run := r.running[name]; run == nil || run.ctx.Err() != nil {
			r.start(name, cfg, run)
		}
	}
}

func (r *Resolver) start(name string, cfg *config.Cluster, before *resolution) {
	run := &resolution{config: cfg, before: before, looked: make(chan struct{}), done: make(chan struct{})}
	run.ctx, run.cancel = context.WithCancel(context.Background())
	r.running[name] = run
	go func() {
		defer r.forget(name, run)
		defer close(run.done)
		looked := sync.OnceFunc(func() { close(run.looked) })
		defer looked()
		run.takeOver()
		r.resolveForever(run, looked)
	}()
}

// takeOver waits until the resolution before has ended, and takes what it knew. It was cancelled, but may be publishing: an
// answer that came after that of its successor would stay.
func (run *resolution) takeOver() {
	if run.before == nil {
		return
	}
	<-run.before.done
	if before := run.before.config; before.DNSFamily == run.config.DNSFamily && before.Type == run.config.Type {
		run.known = run.before.known.addressesOnly()
	}
	run.before = nil
}

func (r *Resolver) forget(name string, run *resolution) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[name] == run {
		delete(r.running, name)
	}
}

// WaitFirst waits until every cluster known now has been looked up once, successfully or not, or ctx ends.
func (r *Resolver) WaitFirst(ctx context.Context) {
	r.mu.Lock()
	running := slices.Collect(maps.Values(r.running))
	r.mu.Unlock()
	for _, run := range running {
		select {
		case <-run.looked:
		case <-ctx.Done():
			return
		}
	}
}

// Close ends all resolution and waits for its goroutines. It must not be called by one of the events.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	running := slices.Collect(maps.Values(r.running))
	r.mu.Unlock()
	for _, run := range running {
		run.cancel()
	}
	for _, run := range running {
		<-run.done
	}
}
