package upstream

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// newCluster returns a cluster whose loop does not run, which is enough to pick hosts.
func newCluster(t testing.TB, cfg *config.Cluster) *Cluster {
	t.Helper()
	return newClusterOf(t, cfg, 1)
}

// newClusterOf is newCluster on a worker with this seed.
func newClusterOf(t testing.TB, cfg *config.Cluster, seed uint64) *Cluster {
	t.Helper()
	loop, err := eventloop.New(eventloop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		loop.Stop()
		if err := loop.Run(); err != nil { // it ends at once
			t.Error(err)
		}
	})
	store := stats.NewStore(stats.Options{})
	block := store.NewShard(loop.Post).Block(store.Scope("cluster.test.", stats.Cluster))
	return New(cfg, NewShared(1), block, Env{Loop: loop, Random: rand.NewPCG(seed, 2)})
}

// at returns an endpoint on port 80.
func at(ip string, weight uint32, health config.HealthStatus) config.Endpoint {
	return config.Endpoint{Address: config.Address{IP: ip, Port: 80}, Weight: weight, Health: health}
}

// order returns the addresses of the hosts.
func order(k *Cluster) (all []string) {
	k.Hosts(func(h *Host) { all = append(all, h.Address) })
	return all
}

// picks returns how often each host is taken in n picks.
func picks(k *Cluster, n int) map[string]int {
	taken := make(map[string]int)
	for range n {
		if h := k.Pick(); h != nil {
			taken[h.Address]++
		} else {
			taken["none"]++
		}
	}
	return taken
}

func hostAt(k *Cluster, address string) (found *Host) {
	k.Hosts(func(h *Host) {
		if h.Address == address {
			found = h
		}
	})
	return found
}

func TestClusterWithoutAssignment(t *testing.T) {
	k := newCluster(t, clusterConfig())
	k.Update(state(k.Config(), nil, nil))
	if h := k.Pick(); h != nil {
		t.Errorf("picked %s of no hosts", h.Address)
	}
	k.Update(state(k.Config(), assign(at("192.0.2.1", 1, 0)), nil))
	if h := k.Pick(); h == nil || h.Addr() != netip.MustParseAddrPort("192.0.2.1:80") {
		t.Errorf("picked %v", h)
	}
	k.Update(state(k.Config(), nil, nil))
	if h := k.Pick(); h != nil || len(order(k)) != 0 {
		t.Errorf("picked %v when the assignment has gone", h)
	}
}

func TestHostsOfAnAssignment(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []config.Endpoint
		want []string
	}{
		{"in the order given", []config.Endpoint{at("192.0.2.3", 1, 0), at("192.0.2.1", 1, 0), at("192.0.2.2", 1, 0)},
			[]string{"192.0.2.3:80", "192.0.2.1:80", "192.0.2.2:80"}},
		{"duplicates collapse", []config.Endpoint{at("192.0.2.1", 1, 0), at("192.0.2.2", 1, 0), at("192.0.2.1", 9, 0)},
			[]string{"192.0.2.1:80", "192.0.2.2:80"}},
		{"another spelling is no other address", []config.Endpoint{at("2001:db8::1", 1, 0), at("2001:db8:0::1", 1, 0), at("::ffff:192.0.2.1", 1, 0), at("192.0.2.1", 1, 0)},
			[]string{"[2001:db8::1]:80", "192.0.2.1:80"}},
		{"draining is omitted", []config.Endpoint{at("192.0.2.1", 1, config.HealthDraining), at("192.0.2.2", 1, 0)}, []string{"192.0.2.2:80"}},
		{"draining does not hide its duplicate", []config.Endpoint{at("192.0.2.1", 1, config.HealthDraining), at("192.0.2.1", 1, 0)}, []string{"192.0.2.1:80"}},
		{"unhealthy stays", []config.Endpoint{at("192.0.2.1", 1, config.HealthUnhealthy)}, []string{"192.0.2.1:80"}},
		{"a name is no address", []config.Endpoint{at("a.test", 1, 0), at("192.0.2.1", 1, 0)}, []string{"192.0.2.1:80"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := newCluster(t, clusterConfig())
			k.Update(state(k.Config(), assign(tc.in...), nil))
			if got := order(k); !slices.Equal(got, tc.want) {
				t.Errorf("hosts %q, want %q", got, tc.want)
			}
			k.Update(state(k.Config(), assign(tc.in...), nil)) // the same again, by other values
			if got := order(k); !slices.Equal(got, tc.want) {
				t.Errorf("hosts %q after an update, want %q", got, tc.want)
			}
		})
	}
}

