package upstream

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestLookupAgain holds when names are looked up again: after the refresh interval or, where it is respected and known, the
// lifetime of the answer, which is each name's own.
func TestLookupAgain(t *testing.T) {
	tests := map[string]struct {
		change func(*config.Cluster)
		want   string // the seconds at which a.test, of 2 s, b.test, of 7 s, and c.test, of an unknown lifetime, are asked
	}{
		"refresh interval": {func(*config.Cluster) {}, "a 0 5 10, b 0 5 10, c 0 5 10"},
		"lifetimes":        {func(k *config.Cluster) { k.RespectDNSTTL = true }, "a 0 2 4 6 8 10, b 0 7, c 0 5 10"},
		"not too soon": {func(k *config.Cluster) { k.RespectDNSTTL, k.DNSMinRefresh = true, 4*time.Second },
			"a 0 4 8, b 0 7, c 0 5 10"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
				for name, ttl := range map[string]time.Duration{"a": 2 * time.Second, "b": 7 * time.Second, "c": 0} {
					z.set(name, "192.0.2.1")
					z.ttls[name] = ttl
				}
				k := dnsCluster("k", "a", "b", "c", "a") // one twice
				tc.change(k)
				r.Update(listOf(k))
				time.Sleep(10*time.Second + time.Millisecond)
				synctest.Wait()
				if got := askedAt(z); got != tc.want {
					t.Errorf("asked %s, want %s", got, tc.want)
				}
			})
		})
	}
}

// askedAt returns the seconds at which each name was asked for.
func askedAt(z *zone) string {
	times := make(map[string]string)
	for _, line := range z.takeAsked() {
		var network, name, at string
		if _, err := fmt.Sscan(line, &network, &name, &at); err != nil {
			panic(err)
		}
		times[name] += " " + strings.TrimSuffix(strings.TrimPrefix(at, "@"), "s")
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(times)) {
		all = append(all, name+times[name])
	}
	return strings.Join(all, ", ")
}

// TestLookupJitter holds that names are asked for again later by chance, and never sooner.
func TestLookupJitter(t *testing.T) {
	k := &config.Cluster{DNSRefresh: time.Second, DNSJitter: time.Second, RespectDNSTTL: true}
	shortest, longest := time.Hour, time.Duration(0)
	for range 1000 {
		wait := afterSuccess(k, 3*time.Second)
		shortest, longest = min(shortest, wait), max(longest, wait)
	}
	if shortest < 3*time.Second || longest >= 4*time.Second || longest-shortest < 900*time.Millisecond {
		t.Errorf("waits are from %v to %v, want from 3s to 4s", shortest, longest)
	}
	if wait := afterSuccess(&config.Cluster{}, 0); wait != minRefresh {
		t.Errorf("without a refresh interval the wait is %v", wait)
	}
}

// TestLookupBackoff holds how long failures are waited after: up to twice as long each time, until one succeeds.
func TestLookupBackoff(t *testing.T) {
	k := &config.Cluster{DNSRefresh: time.Hour, DNSFailure: config.Backoff{Base: time.Second, Max: 5 * time.Second}}
	longest := make([]time.Duration, 5)
	for range 500 {
		a := &answer{}
		for i := range longest {
			wait := a.afterFailure(k)
			if wait < minRefresh {
				t.Fatalf("wait %v", wait)
			}
			longest[i] = max(longest[i], wait)
		}
	}
	for i, bound := range []time.Duration{1, 2, 4, 5, 5} {
		if bound *= time.Second; longest[i] > bound || longest[i] < bound*9/10 {
			t.Errorf("after failure %d the longest wait is %v, want up to %v", i+1, longest[i], bound)
		}
	}
	if wait := (&answer{}).afterFailure(&config.Cluster{DNSRefresh: time.Minute}); wait != time.Minute {
		t.Errorf("without a backoff the wait is %v, want the refresh interval", wait)
	}
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		k := dnsCluster("k", "a.test")
		k.DNSFailure = config.Backoff{Base: time.Second, Max: time.Second}
		r.Update(listOf(k))
		time.Sleep(100 * time.Second)
		asked := len(z.takeAsked())
		if asked < 100 || asked > 500 {
			t.Errorf("asked %d times in 100 s, want about 200", asked)
		}
		z.set("a.test", "192.0.2.1")
		time.Sleep(2 * time.Second)
		z.takeAsked()
		time.Sleep(10 * time.Second)
		if asked := len(z.takeAsked()); asked != 2 {
			t.Errorf("asked %d times in 10 s after a success, want 2", asked)
		}
	})
}

