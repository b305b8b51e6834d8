package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

var errNoSuchHost = errors.New("no such host")

// zone answers lookups and notes them.
type zone struct {
	mu      sync.Mutex
	begin   time.Time
	answers map[string][]string // by name; a name without an entry fails
	ttls    map[string]time.Duration
	takes   time.Duration // by every lookup
	asked   []string      // "network name @time"
	running int
	most    int // that were running at a time
}

func newZone() *zone {
	return &zone{begin: time.Now(), answers: make(map[string][]string), ttls: make(map[string]time.Duration)}
}

func (z *zone) set(name string, addresses ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.answers[name] = addresses
}

func (z *zone) fail(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.answers, name)
}

// lookup is a Lookup.
func (z *zone) lookup(ctx context.Context, network, name string) ([]netip.Addr, time.Duration, error) {
	z.mu.Lock()
	z.asked = append(z.asked, fmt.Sprintf("%s %s @%v", network, name, time.Since(z.begin)))
	z.running++
	z.most = max(z.most, z.running)
	takes := z.takes
	z.mu.Unlock()
	timer := time.NewTimer(takes)
	defer timer.Stop()
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.running--
	if err != nil {
		return nil, 0, err
	}
	answer, ok := z.answers[name]
	if !ok {
		return nil, 0, errNoSuchHost
	}
	return addresses(answer...), z.ttls[name], nil
}

func (z *zone) takeAsked() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	asked := z.asked
	z.asked = nil
	return asked
}

func addresses(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, s := range texts {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

// publisher notes what a resolver tells.
type publisher struct {
	mu       sync.Mutex
	news     []string // "cluster: address address"
	failures []string
	counts   map[string]int // by cluster and statistic
	last     map[string]*config.ClusterLoadAssignment
}

func (p *publisher) publish(cluster *config.Cluster, a *config.ClusterLoadAssignment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := cluster.Name + ":"
	for _, l := range a.Localities {
		for _, e := range l.Endpoints {
			text += " " + e.Address.String()
		}
	}
	p.news = append(p.news, text)
	if p.last == nil {
		p.last = make(map[string]*config.ClusterLoadAssignment)
	}
	p.last[cluster.Name] = a
}

func (p *publisher) events() ResolverEvents {
	return ResolverEvents{Publish: p.publish, Failed: p.failed, Count: p.count}
}

func (p *publisher) count(cluster *config.Cluster, statistic int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.counts == nil {
		p.counts = make(map[string]int)
	}
	p.counts[cluster.Name+" "+stats.Cluster.Def(statistic).Name]++
}

func (p *publisher) failed(cluster *config.Cluster, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = append(p.failures, cluster.Name+": "+err.Error())
}

// take returns what was published since it was last asked for.
func (p *publisher) take() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	news := p.news
	p.news = nil
	return news
}

// want compares what was published since the last call.
func (p *publisher) want(t *testing.T, want ...string) {
	t.Helper()
	if news := p.take(); !slices.Equal(news, want) {
		t.Errorf("published %q, want %q", news, want)
	}
}

// wantFailures compares the failures told since the last call.
func (p *publisher) wantFailures(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.failures, want) {
		t.Errorf("failures %q, want %q", p.failures, want)
	}
	p.failures = nil
}

// dnsCluster returns a STRICT_DNS cluster with port 80 of names, looked up every 5 s.
func dnsCluster(cluster string, names ...string) *config.Cluster {
	a := &config.ClusterLoadAssignment{Name: cluster, Overprovision: config.DefaultOverprovision, Localities: []config.LocalityEndpoints{{}}}
	for _, name := range names {
		a.Localities[0].Endpoints = append(a.Localities[0].Endpoints, config.Endpoint{
			Address: config.Address{IP: name, Port: 80}, Weight: 1,
		})
	}
	return &config.Cluster{Name: cluster, Type: config.ClusterStrictDNS, DNSRefresh: 5 * time.Second, Assignment: a}
}

func listOf(clusters ...*config.Cluster) []*config.Cluster { return clusters }

// withResolver runs f in a bubble of its own time. What the resolver started must have ended when it is closed.
func withResolver(t *testing.T, f func(t *testing.T, r *Resolver, z *zone, p *publisher)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		z, p := newZone(), &publisher{}
		r := NewResolver(z.lookup, p.events())
		f(t, r, z, p)
		r.Close()
	})
}