// TestUpdateKeepsHosts holds that hosts that stay are the same, with their numbers, wherever they move.
func TestUpdateKeepsHosts(t *testing.T) {
	k := newCluster(t, clusterConfig())
	k.Update(state(k.Config(), assign(at("192.0.2.1", 1, 0), at("192.0.2.2", 1, 0)), nil))
	first, second := hostAt(k, "192.0.2.1:80"), hostAt(k, "192.0.2.2:80")
	first.Stats.RqTotal, first.Active = 7, 3
	next := &config.ClusterLoadAssignment{Overprovision: 140, Localities: []config.LocalityEndpoints{
		{Region: "r", Zone: "z", SubZone: "s", Endpoints: []config.Endpoint{at("192.0.2.3", 1, 0)}},
		{Priority: 1, Zone: "y", Endpoints: []config.Endpoint{{
			Address: config.Address{IP: "192.0.2.1", Port: 80}, Hostname: "new", Weight: 5, Health: config.HealthDegraded,
		}}},
	}}
	k.Update(state(k.Config(), next, nil))
	h := hostAt(k, "192.0.2.1:80")
	if h != first || h.Stats.RqTotal != 7 || h.Active != 3 || h.gone {
		t.Errorf("the host is %+v, want the one before", h)
	}
	if h.Hostname != "new" || h.Weight != 5 || h.Priority != 1 || h.Health != balancer.Degraded || h.Locality != (balancer.Locality{Zone: "y"}) {
		t.Errorf("the host is %+v, want it as updated", h)
	}
	if !second.gone || hostAt(k, "192.0.2.2:80") != nil {
		t.Error("the host that was left out is still there")
	}
	if l := hostAt(k, "192.0.2.3:80").Locality; l != (balancer.Locality{Region: "r", Zone: "z", SubZone: "s"}) {
		t.Errorf("locality %+v", l)
	}
	other := *k.Config()
	set := k.Set()
	k.Update(state(&other, next, nil))
	if hostAt(k, "192.0.2.1:80") != first || k.Config() != &other || k.Set() == set {
		t.Error("a new configuration with the same assignment changes the hosts or is not in force")
	}
	set = k.Set()
	k.Update(state(&other, next, nil))
	if k.Set() != set {
		t.Error("an update that changes nothing made a new set")
	}
}

func TestUpdateChangesPicks(t *testing.T) {
	k := newCluster(t, clusterConfig())
	a, b := "192.0.2.1", "192.0.2.2"
	twoLevels := func(health config.HealthStatus) *config.ClusterLoadAssignment {
		return &config.ClusterLoadAssignment{Overprovision: 140, Localities: []config.LocalityEndpoints{
			{Endpoints: []config.Endpoint{at(a, 1, health)}},
			{Priority: 1, Endpoints: []config.Endpoint{at(b, 1, 0)}},
		}}
	}
	for _, tc := range []struct {
		name       string
		assignment *config.ClusterLoadAssignment
		want       map[string]int
	}{
		{"equal", assign(at(a, 1, 0), at(b, 1, 0)), map[string]int{a + ":80": 50, b + ":80": 50}},
		{"weights", assign(at(a, 1, 0), at(b, 4, 0)), map[string]int{a + ":80": 20, b + ":80": 80}},
		{"unhealthy", assign(at(a, 1, config.HealthTimeout), at(b, 1, 0)), map[string]int{b + ":80": 100}},
		{"healthy again", assign(at(a, 1, config.HealthHealthy), at(b, 1, 0)), map[string]int{a + ":80": 50, b + ":80": 50}},
		{"degraded", assign(at(a, 1, config.HealthDegraded), at(b, 1, 0)), nil}, // by chance: 70 % of the load fits the healthy
		{"priorities", twoLevels(0), map[string]int{a + ":80": 100}},
		{"fail over", twoLevels(config.HealthUnhealthy), map[string]int{b + ":80": 100}},
		{"nobody", assign(), map[string]int{"none": 100}},
	} {
		k.Update(state(k.Config(), tc.assignment, nil))
		got := picks(k, 100)
		if tc.want == nil {
			if got[a+":80"] == 0 || got[b+":80"] <= got[a+":80"] {
				t.Errorf("%s: picks %v, want more of %s than of %s and some of both", tc.name, got, b, a)
			}
			continue
		}
		if fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: picks %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestLocalityWeights holds that the weights of localities are in force when the cluster asks for them, and that a new
// policy is with the next update.
func TestLocalityWeights(t *testing.T) {
	plain := clusterConfig()
	weighted := *plain
	weighted.LocalityWeighted = true
	a := &config.ClusterLoadAssignment{Overprovision: 140, Localities: []config.LocalityEndpoints{
		{Zone: "a", Weight: 9, Endpoints: []config.Endpoint{at("192.0.2.1", 1, 0)}},
		{Zone: "b", Weight: 1, Endpoints: []config.Endpoint{at("192.0.2.2", 1, 0)}},
		{Zone: "c", Weight: 0, Endpoints: []config.Endpoint{at("192.0.2.3", 1, 0)}},
	}}
	k := newCluster(t, &weighted)
	k.Update(state(&weighted, a, nil))
	if got, want := fmt.Sprint(picks(k, 100)), "map[192.0.2.1:80:90 192.0.2.2:80:10]"; got != want {
		t.Errorf("picks %v, want %v", got, want)
	}
	k.Update(state(plain, a, nil))
	if got, want := fmt.Sprint(picks(k, 99)), "map[192.0.2.1:80:33 192.0.2.2:80:33 192.0.2.3:80:33]"; got != want {
		t.Errorf("picks %v without locality weights, want %v", got, want)
	}
}

func TestPanicIsCounted(t *testing.T) {
	w := newWorker(t)
	cfg := clusterConfig()
	k := w.cluster(cfg)
	w.do(func() {
		k.Update(state(cfg, assign(at("192.0.2.1", 1, config.HealthUnhealthy), at("192.0.2.2", 1, config.HealthUnhealthy)), nil))
		if got, want := fmt.Sprint(picks(k, 10)), "map[192.0.2.1:80:5 192.0.2.2:80:5]"; got != want {
			t.Errorf("picks %v in panic, want %v", got, want)
		}
	})
	w.wantStats(map[string]int64{"lb_healthy_panic": 10})
	strict := *cfg
	strict.PanicThreshold = 0
	w.do(func() {
		k.Update(state(&strict, k.state.Assignment, nil))
		if h := k.Pick(); h != nil {
			t.Errorf("picked %s with panic mode off", h.Address)
		}
	})
	w.wantStats(map[string]int64{"lb_healthy_panic": 10})
}
