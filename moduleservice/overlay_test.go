package moduleservice

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

func rateLimit(route string, perSecond, burst int32) *marchproxypb.RateLimitRequest {
	return &marchproxypb.RateLimitRequest{
		RouteName: route,
		Config:    &marchproxypb.RateLimitConfig{RequestsPerSecond: perSecond, BurstSize: burst, Enabled: true},
	}
}

func noRateLimit(route string) *marchproxypb.RateLimitRequest {
	return &marchproxypb.RateLimitRequest{RouteName: route, Config: &marchproxypb.RateLimitConfig{}}
}

// weights splits over blue, green and idle, as many as there are shares.
func weights(route string, shares ...int32) *marchproxypb.TrafficWeightRequest {
	in := &marchproxypb.TrafficWeightRequest{RouteName: route}
	for i, share := range shares {
		in.Weights = append(in.Weights, &marchproxypb.BackendWeight{BackendName: []string{"blue", "green", "idle"}[i], Weight: share})
	}
	return in
}

func (f *fixture) limit(t *testing.T, in *marchproxypb.RateLimitRequest) *marchproxypb.RateLimitResponse {
	t.Helper()
	got, err := f.ApplyRateLimit(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (f *fixture) weigh(t *testing.T, in *marchproxypb.TrafficWeightRequest) *marchproxypb.TrafficWeightResponse {
	t.Helper()
	got, err := f.SetTrafficWeight(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestApplyRateLimit(t *testing.T) {
	f := start(t)
	steps := []struct {
		in   *marchproxypb.RateLimitRequest
		want map[string]config.RateLimit
	}{
		{rateLimit("cart", 5, 7), map[string]config.RateLimit{"cart": {RequestsPerSecond: 5, BurstSize: 7}}},
		{rateLimit("moved", 3, 0), map[string]config.RateLimit{"cart": {RequestsPerSecond: 5, BurstSize: 7}, "moved": {RequestsPerSecond: 3, BurstSize: 3}}},
		{rateLimit("cart", 9, 1), map[string]config.RateLimit{"cart": {RequestsPerSecond: 9, BurstSize: 1}, "moved": {RequestsPerSecond: 3, BurstSize: 3}}},
		{noRateLimit("cart"), map[string]config.RateLimit{"moved": {RequestsPerSecond: 3, BurstSize: 3}}},
		{noRateLimit("cart"), map[string]config.RateLimit{"moved": {RequestsPerSecond: 3, BurstSize: 3}}},
		{rateLimit("default", math.MaxInt32, math.MaxInt32), map[string]config.RateLimit{"moved": {RequestsPerSecond: 3, BurstSize: 3}, "default": {RequestsPerSecond: math.MaxInt32, BurstSize: math.MaxInt32}}},
	}
	for i, step := range steps {
		before := f.store.Current()
		held := maps.Clone(before.Overlay.RateLimits)
		got := f.limit(t, step.in)
		if !got.GetSuccess() {
			t.Fatalf("step %d: refused: %s", i, got.GetMessage())
		}
		wantText(t, got.GetMessage(), fmt.Sprintf("%q", step.in.GetRouteName()))
		if after := f.store.Current().Overlay.RateLimits; !maps.Equal(after, step.want) {
			t.Errorf("step %d: limits %v, want %v", i, after, step.want)
		}
		if !maps.Equal(before.Overlay.RateLimits, held) {
			t.Errorf("step %d: the snapshot before was changed", i)
		}
	}
}

func TestApplyRateLimitRefuses(t *testing.T) {
	with := func(config *marchproxypb.RateLimitConfig) *marchproxypb.RateLimitRequest {
		return &marchproxypb.RateLimitRequest{RouteName: "cart", Config: config}
	}
	for name, c := range map[string]struct {
		in   *marchproxypb.RateLimitRequest
		want []string
	}{
		"no config":              {with(nil), []string{"config: is missing"}},
		"no rate":                {rateLimit("cart", 0, 5), []string{"config.requests_per_second: is 0, want at least 1"}},
		"negative rate":          {rateLimit("cart", -1, 5), []string{"config.requests_per_second: is -1, want at least 1"}},
		"negative burst":         {rateLimit("cart", 5, -2), []string{"config.burst_size: is -2, want at least 1"}},
		"negative when disabled": {with(&marchproxypb.RateLimitConfig{RequestsPerSecond: -1}), []string{"config.requests_per_second: is -1"}},
		"unknown route":          {rateLimit("cat", 5, 5), []string{`route_name: there is no route "cat", want "cart", "default", "moved", "split"`}},
		"unknown, to disable":    {noRateLimit("cat"), []string{`route_name: there is no route "cat"`}},
		"no route":               {rateLimit("", 5, 5), []string{`route_name: is empty, want "cart"`}},
		"not running":            {rateLimit("hidden", 5, 5), []string{`there is no route "hidden"`}},
		"long name":              {rateLimit(strings.Repeat("é", 1<<16), 5, 5), []string{`é"...`}},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			before := f.store.Current()
			got := f.limit(t, c.in)
			if got.GetSuccess() || len(got.GetMessage()) > 1000 {
				t.Errorf("success %v, message of %d bytes", got.GetSuccess(), len(got.GetMessage()))
			}
			wantText(t, got.GetMessage(), c.want...)
			if f.store.Current() != before {
				t.Error("a refusal made a new snapshot")
			}
		})
	}
}

func TestSameOverlayMakesNoSnapshot(t *testing.T) {
	f := start(t)
	f.limit(t, rateLimit("cart", 5, 5))
	f.weigh(t, weights("split", 1, 2))
	before := f.store.Current()
	for i := range 2 {
		if !f.limit(t, rateLimit("cart", 5, 0)).GetSuccess() || !f.weigh(t, weights("split", 1, 2)).GetSuccess() {
			t.Fatalf("round %d refused", i)
		}
	}
	if f.store.Current() != before {
		t.Error("what is in force was installed again")
	}
}

func TestSetTrafficWeight(t *testing.T) {
	f := start(t)
	in := weights("split", 90, 0, 25)
	in.Weights[0].Version, in.Weights[2].Version = "v1", "v2"
	got := f.weigh(t, in)
	if !got.GetSuccess() {
		t.Fatal(got.GetMessage())
	}
	if len(got.GetAppliedWeights()) != 3 {
		t.Fatalf("applied %v", got.GetAppliedWeights())
	}
	for i, w := range got.GetAppliedWeights() {
		if !proto.Equal(w, in.Weights[i]) {
			t.Errorf("applied %v, want %v", w, in.Weights[i])
		}
	}
	want := []config.WeightedCluster{{Name: "blue", Weight: 90}, {Name: "green"}, {Name: "idle", Weight: 25}}
	if !sameSplit(f.store.Current().Overlay.Weights["split"], want) {
		t.Errorf("overlay %v, want %v", f.store.Current().Overlay.Weights, want)
	}
	if got := f.weigh(t, weights("split", math.MaxInt32, math.MaxInt32)); !got.GetSuccess() {
		t.Errorf("the largest weights: %s", got.GetMessage())
	}
	for range 2 {
		got = f.weigh(t, weights("split"))
		if !got.GetSuccess() || len(got.GetAppliedWeights()) != 0 || len(f.store.Current().Overlay.Weights) != 0 {
			t.Errorf("handing back: %v, overlay %v", got, f.store.Current().Overlay.Weights)
		}
	}
	// One of two routes of that name forwards.
	if got := f.weigh(t, weights("cart", 1)); !got.GetSuccess() {
		t.Errorf("a name of two routes: %s", got.GetMessage())
	}
}

func TestSetTrafficWeightRefuses(t *testing.T) {
	twice := weights("split", 1, 2)
	twice.Weights[1].BackendName = "blue"
	unknown := weights("split", 1, 2)
	unknown.Weights[1].BackendName = "red"
	nameless := weights("split", 1, 2)
	nameless.Weights[1].BackendName = ""
	many := weights("split")
	for i := range maxWeights + 1 {
		many.Weights = append(many.Weights, &marchproxypb.BackendWeight{BackendName: fmt.Sprint(i), Weight: 1})
	}
	for name, c := range map[string]struct {
		in   *marchproxypb.TrafficWeightRequest
		want string
	}{
		"all zero":         {weights("split", 0, 0), "weights: all are 0, want at least one above"},
		"negative":         {weights("split", 5, -1), `weights[1].weight: is -1 for "green", want 0 or more`},
		"too much":         {weights("split", math.MaxInt32, math.MaxInt32, 2), "weights: add up to 4294967296, want at most 4294967295"},
		"twice":            {twice, `weights[1].backend_name: "blue" is in weights[0] already`},
		"unknown cluster":  {unknown, `weights[1].backend_name: there is no cluster "red", want "blue", "green", "idle"`},
		"nameless":         {nameless, "weights[1].backend_name: is empty"},
		"too many":         {many, "weights: has 1001 entries, want at most 1000"},
		"unknown route":    {weights("cat", 1), `route_name: there is no route "cat", want "cart"`},
		"unknown, to undo": {weights("cat"), `route_name: there is no route "cat"`},
		"no route":         {weights("", 1), "route_name: is empty"},
		"redirect":         {weights("moved", 1), `route_name: route "moved" answers by itself`},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			before := f.store.Current()
			got := f.weigh(t, c.in)
			if got.GetSuccess() || len(got.GetAppliedWeights()) != 0 {
				t.Errorf("not refused: %v", got)
			}
			wantText(t, got.GetMessage(), c.want)
			if f.store.Current() != before {
				t.Error("a refusal made a new snapshot")
			}
		})
	}
}

