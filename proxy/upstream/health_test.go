package upstream

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
)

// checkedConfig is clusterConfig with a health check.
func checkedConfig() *config.Cluster {
	cfg := clusterConfig()
	cfg.HealthCheck = &config.HealthCheck{TCP: &config.TCPHealthCheck{}}
	return cfg
}

// checked returns the health of hosts on port 80.
func checked(flags map[string]config.HostHealth) *config.ClusterHealth {
	h := &config.ClusterHealth{Hosts: make(map[config.Address]config.HostHealth)}
	for ip, f := range flags {
		h.Hosts[config.Address{IP: ip, Port: 80}] = f
	}
	return h
}

// TestHealthOf holds that it takes the control plane and the checks to make a host healthy, and the worse of them counts.
func TestHealthOf(t *testing.T) {
	eds := []config.HealthStatus{config.HealthUnknown, config.HealthHealthy, config.HealthUnhealthy, config.HealthTimeout, config.HealthDegraded}
	active := []config.HostHealth{0, config.FailedActiveHC, config.DegradedActiveHC, config.FailedActiveHC | config.DegradedActiveHC}
	want := [][]balancer.Health{ // by eds, by active
		{balancer.Healthy, balancer.Unhealthy, balancer.Degraded, balancer.Unhealthy},
		{balancer.Healthy, balancer.Unhealthy, balancer.Degraded, balancer.Unhealthy},
		{balancer.Unhealthy, balancer.Unhealthy, balancer.Unhealthy, balancer.Unhealthy},
		{balancer.Unhealthy, balancer.Unhealthy, balancer.Unhealthy, balancer.Unhealthy},
		{balancer.Degraded, balancer.Unhealthy, balancer.Degraded, balancer.Unhealthy},
	}
	for i, status := range eds {
		for j, flags := range active {
			if got := HealthOf(status, flags); got != want[i][j] {
				t.Errorf("status %d, flags %b: %s, want %s", status, flags, got, want[i][j])
			}
		}
	}
}

// TestHealthSteersPicks follows hosts through what checks find of them.
func TestHealthSteersPicks(t *testing.T) {
	k := newCluster(t, checkedConfig())
	all := assign(at("192.0.2.1", 1, 0), at("192.0.2.2", 1, 0), at("192.0.2.3", 1, 0), at("192.0.2.4", 1, 0))
	for _, tc := range []struct {
		name  string
		flags map[string]config.HostHealth
		want  string // hosts that are picked, by their last digit
		panic bool
	}{
		{"none checked: panic", nil, "1234", true},
		{"one of four passes: panic", map[string]config.HostHealth{"192.0.2.1": 0}, "1234", true},
		{"three of four pass", map[string]config.HostHealth{"192.0.2.1": 0, "192.0.2.2": 0, "192.0.2.3": 0}, "123", false},
		{"all pass", map[string]config.HostHealth{"192.0.2.1": 0, "192.0.2.2": 0, "192.0.2.3": 0, "192.0.2.4": 0}, "1234", false},
		{"one fails", map[string]config.HostHealth{"192.0.2.1": 0, "192.0.2.2": config.FailedActiveHC, "192.0.2.3": 0, "192.0.2.4": 0}, "134", false},
		{"one is degraded", map[string]config.HostHealth{"192.0.2.1": 0, "192.0.2.2": 0, "192.0.2.3": 0, "192.0.2.4": config.DegradedActiveHC}, "123", false},
		{"one of two that count passes", map[string]config.HostHealth{"192.0.2.1": 0, "192.0.2.2": config.FailedActiveHC,
			"192.0.2.3": config.FailedActiveHC | config.ExcludedViaImmediateHCFail, "192.0.2.4": config.FailedActiveHC | config.ExcludedViaImmediateHCFail}, "1", false},
		{"all excluded", map[string]config.HostHealth{"192.0.2.1": config.ExcludedViaImmediateHCFail | config.FailedActiveHC,
			"192.0.2.2": config.ExcludedViaImmediateHCFail | config.FailedActiveHC, "192.0.2.3": config.ExcludedViaImmediateHCFail | config.FailedActiveHC,
			"192.0.2.4": config.ExcludedViaImmediateHCFail | config.FailedActiveHC}, "n", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k.Update(state(k.Config(), all, checked(tc.flags)))
			var got []string
			for address := range picks(k, 400) {
				if address == "none" {
					got = append(got, "n")
				} else {
					got = append(got, address[8:9])
				}
			}
			slices.Sort(got)
			if text := fmt.Sprint(got); text != fmt.Sprint(splitLetters(tc.want)) {
				t.Errorf("picked %s, want %s", text, tc.want)
			}
			if _, note := k.picker.Pick(); (note == balancer.Panic) != tc.panic {
				t.Errorf("panic: %v, want %v", note, tc.panic)
			}
			if hosts := order(k); len(hosts) != 4 {
				t.Errorf("%q are shown, want all", hosts)
			}
		})
	}
}

func splitLetters(s string) []string {
	letters := []string{}
	for _, c := range s {
		letters = append(letters, string(c))
	}
	return letters
}

