package bench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/bench/nghttpd"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/internal/bulk"
)

// loadConnections is the number of connections of the throughput scenarios: enough
// that a proxy always finds work, and few enough that queues do not hide its cost.
const loadConnections = 64

// http2Connections and http2Streams on each are those of HTTP/2: a few clients, each
// of which has many requests in flight, as a gateway's do.
const (
	http2Connections = 8
	http2Streams     = 64
)

// manyRoutes are those of a large gateway.
const manyRoutes = 10_000

// pipelined is how many requests a client has in flight that does not wait, and slowClients how many of loadConnections read slowly.
const (
	pipelined   = 8
	slowClients = 8
)

// limitedRate is what any of the proxies serves on a slow core, with as much to refuse.
const limitedRate = 5000

// idleConnections are few enough for the ephemeral ports and descriptors of an
// ordinary machine, and so many that fixed costs vanish in the quotient.
const idleConnections = 10_000

// stalledConnections with stalledStreams on each are within the 100 streams per
// connection that a client may count on (RFC 9113 section 6.5.2).
const (
	stalledConnections = 10
	stalledStreams     = 100
)

// Names of the scenarios that goals refer to.
const (
	h1Small   = "h1-small"
	h2ToH2    = "h2-h2"
	h2ToH1    = "h2-h1"
	grpcUnary = "grpc-unary"
	h2Large   = "h2-1g"
	h2Stalled = "h2-stalled-1k"
	idle10k   = "idle-10k"
	xds10k    = "xds-10k"

	moduleCalls = "moduleservice-calls"

	tlsH1        = "tls-h1"
	tlsHandshake = "tls-handshake"
	tlsResume    = "tls-resume"
)

// Scenarios lists every scenario.
func Scenarios() []Scenario {
	return slices.Concat(http1Scenarios(), http2Scenarios(), messageScenarios(), tlsScenarios(), updateScenarios(), growthScenarios())
}

// updateScenarios are about control planes. A mesh of 10,000 services is what large users of
// Envoy have.
func updateScenarios() []Scenario {
	size := bulk.Size{Clusters: 10_000, Endpoints: 5, Routes: 10}
	churn := bulk.Size{Clusters: 1000, Endpoints: 5, Routes: 10}
	return []Scenario{{
		Name: xds10k, About: "10,000 clusters, 10,000 routes and 50,000 endpoints in one push over xDS, then one changed endpoint",
		Measure: Updated, Traffic: peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1, ControlPlane: true},
		Connections: 1, Path: size.Path(0), Body: len(bulk.Before), Push: size,
	}, {
		Name: "config-churn", About: "2,000 requests a second while 1,000 routes, a cluster and endpoints of another change again and again over xDS",
		Measure: Churned, Traffic: peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1, ControlPlane: true},
		Connections: loadConnections, Path: churn.Path(0), Body: len(bulk.Before), Push: churn, Rate: besideRate,
	}, {
		Name: moduleCalls, About: "calls of ModuleService's GetStatus, alone and beside 2,000 requests a second",
		Measure: Called, Traffic: peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1, ModuleService: true},
		Connections: loadConnections, Path: smallPath, Body: smallBody, Rate: besideRate,
	}}
}

// besideRate keeps a proxy at work and leaves it half of a slow core for what is beside.
const besideRate = 2000

func http1Scenarios() []Scenario {
	traffic := peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1}
	bulk, uploads, limited := traffic, traffic, traffic
	limited.RateLimit = limitedRate
	bulk.Bulk, uploads.Uploads = true, true
	return []Scenario{
		{
			Name: h1Small, About: "HTTP/1.1 keep-alive, 16-byte answers", Measure: Throughput, Traffic: traffic,
			Connections: loadConnections, Path: smallPath, Body: smallBody,
		},
		{
			Name: "h1-1k-headers", About: "HTTP/1.1 keep-alive, 1 KiB of request headers", Measure: Throughput, Traffic: traffic,
			Connections: loadConnections, Path: smallPath, Body: smallBody, Headers: kilobyteOfHeaders(),
		},
		{
			Name: "h1-64k", About: "HTTP/1.1 keep-alive, 64 KiB answers", Measure: Throughput, Traffic: traffic,
			Connections: loadConnections, Path: "/64k", Body: 64 << 10,
		},
		{
			Name: "routes-10k", About: "HTTP/1.1 keep-alive, the last of 10,000 routes, 16-byte answers", Measure: Throughput,
			Traffic:     peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1, Routes: manyRoutes},
			Connections: loadConnections, Path: peer.RoutePath(manyRoutes-1, smallPath), Body: smallBody,
		},
		{
			Name: "h1-1m", About: "HTTP/1.1 keep-alive, 8 connections, 1 MiB answers", Measure: Transfer, Traffic: bulk,
			Connections: transferConnections, Path: "/1m", Body: 1 << 20,
		},
		{
			Name: "h1-1m-up", About: "HTTP/1.1 keep-alive, 8 connections, requests of 1 MiB", Measure: Transfer, Traffic: uploads,
			Connections: transferConnections, Path: smallPath, Body: smallBody, Message: 1 << 20,
		},
		{
			Name: "h1-churn", About: "HTTP/1.1, a connection per request", Measure: Throughput, Traffic: traffic,
			Connections: loadConnections, Path: smallPath, Body: smallBody, NewConnections: true,
		},
		{
			Name: "h1-pipelined", About: "HTTP/1.1 keep-alive, 8 requests in flight on each connection, 16-byte answers", Measure: Throughput, Traffic: traffic,
			Connections: loadConnections, Path: smallPath, Body: smallBody, Pipeline: pipelined,
		},
		{
			Name: "h1-mixed", About: "HTTP/1.1 keep-alive, answers of 16 bytes, 1 KiB and 64 KiB by turns, 8 of 64 clients read slowly", Measure: Throughput,
			Traffic: traffic, Connections: loadConnections, Path: smallPath, Body: smallBody, Also: []string{"/1k", "/64k"}, Slow: slowClients,
		},
		{
			Name: "rate-limited", About: "HTTP/1.1 keep-alive, 10,000 requests a second of which the proxy lets 5,000 pass and refuses the others", Measure: Throughput,
			Traffic: limited, Connections: loadConnections, Path: smallPath, Body: smallBody, Rate: 2 * limitedRate,
		},
		{
			Name: idle10k, About: "10,000 idle keep-alive connections after a request on each", Measure: Idle, Traffic: traffic,
			Connections: idleConnections, Path: smallPath, Body: smallBody,
		},
	}
}

