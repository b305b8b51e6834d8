package upstream

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// labelled returns a host of the address 192.0.2.n with labels like "a=1 b=2", where a value may be a list like "x|y".
func labelled(n int, text string) config.Endpoint {
	e := endpoint(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 80))
	if text == "" {
		return e
	}
	e.SubsetLabels = &config.SubsetLabels{Labels: config.Labels{Values: labelsOf(text)}, Lists: make(map[string][]string)}
	for name, value := range e.SubsetLabels.Values {
		if list := strings.Split(value, "|"); len(list) > 1 {
			e.SubsetLabels.Lists[name] = list
		}
	}
	return e
}

func labelsOf(text string) map[string]string {
	labels := make(map[string]string)
	for _, pair := range strings.Fields(text) {
		name, value, _ := strings.Cut(pair, "=")
		labels[name] = value
	}
	return labels
}

// wanting returns a match of labels, and alternatives to them.
func wanting(text string, alternatives ...string) *Match {
	m := &config.MetadataMatch{Labels: config.Labels{Values: labelsOf(text)}}
	for _, a := range alternatives {
		m.Alternatives = append(m.Alternatives, config.Labels{Values: labelsOf(a)})
	}
	if len(alternatives) > 0 {
		m.Values[config.FallbackList] = "[]"
	}
	return NewMatch(m, 1)
}

// divided returns a cluster whose hosts are divided.
func (w *worker) divided(cfg *config.Cluster, endpoints ...config.Endpoint) *Cluster {
	k := w.cluster(cfg)
	w.do(func() { k.Update(state(cfg, assign(endpoints...), nil)) })
	return k
}

// picksOf returns the last bytes of the addresses of the hosts that are picked, in order and each once.
func picksOf(k *Cluster, m *Match) string {
	var hosts []string
	for range 50 {
		h := k.PickOf(m)
		if h == nil {
			hosts = append(hosts, "none")
			continue
		}
		hosts = append(hosts, fmt.Sprint(h.address.Addr().As4()[3]))
	}
	slices.Sort(hosts)
	return strings.Join(slices.Compact(hosts), " ")
}

func selectorsOf(keys ...string) []config.SubsetSelector {
	var list []config.SubsetSelector
	for _, k := range keys {
		list = append(list, config.SubsetSelector{Keys: strings.Fields(k)})
	}
	return list
}

