package upstream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

const (
	// lookupTimeout bounds one name lookup.
	lookupTimeout = 5 * time.Second
	// minRefresh is the shortest time from one lookup to the next, as in Envoy.
	minRefresh = time.Millisecond
	// maxAddresses bounds the addresses taken from one answer.
	maxAddresses = 1024
)

// answers are what is known of a cluster's names.
type answers map[string]*answer

// answer is what is known of a name.
type answer struct {
	addresses []netip.Addr
	due       time.Time     // when it is looked up again
	backoff   time.Duration // bounds the wait after the next failure; 0 after a success
}

// addressesOnly returns the answers as they are for a cluster that is configured anew: all names are looked up at once.
func (a answers) addressesOnly() answers {
	known := make(answers, len(a))
	for name, old := range a {
		known[name] = &answer{addresses: old.addresses}
	}
	return known
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
		next, err := r.refresh(run)
		if run.ctx.Err() != nil {
			return
		}
		if err != nil {
			r.events.Failed(run.config, err)
		}
		if now := resolved(run.config, run.known); last == nil || !sameEndpoints(last, now) {
			last = now
			r.remember(run)
			r.events.Publish(run.config, now)
		} else if err == nil {
			r.events.Count(run.config, stats.ClusterUpdateNoRebuild)
		}
		looked()
		pause.Reset(time.Until(next))
	}
}

// refresh looks up the names of the cluster that are due, all at a time, and returns when the next one is, and the first failure.
// Names that failed keep their addresses.
func (r *Resolver) refresh(run *resolution) (next time.Time, failure error) {
	known, now := make(answers), time.Now()
	var due []*query
	for _, e := range run.config.Assignment.Endpoints() {
		name := e.Address.IP
		a := known[name]
		switch {
		case a != nil: // once is enough
			continue
		case run.known[name] != nil:
			a = run.known[name]
		default:
			a = &answer{}
		}
		known[name] = a
		if !a.due.After(now) {
			due = append(due, &query{name: name, answer: a})
		}
	}
	failure = r.askAll(run, due)
	for _, a := range known {
		if next.IsZero() || a.due.Before(next) {
			next = a.due
		}
	}
	run.known = known
	if next.IsZero() { // there are no names
		next = now.Add(max(run.config.DNSRefresh, minRefresh))
	}
	return next, failure
}

// query is a name that is looked up, and what comes of it.
type query struct {
	name   string
	answer *answer
	err    error
}

// askAll looks names up, all at a time, and returns the first failure in their order.
func (r *Resolver) askAll(run *resolution, names []*query) error {
	var asking sync.WaitGroup
	for _, q := range names {
		asking.Go(func() { q.err = r.ask(run, q.name, q.answer) })
	}
	asking.Wait()
	for _, q := range names {
		if q.err != nil {
			return fmt.Errorf("resolve %q: %w", q.name, q.err)
		}
	}
	return nil
}

// ask looks a name up, and notes when to do so again.
func (r *Resolver) ask(run *resolution, name string, a *answer) error {
	cfg := run.config
	r.events.Count(cfg, stats.ClusterUpdateAttempt)
	addresses, ttl, err := r.resolve(run.ctx, name, cfg)
	if err != nil {
		r.events.Count(cfg, stats.ClusterUpdateFailure)
		a.due = time.Now().Add(a.afterFailure(cfg))
		return err
	}
	r.events.Count(cfg, stats.ClusterUpdateSuccess)
	if len(addresses) == 0 {
		r.events.Count(cfg, stats.ClusterUpdateEmpty)
	}
	a.addresses, a.backoff = addresses, 0
	a.due = time.Now().Add(afterSuccess(cfg, ttl))
	return nil
}

// afterSuccess returns how long to wait after an answer that is good for ttl, 0 where that is not known.
func afterSuccess(cfg *config.Cluster, ttl time.Duration) time.Duration {
	wait := cfg.DNSRefresh
	if cfg.RespectDNSTTL && ttl > 0 {
		wait = max(ttl, cfg.DNSMinRefresh)
	}
	if cfg.DNSJitter > 0 {
		wait += rand.N(cfg.DNSJitter)
	}
	return max(wait, minRefresh)
}

// afterFailure returns how long to wait after one more failure.
func (a *answer) afterFailure(cfg *config.Cluster) time.Duration {
	if cfg.DNSFailure.Base <= 0 {
		return max(cfg.DNSRefresh, minRefresh)
	}
	bound := max(a.backoff, cfg.DNSFailure.Base)
	a.backoff = min(2*bound, cfg.DNSFailure.Max)
	return max(rand.N(bound), minRefresh)
}

func (r *Resolver) resolve(ctx context.Context, name string, cfg *config.Cluster) ([]netip.Addr, time.Duration, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{ip}, 0, nil
	}
	select {
	case r.places <- struct{}{}:
		defer func() { <-r.places }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	network := "ip"
	switch cfg.DNSFamily {
	case config.DNSV4Only:
		network = "ip4"
	case config.DNSV6Only:
		network = "ip6"
	}
	found, ttl, err := r.lookup(ctx, network, name)
	if err != nil {
		return nil, 0, err
	}
	chosen := ofFamily(found, cfg.DNSFamily)
	if cfg.Type == config.ClusterLogicalDNS {
		return chosen[:min(len(chosen), 1)], ttl, nil
	}
	slices.SortFunc(chosen, netip.Addr.Compare)
	chosen = slices.Compact(chosen)
	return chosen[:min(len(chosen), maxAddresses)], ttl, nil
}

// ofFamily leaves the addresses that the lookup family asks for, in their order.
func ofFamily(found []netip.Addr, family config.DNSFamily) []netip.Addr {
	var v4, v6 []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); a.Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	switch {
	case family == config.DNSAll:
		return append(v4, v6...)
	case family == config.DNSV4Only,
		family == config.DNSV4Preferred && len(v4) > 0,
		family == config.DNSAuto && len(v6) == 0:
		return v4
	default:
		return v6
	}
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
			e.Logical = cfg.Type == config.ClusterLogicalDNS
			if known[name] == nil {
				continue
			}
			for _, ip := range known[name].addresses {
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
