package acceptance

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// loadReports is what hosts that have reported for 10 s are weighed by, soon after.
func loadReports() *config.LoadReports {
	return &config.LoadReports{Blackout: 10 * time.Second, Expiration: time.Minute, Update: 10 * time.Millisecond, ErrorPenalty: 1}
}

// hostWeights returns the weights of the hosts of the cluster, by the order of addresses.
func hostWeights(p *harness.Proxy, hosts []netip.AddrPort) []uint32 {
	weights := make([]uint32, len(hosts))
	for _, h := range p.Server.Clusters()[0].Hosts {
		if i := slices.Index(hosts, netip.MustParseAddrPort(h.Address)); i >= 0 {
			weights[i] = h.Weight
		}
	}
	return weights
}

// untilWeighed waits until the hosts have these weights: they are weighed beside traffic.
func untilWeighed(t *testing.T, p *harness.Proxy, hosts []netip.AddrPort, want ...uint32) {
	t.Helper()
	got := hostWeights(p, hosts)
	for end := time.Now().Add(harness.Guard); !slices.Equal(got, want); got = hostWeights(p, hosts) {
		if time.Now().After(end) {
			t.Fatalf("weights are %v, want %v", got, want)
		}
		p.Sync()
	}
}

// TestLoadReports holds that hosts get traffic by what they report in headers and trailers once the blackout is over, that one which
// reports nothing gets the median, and that this ends when the reports have expired.
func TestLoadReports(t *testing.T) {
	hosts := []netip.AddrPort{
		answering(t, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nendpoint-load-metrics: TEXT cpu_utilization:0.2,rps_fractional:100\r\n\r\na"),
		answering(t, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n"+
			"endpoint-load-metrics: JSON {\"cpu_utilization\":0.4,\"rps_fractional\":100}\r\n\r\n"),
		answering(t, harness.OK("c")),
	}
	s := harness.NewSetup(hosts...)
	s.Workers = 2
	s.Clusters[0].LoadReports, s.Clusters[0].EnableTrailers = loadReports(), true
	s.Clusters[0].Assignment.Localities[0].Endpoints[2].Weight = 9 // which is not looked at
	p := s.Start(t)
	clients := []*harness.Client{p.Dial(), p.Dial()}
	shares := func() map[string]int {
		got := make(map[string]int)
		for i := range 180 {
			got[clients[i%2].Get("/").Body]++
		}
		return got
	}
	if got := shares(); got["a"] != got["b"] && got["a"] != got["b"]+1 && got["a"]+1 != got["b"] || got["c"] < 59 || got["c"] > 61 {
		t.Errorf("before anything is known of the hosts the shares are %v", got)
	}
	if got := hostWeights(p, hosts); !slices.Equal(got, []uint32{1, 1, 1}) {
		t.Errorf("within the blackout the weights are %v", got)
	}
	p.Advance(10 * time.Second)
	untilWeighed(t, p, hosts, 500, 250, 375)
	if got := shares(); got["a"] < 76 || got["a"] > 84 || got["b"] < 36 || got["b"] > 44 {
		t.Errorf("by their reports the shares are %v, want about 80, 40 and 60", got)
	}
	p.Advance(time.Minute + time.Second)
	untilWeighed(t, p, hosts, 1, 1, 1)

	plain := *s.Clusters[0] // the weights of the assignment are back
	plain.LoadReports = nil
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{"c": &plain}}})
	if got := hostWeights(p, hosts); !slices.Equal(got, []uint32{1, 1, 9}) {
		t.Errorf("without reports the weights are %v", got)
	}
}

// TestLoadReportsOfCalls holds that trailers of gRPC are looked at, and that a host that comes later begins with the median.
func TestLoadReportsOfCalls(t *testing.T) {
	origin := func(report string) netip.AddrPort {
		return harness.NewH2Origin(t, func(p *harness.H2Peer) {
			for {
				f, err := p.TryReadFrame()
				if err != nil {
					return
				}
				if f.EndStream() {
					p.Headers(f.StreamID, false, ":status", "200", "content-type", "application/grpc")
					p.SendBody(f.StreamID, unary, "grpc-status", "0", "endpoint-load-metrics-bin", report)
				}
			}
		}).Addr()
	}
	// rps_fractional is 8, and cpu_utilization 0.5 and 0.25.
	hosts := []netip.AddrPort{origin("CQAAAAAAAOA/MQAAAAAAACBA"), origin("CQAAAAAAANA/MQAAAAAAACBA"), answering(t, "")}
	s := harness.NewSetup(hosts[:2]...)
	speakHTTP2(s.Clusters[0])
	s.Clusters[0].LoadReports = loadReports()
	s.Clusters[0].LoadReports.Blackout = 0
	p := s.Start(t)
	c := p.DialH2()
	for range 4 {
		id := c.Request(false, grpcCall()...)
		c.SendBody(id, unary)
		if resp := c.Response(id); resp.Status != 200 {
			t.Fatalf("%s", resp)
		}
	}
	untilWeighed(t, p, hosts[:2], 16, 32)
	s.Clusters[0].Assignment = harness.Cluster("c", hosts...).Assignment
	more := *s.Clusters[0]
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{"c": &more}}})
	if got := hostWeights(p, hosts); !slices.Equal(got, []uint32{16, 32, 24}) {
		t.Errorf("with a new host the weights are %v", got)
	}
}
