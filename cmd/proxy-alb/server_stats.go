package main

import (
	"runtime/metrics"
	"strings"
	"time"

	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/xds"
)

// isRequestTime picks the histograms of downstream request time, but not the admin interface's own.
func isRequestTime(name string) bool {
	return strings.HasPrefix(name, "http.") && strings.HasSuffix(name, ".downstream_rq_time") && !strings.HasPrefix(name, "http.admin.")
}

func heapBytes(name string) func() uint64 {
	return func() uint64 {
		sample := []metrics.Sample{{Name: name}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
}

// registerServerStats makes the statistics under "server." and those of the control plane's subscriptions readable.
func (p *process) registerServerStats(workers int) {
	server := p.stats.Scope("server.", stats.Server)
	server.Set(stats.ServerConcurrency, uint64(workers))
	server.Set(stats.ServerHotRestartEpoch, uint64(p.settings.flags.restartEpoch))
	server.Add(stats.ServerStaticUnknownFields, uint64(p.settings.bootstrap.UnknownFields))
	gauge := func(name string, value func() uint64) { p.stats.GaugeFunc("server."+name, value) }
	gauge("uptime", func() uint64 { return uint64(time.Since(p.started) / time.Second) })
	gauge("live", func() uint64 {
		if state, _ := p.state(); state == stateLive {
			return 1
		}
		return 0
	})
	gauge("state", p.stateNumber)
	gauge("total_connections", func() uint64 { return uint64(p.server.Connections()) })
	gauge("days_until_first_cert_expiring", p.daysUntilFirstCertificateExpires)
	gauge("seconds_until_first_ocsp_response_expiring", func() uint64 { return p.server.SecondsUntilFirstStapleExpires() })
	gauge("memory_allocated", heapBytes("/memory/classes/heap/objects:bytes"))
	gauge("memory_heap_size", heapBytes("/memory/classes/total:bytes"))
	p.stats.Collect(func(emit func(stats.Sample)) {
		for _, s := range p.manager.Stats() {
			emit(sample(s))
		}
	})
}

// stateNumber is server.state: 0 live, 1 draining, 2 pre-initializing, 3 initializing.
func (p *process) stateNumber() uint64 {
	switch state, _ := p.state(); state {
	case stateLive:
		return 0
	case stateDraining:
		return 1
	case statePreInitializing:
		return 2
	default:
		return 3
	}
}

func sample(s xds.Stat) stats.Sample {
	kind := stats.Counter
	switch s.Kind {
	case xds.Gauge:
		kind = stats.Gauge
	case xds.TextReadout:
		kind = stats.TextReadout
	}
	return stats.Sample{Name: s.Name, Kind: kind, Value: s.Value, Text: s.Text}
}
