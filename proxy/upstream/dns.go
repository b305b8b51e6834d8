package upstream

import (
	"context"
	"fmt"
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

	mu      sync.Mutex // guards what follows
	running map[string]*resolution
	first   sync.WaitGroup // one per cluster that has not been looked up once
	closed  bool
}

// resolution is the goroutine that resolves one cluster.
type resolution struct {
	config *config.Cluster
	cancel context.CancelFunc
	done   chan struct{}
}

// NewResolver returns a Resolver without clusters. A nil lookup means the system's. publish and failed are called from
// the resolver's goroutines and may be called at the same time for different clusters.
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
// value as before goes on undisturbed. It does not wait.
func (r *Resolver) Update(clusters map[string]*config.Cluster) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, run := range r.running {
		if clusters[name] != run.config {
			run.cancel()
			delete(r.running, name)
		}
	}
	for name, cfg := range clusters {
		if cfg.Type == config.ClusterStrictDNS && r.running[name] == nil && !r.closed {
			r.start(name, cfg)
		}
	}
}

func (r *Resolver) start(name string, cfg *config.Cluster) {
	ctx, cancel := context.WithCancel(context.Background())
	run := &resolution{config: cfg, cancel: cancel, done: make(chan struct{})}
	r.running[name] = run
	r.first.Add(1)
	go func() {
		defer close(run.done)
		r.resolveForever(ctx, cfg)
	}()
}

// WaitFirst waits until every cluster known now has been looked up once, successfully or not, or ctx ends.
func (r *Resolver) WaitFirst(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		r.first.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Close ends all resolution and waits for its goroutines.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	running := r.running
	r.running = nil
	r.mu.Unlock()
	for _, run := range running {
		run.cancel()
		<-run.done
	}
}

func (r *Resolver) resolveForever(ctx context.Context, cfg *config.Cluster) {
	first := sync.OnceFunc(r.first.Done)
	defer first()
	known := make(map[string][]netip.Addr) // by name
	var last *config.ClusterLoadAssignment
	ticker := time.NewTicker(max(cfg.DNSRefresh, time.Millisecond))
	defer ticker.Stop()
	for {
		if err := r.refresh(ctx, cfg, known); err != nil && ctx.Err() == nil {
			r.failed(cfg.Name, err)
		}
		if ctx.Err() != nil {
			return
		}
		if next := resolved(cfg, known); last == nil || !sameEndpoints(last, next) {
			last = next
			r.publish(cfg.Name, next)
		}
		first()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// refresh looks every name of the cluster up. It returns the first failure; names that failed keep their addresses.
func (r *Resolver) refresh(ctx context.Context, cfg *config.Cluster, known map[string][]netip.Addr) error {
	var failure error
	for _, locality := range cfg.Assignment.Localities {
		for i := range locality.Endpoints {
			name := locality.Endpoints[i].Address.IP
			addresses, err := r.resolve(ctx, name, cfg.DNSFamily)
			if err != nil {
				failure = fmt.Errorf("resolve %q: %w", name, err)
				continue
			}
			known[name] = addresses
		}
	}
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
	case family == config.DNSV4Preferred && len(v4) > 0, family == config.DNSV4Only, len(v6) == 0:
		chosen = v4
	default:
		chosen = v6
	}
	slices.SortFunc(chosen, netip.Addr.Compare)
	chosen = slices.Compact(chosen)
	return chosen[:min(len(chosen), maxAddresses)]
}

// resolved returns the cluster's assignment with every name replaced by its addresses.
func resolved(cfg *config.Cluster, known map[string][]netip.Addr) *config.ClusterLoadAssignment {
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
