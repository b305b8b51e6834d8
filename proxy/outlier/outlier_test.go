package outlier

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// defaults is what an empty outlier_detection means.
func defaults() *config.OutlierDetection {
	return &config.OutlierDetection{
		Interval: 10 * time.Second, BaseEjectionTime: 30 * time.Second, MaxEjectionTime: 300 * time.Second, MaxEjectionPercent: 10,
		Consecutive5xx: 5, ConsecutiveGateway: 5, ConsecutiveLocal: 5, Enforcing5xx: 100, EnforcingLocal: 100,
		EnforcingSuccessRate: 100, EnforcingLocalSuccessRate: 100, SuccessRateMinHosts: 5, SuccessRateVolume: 100,
		SuccessRateStdevFactor: 1900, FailurePercentageMinHosts: 5, FailurePercentageVolume: 50, FailureThreshold: 85,
		UnejectChecked: true,
	}
}

// rig is a detector of one cluster, in a bubble of its own time.
type rig struct {
	t        *testing.T
	detector *Detector
	target   *Target
	scope    *stats.Scope
	store    *stats.Store

	mu     sync.Mutex
	counts map[config.Address]Counts
	told   []string // the last parts of the addresses that were out, at each time
}

func at(i int) config.Address {
	return config.Address{IP: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String(), Port: 80}
}

func assignment(hosts int) *config.ClusterLoadAssignment {
	a := &config.ClusterLoadAssignment{Localities: []config.LocalityEndpoints{{}}}
	for i := range hosts {
		a.Localities[0].Endpoints = append(a.Localities[0].Endpoints, config.Endpoint{
			Address: at(i), Weight: 1,
		})
	}
	return a
}

// withRig runs f with a detector of so many hosts, and ends it.
func withRig(t *testing.T, hosts int, change func(*config.OutlierDetection), f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, store: stats.NewStore(stats.Options{}), counts: make(map[config.Address]Counts)}
		r.scope = r.store.Scope("cluster.c.outlier_detection.", stats.OutlierDetection)
		cfg := defaults()
		if change != nil {
			change(cfg)
		}
		r.target = &Target{Config: cfg, Assignment: assignment(hosts), Monitors: NewMonitors(cfg), Stats: r.scope}
		r.detector = New(func(string) map[config.Address]Counts {
			r.mu.Lock()
			defer r.mu.Unlock()
			return maps.Clone(r.counts)
		}, func(cluster string, ejected map[config.Address]bool) {
			var out []string
			for a := range ejected {
				out = append(out, strings.TrimPrefix(a.IP, "192.0.2."))
			}
			slices.Sort(out)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.told = append(r.told, strings.Join(out, " "))
		})
		r.update()
		f(r)
		r.detector.Close()
	})
}

func (r *rig) update() { r.detector.Update(map[string]*Target{"c": r.target}) }

func (r *rig) monitor(i int) *Monitor { return r.target.Monitors.Of(at(i)) }

// want compares which hosts were told to be out since the last call.
func (r *rig) want(what string, want ...string) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.told, want) {
		r.t.Errorf("%s: told that %q are out, want %q", what, r.told, want)
	}
	r.told = nil
}

// wantStats compares statistics that are not 0.
func (r *rig) wantStats(want map[string]uint64) {
	r.t.Helper()
	got := make(map[string]uint64)
	for sample := range r.store.Snapshot(r.t.Context()).All() {
		if name, ok := strings.CutPrefix(sample.Name, "cluster.c.outlier_detection.ejections_"); ok && sample.Value != 0 {
			got[name] = uint64(sample.Value)
		}
	}
	if !maps.Equal(got, want) {
		r.t.Errorf("statistics are %v, want %v", got, want)
	}
}

// requests adds requests to a host.
func (r *rig) requests(i int, total, success uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.counts[at(i)]
	c.Add(&Counts{Total: total, Success: success, LocalTotal: total, LocalSuccess: total})
	r.counts[at(i)] = c
}

