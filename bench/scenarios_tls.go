package bench

import "github.com/penguintechinc/marchproxy-alb/bench/peer"

// transferConnections are few: what a load generator has half read at its end counts as nothing, and is to be little of the
// whole.
const transferConnections = 8

// tlsScenarios have clients under TLS and the origin in cleartext. All proxies show the same certificate, of ECDSA P-256.
func tlsScenarios() []Scenario {
	one := peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1, TLS: true}
	two := peer.Traffic{Downstream: peer.HTTP2, Upstream: peer.HTTP1, TLS: true, AddHeaders: true}
	large := one
	large.Bulk = true
	return []Scenario{
		{
			Name: tlsH1, About: "HTTP/1.1 under TLS 1.3, keep-alive, 16-byte answers", Measure: Throughput, Traffic: one,
			Connections: loadConnections, Path: smallPath, Body: smallBody,
		},
		{
			Name: "tls-h2", About: "HTTP/2 under TLS 1.3 to HTTP/1.1, 16-byte answers", Measure: Throughput, Traffic: two,
			Connections: http2Connections, Streams: http2Streams, Path: smallPath, Body: smallBody,
		},
		{
			Name: tlsHandshake, About: "a full handshake per request", Measure: Throughput, Traffic: one,
			Connections: loadConnections, Path: smallPath, Body: smallBody, NewConnections: true,
		},
		{
			Name: tlsResume, About: "a resumed handshake per request", Measure: Throughput, Traffic: one,
			Connections: loadConnections, Path: smallPath, Body: smallBody, NewConnections: true, Resume: true,
		},
		{
			Name: "tls-1m", About: "HTTP/1.1 under TLS 1.3, keep-alive, 1 MiB answers", Measure: Transfer, Traffic: large,
			Connections: transferConnections, Path: "/1m", Body: 1 << 20,
		},
		{
			Name: "tls-idle-10k", About: "10,000 idle connections under TLS 1.3 after a request on each", Measure: Idle, Traffic: one,
			Connections: idleConnections, Path: smallPath, Body: smallBody,
		},
	}
}
