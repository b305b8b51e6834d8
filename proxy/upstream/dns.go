package upstream

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	// lookupTimeout bounds one name lookup.
	lookupTimeout = 5 * time.Second
	// maxLookups bounds the lookups that run at a time, over all clusters.
	maxLookups = 64
	// minRefresh is the shortest time from one lookup to the next, as in Envoy.
	minRefresh = time.Millisecond
	// maxAddresses bounds the addresses taken from one answer, in sorted order.
	maxAddresses = 1024
)

// Lookup resolves a name for a network of "ip", "ip4" or "ip6", as net.Resolver.LookupNetIP does.
type Lookup func(ctx context.Context, network, name string) ([]netip.Addr, error)

// Resolver keeps the endpoints of STRICT_DNS clusters resolved: every address of every name is an endpoint. A lookup
// that fails leaves the addresses as they were. It runs on goroutines of its own, one per cluster, and tells of changes
// through publish.
type Resolver struct {
	lookup  Lookup
	publish func(cluster string, a *config.ClusterLoadAssignment)
	failed  func(cluster string, err error)
	places  chan struct{}

	mu      sync.Mutex             // guards what follows
	running map[string]*resolution // the last one of each cluster, until it has ended
	closed  bool
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

// answers are the addresses of a cluster's names.
type answers map[string][]netip.Addr

// NewResolver returns a Resolver without clusters. A nil lookup means the system's; it must return when its context ends.
// publish and failed are called from the resolver's goroutines and may be called at the same time for different clusters.
// They may call Update.
func NewResolver(lookup Lookup, publish func(string, *config.ClusterLoadAssignment), failed func(string, error)) *Resolver {
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	return &Resolver{
		lookup: lookup, publish: publish, failed: failed,
		places:  make(chan struct{}, maxLookups),
		running: make(map[string]*resolution),
	}
}

// Update makes the STRICT_DNS clusters among clusters the ones that are resolved. One whose configuration is the same
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
		if cfg.Type != config.ClusterStrictDNS {
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
	if run.before.config.DNSFamily == run.config.DNSFamily {
		run.known = run.before.known
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

// Close ends all resolution and waits for its goroutines. It must not be called by publish or failed.
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

func (r *Resolver) resolveForever(run *resolution, looked func()) {
	var last *config.ClusterLoadAssignment
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-run.ctx.Done():
			return
		}
		err := r.refresh(run)
		if run.ctx.Err() != nil {
			return
		}
		if err != nil {
			r.failed(run.config.Name, err)
		}
		if next := resolved(run.config, run.known); last == nil || !sameEndpoints(last, next) {
			last = next
			r.publish(run.config.Name, next)
		}
		looked()
		pause.Reset(max(run.config.DNSRefresh, minRefresh))
	}
}

// refresh looks every name of the cluster up. It returns the first failure; names that failed keep their addresses.
func (r *Resolver) refresh(run *resolution) error {
	var failure error
	known := make(answers)
	for _, locality := range run.config.Assignment.Localities {
		for i := range locality.Endpoints {
			name := locality.Endpoints[i].Address.IP
			addresses, err := r.resolve(run.ctx, name, run.config.DNSFamily)
			if err != nil {
				addresses = run.known[name]
				if failure == nil {
					failure = fmt.Errorf("resolve %q: %w", name, err)
				}
			}
			known[name] = addresses
		}
	}
	run.known = known
	return failure
}

func (r *Resolver) resolve(ctx context.Context, name string, family config.DNSFamily) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{ip}, nil
	}
	select {
	case r.places <- struct{}{}:
		defer func() { <-r.places }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	network := "ip"
	switch family {
	case config.DNSV4Only:
		network = "ip4"
	case config.DNSV6Only:
		network = "ip6"
	}
	found, err := r.lookup(ctx, network, name)
	if err != nil {
		return nil, err
	}
	return ofFamily(found, family), nil
}

// ofFamily leaves the addresses that the lookup family asks for, sorted, each once.
func ofFamily(found []netip.Addr, family config.DNSFamily) []netip.Addr {
	var v4, v6 []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); a.Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	var chosen []netip.Addr
	switch {
	case family == config.DNSAll:
		chosen = append(v4, v6...)
	case family == config.DNSV4Only,
		family == config.DNSV4Preferred && len(v4) > 0,
		family == config.DNSAuto && len(v6) == 0:
		chosen = v4
	default:
		chosen = v6
	}
	slices.SortFunc(chosen, netip.Addr.Compare)
	chosen = slices.Compact(chosen)
	return chosen[:min(len(chosen), maxAddresses)]
}

// resolved returns the cluster's assignment with every name replaced by its addresses.
func resolved(cfg *config.Cluster, known answers) *config.ClusterLoadAssignment {
	a := *cfg.Assignment
	a.Localities = slices.Clone(a.Localities)
	for i := range a.Localities {
		named := a.Localities[i].Endpoints
		var endpoints []config.Endpoint
		for _, e := range named {
			name := e.Address.IP
			if e.Hostname == "" {
				e.Hostname = name
			}
			for _, ip := range known[name] {
				e.Address.IP = ip.String()
				endpoints = append(endpoints, e)
			}
		}
		a.Localities[i].Endpoints = endpoints
	}
	return &a
}

func sameEndpoints(a, b *config.ClusterLoadAssignment) bool {
	return slices.EqualFunc(a.Localities, b.Localities, func(x, y config.LocalityEndpoints) bool {
		return slices.Equal(x.Endpoints, y.Endpoints)
	})
}