func TestLookupFamilies(t *testing.T) {
	both := []string{"192.0.2.2", "2001:db8::2", "192.0.2.1", "2001:db8::1", "192.0.2.1"}
	v4, v6 := []string{"192.0.2.9"}, []string{"2001:db8::9"}
	for _, tc := range []struct {
		name    string
		family  config.DNSFamily
		network string
		found   []string
		want    string
	}{
		{"auto", config.DNSAuto, "ip", both, " [2001:db8::1]:80 [2001:db8::2]:80"},
		{"auto, IPv4 alone", config.DNSAuto, "ip", v4, " 192.0.2.9:80"},
		{"auto, mapped", config.DNSAuto, "ip", []string{"::ffff:192.0.2.7"}, " 192.0.2.7:80"},
		{"V4_ONLY", config.DNSV4Only, "ip4", both, " 192.0.2.1:80 192.0.2.2:80"},
		{"V4_ONLY, IPv6 alone", config.DNSV4Only, "ip4", v6, ""},
		{"V6_ONLY", config.DNSV6Only, "ip6", both, " [2001:db8::1]:80 [2001:db8::2]:80"},
		{"V6_ONLY, IPv4 alone", config.DNSV6Only, "ip6", v4, ""},
		{"V4_PREFERRED", config.DNSV4Preferred, "ip", both, " 192.0.2.1:80 192.0.2.2:80"},
		{"V4_PREFERRED, IPv6 alone", config.DNSV4Preferred, "ip", v6, " [2001:db8::9]:80"},
		{"ALL", config.DNSAll, "ip", both, " 192.0.2.1:80 192.0.2.2:80 [2001:db8::1]:80 [2001:db8::2]:80"},
		{"ALL, IPv6 alone", config.DNSAll, "ip", v6, " [2001:db8::9]:80"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
				z.set("a.test", tc.found...)
				k := dnsCluster("k", "a.test")
				k.DNSFamily = tc.family
				r.Update(listOf(k))
				p.want(t, "k:"+tc.want)
				if asked := z.takeAsked(); !slices.Equal(asked, []string{tc.network + " a.test @0s"}) {
					t.Errorf("asked %q", asked)
				}
			})
		})
	}
}

func TestLookupAnswerIsBounded(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		var found []string
		a := netip.MustParseAddr("2001:db8::")
		for range maxAddresses + 10 {
			found = append(found, a.String())
			a = a.Next()
		}
		slices.Reverse(found)
		z.set("a.test", found...)
		r.Update(listOf(dnsCluster("k", "a.test")))
		synctest.Wait()
		got := p.last["k"].Localities[0].Endpoints
		if len(got) != maxAddresses || got[0].Address.IP != "2001:db8::" || got[1].Address.IP != "2001:db8::1" {
			t.Errorf("got %d addresses from %s on, want the first %d in order", len(got), got[0].Address.IP, maxAddresses)
		}
	})
}

// TestResolvedAssignment holds that all but the address of an endpoint is kept, and addresses are not looked up.
func TestResolvedAssignment(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		z.set("a.test", "192.0.2.2", "192.0.2.1")
		k := dnsCluster("k", "a.test", "198.51.100.1")
		k.Assignment.Overprovision = 200
		k.Assignment.Localities[0].Zone, k.Assignment.Localities[0].Weight = "z1", 7
		second := config.LocalityEndpoints{Priority: 1, Endpoints: []config.Endpoint{
			{Address: config.Address{IP: "b.test", Port: 81}, Hostname: "host.b", Weight: 3, Health: config.HealthDegraded},
		}}
		k.Assignment.Localities = append(k.Assignment.Localities, second)
		z.set("b.test", "2001:db8::1")
		r.Update(listOf(k))
		synctest.Wait()
		end := func(ip string, port uint32, host string, weight uint32, health config.HealthStatus) config.Endpoint {
			return config.Endpoint{Address: config.Address{IP: ip, Port: port}, Hostname: host, Weight: weight, Health: health}
		}
		want := &config.ClusterLoadAssignment{Name: "k", Overprovision: 200, Localities: []config.LocalityEndpoints{
			{Zone: "z1", Weight: 7, Endpoints: []config.Endpoint{
				end("192.0.2.1", 80, "a.test", 1, 0), end("192.0.2.2", 80, "a.test", 1, 0), end("198.51.100.1", 80, "198.51.100.1", 1, 0),
			}},
			{Priority: 1, Endpoints: []config.Endpoint{end("2001:db8::1", 81, "host.b", 3, config.HealthDegraded)}},
		}}
		if got := p.last["k"]; !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if asked := slices.Sorted(slices.Values(z.takeAsked())); !slices.Equal(asked, []string{"ip a.test @0s", "ip b.test @0s"}) {
			t.Errorf("asked %q", asked)
		}
		if k.Assignment.Localities[0].Endpoints[0].Address.IP != "a.test" {
			t.Error("the configuration was changed")
		}
	})
}

