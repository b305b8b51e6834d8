package orca

import (
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// fakeWorkers stands for workers that have had reports, and takes over weights.
type fakeWorkers struct {
	mu        sync.Mutex
	start     time.Time
	loads     map[string]map[config.Address]Load
	weights   map[string]*Weights
	published int
	asked     int
}

func newFakeWorkers() *fakeWorkers {
	return &fakeWorkers{start: time.Now(), loads: make(map[string]map[config.Address]Load), weights: make(map[string]*Weights)}
}

func (f *fakeWorkers) now() int64 { return int64(time.Hour + time.Since(f.start)) }

func (f *fakeWorkers) report(cluster string, host config.Address, weight uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loads[cluster] == nil {
		f.loads[cluster] = make(map[config.Address]Load)
	}
	l := f.loads[cluster][host]
	l.Note(weight, f.now())
	f.loads[cluster][host] = l
}

func (f *fakeWorkers) sample(clusters []string) (int64, map[string]map[config.Address]Load) {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := make(map[string]map[config.Address]Load)
	for _, c := range clusters {
		f.asked++
		taken[c] = f.loads[c]
		delete(f.loads, c)
	}
	return f.now(), taken
}

func (f *fakeWorkers) publish(w map[string]*Weights) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published++
	maps.Copy(f.weights, w)
}

func (f *fakeWorkers) check(t *testing.T, cluster string, hosts []config.Address, want ...uint32) {
	t.Helper()
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, h := range hosts {
		if got := f.weights[cluster].Of(h, 0); got != want[i] {
			t.Errorf("host %d has the weight %d, want %d", i, got, want[i])
		}
	}
}

func addresses(n int) []config.Address {
	hosts := make([]config.Address, n)
	for i := range hosts {
		hosts[i] = config.Address{IP: "192.0.2.1", Port: uint32(i + 1)}
	}
	return hosts
}

// target returns a cluster of the hosts with Envoy's defaults.
func target(hosts ...config.Address) Target {
	a := &config.ClusterLoadAssignment{Localities: []config.LocalityEndpoints{{}}}
	for _, h := range hosts {
		a.Localities[0].Endpoints = append(a.Localities[0].Endpoints, config.Endpoint{Address: h})
	}
	return Target{Assignment: a, Config: &config.LoadReports{
		Blackout: config.DefaultLoadBlackout, Expiration: config.DefaultLoadExpiration, Update: config.DefaultLoadUpdate,
	}}
}

// TestWeigherPeriods holds that a report counts after the blackout, until it has expired, and then after a blackout again.
func TestWeigherPeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeWorkers()
		w := New(f.sample, f.publish)
		defer w.Close()
		hosts := addresses(4)
		w.Update(map[string]Target{"c": target(hosts...)})
		time.Sleep(time.Second / 2) // between two updates
		for second := range 10 {
			f.report("c", hosts[0], 100)
			f.report("c", hosts[1], uint32(second))
			f.check(t, "c", hosts, 1, 1, 1, 1)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second) // the blackout is over, and the last reports count, whose mean is for who has none
		f.check(t, "c", hosts, 100, 9, 54, 54)
		f.report("c", hosts[0], 200)
		time.Sleep(time.Second)
		f.check(t, "c", hosts, 200, 9, 104, 104)
		time.Sleep(config.DefaultLoadExpiration - 2*time.Second)
		f.check(t, "c", hosts, 200, 200, 200, 200) // that of the second host is the older one
		time.Sleep(3 * time.Second)
		f.check(t, "c", hosts, 1, 1, 1, 1)
		f.report("c", hosts[1], 50)
		time.Sleep(9 * time.Second)
		f.check(t, "c", hosts, 1, 1, 1, 1)
		time.Sleep(2 * time.Second)
		f.check(t, "c", hosts, 50, 50, 50, 50)
		if f.published > 8 {
			t.Errorf("weights were published %d times, though most were as before", f.published)
		}
	})
}