// TestSubsets holds which hosts routes get that want them by their metadata.
func TestSubsets(t *testing.T) {
	hosts := []config.Endpoint{
		labelled(1, "version=1 stage=prod"), labelled(2, "version=1 stage=dev"), labelled(3, "version=2 stage=prod id=3"),
		labelled(4, "version=3|4 stage=prod"), labelled(5, ""), labelled(6, "version=2 stage=prod id=3"),
	}
	const all = "1 2 3 4 5 6"
	type wants map[*Match]string
	plain := (*Match)(nil)
	tests := map[string]struct {
		cfg  config.Subsets
		want wants
	}{
		"one key": {config.Subsets{Fallback: config.SubsetNone, Selectors: selectorsOf("version")}, wants{
			wanting("version=1"): "1 2", wanting("version=2"): "3 6", wanting("version=9"): "none", wanting("version=3"): "none",
			wanting("version=3|4"): "4", wanting("stage=prod"): "none", wanting("version=1 stage=prod"): "none", wanting(""): "none", plain: "none",
		}},
		"two selectors": {config.Subsets{Fallback: config.SubsetAny, Selectors: selectorsOf("version", "stage version")}, wants{
			wanting("version=1"): "1 2", wanting("version=1 stage=prod"): "1", wanting("version=2 stage=dev"): all, wanting("stage=dev"): all, plain: all,
		}},
		"the default subset": {config.Subsets{Fallback: config.SubsetDefault, Default: config.Labels{Values: labelsOf("stage=dev")}, Selectors: selectorsOf("version")}, wants{
			wanting("version=2"): "3 6", wanting("version=9"): "2", plain: "2",
		}},
		"a default subset of none": {config.Subsets{Fallback: config.SubsetDefault, Default: config.Labels{Values: labelsOf("stage=no")}, Selectors: selectorsOf("version")}, wants{
			wanting("version=9"): "none", plain: "none",
		}},
		"a default subset of none, in panic": {config.Subsets{Fallback: config.SubsetDefault, Default: config.Labels{Values: labelsOf("stage=no")}, PanicModeAny: true, Selectors: selectorsOf("version")}, wants{
			wanting("version=1"): "1 2", wanting("version=9"): all, plain: all,
		}},
		"an empty default subset": {config.Subsets{Fallback: config.SubsetDefault, Selectors: selectorsOf("version")}, wants{plain: all}},
		"no fallback, in panic":   {config.Subsets{Fallback: config.SubsetNone, PanicModeAny: true, Selectors: selectorsOf("version")}, wants{plain: "none"}},
		"lists": {config.Subsets{Fallback: config.SubsetNone, ListAsAny: true, Selectors: selectorsOf("version")}, wants{
			wanting("version=3"): "4", wanting("version=4"): "4", wanting("version=1"): "1 2",
		}},
		"a single host": {config.Subsets{Fallback: config.SubsetNone, Selectors: []config.SubsetSelector{{Keys: []string{"id"}, SingleHost: true}}}, wants{
			wanting("id=3"): "3", wanting("id=4"): "none",
		}},
		"redundant keys": {config.Subsets{Fallback: config.SubsetNone, AllowRedundantKeys: true, Selectors: selectorsOf("stage version", "version", "id")}, wants{
			wanting("version=1 stage=dev x=y"): "2", wanting("version=1 x=y"): "1 2", wanting("version=1 id=3"): "1 2", wanting("x=y"): "none",
		}},
		"fallbacks of selectors": {config.Subsets{Fallback: config.SubsetAny, Default: config.Labels{Values: labelsOf("stage=dev")}, Selectors: []config.SubsetSelector{
			{Keys: []string{"a"}, Fallback: config.SubsetNone}, {Keys: []string{"b"}, Fallback: config.SubsetAny}, {Keys: []string{"c"}, Fallback: config.SubsetDefault},
			{Keys: []string{"d", "version"}, Fallback: config.SubsetKeys, FallbackKeys: []string{"version"}}, {Keys: []string{"version"}, Fallback: config.SubsetNone},
			{Keys: []string{"e"}},
		}}, wants{
			wanting("a=1"): "none", wanting("b=1"): all, wanting("c=1"): "2", wanting("d=1 version=2"): "3 6", wanting("d=1 version=9"): "none", wanting("e=1"): all,
		}},
		"alternatives": {config.Subsets{Fallback: config.SubsetNone, MetadataFallbacks: true, Selectors: selectorsOf("version", "stage version")}, wants{
			wanting("version=1", "version=9", "version=2", "version=1"): "3 6", wanting("version=1", "stage=dev"): "2", wanting("version=1"): "1 2",
			wanting("version=1", "version=9"): "none",
		}},
		"alternatives that are not asked for": {config.Subsets{Fallback: config.SubsetNone, Selectors: selectorsOf("version")}, wants{
			wanting("version=1", "version=2"): "none",
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorker(t)
			cfg := clusterConfig()
			cfg.Subsets = &tc.cfg
			k := w.divided(cfg, hosts...)
			w.do(func() {
				for round := range 3 { // found late, kept ready, and after a change of the hosts
					for m, want := range tc.want {
						if got := picksOf(k, m); got != want {
							t.Errorf("round %d: %+v gets %s, want %s", round, m, got, want)
						}
					}
					if round == 0 {
						k.Match(slices.DeleteFunc(slices.Collect(maps.Keys(tc.want)), func(m *Match) bool { return m == nil }))
					} else {
						k.Update(state(cfg, assign(hosts...), nil))
					}
				}
			})
		})
	}
}