// TestRefresh holds that the refresh interval runs from the end of a lookup, and that an answer is published when it
// differs from the last.
func TestRefresh(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		z.takes = 2 * time.Second
		z.set("a.test", "192.0.2.1", "192.0.2.2")
		r.Update(listOf(dnsCluster("k", "a.test")))
		time.Sleep(3 * time.Second)
		p.want(t, "k: 192.0.2.1:80 192.0.2.2:80")
		z.set("a.test", "192.0.2.2", "192.0.2.1") // the same
		time.Sleep(7 * time.Second)
		p.want(t)
		z.set("a.test", "192.0.2.3")
		time.Sleep(7 * time.Second)
		p.want(t, "k: 192.0.2.3:80")
		if asked, want := z.takeAsked(), []string{"ip a.test @0s", "ip a.test @7s", "ip a.test @14s"}; !slices.Equal(asked, want) {
			t.Errorf("asked %q, want %q", asked, want)
		}
	})
}

func TestLookupFailureKeepsTheLast(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		z.set("a.test", "192.0.2.1")
		z.set("b.test", "192.0.2.2")
		r.Update(listOf(dnsCluster("k", "a.test", "b.test")))
		p.want(t, "k: 192.0.2.1:80 192.0.2.2:80")
		z.fail("a.test")
		z.set("b.test", "192.0.2.3")
		time.Sleep(5 * time.Second)
		p.want(t, "k: 192.0.2.1:80 192.0.2.3:80")
		p.wantFailures(t, `k: resolve "a.test": no such host`)
		z.fail("b.test")
		time.Sleep(5 * time.Second)
		p.want(t)
		p.wantFailures(t, `k: resolve "a.test": no such host`) // of two the first
		z.set("a.test", "192.0.2.4")
		time.Sleep(5 * time.Second)
		p.want(t, "k: 192.0.2.4:80 192.0.2.3:80")
	})
}

// TestLookupTimesOut holds that a lookup without an answer ends and counts as failed.
func TestLookupTimesOut(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		z.takes = time.Hour
		r.Update(listOf(dnsCluster("k", "a.test")))
		time.Sleep(lookupTimeout + time.Second)
		p.wantFailures(t, `k: resolve "a.test": context deadline exceeded`)
		p.want(t, "k:")
	})
}

func TestUnchangedClusterGoesOn(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		z.set("a.test", "192.0.2.1")
		k := dnsCluster("k", "a.test")
		r.Update(listOf(k))
		p.want(t, "k: 192.0.2.1:80")
		time.Sleep(3 * time.Second)
		static := &config.Cluster{Name: "static", Assignment: assign()}
		r.Update(listOf(k, static))
		time.Sleep(3 * time.Second)
		if asked, want := z.takeAsked(), []string{"ip a.test @0s", "ip a.test @5s"}; !slices.Equal(asked, want) {
			t.Errorf("asked %q, want %q", asked, want)
		}
		p.want(t)
	})
}

// TestRemovedClusterEnds holds that nothing of a cluster that has gone goes on: the bubble ends only when its goroutine has.
func TestRemovedClusterEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, p := newZone(), &publisher{}
		r := NewResolver(z.lookup, p.events())
		z.takes = time.Second
		r.Update(listOf(dnsCluster("k", "a.test"), dnsCluster("l", "a.test")))
		synctest.Wait()
		r.Update(nil)
		synctest.Wait()
		p.want(t)
		p.wantFailures(t)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.running) != 0 {
			t.Errorf("%d clusters are kept, want none", len(r.running))
		}
	})
}

// TestSuccessorPublishesLast holds that what a cluster resolved to before it was taken out never comes after what it does when it
// is back, however late it is.
func TestSuccessorPublishesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, p := newZone(), &publisher{}
		z.set("a.test", "192.0.2.1")
		letGo, held := make(chan struct{}), make(chan struct{}, 1)
		held <- struct{}{}
		events := p.events()
		events.Publish = func(cluster *config.Cluster, a *config.ClusterLoadAssignment) {
			select {
			case <-held: // the first is stopped where it can no longer be cancelled
				<-letGo
			default:
			}
			p.publish(cluster, a)
		}
		r := NewResolver(z.lookup, events)
		k := dnsCluster("k", "a.test")
		r.Update(listOf(k))
		synctest.Wait()
		r.Update(nil)
		z.set("a.test", "192.0.2.2")
		r.Update(listOf(k))
		synctest.Wait()
		close(letGo)
		synctest.Wait()
		time.Sleep(time.Minute)
		p.want(t, "k: 192.0.2.1:80", "k: 192.0.2.2:80")
		r.Close()
	})
}