func TestRefusedByTheDataPlane(t *testing.T) {
	f := start(t)
	f.set(func() { f.refuse = errors.New("route \xff: no") })
	limited, weighed := f.limit(t, rateLimit("cart", 1, 1)), f.weigh(t, weights("split", 1))
	if limited.GetSuccess() || weighed.GetSuccess() {
		t.Errorf("success: %v, %v", limited, weighed)
	}
	wantText(t, limited.GetMessage(), "route \uFFFD: no")
	wantText(t, weighed.GetMessage(), "route \uFFFD: no")
}

// What is laid over a route survives what the control plane does, the end of the route included.
func TestOverlaySurvivesUpdates(t *testing.T) {
	f := start(t)
	f.limit(t, rateLimit("cart", 5, 5))
	f.limit(t, rateLimit("default", 5, 5))
	f.weigh(t, weights("split", 1, 2))
	apply := func(d config.Delta) {
		t.Helper()
		if err := f.store.Apply(config.SourceXDS, d); err != nil {
			t.Fatal(err)
		}
	}
	gone := delta()
	gone.Listeners.Replace, gone.Routes.Replace, gone.Clusters.Replace = true, true, true
	clear(gone.Listeners.Set)
	check := func(when string, want int) {
		t.Helper()
		overlay := f.store.Current().Overlay
		if len(overlay.RateLimits) != want || len(overlay.Weights) != 1 {
			t.Errorf("%s: overlay %v", when, overlay)
		}
	}
	apply(delta())
	check("same again", 2)
	apply(gone)
	check("routes gone", 2)
	if got, err := f.GetRoutes(t.Context(), &marchproxypb.RoutesRequest{}); err != nil || len(got.GetRoutes()) != 0 {
		t.Errorf("routes that do not run: %v, %v", got, err)
	}
	got := f.limit(t, rateLimit("cart", 1, 1))
	if got.GetSuccess() {
		t.Error("a route that is gone got a limit")
	}
	wantText(t, got.GetMessage(), "there are no routes")
	if got := f.limit(t, noRateLimit("default")); !got.GetSuccess() {
		t.Errorf("taking a limit from a route that is gone: %s", got.GetMessage())
	}
	apply(delta())
	check("routes back", 1)
	if got := f.weigh(t, weights("split")); !got.GetSuccess() {
		t.Errorf("handing back: %s", got.GetMessage())
	}
}

