package health

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// broke is an answer that the prober does not survive.
const broke outcome = 255

// estate is the hosts that scripted probers ask, and what came of it.
type estate struct {
	begin time.Time

	mu      sync.Mutex
	answers map[string][]outcome // by address: the last is for all that follow; none means passed
	takes   map[string]time.Duration
	asked   []string // "address @time"
	closed  []string // addresses whose probers were closed
	running int
	most    int // that were running at a time
	told    []string
	current map[string]*config.ClusterHealth
	delay   time.Duration // of every Publish

	verified bool // every host that answers is asked which service it is of
}

func newEstate() *estate {
	return &estate{
		begin: time.Now(), answers: make(map[string][]outcome), takes: make(map[string]time.Duration),
		current: make(map[string]*config.ClusterHealth),
	}
}

// set has the host at an address answer so from now on.
func (e *estate) set(address string, answers ...outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers[address] = answers
}

// slow has probes of the host at an address take so long from now on.
func (e *estate) slow(address string, takes time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.takes[address] = takes
}

// scripted is a prober.
type scripted struct {
	estate  *estate
	address string
}

func (e *estate) newProber(_ *config.Cluster, endpoint *config.Endpoint, _ *tls.Upstream, _ *config.ProxyHeader, _ *config.Bind) prober {
	return &scripted{e, endpoint.CheckedAt().String()}
}

func (p *scripted) probe(ctx context.Context) result {
	e := p.estate
	e.mu.Lock()
	e.asked = append(e.asked, fmt.Sprintf("%s @%v", p.address, time.Since(e.begin)))
	e.running++
	e.most = max(e.most, e.running)
	takes := e.takes[p.address]
	e.mu.Unlock()
	timer := time.NewTimer(takes)
	defer timer.Stop()
	cut := false
	select {
	case <-ctx.Done():
		cut = true
	case <-timer.C:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running--
	if cut {
		return result{outcome: networkFailure, why: ctx.Err().Error()}
	}
	answers := e.answers[p.address]
	if len(answers) == 0 {
		return result{outcome: passed, verified: e.verified}
	}
	if answers[0] == broke {
		panic("it broke")
	}
	if len(answers) > 1 {
		e.answers[p.address] = answers[1:]
	}
	return result{outcome: answers[0]}
}

func (p *scripted) close() {
	p.estate.mu.Lock()
	defer p.estate.mu.Unlock()
	p.estate.closed = append(p.estate.closed, p.address)
}

// publish is a Publish.
func (e *estate) publish(changes map[*config.Cluster]*config.ClusterHealth) {
	time.Sleep(e.delay) // of virtual time
	e.mu.Lock()
	defer e.mu.Unlock()
	byName := func(a, b *config.Cluster) int { return strings.Compare(a.Name, b.Name) }
	for _, cluster := range slices.SortedFunc(maps.Keys(changes), byName) {
		e.current[cluster.Name] = changes[cluster]
		e.told = append(e.told, cluster.Name+":"+healthText(changes[cluster]))
	}
}

// healthText words the health of a cluster: " address flags" for each host, in order.
func healthText(h *config.ClusterHealth) string {
	var hosts []string
	for a, flags := range h.Hosts {
		hosts = append(hosts, " "+a.IP+" "+flagText(flags))
	}
	slices.Sort(hosts)
	return strings.Join(hosts, "")
}

// latest words the health of a cluster that was published last, when nothing more happens at this time.
func (e *estate) latest(cluster string) string {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current[cluster] == nil {
		return ""
	}
	return healthText(e.current[cluster])
}

// forget begins anew to note what is published and asked.
func (e *estate) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told, e.asked = nil, nil
}

// timesTold returns how often something was published since it was last looked at.
func (e *estate) timesTold() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.told)
}

// mostRunning returns how many probes ran at a time.
func (e *estate) mostRunning() int {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.most
}

// wantNews compares what was published since the last call, when nothing more happens at this time.
func (e *estate) wantNews(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.told, want) {
		t.Errorf("at %v published %q, want %q", time.Since(e.begin), e.told, want)
	}
	e.told = nil
}

// wantAsked compares the probes begun since the last call, in any order of those of the same time.
func (e *estate) wantAsked(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.Sort(e.asked)
	slices.Sort(want)
	if !slices.Equal(e.asked, want) {
		t.Errorf("asked %q, want %q", e.asked, want)
	}
	e.asked = nil
}

func (e *estate) wantClosed(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.Sort(e.closed)
	if !slices.Equal(e.closed, want) {
		t.Errorf("closed %q, want %q", e.closed, want)
	}
	e.closed = nil
}

// bench is a Checker of an estate.
type bench struct {
	*Checker
	*estate
	store   *stats.Store
	logged  *observer.ObservedLogs
	carried bool
}

// withChecker runs f in a bubble of its own time. What the checker started must have ended when it is closed.
func withChecker(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{estate: newEstate(), store: stats.NewStore(stats.Options{}), carried: true}
		core, logged := observer.New(zap.DebugLevel)
		b.logged = logged
		b.Checker = newChecker(zap.New(core), b.estate.publish)
		b.Checker.newProber, b.random, b.pause = b.estate.newProber, least, 0
		b.start()
		f(t, b)
		b.Close()
	})
}

// every10 is a check every 10 s, within 1 s, that takes two of a kind in a row.
func every10() *config.HealthCheck {
	i := 10 * time.Second
	return &config.HealthCheck{
		Timeout: time.Second, UnhealthyThreshold: 2, HealthyThreshold: 2,
		Intervals: config.HealthIntervals{Base: i, Unhealthy: i, UnhealthyEdge: i, HealthyEdge: i, NoTraffic: i, NoTrafficHealthy: i},
	}
}

// hosts returns an assignment of endpoints on port 80.
func hosts(ips ...string) *config.ClusterLoadAssignment {
	a := &config.ClusterLoadAssignment{Localities: []config.LocalityEndpoints{{}}}
	for _, ip := range ips {
		a.Localities[0].Endpoints = append(a.Localities[0].Endpoints, config.Endpoint{Address: config.Address{IP: ip, Port: 80}, Weight: 1})
	}
	return a
}

// target returns a target of a cluster with the check.
func (b *bench) target(name string, check *config.HealthCheck, a *config.ClusterLoadAssignment) Target {
	return Target{
		Config: &config.Cluster{Name: name, HealthCheck: check}, Assignment: a,
		Stats:   b.store.Scope("cluster."+name+".health_check.", stats.HealthCheck),
		Carried: func() bool { return b.carried },
	}
}

// serve makes targets what is checked.
func (b *bench) serve(targets ...Target) { b.Update(targets) }

// wantStats compares statistics of health_check of a cluster.
func (b *bench) wantStats(t *testing.T, cluster string, want map[string]uint64) {
	t.Helper()
	synctest.Wait()
	snapshot := b.store.Snapshot(t.Context())
	for name, value := range want {
		if got, ok := snapshot.Value("cluster." + cluster + ".health_check." + name); !ok || got != value {
			t.Errorf("health_check.%s is %d, want %d", name, got, value)
		}
	}
}
