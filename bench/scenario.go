package bench

import (
	"fmt"
	"strings"
)

// Measure is what a scenario measures.
type Measure string

const (
	// Throughput drives the proxy as hard as the load allows and measures requests
	// per second, CPU time per request and latency.
	Throughput Measure = "throughput"
	// Idle holds connections open and measures the memory each costs.
	Idle Measure = "idle"
)

// Scenario is a workload, the same for every proxy.
type Scenario struct {
	Name    string  `json:"name"`
	About   string  `json:"about"`
	Measure Measure `json:"measure"`

	// Connections the load keeps open.
	Connections int `json:"connections"`
	// Path is requested from the origin, see package origin.
	Path string `json:"path"`
	// Body is the size of each answer in bytes.
	Body int `json:"body"`
	// Headers are added to each request, each as "name: value".
	Headers []string `json:"headers,omitempty"`
	// NewConnections opens a connection per request.
	NewConnections bool `json:"new_connections,omitempty"`
}

// loadConnections is the number of connections of the throughput scenarios: enough
// that a proxy always finds work, and few enough that queues do not hide its cost.
const loadConnections = 64

// idleConnections are few enough for the ephemeral ports and descriptors of an
// ordinary machine, and so many that fixed costs vanish in the quotient.
const idleConnections = 10_000

// Names of the scenarios that goals refer to.
const (
	h1Small = "h1-small"
	idle10k = "idle-10k"
)

// Scenarios lists every scenario.
func Scenarios() []Scenario {
	return []Scenario{
		{
			Name: h1Small, About: "HTTP/1.1 keep-alive, 16-byte answers", Measure: Throughput,
			Connections: loadConnections, Path: "/16", Body: 16,
		},
		{
			Name: "h1-1k-headers", About: "HTTP/1.1 keep-alive, 1 KiB of request headers", Measure: Throughput,
			Connections: loadConnections, Path: "/16", Body: 16, Headers: kilobyteOfHeaders(),
		},
		{
			Name: "h1-64k", About: "HTTP/1.1 keep-alive, 64 KiB answers", Measure: Throughput,
			Connections: loadConnections, Path: "/64k", Body: 64 << 10,
		},
		{
			Name: "h1-churn", About: "HTTP/1.1, a connection per request", Measure: Throughput,
			Connections: loadConnections, Path: "/16", Body: 16, NewConnections: true,
		},
		{
			Name: idle10k, About: "10,000 idle keep-alive connections after a request on each", Measure: Idle,
			Connections: idleConnections, Path: "/16", Body: 16,
		},
	}
}

// DefaultScenarios are the names that run when none is asked for: those with goals.
func DefaultScenarios() []string { return []string{h1Small, idle10k} }

// FindScenarios returns the scenarios of the given names in that order.
func FindScenarios(names []string) ([]Scenario, error) {
	var found []Scenario
	for _, name := range names {
		s, err := findScenario(name)
		if err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, nil
}

func findScenario(name string) (Scenario, error) {
	var known []string
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, nil
		}
		known = append(known, s.Name)
	}
	return Scenario{}, fmt.Errorf("scenario %q: want one of %s", name, strings.Join(known, ", "))
}

// kilobyteOfHeaders returns the headers of a browser with cookies, 1024 bytes with
// their line ends.
func kilobyteOfHeaders() []string {
	const size = 1024
	headers := []string{
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"Accept-Language: en-GB,en;q=0.7,de;q=0.3",
		"Accept-Encoding: identity",
		"Referer: https://www.example.com/catalogue/section/list?page=4&order=price",
		"Sec-Fetch-Dest: document",
		"Sec-Fetch-Mode: navigate",
		"Sec-Fetch-Site: same-origin",
		"Cache-Control: max-age=0",
		"Authorization: Bearer " + strings.Repeat("bench-token.", 16),
	}
	used := 0
	for _, h := range headers {
		used += len(h) + len("\r\n")
	}
	const name = "Cookie: session="
	rest := size - used - len(name) - len("\r\n")
	return append(headers, name+strings.Repeat("c", rest))
}