func answer(m *Monitor, statuses ...int) {
	for _, s := range statuses {
		m.Answered(s)
	}
}

// TestConsecutive holds which answers make a row, and that a row ejects.
func TestConsecutive(t *testing.T) {
	split := func(c *config.OutlierDetection) { c.Split = true }
	gateway := func(c *config.OutlierDetection) { c.EnforcingGateway, c.Enforcing5xx = 100, 0 }
	tests := map[string]struct {
		change  func(*config.OutlierDetection)
		answers func(*Monitor)
		ejected bool
	}{
		"five":                           {nil, func(m *Monitor) { answer(m, 500, 501, 502, 503, 504) }, true},
		"four":                           {nil, func(m *Monitor) { answer(m, 500, 500, 500, 500) }, false},
		"a success between":              {nil, func(m *Monitor) { answer(m, 500, 500, 500, 500, 200, 500) }, false},
		"not the host's fault":           {nil, func(m *Monitor) { answer(m, 404, 404, 404, 404, 404) }, false},
		"gateway errors are 5xx":         {nil, func(m *Monitor) { answer(m, 502, 502, 502, 502, 502) }, true},
		"unreachable counts as 503":      {nil, func(m *Monitor) { answer(m, 500, 500, 500); m.Unanswered(false); m.Unanswered(true) }, true},
		"off":                            {func(c *config.OutlierDetection) { c.Consecutive5xx = 0 }, func(m *Monitor) { answer(m, 500, 500, 500, 500, 500, 500) }, false},
		"not enforced":                   {func(c *config.OutlierDetection) { c.Enforcing5xx = 0 }, func(m *Monitor) { answer(m, 500, 500, 500, 500, 500) }, false},
		"gateway":                        {gateway, func(m *Monitor) { answer(m, 502, 503, 504, 502, 503) }, true},
		"another 5xx ends a gateway row": {gateway, func(m *Monitor) { answer(m, 502, 503, 504, 502, 500, 503) }, false},
		"split, answers":                 {split, func(m *Monitor) { answer(m, 500, 500, 500, 500, 500) }, true},
		"split, unreachable is apart":    {split, func(m *Monitor) { answer(m, 500, 500, 500, 500); m.Unanswered(false) }, false},
		"split, unreachable": {split, func(m *Monitor) {
			for range 5 {
				m.Unanswered(false)
			}
		}, true},
		"split, an answer shows that it is reached": {split, func(m *Monitor) {
			for range 4 {
				m.Unanswered(true)
			}
			answer(m, 500)
			m.Unanswered(false)
		}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			withRig(t, 3, tc.change, func(r *rig) {
				tc.answers(r.monitor(1))
				if tc.ejected {
					r.want(name, "1")
				} else {
					r.want(name)
				}
			})
		})
	}
}

// TestEjectionTime holds how long hosts stay out: the base time at first, longer each time that follows, up to the maximum, and
// less again after sweeps at which they were well.
func TestEjectionTime(t *testing.T) {
	withRig(t, 1, func(c *config.OutlierDetection) { c.MaxEjectionTime = 80 * time.Second }, func(r *rig) {
		eject := func(n int, stay time.Duration) {
			t.Helper()
			answer(r.monitor(0), 500, 500, 500, 500, 500)
			what := fmt.Sprint("ejection ", n)
			r.want(what, "0")
			time.Sleep(stay - time.Second)
			r.want(what + ", too soon")
			time.Sleep(time.Second)
			r.want(what+", over", "")
		}
		eject(1, 30*time.Second) // at sweeps of 10 s
		eject(2, 60*time.Second)
		eject(3, 80*time.Second)
		time.Sleep(20 * time.Second) // two sweeps
		eject(4, 60*time.Second)
		r.wantStats(map[string]uint64{
			"detected_consecutive_5xx": 4, "enforced_consecutive_5xx": 4, "enforced_total": 4, "total": 4, "consecutive_5xx": 4,
		})
	})
}