func TestOverlayIsBounded(t *testing.T) {
	f := start(t)
	full := config.Overlay{RateLimits: map[string]config.RateLimit{}, Weights: map[string][]config.WeightedCluster{}}
	for i := range maxOverlays {
		full.RateLimits[fmt.Sprint(i)] = config.RateLimit{RequestsPerSecond: 1, BurstSize: 1}
		full.Weights[fmt.Sprint(i)] = []config.WeightedCluster{{Name: "blue", Weight: 1}}
	}
	if err := f.store.Apply(config.SourceModuleService, config.Delta{Overlay: &full}); err != nil {
		t.Fatal(err)
	}
	wantText(t, f.limit(t, rateLimit("cart", 1, 1)).GetMessage(), "65536 routes have a limit already")
	wantText(t, f.weigh(t, weights("split", 1)).GetMessage(), "65536 routes have weights already")
	f.limit(t, noRateLimit("0"))
	if got := f.limit(t, rateLimit("cart", 1, 1)); !got.GetSuccess() {
		t.Error(got.GetMessage())
	}
}

func TestListOfNamesIsBounded(t *testing.T) {
	names := make([]string, 25)
	for i := range names {
		names[i] = fmt.Sprintf("r%02d", i)
	}
	if got := oneOf(names); !strings.HasSuffix(got, `"r09" or one of 15 more`) {
		t.Errorf("list: %s", got)
	}
}
