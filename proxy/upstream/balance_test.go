package upstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestWorkersShareHashing holds that workers which look up in the same tables agree on the host of every hash, whatever they
// served before, with hosts that drain, are listed twice, fail checks or are excluded.
func TestWorkersShareHashing(t *testing.T) {
	for _, lb := range []config.LBPolicy{config.RingHash, config.Maglev} {
		cfg := clusterConfig()
		cfg.LB = lb
		cfg.HealthCheck, cfg.IgnoreNewHosts = &config.HealthCheck{}, true
		health := &config.ClusterHealth{Hosts: make(map[config.Address]config.HostHealth)}
		a := &config.ClusterLoadAssignment{Overprovision: config.DefaultOverprovision}
		for priority := range uint32(2) {
			l := config.LocalityEndpoints{Priority: priority}
			for i := range 12 {
				e := endpointAt(fmt.Sprintf("192.0.2.%d", 100*priority+uint32(i)))
				switch i {
				case 3:
					e.Health = config.HealthDraining
				case 4: // not checked yet
				case 5, 6, 7, 8, 9:
					health.Hosts[e.Address] = config.FailedActiveHC
				default:
					health.Hosts[e.Address] = 0
				}
				l.Endpoints = append(l.Endpoints, e, e)
			}
			a.Localities = append(a.Localities, l)
		}
		state := State{Config: cfg, Assignment: a, Health: health}
		state.Hashing = NewHashing(state, nil)
		first, second := newClusterOf(t, cfg, 1), newClusterOf(t, cfg, 9)
		reversed := assign()
		for i := range a.Localities[0].Endpoints {
			e := a.Localities[0].Endpoints[len(a.Localities[0].Endpoints)-1-i]
			reversed.Localities[0].Endpoints = append(reversed.Localities[0].Endpoints, e)
		}
		before := State{Config: cfg, Assignment: reversed}
		before.Hashing = NewHashing(before, nil)
		second.Update(before)
		first.Update(state)
		second.Update(state)
		seen := make(map[string]int)
		for i := range uint64(2000) {
			hash := i * 0x9e3779b97f4a7c15
			h := first.PickHash(hash, 0)
			if other := second.PickHash(hash, 0); h == nil || other == nil || h.Address != other.Address {
				t.Fatalf("LB %d: hash %#x: %v and %v", lb, hash, h, other)
			}
			if h.Health != balancer.Healthy || h.ActiveHealth.Excluded() {
				t.Fatalf("LB %d: %s was picked", lb, h.Address)
			}
			seen[h.Address]++
		}
		if len(seen) != 10 {
			t.Errorf("LB %d: %d hosts were picked, want 10: %v", lb, len(seen), seen)
		}
	}
}

// TestPickWithoutHash holds that a request without a hash goes to any host of a cluster that hashes, and one with a hash to one.
func TestPickWithoutHash(t *testing.T) {
	cfg := clusterConfig()
	cfg.LB = config.Maglev
	k := newCluster(t, cfg)
	if k.Hashes() || k.Pick() != nil {
		t.Error("a cluster without hosts has one")
	}
	s := State{Config: cfg, Assignment: assign(endpointAt("192.0.2.1"), endpointAt("192.0.2.2"))}
	s.Hashing = NewHashing(s, nil)
	k.Update(s)
	if !k.Hashes() {
		t.Fatal("the cluster does not hash")
	}
	seen := make(map[string]bool)
	for range 100 {
		seen[k.Pick().Address] = true
	}
	if len(seen) != 2 {
		t.Errorf("without a hash only %v", seen)
	}
	plain := clusterConfig()
	k.Update(State{Config: plain, Assignment: s.Assignment, Hashing: NewHashing(State{Config: plain, Assignment: s.Assignment}, s.Hashing)})
	if k.Hashes() {
		t.Error("the cluster hashes after it was told to take turns")
	}
	a, b := k.Pick().Address, k.Pick().Address
	if a == b {
		t.Errorf("%s twice in turn", a)
	}
}

// endpointAt returns an endpoint at port 80 of an address.
func endpointAt(ip string) config.Endpoint {
	return config.Endpoint{Address: config.Address{IP: ip, Port: 80}, Weight: 1}
}

// TestHealthySince holds since when a host counts as new: since it has joined, and again since it passes its checks after it has
// failed them, whatever else changes.
func TestHealthySince(t *testing.T) {
	w := newWorker(t)
	cfg := clusterConfig()
	cfg.HealthCheck = &config.HealthCheck{}
	cfg.SlowStart = config.SlowStart{Window: time.Minute}
	e := endpointAt("192.0.2.1")
	checked := func(h config.HostHealth) *config.ClusterHealth {
		return &config.ClusterHealth{Hosts: map[config.Address]config.HostHealth{e.Address: h}}
	}
	k := w.cluster(cfg)
	since := func(a *config.ClusterLoadAssignment, health *config.ClusterHealth) (since time.Duration) {
		w.advance(time.Second)
		w.do(func() {
			k.Update(State{Config: cfg, Assignment: a, Health: health})
			since = time.Duration(w.loop.Now() - k.hosts[0].HealthySince)
		})
		return since
	}
	for _, step := range []struct {
		what   string
		health config.HostHealth
		want   time.Duration
	}{
		{"joined, not checked", config.FailedActiveHC, 0},
		{"passes its first check", 0, 0},
		{"passes", 0, time.Second},
		{"is degraded", config.DegradedActiveHC, 2 * time.Second},
		{"fails", config.FailedActiveHC, 3 * time.Second},
		{"passes again", 0, 0},
		{"passes still", 0, time.Second},
	} {
		if got := since(assign(e), checked(step.health)); got != step.want {
			t.Errorf("a host that %s is new since %v, want %v", step.what, got, step.want)
		}
	}
}