// TestSubsetStats holds what is counted of choices.
func TestSubsetStats(t *testing.T) {
	w := newWorker(t)
	cfg := clusterConfig()
	cfg.Subsets = &config.Subsets{Fallback: config.SubsetDefault, Default: config.Labels{Values: labelsOf("a=0")}, PanicModeAny: true, Selectors: []config.SubsetSelector{
		{Keys: []string{"a"}}, {Keys: []string{"b"}, Fallback: config.SubsetAny},
	}}
	k := w.divided(cfg, labelled(1, "a=1"))
	w.do(func() {
		for range 2 {
			k.PickOf(wanting("a=1"))
		}
		k.PickOf(wanting("a=2"))
		k.PickOf(wanting("b=2"))
		k.Pick()
	})
	w.wantStats(map[string]int64{"lb_subsets_selected": 2, "lb_subsets_fallback": 0, "lb_subsets_fallback_panic": 2})
	full := *cfg
	full.Subsets = &config.Subsets{Fallback: config.SubsetAny, Selectors: cfg.Subsets.Selectors}
	w.do(func() {
		k.Update(state(&full, assign(labelled(1, "a=1")), nil))
		k.PickOf(wanting("a=2"))
	})
	w.wantStats(map[string]int64{"lb_subsets_selected": 2, "lb_subsets_fallback": 1, "lb_subsets_fallback_panic": 2})
}

// TestSubsetsFollow holds that matches follow the hosts, the configuration and the routes, and that hosts which are not divided are one.
func TestSubsetsFollow(t *testing.T) {
	w := newWorker(t)
	cfg, undivided := clusterConfig(), clusterConfig()
	cfg.Subsets = &config.Subsets{Fallback: config.SubsetNone, Selectors: selectorsOf("a")}
	k := w.divided(undivided, labelled(1, "a=1"), labelled(2, "a=2"))
	one, two := wanting("a=1"), wanting("a=2")
	check := func(what, first, second string) {
		t.Helper()
		if got := picksOf(k, one) + ", " + picksOf(k, two); got != first+", "+second {
			t.Errorf("%s: %s, want %s, %s", what, got, first, second)
		}
	}
	w.do(func() {
		k.Match([]*Match{one})
		check("undivided", "1 2", "1 2")
		now := assign(labelled(1, "a=1"), labelled(2, "a=2"))
		k.Update(state(cfg, now, nil))
		k.Match([]*Match{one})
		check("divided", "1", "2")
		k.Update(state(cfg, assign(labelled(1, "a=2"), labelled(2, "a=1"), labelled(3, "a=1")), nil))
		check("other labels", "2 3", "1")
		k.Match([]*Match{two})
		if one.found[0] != nil || two.found[0] == nil {
			t.Error("a match is kept ready that no route has, or one is not that one has")
		}
		k.Match(nil)
		check("of routes that have gone", "2 3", "1")
		k.Update(state(cfg, assign(labelled(9, "a=1")), nil))
		check("hosts that have gone", "9", "none")
		k.Update(state(undivided, assign(labelled(9, "a=1")), nil))
		check("undivided again", "9", "9")
	})
}

// TestSubsetLocalities holds which weights the localities of a subset have.
func TestSubsetLocalities(t *testing.T) {
	for name, tc := range map[string]struct {
		aware, scale bool
		want         [2]float64 // shares of the two localities
	}{
		"not aware": {false, false, [2]float64{.75, .25}}, // three hosts and one
		"aware":     {true, false, [2]float64{.5, .5}},
		"scaled":    {true, true, [2]float64{.75, .25}}, // three of four hosts, and one of four
	} {
		w := newWorker(t)
		cfg := clusterConfig()
		cfg.LocalityWeighted = true
		cfg.Subsets = &config.Subsets{Fallback: config.SubsetNone, LocalityWeightAware: tc.aware, ScaleLocalityWeight: tc.scale, Selectors: selectorsOf("a")}
		a := &config.ClusterLoadAssignment{Overprovision: 140, Localities: []config.LocalityEndpoints{
			{Zone: "x", Weight: 100, Endpoints: []config.Endpoint{labelled(1, "a=1"), labelled(2, "a=1"), labelled(3, "a=1"), labelled(4, "a=2")}},
			{Zone: "y", Weight: 100, Endpoints: []config.Endpoint{labelled(5, "a=1"), labelled(6, "a=2"), labelled(7, ""), labelled(8, "")}},
		}}
		k := w.cluster(cfg)
		m := wanting("a=1")
		counts := make(map[string]float64)
		w.do(func() {
			k.Update(state(cfg, a, nil))
			for range 400 {
				counts[k.PickOf(m).Locality.Zone] += 1. / 400
			}
		})
		if x := counts["x"] - tc.want[0]; x < -.02 || x > .02 {
			t.Errorf("%s: shares are %v, want %v", name, counts, tc.want)
		}
	}
}

