package resource

import (
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// maxMirrors bounds the mirror policies of one level, which Envoy does not: each multiplies what a request costs.
const maxMirrors = 16

var (
	mirrorFields = fields{
		"cluster": decoded, "cluster_header": decoded, "runtime_fraction": decoded,
		"disable_shadow_host_suffix_append": decoded, "request_headers_mutations": decoded, "host_rewrite_literal": decoded,

		"trace_sampled": noEffect, // there is no tracing
	}
	headerMutationFields = fields{"remove": decoded, "append": decoded}
)

// mirrorPolicies decodes where else requests are sent.
func (a *at) mirrorPolicies(list []*routev3.RouteAction_RequestMirrorPolicy) []config.MirrorPolicy {
	if len(list) > maxMirrors {
		a.in("request_mirror_policies").errorf("has %d entries, at most %d are allowed", len(list), maxMirrors)
		return nil
	}
	var out []config.MirrorPolicy
	for i, p := range list {
		out = append(out, a.item("request_mirror_policies", i).mirrorPolicy(p))
	}
	return out
}

func (a *at) mirrorPolicy(p *routev3.RouteAction_RequestMirrorPolicy) config.MirrorPolicy {
	a.only(p, mirrorFields)
	out := config.MirrorPolicy{
		Cluster:     p.GetCluster(),
		Fraction:    config.RuntimeFraction{Default: config.FractionAll},
		KeepHost:    p.GetDisableShadowHostSuffixAppend(),
		HostRewrite: p.GetHostRewriteLiteral(),
		Mutations:   a.requestMutations("request_headers_mutations", p.GetRequestHeadersMutations()),
	}
	switch {
	case p.GetCluster() != "" && p.GetClusterHeader() != "":
		a.in("cluster").errorf("cannot be set together with cluster_header")
	case p.GetClusterHeader() != "":
		out.ClusterHeader = a.in("cluster_header").matchedName(p.GetClusterHeader())
	case p.GetCluster() == "":
		a.errorf("must have a cluster or a cluster_header")
	}
	if f := p.GetRuntimeFraction(); f != nil {
		out.Fraction = a.in("runtime_fraction").runtimeFraction(f)
	}
	a.in("host_rewrite_literal").visible(out.HostRewrite)
	return out
}

// requestMutations decodes mutations of a request that are made one after the other.
func (a *at) requestMutations(field string, list []*mutationv3.HeaderMutation) []config.HeaderMutations {
	var out []config.HeaderMutations
	for i, m := range list {
		place := a.item(field, i)
		place.only(m, headerMutationFields)
		switch action := m.GetAction().(type) {
		case *mutationv3.HeaderMutation_Remove:
			out = append(out, config.HeaderMutations{RequestRemove: []string{place.in("remove").mutableName(action.Remove)}})
		case *mutationv3.HeaderMutation_Append:
			added := place.in("append").headerToAdd(action.Append)
			out = append(out, config.HeaderMutations{RequestAdd: []config.HeaderValue{added}})
		}
	}
	return out
}