// TestIgnoredNewHosts holds that hosts which wait for their first check do not drive a cluster into panic where that is
// configured.
func TestIgnoredNewHosts(t *testing.T) {
	cfg := checkedConfig()
	cfg.IgnoreNewHosts = true
	k := newCluster(t, cfg)
	health := checked(map[string]config.HostHealth{"192.0.2.1": 0})
	k.Update(state(cfg, assign(at("192.0.2.1", 1, 0), at("192.0.2.2", 1, 0), at("192.0.2.3", 1, 0)), health))
	if got := picks(k, 30); got["192.0.2.1:80"] != 30 {
		t.Errorf("picked %v, want the one that passes", got)
	}
	plain := *cfg
	plain.IgnoreNewHosts = false
	k.Update(state(&plain, k.state.Assignment, health))
	if got := picks(k, 30); len(got) != 3 {
		t.Errorf("picked %v, want all, by panic", got)
	}
	none := plain
	none.HealthCheck = nil
	k.Update(state(&none, k.state.Assignment, health))
	if _, note := k.picker.Pick(); note != 0 || len(picks(k, 30)) != 3 {
		t.Errorf("picked %v, note %v, when nobody checks any more", picks(k, 30), note)
	}
}

// TestFailedHostIsDrained holds that a host which fails loses its idle connections at once, and the others when their requests
// end; what is opened then is kept.
func TestFailedHostIsDrained(t *testing.T) {
	cfg := checkedConfig()
	w, o := newWorker(t), newOrigin(t)
	k := w.cluster(cfg, o.address)
	find := func(flags config.HostHealth) {
		key := config.Address{IP: o.address.Addr().String(), Port: uint32(o.address.Port())}
		w.do(func() {
			k.Update(state(cfg, k.state.Assignment, &config.ClusterHealth{Hosts: map[config.Address]config.HostHealth{key: flags}}))
		})
	}
	wantIdle := func(when string, want int) {
		t.Helper()
		if n := w.idle(k, 0); n != want {
			t.Errorf("%d idle connections %s, want %d", n, when, want)
		}
	}
	find(0)
	w.advance(time.Second) // it was failed before, for want of a check
	idle := w.connected(k, 0)
	idlePeer := o.accept()
	busy := w.connected(k, 0)
	busyPeer := o.accept()
	idle.serve(idlePeer)
	idle.release(Success, true)
	wantIdle("before", 1)

	find(config.DegradedActiveHC)
	wantIdle("of a degraded host", 1)
	find(config.FailedActiveHC)
	wantIdle("of a host that fails", 0)
	idlePeer.wantClosed()
	busy.serve(busyPeer)
	busy.release(Success, true)
	wantIdle("after the request that was under way", 0)
	busyPeer.wantClosed()

	w.advance(time.Second)
	anew := w.connected(k, 0) // by panic
	anew.serve(o.accept())
	anew.release(Success, true)
	wantIdle("opened since", 1)
	find(config.FailedActiveHC | config.ActiveHCTimeout)
	wantIdle("of a host that goes on to fail", 1)
	w.end(k)
}

// TestCutTCP holds that connections of TCP to a host that fails are cut where the cluster says so: those that are in use, whether
// they are established or not, and in whatever order others have ended.
func TestCutTCP(t *testing.T) {
	for _, closes := range []bool{false, true} {
		t.Run(fmt.Sprintf("close %v", closes), func(t *testing.T) {
			cfg := checkedConfig()
			cfg.CloseOnHealthFailure = closes
			w, address := newWorker(t), silent(t)
			k := w.cluster(cfg, address)
			key := config.Address{IP: address.Addr().String(), Port: uint32(address.Port())}
			find := func(flags config.HostHealth) {
				w.do(func() {
					k.Update(state(cfg, k.state.Assignment, &config.ClusterHealth{Hosts: map[config.Address]config.HostHealth{key: flags}}))
				})
			}
			find(0)
			var all []*exchange
			for range 5 {
				x := &exchange{w: w}
				w.do(func() {
					x.task = w.loop.Spawn(x)
					if v := k.Acquire(&x.Lease, k.hosts[0].Data.(*Host), x.task, Ask{TCP: true}); v != Granted {
						t.Errorf("verdict %d", v)
					}
				})
				all = append(all, x)
			}
			for _, i := range []int{1, 4, 0} {
				all[i].release(Success, false)
			}
			woken := make(map[int]int)
			w.do(func() { woken[2], woken[3] = all[2].woken, all[3].woken })
			find(config.FailedActiveHC)
			w.do(func() {}) // tasks that were woken have run
			w.do(func() {
				for i, x := range all {
					if want := closes && (i == 2 || i == 3); x.Cut() != want || want && x.woken == woken[i] {
						t.Errorf("lease %d: cut %v, woken %d times, want cut %v", i, x.Cut(), x.woken-woken[i], want)
					}
				}
			})
			all[3].release(Cancelled, false)
			all[2].release(Cancelled, false)
			w.do(func() {
				if h := k.hosts[0].Data.(*Host); len(h.tcp) != 0 {
					t.Errorf("%d leases are left", len(h.tcp))
				}
			})
			w.wantNothingInUse(k)
		})
	}
}

// TestReportFailure holds that a wish to fail is passed on once, and only where there is somebody to tell.
func TestReportFailure(t *testing.T) {
	k := newCluster(t, checkedConfig())
	a := assign(at("192.0.2.1", 1, 0))
	k.Update(state(k.Config(), a, checked(map[string]config.HostHealth{"192.0.2.1": 0})))
	h := hostAt(k, "192.0.2.1:80")
	if !h.ReportFailure() || h.ReportFailure() {
		t.Error("want true once")
	}
	k.Update(state(k.Config(), a, checked(map[string]config.HostHealth{"192.0.2.1": config.FailedActiveHC})))
	if h.ReportFailure() {
		t.Error("of a host that has failed")
	}
	k.Update(state(k.Config(), a, checked(map[string]config.HostHealth{"192.0.2.1": 0})))
	if !h.ReportFailure() {
		t.Error("not of a host that has come back")
	}
	plain := clusterConfig()
	k.Update(state(plain, a, nil))
	if h.ReportFailure() {
		t.Error("of a host that nobody checks")
	}
}
