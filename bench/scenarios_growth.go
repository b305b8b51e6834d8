package bench

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// Growth says that a scenario is a point of a curve.
type Growth struct {
	// Curve is its name, Of what grows.
	Curve string `json:"curve"`
	Of    string `json:"of"`
	// X is how much of it there is.
	X int `json:"x"`
}

// growthRate is the load under which connections grow: the same work at each point, little enough that few requests are in flight.
const growthRate = 2000

// bodyConnections are few: those of a body of 64 MiB hold as much in flight.
const bodyConnections = 4

// Points of curves.
var (
	tenThousand = []int{1, 10, 100, 1000, 10_000}
	bodySizes   = []int{0, 1 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20}
)

// Names of curves.
const (
	growthConnections = "growth-connections"
	growthRoutesFirst = "growth-routes-first"
	growthRoutesLast  = "growth-routes-last"
	growthClusters    = "growth-clusters"
	growthBody        = "growth-body"
	growthWorkers     = "growth-workers"
)

// growthScenarios are the points of all curves. Each is a scenario of throughput by itself.
func growthScenarios() []Scenario {
	var all []Scenario
	for _, n := range tenThousand {
		s := point(growthConnections, "connections", n)
		s.Connections, s.Rate = n, growthRate
		s.About = fmt.Sprintf("HTTP/1.1, %d requests a second by turns over connections that stay open", growthRate)
		all = append(all, s)
	}
	for _, n := range tenThousand {
		s := point(growthRoutesFirst, "routes", n)
		s.Traffic.Routes, s.Path, s.About = n, peer.RoutePath(0, smallPath), "HTTP/1.1 keep-alive, the first of all routes"
		all = append(all, s)
	}
	for _, n := range tenThousand {
		s := point(growthRoutesLast, "routes", n)
		s.Traffic.Routes, s.Path, s.About = n, peer.RoutePath(n-1, smallPath), "HTTP/1.1 keep-alive, the last of all routes"
		all = append(all, s)
	}
	for _, n := range tenThousand {
		s := point(growthClusters, "clusters", n)
		s.Traffic.Routes, s.Traffic.Clusters, s.Path = n, n, peer.RoutePath(n-1, smallPath)
		s.About = "HTTP/1.1 keep-alive, a route to each cluster, the last of them"
		all = append(all, s)
	}
	for _, n := range bodySizes {
		s := point(growthBody, "bytes", n)
		s.Connections, s.Path, s.Body, s.About = bodyConnections, "/bytes/"+strconv.Itoa(n), n, "HTTP/1.1 keep-alive, answers that grow"
		s.Traffic.Bulk = n >= 1<<20
		all = append(all, s)
	}
	for _, n := range workerCounts(runtime.NumCPU()) {
		s := point(growthWorkers, ofWorkers, n)
		s.Workers, s.About = n, "HTTP/1.1 keep-alive, as many workers as CPUs of the proxy"
		s.Connections = workerConnections * n
		all = append(all, s)
	}
	return all
}

const (
	// ofWorkers is what grows in growthWorkers.
	ofWorkers = "workers"
	// workerConnections are those for each worker: as many as a throughput scenario has for its one.
	workerConnections = loadConnections
	// everyCount is the number up to which each number of workers is a point; beyond, each is twice the one before.
	everyCount = 8
)

// workerCounts are the points of a machine with so many CPUs: from one to all.
func workerCounts(cpus int) []int {
	var points []int
	for n := 1; n < cpus; {
		points = append(points, n)
		if n < everyCount {
			n++
		} else {
			n *= 2
		}
	}
	return append(points, cpus)
}

// point is a scenario of a curve.
func point(curve, of string, x int) Scenario {
	return Scenario{
		Name: fmt.Sprintf("%s/%d", curve, x), Measure: Throughput, Growth: &Growth{Curve: curve, Of: of, X: x},
		Traffic:     peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1},
		Connections: loadConnections, Path: smallPath, Body: smallBody,
	}
}

// curves are the names of all, in their order.
func curves() []string {
	return []string{growthConnections, growthRoutesFirst, growthRoutesLast, growthClusters, growthBody, growthWorkers}
}

// Curve is what a report has of a curve: per proxy its values at the points that were measured.
type Curve struct {
	Name, Of string
	Points   []int
	Proxies  []string
	// CPU is in microseconds per request, Rate in requests per second, Idle and Loaded are resident bytes; by proxy and point, 0 where
	// there is no result.
	CPU, Rate, Idle, Loaded map[string][]float64
}

