package attack

import (
	"fmt"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/proc"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// The limits of the proxy under attack where they are not Envoy's defaults: those of Envoy's documentation for an edge.
const (
	maxStreams    = 100
	streamWindow  = 64 << 10
	connWindow    = 1 << 20
	bufferLimit   = 32 << 10
	edgeTimeout   = "5s" // of a stream without progress, and of a request head
	defaultGrowth = 24 << 20
)

// target is a proxy under attack, with a canary.
type target struct {
	*process.Proxy
	t      *testing.T
	origin origin
	canary *canary
}

// edge returns the setup of a proxy that faces the internet.
func edge() *process.Setup {
	s := process.NewSetup()
	s.Listeners[0].Fields["per_connection_buffer_limit_bytes"] = bufferLimit
	http := s.HTTP()
	http["stream_idle_timeout"], http["request_headers_timeout"] = edgeTimeout, edgeTimeout
	http["http2_protocol_options"] = process.Fields{
		"max_concurrent_streams": maxStreams, "initial_stream_window_size": streamWindow,
		"initial_connection_window_size": connWindow,
	}
	return s
}

// http2Options returns the fields of http2_protocol_options.
func http2Options(s *process.Setup) process.Fields {
	return s.HTTP()["http2_protocol_options"].(process.Fields)
}

// smallBody is the size of an answer where it does not matter.
const smallBody = 16

// newTarget starts a proxy before an origin of the kind. What is to be different from edge, change says.
func newTarget(t *testing.T, k kind, change ...func(*process.Setup)) *target {
	t.Helper()
	return newTargetBody(t, k, smallBody, change...)
}

// newTargetBody is newTarget with answers of a size.
func newTargetBody(t *testing.T, k kind, body int, change ...func(*process.Setup)) *target {
	t.Helper()
	o, cluster := k.start(t, body)
	return startTarget(t, o, cluster, change...)
}

// startTarget starts a proxy before an origin that is there.
func startTarget(t *testing.T, o origin, cluster process.Fields, change ...func(*process.Setup)) *target {
	t.Helper()
	s := edge()
	cluster["per_connection_buffer_limit_bytes"] = bufferLimit
	s.Clusters = []process.Fields{cluster}
	addCanary(t, s)
	for _, c := range change {
		c(s)
	}
	g := &target{Proxy: s.Start(t), t: t, origin: o}
	g.warm()
	return g
}

// warm has everything that the first connection makes made before anything is measured.
func (g *target) warm() {
	g.t.Helper()
	c := g.dial()
	for range 2 {
		if r := c.Response(c.Get(canaryPath)); r.Status != 200 {
			g.t.Fatalf("got %v before the attack", r)
		}
	}
	c.Close()
	g.waitIdle()
}

// dial returns an attacker's connection after the exchange of settings.
func (g *target) dial(options ...harness.DialOption) *harness.H2Client {
	g.t.Helper()
	return harness.DialH2Address(g.t, g.Address(), options...)
}

// dialRaw returns an attacker's connection on which nothing was sent.
func (g *target) dialRaw(options ...harness.DialOption) *harness.H2Client {
	g.t.Helper()
	return harness.DialH2AddressRaw(g.t, g.Address(), options...)
}

// gauges are 0 when nobody is there.
const gauges = `^http\.in\.downstream_(cx|rq)_active$|^cluster\.c\.upstream_rq_(pending_)?active$|^http2\.(streams_active|pending_send_bytes)$`

// waitIdle waits until the proxy has neither clients nor requests.
func (g *target) waitIdle() {
	g.t.Helper()
	var left string
	g.Eventually("no connection and no request to be left", func() bool {
		left = ""
		for name, value := range g.Stats(gauges) {
			if value != 0 {
				left += fmt.Sprintf(" %s=%d", name, value)
			}
		}
		return left == "" && g.origin.inFlight() == 0
	})
}

// arrival bounds the wait for requests that may not come any more, because the proxy has had enough of their client.
const arrival = 500 * time.Millisecond

// waitRequests waits until so many requests have reached the origin.
func (g *target) waitRequests(n int) {
	for end := time.Now().Add(arrival); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if g.load().requests >= n {
			return
		}
	}
}

// attack is what somebody does to the proxy, with the bounds that hold whatever it is.
type attack struct {
	name string
	// run does it, and returns how many frames it sent until the proxy had enough.
	run func() (frames int)
	// growth bounds the memory that the proxy takes for it, in bytes; 0 for defaultGrowth.
	growth int64
	// requests and inFlight bound what reaches the origin, in total and at the same time.
	requests, inFlight int
}

