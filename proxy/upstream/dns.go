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

	mu      sync.Mutex                      // guards what follows, and what is said to be of resolutions
	running map[*config.Cluster]*resolution // until they have ended
	closed  bool
}

// ResolverEvents is who is told what a Resolver finds. The functions are called from the resolver's goroutines and may be called
// at the same time for different clusters. They may call Update.
type ResolverEvents struct {
	// Publish is told of the endpoints of a cluster when they are not as before.
	Publish func(cluster *config.Cluster, a *config.ClusterLoadAssignment)
	// Failed is told of lookups that failed.
	Failed func(cluster *config.Cluster, err error)
	// Count is told what to count in the statistics of a cluster, by an index of stats.Cluster; nil where nobody counts.
	Count func(cluster *config.Cluster, statistic int)
}

// resolution is the goroutine that resolves one cluster as it is configured.
type resolution struct {
	config *config.Cluster
	ctx    context.Context
	cancel context.CancelFunc
	known  answers       // the goroutine's
	found  answers       // copy of known, guarded by Resolver.mu
	looked chan struct{} // closed when all names have been looked up once and what was found is published
	done   chan struct{}
}

// NewResolver returns a Resolver without clusters. A nil lookup means the system's; it must return when its context ends.
func NewResolver(lookup Lookup, events ResolverEvents) *Resolver {
	if lookup == nil {
		lookup = dns.Lookup
	}
	if events.Count == nil {
		events.Count = func(*config.Cluster, int) {}
	}
	return &Resolver{
		lookup: lookup, events: events,
		places:  make(chan struct{}, maxLookups),
		running: make(map[*config.Cluster]*resolution),
	}
}

// Update makes the STRICT_DNS and LOGICAL_DNS clusters among clusters the ones that are resolved. One that is the same value as
// before goes on undisturbed; one that has a name that another had, or still has, begins with the addresses that are known of
// that. It does not wait.
func (r *Resolver) Update(clusters []*config.Cluster) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := make(map[*config.Cluster]bool)
	for _, cfg := range clusters {
		wanted[cfg] = cfg.Type == config.ClusterStrictDNS || cfg.Type == config.ClusterLogicalDNS
	}
	byName := make(map[string]*resolution, len(r.running))
	for cfg, run := range r.running {
		if !wanted[cfg] {
			run.cancel()
		}
		byName[cfg.Name] = run
	}
	if r.closed {
		return
	}
	for _, cfg := range clusters {
		if run := r.running[cfg]; wanted[cfg] && (run == nil || run.ctx.Err() != nil) {
			r.start(cfg, run, byName[cfg.Name])
		}
	}
}

// start begins to resolve cfg. before is the resolution of the same value, which has to end first; kin is one of the same name. Both
// may be nil.
func (r *Resolver) start(cfg *config.Cluster, before, kin *resolution) {
	run := &resolution{config: cfg, looked: make(chan struct{}), done: make(chan struct{})}
	if kin != nil && kin.config.DNSFamily == cfg.DNSFamily && kin.config.Type == cfg.Type {
		run.known = kin.found.addressesOnly()
	}
	run.ctx, run.cancel = context.WithCancel(context.Background())
	r.running[cfg] = run
	go func() {
		defer r.forget(run)
		defer close(run.done)
		looked := sync.OnceFunc(func() { close(run.looked) })
		defer looked()
		if before != nil { // it was cancelled, but may be publishing: its answer must not come after ours
			<-before.done
		}
		r.resolveForever(run, looked)
	}()
}

func (r *Resolver) forget(run *resolution) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[run.config] == run {
		delete(r.running, run.config)
	}
}

// remember notes what a resolution knows, for one that follows it.
func (r *Resolver) remember(run *resolution) {
	found := run.known.addressesOnly()
	r.mu.Lock()
	defer r.mu.Unlock()
	run.found = found
}

// WaitFirst waits until the names of a cluster have been looked up once, successfully or not, and what was found is published, or
// ctx ends. It does not wait for a cluster that is not resolved.
func (r *Resolver) WaitFirst(ctx context.Context, cluster *config.Cluster) {
	r.mu.Lock()
	run := r.running[cluster]
	r.mu.Unlock()
	if run == nil {
		return
	}
	select {
	case <-run.looked:
	case <-ctx.Done():
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