// TestLogicalDNS holds that a LOGICAL_DNS cluster has one host, at the first address of the answer as it came.
func TestLogicalDNS(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		z.set("a.test", "192.0.2.9", "192.0.2.1", "2001:db8::1")
		k := dnsCluster("k", "a.test")
		k.Type, k.DNSFamily = config.ClusterLogicalDNS, config.DNSV4Only
		r.Update(listOf(k))
		p.want(t, "k: 192.0.2.9:80")
		want := config.Endpoint{Address: config.Address{IP: "192.0.2.9", Port: 80}, Hostname: "a.test", Weight: 1, Logical: true}
		if got := p.last["k"].Localities[0].Endpoints; len(got) != 1 || got[0] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		z.set("a.test", "192.0.2.1", "192.0.2.9")
		time.Sleep(5 * time.Second)
		p.want(t, "k: 192.0.2.1:80")
		z.fail("a.test")
		time.Sleep(5 * time.Second)
		p.want(t)
		k = dnsCluster("k", "a.test") // of another type, its addresses are not taken over
		r.Update(listOf(k))
		p.want(t, "k:")
	})
}

// wantCounts compares what was counted.
func (p *publisher) wantCounts(t *testing.T, want map[string]int) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !maps.Equal(p.counts, want) {
		t.Errorf("counts are %v, want %v", p.counts, want)
	}
}

// TestLookupCounts holds the statistics of lookups.
func TestLookupCounts(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		z.set("a.test", "192.0.2.1")
		z.set("b.test", "2001:db8::1")
		k := dnsCluster("k", "a.test", "b.test", "none.test")
		k.DNSFamily = config.DNSV4Only // of b.test nothing is left
		r.Update(listOf(k))
		synctest.Wait()
		want := map[string]int{"k update_attempt": 3, "k update_success": 2, "k update_failure": 1, "k update_empty": 1}
		p.wantCounts(t, want)
		z.set("none.test", "192.0.2.2")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		z.set("none.test", "192.0.2.2")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		want = map[string]int{
			"k update_attempt": 9, "k update_success": 8, "k update_failure": 1, "k update_empty": 3, "k update_no_rebuild": 1,
		}
		p.wantCounts(t, want)
	})
}

// TestLookupNothing holds that a cluster without names asks nobody and does not spin.
func TestLookupNothing(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		r.Update(listOf(dnsCluster("k")))
		p.want(t, "k:")
		time.Sleep(time.Minute)
		synctest.Wait()
		if asked := z.takeAsked(); len(asked) > 0 {
			t.Errorf("asked %q", asked)
		}
		p.wantCounts(t, map[string]int{"k update_no_rebuild": 12}) // every 5 s
	})
}

// TestLogicalHostMoves holds that a logical host whose address changes stays the host it is, with its connections.
func TestLogicalHostMoves(t *testing.T) {
	w := newWorker(t)
	cfg := clusterConfig()
	k := w.cluster(cfg)
	at := func(ip, name string) *config.ClusterLoadAssignment {
		e := endpointAt(ip)
		e.Hostname, e.Logical = name, true
		return assign(e)
	}
	w.do(func() { k.Update(State{Config: cfg, Assignment: at("192.0.2.1", "a.test")}) })
	var h *Host
	w.do(func() { h = k.Pick() })
	w.do(func() {
		k.Update(State{Config: cfg, Assignment: at("192.0.2.2", "a.test")})
		if moved := k.Pick(); moved != h || h.gone || h.Addr().String() != "192.0.2.2:80" || h.Address != "192.0.2.2:80" {
			t.Errorf("the host became %s at %v, gone %v", h.Address, h.Addr(), h.gone)
		}
		k.Update(State{Config: cfg, Assignment: at("192.0.2.3", "b.test")})
		if next := k.Pick(); next == h || !h.gone {
			t.Error("a host of another name is taken for the same")
		}
		plain := at("192.0.2.4", "b.test")
		plain.Localities[0].Endpoints[0].Logical = false
		before := k.Pick()
		k.Update(State{Config: cfg, Assignment: plain})
		if k.Pick() == before {
			t.Error("a host that is an address is taken for a logical one")
		}
	})
}
