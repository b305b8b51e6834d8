package resource_test

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const subsetPolicy = "subset.v3.Subset"

// subsetOver is the policy Subset with fields, over another policy.
func subsetOver(message, fields string) string {
	return lbPolicy(subsetPolicy, ", "+fields+", subset_lb_policy: "+strings.TrimPrefix(lbPolicy(message, ""), "load_balancing_policy: "))
}

func TestSubsets(t *testing.T) {
	const all = "fallback_policy: DEFAULT_SUBSET, default_subset: {stage: prod, n: 1, deep: {b: [1, x], a: null}}, panic_mode_any: true, list_as_any: true, " +
		"scale_locality_weight: true, metadata_fallback_policy: FALLBACK_LIST, subset_selectors: [{keys: [version]}, " +
		"{keys: [stage, hw, stage], fallback_policy: KEYS_SUBSET, fallback_keys_subset: [hw]}, {keys: [id], single_host_per_subset: true, fallback_policy: NO_FALLBACK}]"
	wanted := func() *config.Subsets {
		return &config.Subsets{
			Fallback: config.SubsetDefault, PanicModeAny: true, ListAsAny: true, ScaleLocalityWeight: true, MetadataFallbacks: true,
			Default: config.Labels{Values: map[string]string{"stage": `"prod"`, "n": "1", "deep": `{"a":null,"b":[1,"x"]}`}},
			Selectors: []config.SubsetSelector{
				{Keys: []string{"version"}},
				{Keys: []string{"hw", "stage"}, Fallback: config.SubsetKeys, FallbackKeys: []string{"hw"}},
				{Keys: []string{"id"}, SingleHost: true, Fallback: config.SubsetNone},
			},
		}
	}
	tests := map[string]func(*config.Cluster){
		"lb_policy: RANDOM\nlb_subset_config: {" + all + "}": func(c *config.Cluster) { c.LB, c.Subsets = config.Random, wanted() },
		subsetOver("random.v3.Random", all):                  func(c *config.Cluster) { c.LB, c.Subsets = config.Random, wanted() },
		subsetOver(roundRobin, all+", allow_redundant_keys: true, locality_weight_aware: true"): func(c *config.Cluster) {
			c.Subsets = wanted()
			c.Subsets.AllowRedundantKeys, c.Subsets.LocalityWeightAware = true, true
			s := c.Subsets.Selectors
			s[0], s[1] = s[1], s[0] // those with the most keys first
		},
		"common_lb_config: {locality_weighted_lb_config: {}}\nlb_subset_config: {locality_weight_aware: true, fallback_policy: ANY_ENDPOINT, subset_selectors: [{keys: [a], fallback_policy: ANY_ENDPOINT}, {keys: [b], fallback_policy: DEFAULT_SUBSET}]}": func(c *config.Cluster) {
			c.LocalityWeighted = true
			c.Subsets = &config.Subsets{Fallback: config.SubsetAny, LocalityWeightAware: true, Selectors: []config.SubsetSelector{
				{Keys: []string{"a"}, Fallback: config.SubsetAny}, {Keys: []string{"b"}, Fallback: config.SubsetDefault}}}
		},
		"lb_subset_config: {subset_selectors: [{keys: [a]}]}": func(c *config.Cluster) {
			c.Subsets = &config.Subsets{Fallback: config.SubsetNone, Selectors: []config.SubsetSelector{{Keys: []string{"a"}}}}
		},
		"lb_subset_config: {fallback_policy: ANY_ENDPOINT}": func(*config.Cluster) {}, // without selectors
	}
	for text, change := range tests {
		t.Run(text, func(t *testing.T) {
			want := defaultCluster()
			change(want)
			got, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
			checkEqual(t, got, want, err)
		})
	}
}