// run runs the attack beside a canary, logs its cost and checks what must hold after every attack: nobody else was kept from
// being served, memory did not grow too much, the origin did not see too much, and nothing is left. In the full form it does
// that more than once, and returns how often: memory must not grow each time.
func (g *target) run(a attack) (times int) {
	g.t.Helper()
	first := g.once(a)
	if !*full {
		return 1
	}
	last := first
	for range again {
		last = g.once(a)
	}
	slack := leakSlack + max(2*first.Growth(), a.growth)
	if grown := last.RSSPeak - first.RSSPeak; grown > slack && !process.Race {
		g.t.Errorf("attack number %d needs %d bytes more than the first one, want %d at most", again+1, grown, slack)
	}
	return again + 1
}

const (
	// again is how often an attack is repeated in the full form, and leakSlack how much more memory the last one may need
	// beside twice what the first one did, or what it may grow: Go's collector lets the heap become twice what is in use, and buffers of which only
	// the beginning was written are not resident at first. A leak would add up to more.
	again     = 3
	leakSlack = 8 << 20
)

// once runs the attack.
func (g *target) once(a attack) harness.Cost {
	g.t.Helper()
	g.canary = startCanary(g.t, g.Address())
	descriptors := g.descriptors()
	before, cpu := g.load(), g.cpu()
	cost, err := g.Process().Measure(a.run)
	if err != nil {
		g.t.Fatal(err)
	}
	cost.CPU = g.cpuSince(cpu)
	after := g.load()
	took := g.canary.end(g.t)
	g.t.Log(costLine(a.name, cost, after.requests-before.requests, after.most, took))
	g.check(a, cost, after.requests-before.requests, after.most)
	g.waitIdle()
	g.checkReleased(descriptors)
	g.checkCalm()
	return cost
}

// costLine is what every attack logs.
func costLine(name string, c harness.Cost, requests, inFlight int, canary []time.Duration) string {
	worst := time.Duration(0)
	if len(canary) > 0 {
		worst = canary[len(canary)-1]
	}
	return fmt.Sprintf("cost: %s: %d frames sent, %.2f µs/frame, memory %+.1f MiB, requests at the origin %d (at most %d at a time), "+
		"canary %d served (%v at worst), %v of CPU in %v",
		name, c.Frames, float64(c.PerFrame().Nanoseconds())/1e3, float64(c.Growth())/(1<<20), requests, inFlight,
		len(canary), worst.Round(100*time.Microsecond), c.CPU.Round(100*time.Microsecond), c.Elapsed.Round(time.Millisecond))
}

type load struct{ requests, most int }

func (g *target) load() load {
	requests, most := g.origin.load()
	return load{requests, most}
}

func (g *target) check(a attack, c harness.Cost, requests, most int) {
	g.t.Helper()
	growth := a.growth
	if growth == 0 {
		growth = defaultGrowth
	}
	if c.Growth() > growth && !process.Race {
		g.t.Errorf("memory grew by %.1f MiB, want %.1f at most", float64(c.Growth())/(1<<20), float64(growth)/(1<<20))
	}
	if requests > a.requests {
		g.t.Errorf("%d requests reached the origin, want %d at most", requests, a.requests)
	}
	if most > a.inFlight {
		g.t.Errorf("%d requests were at the origin at a time, want %d at most", most, a.inFlight)
	}
}

// checkReleased waits until descriptors are back but for connections that the proxy keeps for further requests.
func (g *target) checkReleased(before int) {
	g.t.Helper()
	g.Eventually("descriptors to be closed", func() bool { return g.descriptors() <= before })
}

// descriptors returns how many descriptors are open beside those of connections to origins.
func (g *target) descriptors() int {
	g.t.Helper()
	n := g.usage().Descriptors
	for _, kept := range g.Stats(`^cluster\..*\.upstream_cx_active$`) {
		n -= int(kept)
	}
	return n
}

const (
	// calmFor is the time in which the proxy has to be calm, and calmShare how much of a core it may use then. It is time
	// of CPU: other processes do not make it more.
	calmFor   = 50 * time.Millisecond
	calmShare = 0.05
)

// checkCalm waits until the proxy does next to nothing.
func (g *target) checkCalm() {
	g.t.Helper()
	if process.Race {
		return // the detector has threads of its own
	}
	g.Eventually("to be calm", func() bool {
		before := g.cpu()
		time.Sleep(calmFor)
		return float64(g.cpuSince(before)) < calmShare*float64(calmFor)
	})
}

func (g *target) usage() harness.Usage {
	g.t.Helper()
	u, err := g.Process().Usage()
	if err != nil {
		g.t.Fatal(err)
	}
	return u
}

// cpu reads the CPU time of the proxy, finer than the ticks of Process.
func (g *target) cpu() proc.CPUSample {
	g.t.Helper()
	s, err := proc.FS{}.SampleCPU([]int{g.PID()})
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

func (g *target) cpuSince(before proc.CPUSample) time.Duration {
	g.t.Helper()
	used, err := g.cpu().Since(before)
	if err != nil {
		g.t.Fatal(err)
	}
	return used.Total
}
