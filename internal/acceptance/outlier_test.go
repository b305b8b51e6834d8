package acceptance

import (
	"net/netip"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// outliers is outlier detection that ejects after two failures in a row, for as long as a test takes.
func outliers() *config.OutlierDetection {
	return &config.OutlierDetection{
		Interval: time.Hour, BaseEjectionTime: time.Hour, MaxEjectionTime: time.Hour, MaxEjectionPercent: 50,
		Consecutive5xx: 2, Enforcing5xx: 100, ConsecutiveLocal: 2, EnforcingLocal: 100,
		SuccessRateMinHosts: 5, SuccessRateVolume: 100, SuccessRateStdevFactor: 1900,
		FailurePercentageMinHosts: 5, FailurePercentageVolume: 50, FailureThreshold: 85,
	}
}

// answering returns an origin that answers every request in the same way.
func answering(t *testing.T, answer string) netip.AddrPort {
	return harness.NewOrigin(t, func(p *harness.Peer) {
		for {
			if _, ok := p.ReadRequest(); !ok || !p.Write(answer) {
				return
			}
		}
	}).Addr()
}

// untilStat waits until a statistic of the cluster is as wanted: outlier detection decides beside traffic.
func untilStat(t *testing.T, p *harness.Proxy, name string, want uint64) {
	t.Helper()
	untilStatOf(t, p, harness.ClusterName, name, want)
}

// untilStatOf is untilStat for a cluster of another name.
func untilStatOf(t *testing.T, p *harness.Proxy, cluster, name string, want uint64) {
	t.Helper()
	got := uint64(0)
	for end := time.Now().Add(harness.Guard); time.Now().Before(end); p.Sync() {
		if got = p.Stat("cluster." + cluster + "." + name); got == want {
			return
		}
	}
	t.Fatalf("%s of cluster %s is %d, want %d", name, cluster, got, want)
}

// untilEjected waits until the workers know of a host that is out, and returns the hosts that are.
func untilEjected(t *testing.T, p *harness.Proxy) []string {
	t.Helper()
	var out []string
	for end := time.Now().Add(harness.Guard); len(out) == 0; p.Sync() {
		if time.Now().After(end) {
			t.Fatal("no host is ejected")
		}
		for _, h := range p.Server.Clusters()[0].Hosts {
			if h.ActiveHealth.Has(config.FailedOutlierCheck) {
				out = append(out, h.Address)
			}
		}
	}
	return out
}

// TestOutlierEjected holds that a host whose answers fail, or that cannot be reached, gets no more requests, and is shown to be out.
func TestOutlierEjected(t *testing.T) {
	const bad = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 3\r\n\r\nbad"
	unreachable := closedPort(t)
	tests := map[string]struct {
		host   netip.AddrPort
		change func(*config.OutlierDetection)
		failed int // the status the client sees before
	}{
		"5xx":                {answering(t, bad), func(*config.OutlierDetection) {}, 500},
		"unreachable":        {unreachable, func(*config.OutlierDetection) {}, 503},
		"unreachable, split": {unreachable, func(c *config.OutlierDetection) { c.Split, c.Enforcing5xx = true, 0 }, 503},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := harness.NewSetup(tc.host, answering(t, harness.OK("good")))
			s.Clusters[0].Outlier = outliers()
			tc.change(s.Clusters[0].Outlier)
			p := s.Start(t)
			c := p.Dial()
			seen := make(map[int]int)
			for range 4 { // by turns
				seen[c.Get("/").Status]++
			}
			if seen[200] != 2 || seen[tc.failed] != 2 {
				t.Fatalf("statuses are %v before the host is ejected", seen)
			}
			if out := untilEjected(t, p); len(out) != 1 || out[0] != tc.host.String() {
				t.Errorf("%v are out, want %s", out, tc.host)
			}
			if n := p.ClusterStat("membership_healthy"); n != 1 {
				t.Errorf("%d hosts are healthy, want 1", n)
			}
			if n := p.ClusterStat("outlier_detection.ejections_active"); n != 1 {
				t.Errorf("ejections_active is %d, want 1", n)
			}
			for range 6 {
				if resp := c.Get("/"); resp.Body != "good" {
					t.Errorf("after the ejection: %q", resp.Raw)
				}
			}
			plain := *s.Clusters[0] // without outlier detection nobody is out
			plain.Outlier = nil
			p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{"c": &plain}}})
			if n := p.ClusterStat("membership_healthy"); n != 2 {
				t.Errorf("without outlier detection %d hosts are healthy, want 2", n)
			}
		})
	}
}

// TestOutlierGRPC holds that a gRPC call that fails at once counts by its status.
func TestOutlierGRPC(t *testing.T) {
	const unavailable = "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\ncontent-length: 0\r\n\r\n"
	s := harness.NewSetup(answering(t, unavailable), answering(t, harness.OK("good")))
	s.Clusters[0].Outlier = outliers()
	p := s.Start(t)
	c := p.Dial()
	for range 4 {
		c.Get("/", "content-type: application/grpc")
	}
	untilStat(t, p, "outlier_detection.ejections_enforced_consecutive_5xx", 1)
}
