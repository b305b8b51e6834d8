package route

import (
	"maps"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// shares counts on which cluster each value of random below n falls.
func shares(r *Route, n uint64) map[string]int {
	got := map[string]int{}
	for random := range n {
		got[r.PickCluster(random).Name]++
	}
	return got
}

func TestPickCluster(t *testing.T) {
	rc := newRoute("r", prefixMatch("/"))
	rc.Forward.Clusters = []config.WeightedCluster{{Name: "none", Weight: 0}, {Name: "a", Weight: 70}, {Name: "zero", Weight: 0}, {Name: "b", Weight: 30}}
	r := mustCompile(t, configOf(rc)).Routes()[0]
	got := shares(r, 1000)
	if got["a"] != 700 || got["b"] != 300 || len(got) != 2 {
		t.Errorf("got %v, want 700 of a and 300 of b", got)
	}
}

func TestWeightsOfTheRuntime(t *testing.T) {
	rc := newRoute("r", prefixMatch("/"))
	rc.Forward.Clusters = []config.WeightedCluster{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}}
	rc.Forward.RuntimeKeyPrefix = "split"
	for name, test := range map[string]struct {
		weights map[string]uint64
		want    map[string]int // of 12 values
	}{
		"none":     {nil, map[string]int{"a": 6, "b": 6}},
		"one":      {map[string]uint64{"split.b": 2}, map[string]int{"a": 4, "b": 8}},
		"both":     {map[string]uint64{"split.a": 3, "split.b": 0}, map[string]int{"a": 12}},
		"other":    {map[string]uint64{"split.c": 3, "a": 7}, map[string]int{"a": 6, "b": 6}},
		"nothing":  {map[string]uint64{"split.a": 0, "split.b": 0}, map[string]int{"a": 6, "b": 6}},
		"too much": {map[string]uint64{"split.a": 1 << 32}, map[string]int{"a": 6, "b": 6}},
		"in sum":   {map[string]uint64{"split.a": 1<<32 - 1}, map[string]int{"a": 6, "b": 6}},
	} {
		values := make(map[string]config.RuntimeValue)
		for key, weight := range test.weights {
			values[key] = config.RuntimeValue{Whole: &weight}
		}
		table, err := Compile(configOf(rc), Options{Runtime: config.NewRuntime([]config.RuntimeValues{{Values: values}})})
		if err != nil {
			t.Fatal(err)
		}
		if got := shares(table.Routes()[0], 12); !maps.Equal(got, test.want) || table.IsOf(nil) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

func TestPickClusterOfGreatWeights(t *testing.T) {
	rc := newRoute("r", prefixMatch("/"))
	rc.Forward.Clusters = []config.WeightedCluster{{Name: "a", Weight: 1<<32 - 1}, {Name: "b", Weight: 1<<32 - 1}}
	r := mustCompile(t, configOf(rc)).Routes()[0]
	if got := r.PickCluster(1<<32 - 2).Name; got != "a" {
		t.Errorf("got %s, want a", got)
	}
	if got := r.PickCluster(1<<32 - 1).Name; got != "b" {
		t.Errorf("got %s, want b", got)
	}
}

func TestTargetsKnowTheirCluster(t *testing.T) {
	rc := newRoute("r", prefixMatch("/"))
	rc.Forward = forwardTo("known", "unknown")
	table, err := Compile(configOf(rc), Options{ClusterIndex: func(name string) (int, bool) { return 7, name == "known" }})
	if err != nil {
		t.Fatal(err)
	}
	r := table.Routes()[0]
	if known, unknown := r.PickCluster(0), r.PickCluster(1); known.Index != 7 || unknown.Index != -1 {
		t.Errorf("got indexes %d and %d, want 7 and -1", known.Index, unknown.Index)
	}
}

func TestWeightsAreLaidOver(t *testing.T) {
	split := newRoute("split", prefixMatch("/split"))
	split.Forward.Clusters = []config.WeightedCluster{
		{Name: "a", Weight: 1, HostRewrite: "a.example"},
		{Name: "b", Weight: 1},
	}
	other := newRoute("other", prefixMatch("/other"))
	redirect := &config.Route{Name: "redirect", Match: prefixMatch("/redirect"), Redirect: &config.Redirect{}}
	weights := map[string][]config.WeightedCluster{
		"split":    {{Name: "a", Weight: 90}, {Name: "b", Weight: 0}, {Name: "c", Weight: 10}},
		"redirect": {{Name: "a", Weight: 1}},
		"unknown":  {{Name: "a", Weight: 1}},
	}
	table, err := Compile(configOf(split, other, redirect), Options{Weights: weights})
	if err != nil {
		t.Fatal(err)
	}
	routes := table.Routes()
	if got := shares(routes[0], 100); got["a"] != 90 || got["c"] != 10 || len(got) != 2 {
		t.Errorf("got %v, want 90 of a and 10 of c", got)
	}
	if got := routes[0].PickCluster(0).Config.HostRewrite; got != "a.example" {
		t.Errorf("host rewrite of a is %q, want the route's", got)
	}
	if got := shares(routes[1], 10); got["c"] != 10 {
		t.Errorf("got %v, want all on c", got)
	}
	if routes[2].PickCluster(0) != nil {
		t.Error("weights made a redirect forward")
	}
	if split.Forward.Clusters[0].Weight != 1 {
		t.Error("the configuration was changed")
	}
	weights["split"] = []config.WeightedCluster{{Name: "a"}}
	if _, err := Compile(configOf(split), Options{Weights: weights}); err == nil {
		t.Error("weights that add up to 0 are accepted")
	}
}
