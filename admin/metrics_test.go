package admin

import (
	"compress/gzip"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// isRequestTime is what the window of a server is over.
func isRequestTime(name string) bool {
	return isTraffic(name) && strings.HasSuffix(name, ".downstream_rq_time")
}

func TestMetrics(t *testing.T) {
	f := newFixture()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s := stats.NewStore(stats.Options{Now: func() time.Time { return now }})
	f.options.Stats, f.options.Window = s, s.NewWindow(isRequestTime)
	ingress, other, own := s.Scope("http.ingress.", stats.HTTP), s.Scope("http.other.", stats.HTTP), s.Scope("http.admin.", stats.HTTP)
	for _, sc := range []*stats.Scope{ingress, other, own} {
		sc.Add(stats.HTTPDownstreamCxTotal, 4)
		sc.Inc(stats.HTTPDownstreamCxActive)
		sc.Add(stats.HTTPDownstreamRqTotal, 20)
		for range 19 {
			sc.IncStatus(200)
			sc.Record(stats.HTTPDownstreamRqTime, 2000)
		}
		sc.IncStatus(503)
		sc.Record(stats.HTTPDownstreamRqTime, 100_000)
	}
	s.Scope("listener.0.0.0.0_10000.", stats.Listener).Inc(stats.ListenerDownstreamCxTotal)
	now = now.Add(10 * time.Second)
	s.Flush()
	m, err := NewMetrics(f.options)
	a := serve(t, m, err).get("/metrics")
	if a.StatusCode != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	begin, _, _ := strings.Cut(a.body, "# TYPE envoy_")
	golden(t, "metrics_module.txt", begin)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"envoy_http_downstream_rq_total", "envoy_http_downstream_rq_time", "envoy_listener_downstream_cx_total", "go_goroutines",
		"process_start_time_seconds", "alb_latency_ms",
	} {
		if families[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestMetricsWithoutTraffic(t *testing.T) {
	f := newFixture()
	f.options.Window = f.options.Stats.NewWindow(isRequestTime)
	m, err := NewMetrics(f.options)
	p := serve(t, m, err)
	for _, line := range []string{
		"alb_total_connections 0", "alb_active_connections 0", "alb_total_requests 0", "alb_requests_per_second 0",
		`alb_latency_ms{quantile="0.5"} 0`, `alb_latency_ms{quantile="0.99"} 0`,
	} {
		if body := p.get("/metrics").body; !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}

func TestMetricsCompressed(t *testing.T) {
	m, err := NewMetrics(newFixture().options)
	a := serve(t, m, err).do("GET", "/metrics", "Accept-Encoding: gzip")
	if a.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("content-encoding %q", a.Header.Get("Content-Encoding"))
	}
	z, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(z); err != nil || !strings.Contains(string(body), "alb_total_requests 0") {
		t.Errorf("%v, %d bytes", err, len(body))
	}
}

func TestMetricsPathsAndMethods(t *testing.T) {
	m, err := NewMetrics(newFixture().options)
	p := serve(t, m, err)
	p.get("/").want(t, 404, "no such path, want /metrics\n")
	p.get("/stats").want(t, 404, "no such path, want /metrics\n")
	p.do("POST", "/metrics").want(t, 405, "method not allowed, want GET or HEAD\n")
	if a := p.get("//metrics?x"); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
}