// Curves gathers the scenarios that are points of curves.
func (r Report) Curves() []Curve {
	var all []Curve
	for _, s := range r.Scenarios {
		g := s.Scenario.Growth
		if g == nil {
			continue
		}
		if len(all) == 0 || all[len(all)-1].Name != g.Curve {
			all = append(all, Curve{
				Name: g.Curve, Of: g.Of, CPU: make(map[string][]float64), Rate: make(map[string][]float64), Idle: make(map[string][]float64), Loaded: make(map[string][]float64),
			})
		}
		all[len(all)-1].add(g.X, s.Summary)
	}
	return all
}

func (c *Curve) add(x int, summary []Summary) {
	at := len(c.Points)
	c.Points = append(c.Points, x)
	for _, sum := range summary {
		if c.CPU[sum.Proxy] == nil {
			c.Proxies = append(c.Proxies, sum.Proxy)
		}
		for _, v := range []struct {
			values map[string][]float64
			value  float64
		}{{c.CPU, sum.CPU}, {c.Rate, sum.RequestsPerSecond}, {c.Idle, sum.BaseRSS}, {c.Loaded, sum.AfterRSS}} {
			// A proxy that was not there at the points before has nothing at them.
			v.values[sum.Proxy] = append(append(v.values[sum.Proxy], make([]float64, at-len(v.values[sum.Proxy]))...), v.value)
		}
	}
}

// Each is what one more of what grows adds to the memory of a proxy that was just started, in bytes; false where two points are
// not known.
func (c Curve) Each(proxy string) (bytes float64, known bool) {
	idle := c.Idle[proxy]
	if len(idle) < len(c.Points) || len(idle) < 2 || idle[0] <= 0 || idle[len(idle)-1] <= 0 || c.Points[0] == c.Points[len(idle)-1] {
		return 0, false
	}
	return (idle[len(idle)-1] - idle[0]) / float64(c.Points[len(idle)-1]-c.Points[0]), true
}

// writeCurves writes a row for each curve and proxy.
func (r Report) writeCurves(b *document) {
	for _, c := range r.Curves() {
		c.writeRates(b)
		t := b.table()
		head := []string{c.Name, "proxy", "CPU µs/req at"}
		for i, x := range c.Points {
			if i > 0 {
				head = append(head, "")
			}
			head[len(head)-1] = strings.TrimSpace(head[len(head)-1] + " " + strconv.Itoa(x))
		}
		t.row(append(head, "RSS idle, first", "last", "bytes each")...)
		for _, proxy := range c.Proxies {
			row := []string{"", proxy}
			for i := range c.Points {
				row = append(row, valueAt(c.CPU[proxy], i, func(x float64) string { return fmt.Sprintf("%.2f", x) }))
			}
			row = append(row, valueAt(c.Idle[proxy], 0, mebibytes), valueAt(c.Idle[proxy], len(c.Points)-1, mebibytes))
			each := "-"
			if n, ok := c.Each(proxy); ok && c.Configured() {
				each = fmt.Sprintf("%.0f", n)
			}
			t.row(append(row, each)...)
		}
		t.flush()
	}
}

// Rated says that requests per second are what the curve is about: more workers are to serve more.
func (c Curve) Rated() bool { return c.Of == ofWorkers }

// writeRates writes requests per second, and how many times those of the first point the last has.
func (c Curve) writeRates(b *document) {
	if !c.Rated() {
		return
	}
	t := b.table()
	head := []string{c.Name, "proxy"}
	for i, x := range c.Points {
		name := strconv.Itoa(x)
		if i == 0 {
			name = "req/s at " + name
		}
		head = append(head, name)
	}
	t.row(append(head, "last / first")...)
	for _, proxy := range c.Proxies {
		row, rates := []string{"", proxy}, c.Rate[proxy]
		for i := range c.Points {
			row = append(row, valueAt(rates, i, func(x float64) string { return fmt.Sprintf("%.0f", x) }))
		}
		times := "-"
		if last := len(c.Points) - 1; last < len(rates) && rates[0] > 0 && rates[last] > 0 {
			times = fmt.Sprintf("%.2f", rates[last]/rates[0])
		}
		t.row(append(row, times)...)
	}
	t.flush()
}

// Configured says that what grows is in the configuration, so that it costs memory from the start.
func (c Curve) Configured() bool { return c.Of == "routes" || c.Of == "clusters" }

func valueAt(values []float64, i int, write func(float64) string) string {
	if i < 0 || i >= len(values) || values[i] <= 0 {
		return "-"
	}
	return write(values[i])
}
