package main

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// TestMessages measures what comes back message by message.
func TestMessages(t *testing.T) {
	calls := peer.Traffic{Downstream: peer.HTTP2, Upstream: peer.HTTP2, GRPC: true, Messages: true}
	upgraded := peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1, WebSocket: true}
	for _, s := range []bench.Scenario{
		{
			Name: "calls", Traffic: calls, Connections: 2, Streams: 2, Path: "/bench.Origin/Stream", Messages: 10,
			Headers: []string{"content-type: application/grpc", "te: trailers"},
		},
		{Name: "frames", Traffic: upgraded, Connections: 2, Path: "/1k"},
	} {
		t.Run(s.Name, func(t *testing.T) {
			s.Measure, s.Body, s.Message = bench.Throughput, 1<<10, 1<<10
			report, err := bench.Run(t.Context(), options(t, s))
			if err != nil {
				t.Fatal(err)
			}
			rounds := report.Scenarios[0].Rounds
			if report.Failed() || len(rounds) != 1 || rounds[0].Load.Requests == 0 || rounds[0].TotalCPU <= 0 {
				t.Errorf("%+v", rounds)
			}
			noneLeft(t)
		})
	}
}
