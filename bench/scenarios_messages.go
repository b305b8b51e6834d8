package bench

import "github.com/penguintechinc/marchproxy-alb/bench/peer"

const (
	// messageSize is that of a small record, prefix included.
	messageSize = 1 << 10
	// callMessages is how many messages a call has: so many that its beginning and its end do not count.
	callMessages = 1000
)

// messageScenarios are about what lasts: messages both ways over streams and connections that stay. Each is sent back by the
// origin, and only then does the next follow, so that a message is what a request is elsewhere.
func messageScenarios() []Scenario {
	upgraded := peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1}
	bytes, calls := upgraded, peer.Traffic{Downstream: peer.HTTP2, Upstream: peer.HTTP2, AddHeaders: true, GRPC: true}
	upgraded.WebSocket, bytes.TCP, calls.Messages = true, true, true
	return []Scenario{
		{
			Name: "grpc-stream", About: "gRPC calls of 1,000 messages of 1 KiB both ways, one after another; a request is a message", Measure: Throughput,
			Traffic: calls, Connections: http2Connections, Streams: http2Streams, Path: "/bench.Origin/Stream", Body: messageSize, Message: messageSize,
			Messages: callMessages, Headers: []string{"content-type: application/grpc", "te: trailers"},
		},
		{
			Name: "websocket-tunnel", About: "WebSocket, frames of 1 KiB both ways, one after another; a request is a frame", Measure: Throughput,
			Traffic: upgraded, Connections: loadConnections, Path: "/1k", Body: messageSize, Message: messageSize,
		},
		{
			Name: "tcp-proxy", About: "the same frames through a proxy of TCP", Measure: Throughput,
			Traffic: bytes, Connections: loadConnections, Path: "/1k", Body: messageSize, Message: messageSize,
		},
	}
}