func TestSubsetsRefused(t *testing.T) {
	selector := func(fields string) string { return "lb_subset_config: {subset_selectors: [{" + fields + "}]}" }
	const place = "lb_subset_config.subset_selectors[0]."
	tests := map[string]string{
		selector("keys: []"): place + "keys: must not be empty",
		selector("keys: [a, b], single_host_per_subset: true"):                                place + "single_host_per_subset: cannot be set with more than one key",
		selector("keys: [a], fallback_keys_subset: [a]"):                                      place + "fallback_keys_subset: must be set with fallback_policy KEYS_SUBSET only",
		selector("keys: [a], fallback_policy: KEYS_SUBSET"):                                   place + "fallback_keys_subset: must be set with fallback_policy KEYS_SUBSET",
		selector("keys: [a, b], fallback_policy: KEYS_SUBSET, fallback_keys_subset: [c]"):     place + "fallback_keys_subset: must be a subset of keys",
		selector("keys: [a], fallback_policy: KEYS_SUBSET, fallback_keys_subset: [a]"):        place + "fallback_keys_subset: must have fewer keys than keys",
		"lb_subset_config: {locality_weight_aware: true, subset_selectors: [{keys: [a]}]}":    "lb_subset_config.locality_weight_aware: needs common_lb_config.locality_weighted_lb_config",
		"lb_policy: MAGLEV\n" + selector("keys: [a]"):                                         "lb_subset_config: subsets of a cluster that balances by RING_HASH or MAGLEV are not supported, only by ROUND_ROBIN, LEAST_REQUEST and RANDOM",
		"lb_subset_config: {subset_selectors: [" + strings.Repeat("{keys: [a]}, ", 65) + "]}": "lb_subset_config.subset_selectors: has 65 entries, at most 64 are allowed",
		subsetOver(roundRobin, "fallback_policy: ANY_ENDPOINT"):                               entryPath + "subset_selectors: must not be empty",
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
			checkError(t, err, `cluster "c": `+want)
		})
	}
}

func TestSubsetLabels(t *testing.T) {
	const at = "endpoint: {address: {socket_address: {address: 192.0.2.1, port_value: 80}}}"
	got, err := resource.Assignment(parse(t, "cluster_name: c\nendpoints: [{lb_endpoints: ["+
		"{"+at+", metadata: {filter_metadata: {envoy.lb: {version: v1, zones: [b, a, b, 1], none: []}, other: {a: b}}}}]}]", &endpointv3.ClusterLoadAssignment{}))
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, got.Localities[0].Endpoints[0].SubsetLabels, &config.SubsetLabels{
		Labels: config.Labels{Values: map[string]string{"version": `"v1"`, "zones": `["b","a","b",1]`, "none": "[]"}},
		Lists:  map[string][]string{"zones": {`"a"`, `"b"`, "1"}, "none": nil},
	}, nil)
}

func TestMetadataMatch(t *testing.T) {
	labels := func(pairs ...string) config.Labels {
		l := config.Labels{Values: make(map[string]string)}
		for i := 0; i < len(pairs); i += 2 {
			l.Values[pairs[i]] = pairs[i+1]
		}
		return l
	}
	const match = "metadata_match: {filter_metadata: {envoy.lb: {a: x, b: 1}, other: {c: d}}}"
	rc, err := resource.RouteConfiguration(parse(t, `
name: r
virtual_hosts:
- name: v
  domains: ["*"]
  routes:
  - {match: {prefix: /1}, route: {cluster: c, `+match+`}}
  - {match: {prefix: /2}, route: {cluster: c, metadata_match: {filter_metadata: {other: {c: d}}}}}
  - match: {prefix: /3}
    route:
      `+match+`
      weighted_clusters: {clusters: [{name: c, weight: 1}, {name: d, weight: 1, metadata_match: {filter_metadata: {envoy.lb: {b: 2, fallback_list: [{a: z}, {}]}}}}]}
`, &routev3.RouteConfiguration{}))
	if err != nil {
		t.Fatal(err)
	}
	routes := rc.VirtualHosts[0].Routes
	checkEqual(t, routes[0].Forward.Match, &config.MetadataMatch{Labels: labels("a", `"x"`, "b", "1")}, nil)
	checkEqual(t, routes[1].Forward.Match, (*config.MetadataMatch)(nil), nil)
	checkEqual(t, routes[2].Forward.Match, routes[0].Forward.Match, nil)
	checkEqual(t, routes[2].Forward.Clusters[0].Match, (*config.MetadataMatch)(nil), nil)
	checkEqual(t, routes[2].Forward.Clusters[1].Match, &config.MetadataMatch{
		Labels:       labels("a", `"x"`, "b", "2", "fallback_list", `[{"a":"z"},{}]`),
		Alternatives: []config.Labels{labels("a", `"z"`), {}},
	}, nil)

	for text, want := range map[string]string{
		"cluster_header: x, " + match: "metadata_match: is not supported with cluster_header",
		"cluster: c, metadata_match: {filter_metadata: {envoy.lb: {fallback_list: [" + strings.Repeat("{}, ", 17) + "]}}}": `metadata_match.filter_metadata["envoy.lb"].fallback_list: has 17 entries, at most 16 are allowed`,
	} {
		_, err := resource.RouteConfiguration(parse(t, "name: r\nvirtual_hosts: [{name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {"+text+"}}]}]", &routev3.RouteConfiguration{}))
		checkError(t, err, `route configuration "r": virtual_hosts[0].routes[0].route.`+want)
	}
}
