package moduleservice

import (
	"maps"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

func TestGetMetrics(t *testing.T) {
	f := start(t)
	for _, prefix := range []string{"http.web.", "http.other.", "http.admin.", "listener.0.0.0.0_80."} {
		sc := f.stats.Scope(prefix, stats.HTTP)
		defer sc.Release()
		sc.Add(stats.HTTPDownstreamCxTotal, 10)
		sc.Set(stats.HTTPDownstreamCxActive, 3)
		sc.Add(stats.HTTPDownstreamRqTotal, 100)
		sc.IncStatus(200)
		sc.IncStatus(204)
		sc.IncStatus(200)
	}
	web := f.stats.Scope("http.web.", stats.HTTP)
	defer web.Release()
	for ms := range uint64(100) {
		web.Record(stats.HTTPDownstreamRqTime, (ms+1)*1000)
	}
	cart := f.stats.HiddenScope("alb.route.cart.", stats.Route)
	defer cart.Release()
	cart.Add(stats.RouteRequests, 4)
	cart.Inc(stats.RouteErrors)
	cart.Record(stats.RouteTime, 1000)
	cart.Record(stats.RouteTime, 2000)
	f.set(func() { f.now = began.Add(10 * time.Second) })
	f.stats.Flush()

	got, err := f.GetMetrics(t.Context(), &marchproxypb.MetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetTotalConnections() != 20 || got.GetActiveConnections() != 6 || got.GetTotalRequests() != 200 ||
		got.GetRequestsPerSecond() != 10 || got.GetTimestamp() != began.Unix()+10 {
		t.Errorf("totals %v", got)
	}
	if want := map[string]int64{"200": 4, "204": 2}; !maps.Equal(got.GetStatusCodes(), want) {
		t.Errorf("status codes %v, want %v", got.GetStatusCodes(), want)
	}
	if want := (&marchproxypb.RouteMetrics{Requests: 4, Errors: 1, AvgLatencyMs: 1.5}); !proto.Equal(got.GetRoutes()["cart"], want) {
		t.Errorf("route cart %v, want %v", got.GetRoutes()["cart"], want)
	}
	l := got.GetLatency()
	for _, c := range []struct{ got, want float64 }{
		{l.GetP50Ms(), 50}, {l.GetP90Ms(), 90}, {l.GetP95Ms(), 95}, {l.GetP99Ms(), 99}, {l.GetAvgMs(), 50.5},
	} {
		if math.Abs(c.got-c.want) > 0.06*c.want {
			t.Errorf("latencies %v: %v, want about %v", l, c.got, c.want)
		}
	}
}

// Reading metrics must not keep the statistics of a route alive.
func TestGetMetricsReleasesRoutes(t *testing.T) {
	f := start(t)
	for range 2 {
		if _, err := f.GetMetrics(t.Context(), &marchproxypb.MetricsRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	cart := f.stats.HiddenScope("alb.route.cart.", stats.Route)
	cart.Inc(stats.RouteRequests)
	cart.Release()
	got, err := f.GetMetrics(t.Context(), &marchproxypb.MetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if n := got.GetRoutes()["cart"].GetRequests(); n != 0 {
		t.Errorf("%d requests of a scope that was released", n)
	}
}