// TestSubsetsOfModel holds random clusters and routes against the rule that a host is picked which has all that is wanted, whenever a
// selector has these keys and there is such a host.
func TestSubsetsOfModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 9))
	text := func(all bool) string {
		var pairs []string
		for _, name := range []string{"a", "b", "c"} {
			if all || rnd.IntN(2) == 0 {
				pairs = append(pairs, fmt.Sprintf("%s=%d", name, rnd.IntN(3)))
			}
		}
		return strings.Join(pairs, " ")
	}
	w := newWorker(t)
	for range 60 {
		cfg := clusterConfig()
		cfg.Subsets = &config.Subsets{Fallback: config.SubsetNone, Selectors: selectorsOf("a", "a b", "b c")}
		var hosts []config.Endpoint
		for i := range 1 + rnd.IntN(12) {
			hosts = append(hosts, labelled(i+1, text(false)))
		}
		k := w.divided(cfg, hosts...)
		w.do(func() {
			for range 10 {
				m := wanting(text(false))
				wanted := m.criteria.Values
				keys := strings.Join(slices.Sorted(maps.Keys(wanted)), " ")
				want := []string{}
				for i, h := range hosts {
					all := keys == "a" || keys == "a b" || keys == "b c"
					for name, value := range wanted {
						all = all && h.SubsetLabels != nil && h.SubsetLabels.Values[name] == value
					}
					if all {
						want = append(want, fmt.Sprint(i+1))
					}
				}
				slices.Sort(want)
				if got := picksOf(k, m); got != strings.Join(want, " ") && (len(want) > 0 || got != "none") {
					t.Errorf("%v gets %s, want %v", wanted, got, want)
				}
			}
		})
	}
}

// TestSubsetPickAllocates holds that a pick out of a subset that is kept ready does not.
func TestSubsetPickAllocates(t *testing.T) {
	w := newWorker(t)
	cfg := clusterConfig()
	cfg.Subsets = &config.Subsets{Fallback: config.SubsetAny, Selectors: selectorsOf("a")}
	k := w.divided(cfg, labelled(1, "a=1"), labelled(2, "a=1"), labelled(3, "a=2"))
	w.do(func() {
		some, none := wanting("a=1"), wanting("a=3")
		k.Match([]*Match{some, none})
		if n := testing.AllocsPerRun(100, func() { k.PickOf(some); k.PickOf(none); k.Pick() }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// TestSubsetNames holds how many subsets there are, and that there is a limit to it.
func TestSubsetNames(t *testing.T) {
	cfg := &config.Subsets{Selectors: selectorsOf("a", "a b")}
	a := assign(labelled(1, "a=1 b=1"), labelled(2, "a=1 b=2"), labelled(3, "a=1|2"), labelled(4, "b=1"), labelled(5, ""))
	if got := len(SubsetNames(cfg, a, 100)); got != 4 {
		t.Errorf("%d subsets, want 4", got)
	}
	cfg.ListAsAny = true
	if got := len(SubsetNames(cfg, a, 100)); got != 4 { // a is 1 or 2, and that with b
		t.Errorf("with lists %d subsets, want 4", got)
	}
	if got := len(SubsetNames(cfg, a, 3)); got != 3 {
		t.Errorf("%d subsets are named, want 3 at most", got)
	}
}