// TestWeigherTargets holds that clusters are asked for at their own periods, and that hosts and clusters that leave are forgotten.
func TestWeigherTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeWorkers()
		w := New(f.sample, f.publish)
		defer w.Close()
		hosts := addresses(3)
		slow, quick := target(hosts...), target(hosts...)
		slow.Config.Update, slow.Config.Blackout = 10*time.Second, 0
		quick.Config.Update, quick.Config.Blackout = 100*time.Millisecond, 0
		w.Update(map[string]Target{"slow": slow, "quick": quick})
		synctest.Wait()
		for _, h := range hosts {
			f.report("slow", h, 5)
			f.report("quick", h, h.Port)
		}
		time.Sleep(150 * time.Millisecond)
		f.check(t, "quick", hosts, 1, 2, 3)
		f.check(t, "slow", hosts, 1, 1, 1)
		time.Sleep(10 * time.Second)
		f.check(t, "slow", hosts, 5, 5, 5)
		if f.asked < 95 || f.asked > 105 {
			t.Errorf("workers were asked %d times in 10 s, want 101", f.asked)
		}
		fewer := quick
		fewer.Assignment = target(hosts[1:]...).Assignment
		w.Update(map[string]Target{"quick": fewer})
		time.Sleep(time.Second)
		w.Update(map[string]Target{"quick": quick}) // the first host is back and is new
		time.Sleep(time.Second)
		f.check(t, "quick", hosts, 2, 2, 3)
		w.Update(nil)
		synctest.Wait()
		f.asked = 0
		time.Sleep(time.Minute)
		if f.asked != 0 {
			t.Errorf("workers were asked %d times for clusters that have gone", f.asked)
		}
		w.Update(map[string]Target{"slow": slow})
		time.Sleep(11 * time.Second)
		f.check(t, "slow", hosts, 1, 1, 1)
	})
}

// TestMedian holds what a host without a weight gets, each priority by itself.
func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		weights []uint32
		want    uint32
	}{{nil, 1}, {[]uint32{7}, 7}, {[]uint32{9, 2, 4}, 4}, {[]uint32{9, 2, 4, 5}, 4}, {[]uint32{1<<32 - 1, 1<<32 - 1}, 1<<32 - 1}} {
		if got := median(tc.weights); got != tc.want {
			t.Errorf("median of %v is %d, want %d", tc.weights, got, tc.want)
		}
	}
	hosts := addresses(4)
	two := target(hosts[0])
	two.Config.Blackout = 0
	two.Assignment.Localities = append(two.Assignment.Localities, config.LocalityEndpoints{Priority: 1, Endpoints: []config.Endpoint{
		{Address: hosts[1]}, {Address: hosts[2]}, {Address: hosts[0]}, {Address: hosts[3]},
	}})
	g := hostsWith(map[config.Address]uint32{hosts[0]: 3, hosts[1]: 50, hosts[2]: 0})
	w := g.weigh(&two, int64(time.Hour))
	for i, want := range []uint32{3, 50, 1, 25} {
		if got := w.Of(hosts[i], uint32(min(i, 1))); got != want {
			t.Errorf("host %d has the weight %d, want %d", i, got, want)
		}
	}
	if got := w.Of(config.Address{IP: "192.0.2.9"}, 0); got != 3 {
		t.Errorf("a new host has the weight %d, want that of its priority", got)
	}
}

// hostsWith returns a cluster whose hosts have just reported.
func hostsWith(weights map[config.Address]uint32) *hosts {
	g := &hosts{known: make(map[config.Address]*history)}
	for h, weight := range weights {
		g.known[h] = new(history)
		g.known[h].note(Load{Weight: weight, First: int64(time.Hour), Last: int64(time.Hour)})
	}
	return g
}

// TestLoadOfWorkers holds that of the reports of several workers the last counts, since the first.
func TestLoadOfWorkers(t *testing.T) {
	var sum, early, late Load
	early.Note(1, 10)
	early.Note(2, 20)
	late.Note(3, 15)
	late.Note(4, 30)
	for _, order := range [][]Load{{early, late}, {late, early}} {
		sum = Load{}
		for _, l := range order {
			sum.Add(l)
		}
		if sum != (Load{Weight: 4, First: 10, Last: 30}) {
			t.Errorf("the sum is %+v", sum)
		}
	}
}