// TestSuccessorKnowsAddresses holds that a change of the configuration while names cannot be looked up costs no hosts.
func TestSuccessorKnowsAddresses(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		z.set("a.test", "192.0.2.1")
		z.set("gone.test", "192.0.2.2")
		r.Update(listOf(dnsCluster("k", "a.test", "gone.test")))
		p.want(t, "k: 192.0.2.1:80 192.0.2.2:80")
		z.fail("a.test")
		r.Update(listOf(dnsCluster("k", "a.test")))
		p.want(t, "k: 192.0.2.1:80")
		other := dnsCluster("k", "a.test")
		other.DNSFamily = config.DNSV6Only
		r.Update(listOf(other))
		p.want(t, "k:")
	})
}

func TestWaitFirst(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		z.takes = 2 * time.Second
		begin := time.Now()
		k := dnsCluster("k", "a.test", "b.test")
		r.WaitFirst(context.Background(), k) // nothing to wait for
		r.Update(listOf(k, dnsCluster("l", "a.test")))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		r.WaitFirst(ctx, k)
		cancel()
		if took := time.Since(begin); took != time.Second {
			t.Errorf("waited %v for a context of 1s", took)
		}
		r.WaitFirst(context.Background(), k)
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("waited %v, want 2s", took)
		}
		p.mu.Lock() // the other one may be publishing
		defer p.mu.Unlock()
		if p.last["k"] == nil {
			t.Error("nothing was published by then")
		}
	})
}

// TestNamesakes holds that a cluster that warms is resolved beside the one that is served, and begins with what is known.
func TestNamesakes(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		z.set("a.test", "192.0.2.1")
		served, warms := dnsCluster("k", "a.test"), dnsCluster("k", "a.test", "b.test")
		r.Update(listOf(served))
		p.want(t, "k: 192.0.2.1:80")
		z.fail("a.test")
		z.set("b.test", "192.0.2.2")
		r.Update(listOf(served, warms))
		r.WaitFirst(context.Background(), warms)
		p.want(t, "k: 192.0.2.1:80 192.0.2.2:80")
		z.set("a.test", "192.0.2.3")
		time.Sleep(5 * time.Second)
		if news := p.take(); len(news) != 2 { // in any order
			t.Errorf("published %q, want what is new of both", news)
		}
		r.Update(listOf(warms))
		z.set("a.test", "192.0.2.4")
		time.Sleep(time.Minute)
		p.want(t, "k: 192.0.2.4:80 192.0.2.2:80")
	})
}

func TestLookupsAreBounded(t *testing.T) {
	withResolver(t, func(t *testing.T, r *Resolver, z *zone, p *publisher) {
		z.takes = time.Second
		var clusters []*config.Cluster
		for i := range 3 * maxLookups {
			clusters = append(clusters, dnsCluster(fmt.Sprint(i), "a.test"))
		}
		r.Update(clusters)
		begin := time.Now()
		for _, k := range clusters {
			r.WaitFirst(context.Background(), k)
		}
		if z.most != maxLookups {
			t.Errorf("%d lookups at a time, want %d", z.most, maxLookups)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %v, want 3s", took)
		}
	})
}

// TestResolverCloseWaits holds that nothing is published once Close has returned, and nothing begins after it.
func TestResolverCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, p := newZone(), &publisher{}
		z.set("a.test", "192.0.2.1")
		events := p.events()
		events.Publish = func(cluster *config.Cluster, a *config.ClusterLoadAssignment) {
			time.Sleep(time.Second)
			p.publish(cluster, a)
		}
		r := NewResolver(z.lookup, events)
		r.Update(listOf(dnsCluster("k", "a.test"), dnsCluster("l", "a.test")))
		synctest.Wait()
		r.Update(listOf(dnsCluster("l", "a.test"))) // k and the first l are being published
		r.Close()
		if len(p.news) != 2 {
			t.Errorf("published %q when Close returned, want k and l once", p.news)
		}
		late := dnsCluster("late", "a.test")
		r.Update(listOf(late))
		r.WaitFirst(context.Background(), late)
		r.Close()
		time.Sleep(time.Minute)
		if len(p.news) != 2 {
			t.Errorf("published %q after Close", p.news)
		}
	})
}