func http2Scenarios() []Scenario {
	toHTTP1 := peer.Traffic{Downstream: peer.HTTP2, Upstream: peer.HTTP1, AddHeaders: true}
	toHTTP2 := peer.Traffic{Downstream: peer.HTTP2, Upstream: peer.HTTP2, AddHeaders: true}
	calls, bulk, stalls := toHTTP2, toHTTP2, toHTTP2
	calls.GRPC = true
	bulk.Bulk = true
	stalls.Stalls, stalls.Buffers = true, stalledBuffers()
	return []Scenario{
		{
			Name: h2ToH2, About: "HTTP/2 to HTTP/2, 16-byte answers", Measure: Throughput, Traffic: toHTTP2,
			Connections: http2Connections, Streams: http2Streams, Path: smallPath, Body: smallBody,
		},
		{
			Name: h2ToH1, About: "HTTP/2 to HTTP/1.1, 16-byte answers", Measure: Throughput, Traffic: toHTTP1,
			Connections: http2Connections, Streams: http2Streams, Path: smallPath, Body: smallBody,
		},
		{
			Name: grpcUnary, About: "unary gRPC calls, messages of 1 KiB both ways", Measure: Throughput, Traffic: calls,
			Connections: http2Connections, Streams: http2Streams, Path: nghttpd.CallPath, Body: 1 << 10,
			Message: 1 << 10, Headers: []string{"content-type: application/grpc", "te: trailers"},
		},
		{
			Name: h2Large, About: "HTTP/2 to HTTP/2, one answer of 1 GiB", Measure: Download, Traffic: bulk, OrHTTP1: true,
			Connections: 1, Streams: 1, Path: "/1g", Body: 1 << 30,
		},
		{
			Name: h2Stalled, About: "1,000 streams with answers of 1 MiB that their clients do not read", Measure: Stalled,
			Traffic: stalls, OrHTTP1: true,
			Connections: stalledConnections, Streams: stalledStreams, Path: "/1m", Body: 1 << 20,
		},
		{
			Name: "h2-idle-10k", About: "10,000 idle HTTP/2 connections after a request on each", Measure: Idle, Traffic: toHTTP1,
			Connections: idleConnections, Path: smallPath, Body: smallBody,
		},
	}
}

// stalledBuffers are small, so that a proxy which holds more than it was told to is
// found out.
func stalledBuffers() *peer.Buffers {
	return &peer.Buffers{Data: 32 << 10, StreamWindow: 64 << 10, ConnectionWindow: 1 << 20}
}

// DefaultScenarios are the names that run when none is asked for: those whose goals are
// about CPU time, which every change can spoil, idle-10k and xds-10k. Those of TLS would double the time that
// this takes.
func DefaultScenarios() []string {
	return []string{h1Small, h2ToH2, h2ToH1, grpcUnary, idle10k, xds10k}
}

// ScenarioNames lists what FindScenarios knows: every scenario by itself but for the points of curves, and the curves.
func ScenarioNames() []string {
	var names []string
	for _, s := range Scenarios() {
		if s.Growth == nil {
			names = append(names, s.Name)
		}
	}
	return append(names, curves()...)
}

// FindScenarios returns the scenarios of the given names in that order. The name of a curve is for all of its points.
func FindScenarios(names []string) ([]Scenario, error) {
	var found []Scenario
	for _, name := range names {
		if slices.Contains(curves(), name) {
			for _, s := range growthScenarios() {
				if s.Growth.Curve == name {
					found = append(found, s)
				}
			}
			continue
		}
		s, err := findScenario(name)
		if err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, nil
}

func findScenario(name string) (Scenario, error) {
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, nil
		}
	}
	return Scenario{}, fmt.Errorf("scenario %q: want one of %s", name, strings.Join(ScenarioNames(), ", "))
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