// TestEjectionPercent holds that no more hosts go than are allowed: one more as long as the percentage is not reached.
func TestEjectionPercent(t *testing.T) {
	for _, tc := range []struct {
		percent uint32
		always  bool
		out     int
	}{{0, false, 0}, {0, true, 1}, {10, false, 1}, {30, false, 3}, {31, false, 4}, {100, false, 10}} {
		t.Run(fmt.Sprint(tc.percent, tc.always), func(t *testing.T) {
			withRig(t, 10, func(c *config.OutlierDetection) { c.MaxEjectionPercent, c.AlwaysEjectOne = tc.percent, tc.always }, func(r *rig) {
				for i := range 10 {
					answer(r.monitor(i), 500, 500, 500, 500, 500)
				}
				synctest.Wait()
				if len(r.told) != tc.out {
					t.Errorf("%d hosts went: %q, want %d", len(r.told), r.told, tc.out)
				}
				r.told = nil
				over := uint64(10 - tc.out)
				if got := r.value("overflow"); got != over {
					t.Errorf("ejections_overflow is %d, want %d", got, over)
				}
				if got := r.value("active"); got != uint64(tc.out) {
					t.Errorf("ejections_active is %d, want %d", got, tc.out)
				}
			})
		})
	}
}

func (r *rig) value(name string) uint64 {
	v, _ := r.store.Snapshot(r.t.Context()).Value("cluster.c.outlier_detection.ejections_" + name)
	return v
}

// TestSuccessRate holds that at a sweep a host goes whose rate is far below the others', if there are enough hosts with enough
// requests since the sweep before.
func TestSuccessRate(t *testing.T) {
	tests := map[string]struct {
		hosts   int
		volume  uint64
		bad     uint64 // successes of a hundred of host 0
		change  func(*config.OutlierDetection)
		ejected bool
	}{
		"far below":           {6, 100, 50, nil, true},
		"too few hosts":       {4, 100, 0, nil, false},
		"too few requests":    {6, 99, 0, nil, false},
		"as the others":       {6, 100, 100, nil, false},
		"not enforced":        {6, 100, 50, func(c *config.OutlierDetection) { c.EnforcingSuccessRate = 0 }, false},
		"a generous factor":   {6, 100, 50, func(c *config.OutlierDetection) { c.SuccessRateStdevFactor = 3000 }, false},
		"failure percentage":  {6, 100, 10, func(c *config.OutlierDetection) { c.EnforcingSuccessRate, c.EnforcingFailurePercentage = 0, 100 }, true},
		"below the threshold": {6, 100, 20, func(c *config.OutlierDetection) { c.EnforcingSuccessRate, c.EnforcingFailurePercentage = 0, 100 }, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			withRig(t, tc.hosts, tc.change, func(r *rig) {
				for i := range tc.hosts {
					r.requests(i, 1000, 1000) // before the first sweep
				}
				time.Sleep(11 * time.Second)
				r.want("before")
				for i := range tc.hosts {
					success := tc.volume
					if i == 0 {
						success = tc.volume * tc.bad / 100
					}
					r.requests(i, tc.volume, success)
				}
				time.Sleep(10 * time.Second)
				if tc.ejected {
					r.want(name, "0")
				} else {
					r.want(name)
				}
			})
		})
	}
}

