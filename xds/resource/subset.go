package resource

import (
	"cmp"
	"maps"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	subsetv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	subsetMessage = lbPackage + "subset.v3.Subset"
	// subsetMetadata is the name of the metadata that subsets go by.
	subsetMetadata = "envoy.lb"
)

const (
	// maxSelectors bounds the selectors of a cluster, which each route with metadata is compared with when a change is compiled.
	maxSelectors = 64
	// maxAlternatives bounds the subsets that are tried in turn for one request.
	maxAlternatives = 16
)

var (
	legacySubsetFields = fields{
		"fallback_policy": decoded, "default_subset": decoded, "subset_selectors": decoded, "locality_weight_aware": decoded,
		"scale_locality_weight": decoded, "panic_mode_any": decoded, "list_as_any": decoded, "metadata_fallback_policy": decoded,
	}
	subsetFields = fields{
		"fallback_policy": decoded, "default_subset": decoded, "subset_selectors": decoded, "allow_redundant_keys": decoded,
		"locality_weight_aware": decoded, "scale_locality_weight": decoded, "panic_mode_any": decoded, "list_as_any": decoded,
		"metadata_fallback_policy": decoded, "subset_lb_policy": decoded,
	}
	selectorFields = fields{"keys": decoded, "single_host_per_subset": decoded, "fallback_policy": decoded, "fallback_keys_subset": decoded}
)

// legacySubsets decodes lb_subset_config. Without selectors it has no effect, as in Envoy.
func (a *at) legacySubsets(c *clusterv3.Cluster, out *config.Cluster) {
	s := c.GetLbSubsetConfig()
	if s == nil {
		return
	}
	a.only(s, legacySubsetFields)
	if len(s.GetSubsetSelectors()) == 0 {
		return
	}
	out.Subsets = &config.Subsets{
		Fallback: subsetFallback(int32(s.GetFallbackPolicy())), Default: a.in("default_subset").defaultSubset(s.GetDefaultSubset()),
		LocalityWeightAware: s.GetLocalityWeightAware(), ScaleLocalityWeight: s.GetScaleLocalityWeight(), PanicModeAny: s.GetPanicModeAny(),
		ListAsAny: s.GetListAsAny(), MetadataFallbacks: s.GetMetadataFallbackPolicy() == clusterv3.Cluster_LbSubsetConfig_FALLBACK_LIST,
	}
	for i, selector := range s.GetSubsetSelectors() {
		place := a.item("subset_selectors", i)
		place.only(selector, selectorFields)
		place.selector(out.Subsets, config.SubsetSelector{
			Keys: selector.GetKeys(), SingleHost: selector.GetSingleHostPerSubset(),
			Fallback: config.SubsetFallback(selector.GetFallbackPolicy()), FallbackKeys: selector.GetFallbackKeysSubset(),
		})
	}
	if out.Subsets.LocalityWeightAware && !out.LocalityWeighted {
		a.in("locality_weight_aware").errorf("needs common_lb_config.locality_weighted_lb_config")
	}
	a.checkSubsets(out)
}

// subsets decodes the policy Subset.
func (a *at) subsets(m *subsetv3.Subset, out *config.Cluster) {
	a.only(m, subsetFields)
	out.Subsets = &config.Subsets{
		Fallback: subsetFallback(int32(m.GetFallbackPolicy())), Default: a.in("default_subset").defaultSubset(m.GetDefaultSubset()),
		AllowRedundantKeys:  m.GetAllowRedundantKeys(),
		LocalityWeightAware: m.GetLocalityWeightAware(), ScaleLocalityWeight: m.GetScaleLocalityWeight(), PanicModeAny: m.GetPanicModeAny(),
		ListAsAny: m.GetListAsAny(), MetadataFallbacks: m.GetMetadataFallbackPolicy() == subsetv3.Subset_FALLBACK_LIST,
	}
	for i, selector := range m.GetSubsetSelectors() {
		place := a.item("subset_selectors", i)
		place.only(selector, selectorFields)
		place.selector(out.Subsets, config.SubsetSelector{
			Keys: selector.GetKeys(), SingleHost: selector.GetSingleHostPerSubset(),
			Fallback: config.SubsetFallback(selector.GetFallbackPolicy()), FallbackKeys: selector.GetFallbackKeysSubset(),
		})
	}
	if len(m.GetSubsetSelectors()) == 0 {
		a.in("subset_selectors").errorf("must not be empty")
	}
	a.in("subset_lb_policy").policy(m.GetSubsetLbPolicy(), out, false)
	a.checkSubsets(out)
}

// subsetFallback returns what is taken for subsets without hosts, of the numbers that both messages have for it.
func subsetFallback(n int32) config.SubsetFallback {
	switch clusterv3.Cluster_LbSubsetConfig_LbSubsetFallbackPolicy(n) {
	case clusterv3.Cluster_LbSubsetConfig_ANY_ENDPOINT:
		return config.SubsetAny
	case clusterv3.Cluster_LbSubsetConfig_DEFAULT_SUBSET:
		return config.SubsetDefault
	default:
		return config.SubsetNone
	}
}

func (a *at) defaultSubset(s *structpb.Struct) config.Labels {
	return config.Labels{Values: a.labels(s)}
}

