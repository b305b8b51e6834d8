package moduleservice

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

func (f *fixture) routes(t *testing.T, cluster string) []*marchproxypb.RouteConfig {
	t.Helper()
	got, err := f.GetRoutes(t.Context(), &marchproxypb.RoutesRequest{ClusterId: cluster})
	if err != nil {
		t.Fatal(err)
	}
	return got.GetRoutes()
}

func prefixes(routes []*marchproxypb.RouteConfig) []string {
	var all []string
	for _, r := range routes {
		all = append(all, r.GetPrefix())
	}
	return all
}

func TestGetRoutes(t *testing.T) {
	f := start(t)
	f.limit(t, rateLimit("cart", 5, 7))
	got, err := f.GetRoutes(t.Context(), &marchproxypb.RoutesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetVersion() != int64(f.store.Current().Generation) || got.GetVersion() != 2 {
		t.Errorf("version %d", got.GetVersion())
	}
	limit := &marchproxypb.RateLimitConfig{RequestsPerSecond: 5, BurstSize: 7, Enabled: true}
	hosts := []string{"shop.example", "*.shop.example"}
	want := []*marchproxypb.RouteConfig{
		{
			Name: "cart", Prefix: "/cart", ClusterName: "blue", Hosts: hosts, TimeoutSeconds: 2, Enabled: true, RateLimit: limit,
			Headers: map[string]string{"x-team": "a, b", "x-one": "3"},
		},
		{Name: "split", Prefix: "/v[0-9]+", ClusterName: "green", Hosts: hosts, TimeoutSeconds: 2, Enabled: true},
		{Name: "moved", Prefix: "/old", Hosts: hosts, Enabled: true},
		{Name: "cart", Prefix: "/basket", Hosts: []string{"*"}, Enabled: true, RateLimit: limit},
		{Name: "default", Prefix: "/", ClusterName: "gone", Hosts: []string{"*"}, Enabled: true},
	}
	if len(got.GetRoutes()) != len(want) {
		t.Fatalf("routes %v, want %d", prefixes(got.GetRoutes()), len(want))
	}
	for i, r := range got.GetRoutes() {
		if !proto.Equal(r, want[i]) {
			t.Errorf("route %d: %v\nwant %v", i, r, want[i])
		}
	}
}

func TestGetRoutesOfACluster(t *testing.T) {
	f := start(t)
	check := func(when, cluster string, want ...string) {
		t.Helper()
		if got := prefixes(f.routes(t, cluster)); !slices.Equal(got, want) {
			t.Errorf("%s, %s: %v, want %v", when, cluster, got, want)
		}
	}
	check("as configured", "blue", "/cart", "/v[0-9]+")
	check("as configured", "green", "/v[0-9]+")
	check("weight of 0", "idle")
	check("not there, but named", "gone", "/")
	f.weigh(t, weights("split", 0, 0, 3))
	check("with weights", "blue", "/cart")
	check("with weights", "green")
	check("with weights", "idle", "/v[0-9]+")
	if got := f.routes(t, "idle")[0].GetClusterName(); got != "idle" {
		t.Errorf("cluster_name %q, want the one with all the weight", got)
	}
	_, err := f.GetRoutes(t.Context(), &marchproxypb.RoutesRequest{ClusterId: "red"})
	if status.Code(err) != codes.NotFound {
		t.Fatalf("unknown cluster: %v, want NOT_FOUND", err)
	}
	wantText(t, err.Error(), `cluster_id: there is no cluster "red", want "blue", "green", "idle"`)
}

func TestWholeSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int32{
		0: 0, 1: 1, time.Second: 1, time.Second + 1: 2, 15 * time.Second: 15, math.MaxInt64: math.MaxInt32,
	} {
		if got := wholeSeconds(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}

func TestGetMetricsOfNothing(t *testing.T) {
	got, err := start(t).GetMetrics(t.Context(), &marchproxypb.MetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(got.GetRoutes()))
	if !slices.Equal(names, []string{"cart", "default", "moved", "split"}) {
		t.Errorf("routes %v", names)
	}
	if l := got.GetLatency(); l == nil || l.GetP50Ms() != 0 || l.GetAvgMs() != 0 || got.GetTimestamp() != began.Unix() {
		t.Errorf("metrics %v", got)
	}
}
