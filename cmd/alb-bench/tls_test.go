package main

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// secured is traffic under TLS.
var secured = peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1, TLS: true}

// measureTLS returns the only round of the fake proxy.
func measureTLS(t *testing.T, s bench.Scenario) bench.ScenarioReport {
	t.Helper()
	s.Name, s.Traffic, s.Connections, s.Path, s.Body = "tls", secured, 4, "/16", 16
	report, err := bench.Run(t.Context(), options(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() || len(report.Scenarios[0].Rounds) != 1 {
		t.Fatalf("%+v", report.Scenarios[0])
	}
	noneLeft(t)
	return report.Scenarios[0]
}

func TestTLSThroughput(t *testing.T) {
	for name, s := range map[string]bench.Scenario{
		"keep-alive": {Measure: bench.Throughput},
		"full":       {Measure: bench.Throughput, NewConnections: true},
		"resumed":    {Measure: bench.Throughput, NewConnections: true, Resume: true},
	} {
		t.Run(name, func(t *testing.T) {
			round := measureTLS(t, s).Rounds[0]
			if round.Load.Requests == 0 || round.TotalCPU <= 0 || (round.Load.Resumed > 0) != s.Resume {
				t.Errorf("%+v", round)
			}
		})
	}
}

func TestTLSTransfer(t *testing.T) {
	if sum := measureTLS(t, bench.Scenario{Measure: bench.Transfer}).Summary[0]; sum.Gigabits <= 0 || sum.GigabitsPerCore <= 0 {
		t.Errorf("%+v", sum)
	}
}

func TestTLSIdle(t *testing.T) {
	if round := measureTLS(t, bench.Scenario{Measure: bench.Idle}).Rounds[0]; round.BaseRSS <= 0 || round.AfterRSS <= 0 {
		t.Errorf("%+v", round)
	}
}