// selector adds a selector. The numbers of its fallback are those of the messages.
func (a *at) selector(out *config.Subsets, s config.SubsetSelector) {
	s.Keys, s.FallbackKeys = sortedSet(s.Keys), sortedSet(s.FallbackKeys)
	switch {
	case len(s.Keys) == 0:
		a.in("keys").errorf("must not be empty")
	case s.SingleHost && len(s.Keys) > 1:
		a.in("single_host_per_subset").errorf("cannot be set with more than one key")
	case s.Fallback != config.SubsetKeys && len(s.FallbackKeys) > 0:
		a.in("fallback_keys_subset").errorf("must be set with fallback_policy KEYS_SUBSET only")
	case s.Fallback == config.SubsetKeys && len(s.FallbackKeys) == 0:
		a.in("fallback_keys_subset").errorf("must be set with fallback_policy KEYS_SUBSET")
	case slices.ContainsFunc(s.FallbackKeys, func(key string) bool { return !slices.Contains(s.Keys, key) }):
		a.in("fallback_keys_subset").errorf("must be a subset of keys")
	case len(s.FallbackKeys) == len(s.Keys):
		a.in("fallback_keys_subset").errorf("must have fewer keys than keys")
	}
	out.Selectors = append(out.Selectors, s)
}

// checkSubsets refuses what is not supported, and has the selectors with the most keys be found first where that matters.
func (a *at) checkSubsets(out *config.Cluster) {
	if n := len(out.Subsets.Selectors); n > maxSelectors {
		a.in("subset_selectors").errorf("has %d entries, at most %d are allowed", n, maxSelectors)
	}
	if out.LB == config.RingHash || out.LB == config.Maglev {
		a.errorf("subsets of a cluster that balances by RING_HASH or MAGLEV are not supported, only by ROUND_ROBIN, LEAST_REQUEST and RANDOM")
	}
	if out.Subsets.AllowRedundantKeys {
		slices.SortStableFunc(out.Subsets.Selectors, func(x, y config.SubsetSelector) int { return cmp.Compare(len(y.Keys), len(x.Keys)) })
	}
}

// sortedSet returns list in order, each string once.
func sortedSet(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// subsetLabels decodes what the metadata of an endpoint say to subsets, nil for nothing.
func (a *at) subsetLabels(m *corev3.Metadata) *config.SubsetLabels {
	s := m.GetFilterMetadata()[subsetMetadata]
	if len(s.GetFields()) == 0 {
		return nil
	}
	place := a.key("filter_metadata", subsetMetadata)
	out := &config.SubsetLabels{Labels: config.Labels{Values: place.labels(s)}}
	for name, value := range s.GetFields() {
		list := value.GetListValue()
		if list == nil {
			continue
		}
		if out.Lists == nil {
			out.Lists = make(map[string][]string)
		}
		for _, element := range list.GetValues() {
			one := place.in(name).labels(&structpb.Struct{Fields: map[string]*structpb.Value{"": element}})
			out.Lists[name] = append(out.Lists[name], one[""])
		}
		out.Lists[name] = sortedSet(out.Lists[name])
	}
	return out
}

// metadataMatch decodes metadata_match with what it inherits, nil for none.
func (a *at) metadataMatch(m *corev3.Metadata, inherited *config.MetadataMatch) *config.MetadataMatch {
	s := m.GetFilterMetadata()[subsetMetadata]
	if len(s.GetFields()) == 0 {
		return inherited
	}
	place := a.in("metadata_match").key("filter_metadata", subsetMetadata)
	out := &config.MetadataMatch{Labels: config.Labels{Values: place.labels(s)}}
	for i, v := range s.GetFields()[config.FallbackList].GetListValue().GetValues() {
		out.Alternatives = append(out.Alternatives, config.Labels{Values: place.item(config.FallbackList, i).labels(v.GetStructValue())})
	}
	if n := len(out.Alternatives); n > maxAlternatives {
		place.in(config.FallbackList).errorf("has %d entries, at most %d are allowed", n, maxAlternatives)
	}
	if inherited != nil {
		merged := maps.Clone(inherited.Values)
		maps.Copy(merged, out.Values)
		out.Values = merged
		if out.Alternatives == nil {
			out.Alternatives = inherited.Alternatives
		}
	}
	return out
}

// matches decodes metadata_match of a route and of its clusters, which add to it.
func (a *at) matches(r *routev3.RouteAction, out *config.Forward) {
	out.Match = a.metadataMatch(r.GetMetadataMatch(), nil)
	if out.Match != nil && out.ClusterHeader != "" {
		a.in("metadata_match").errorf("is not supported with cluster_header")
	}
	for i, c := range r.GetWeightedClusters().GetClusters() {
		if m := c.GetMetadataMatch(); m != nil {
			out.Clusters[i].Match = a.in("weighted_clusters").item("clusters", i).metadataMatch(m, out.Match)
		}
	}
}

// tcpMatches is matches for a TCP proxy.
func (a *at) tcpMatches(p *tcpproxyv3.TcpProxy, out *config.TCPProxy) {
	out.Match = a.metadataMatch(p.GetMetadataMatch(), nil)
	for i, c := range p.GetWeightedClusters().GetClusters() {
		if m := c.GetMetadataMatch(); m != nil {
			out.Clusters[i].Match = a.in("weighted_clusters").item("clusters", i).metadataMatch(m, out.Match)
		}
	}
}