// TestSuccessThreshold compares with a calculation by hand.
func TestSuccessThreshold(t *testing.T) {
	rates := []rate{{percent: 100}, {percent: 100}, {percent: 80}, {percent: 40}}
	// The mean is 80, the variance (400 + 400 + 0 + 1600) / 4 = 600.
	if got, want := successThreshold(rates, 1.9), 80-1.9*math.Sqrt(600); math.Abs(got-want) > 1e-9 {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestUnejectChecked holds that a host which passes its health checks comes back at the next sweep.
func TestUnejectChecked(t *testing.T) {
	for _, uneject := range []bool{false, true} {
		withRig(t, 2, func(c *config.OutlierDetection) { c.UnejectChecked = uneject }, func(r *rig) {
			key := r.target.Assignment.Localities[0].Endpoints[0].Address
			next := *r.target
			next.Health = &config.ClusterHealth{Hosts: map[config.Address]config.HostHealth{key: config.FailedActiveHC}}
			r.target = &next
			r.update()
			answer(r.monitor(0), 500, 500, 500, 500, 500)
			r.want("ejected", "0")
			time.Sleep(11 * time.Second)
			r.want("it fails its checks")
			passes := next
			passes.Health = &config.ClusterHealth{Hosts: map[config.Address]config.HostHealth{key: 0}}
			r.target = &passes
			r.update()
			time.Sleep(10 * time.Second)
			if uneject {
				r.want("it passes", "")
			} else {
				r.want("it passes, which does not matter")
			}
		})
	}
}

// TestHostsChange holds that a host which leaves is forgotten, and one that comes anew begins anew.
func TestHostsChange(t *testing.T) {
	withRig(t, 3, func(c *config.OutlierDetection) { c.MaxEjectionPercent = 100 }, func(r *rig) {
		old := r.monitor(2)
		answer(old, 500, 500, 500, 500, 500)
		r.want("ejected", "2")
		fewer := *r.target
		fewer.Assignment = assignment(2)
		r.target = &fewer
		r.update()
		answer(r.monitor(0), 500, 500, 500, 500, 500)
		r.want("another is ejected", "0")
		if r.monitor(2) == old {
			t.Error("the monitor of a host that left is kept")
		}
		answer(old, 500, 500, 500, 500, 500) // a request that was under way
		r.want("a host that has left fails")
		more := fewer
		more.Assignment = assignment(3)
		r.target = &more
		r.update()
		answer(r.monitor(1), 500, 500, 500, 500, 500)
		r.want("one more", "0 1")
	})
}

// TestEarlierEjections holds that what an earlier detection has left is taken back at the start.
func TestEarlierEjections(t *testing.T) {
	withRig(t, 2, nil, func(r *rig) {
		r.detector.Update(nil)
		synctest.Wait()
		next := *r.target
		next.Ejected = map[config.Address]bool{{IP: "192.0.2.1", Port: 80}: true}
		next.Monitors = NewMonitors(next.Config)
		r.target = &next
		r.update()
		r.want("begun anew", "")
	})
}

// TestReportsAreBounded holds that a worker is never held up, and that a report which was lost is made again.
func TestReportsAreBounded(t *testing.T) {
	cfg := defaults()
	cfg.Consecutive5xx = 1
	m := NewMonitors(cfg)
	for range maxReports + 10 {
		m.Of(at(1)).Answered(500)
	}
	if len(m.reports) != maxReports {
		t.Errorf("%d reports wait, want %d", len(m.reports), maxReports)
	}
	<-m.reports
	m.Of(at(1)).Answered(500)
	if len(m.reports) != maxReports {
		t.Error("no further report was made")
	}
}

// TestMonitorAllocates holds that telling a monitor costs no memory.
func TestMonitorAllocates(t *testing.T) {
	m := NewMonitors(defaults()).Of(at(1))
	if n := testing.AllocsPerRun(1000, func() { m.Answered(200); m.Answered(500); m.Unanswered(false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestHostAddedWhileSwept holds that the monitor that workers have of a host they were just given is the one that counts, also when
// the detector, which is told of the host last, has looked at the others meanwhile.
func TestHostAddedWhileSwept(t *testing.T) {
	withRig(t, 3, func(c *config.OutlierDetection) { c.MaxEjectionPercent = 100 }, func(r *rig) {
		added := r.monitor(3)
		answer(r.monitor(1), 500, 500, 500, 500, 500)
		r.want("before the detector knows of the host", "1")
		next := *r.target
		next.Assignment = assignment(4)
		r.target = &next
		r.update()
		answer(added, 500, 500, 500, 500, 500)
		r.want("the host that was added", "1 3")
	})
}
