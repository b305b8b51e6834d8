package resource

import (
	"fmt"
	"math"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	clientsidev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3"
	commonlbv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	leastrequestv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglevv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	overridehostv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/override_host/v3"
	randomv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ringhashv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	roundrobinv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	subsetv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	wrrlocalityv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/wrr_locality/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Messages of the load balancing policies.
const (
	lbPackage           = "envoy.extensions.load_balancing_policies."
	roundRobinMessage   = lbPackage + "round_robin.v3.RoundRobin"
	leastRequestMessage = lbPackage + "least_request.v3.LeastRequest"
	randomMessage       = lbPackage + "random.v3.Random"
	wrrLocalityMessage  = lbPackage + "wrr_locality.v3.WrrLocality"
)

// maxChoiceCount bounds the hosts that least request compares for each request, on the loop that serves everybody else.
const maxChoiceCount = 1024

var (
	commonLBFields = fields{
		"healthy_panic_threshold": decoded, "locality_weighted_lb_config": decoded, "zone_aware_lb_config": decoded,
		"ignore_new_hosts_until_first_hc":      decoded,
		"consistent_hashing_lb_config":         decoded,
		"update_merge_window":                  noEffect, // how updates are batched
		"override_host_status":                 noEffect, // of filters that choose the host, which there are none of
		"close_connections_on_host_set_change": decoded,
	}
	localityLBFields         = fields{"locality_weighted_lb_config": decoded, "zone_aware_lb_config": decoded}
	leastRequestFields       = fields{"choice_count": decoded, "active_request_bias": decoded, "slow_start_config": decoded, "locality_lb_config": decoded, "enable_full_scan": onlyFalse}
	legacyLeastRequestFields = fields{"choice_count": decoded, "active_request_bias": decoded, "slow_start_config": decoded}
	legacyRoundRobinFields   = fields{"slow_start_config": decoded}
	roundRobinFields         = fields{"slow_start_config": decoded, "locality_lb_config": decoded}
	slowStartFields          = fields{"slow_start_window": decoded, "aggression": decoded, "min_weight_percent": decoded}
	legacySlowStartFields    = fields{"slow_start_window": decoded, "aggression": decoded, "min_weight_percent": decoded}
	randomFields             = fields{"locality_lb_config": decoded}
	wrrLocalityFields        = fields{"endpoint_picking_policy": decoded}
)

// balancing decodes the load balancing of a cluster. load_balancing_policy, where it is set, takes the place of lb_policy
// and of the locality part of common_lb_config.
func (a *at) balancing(c *clusterv3.Cluster, out *config.Cluster) {
	out.ChoiceCount, out.ActiveRequestBias = config.DefaultLeastRqChoices, 1
	out.PanicThreshold, out.ZoneAware = config.DefaultPanicThreshold, defaultZoneAware
	if common := c.GetCommonLbConfig(); common != nil {
		a.in("common_lb_config").only(common, commonLBFields)
		if p := common.GetHealthyPanicThreshold(); p != nil {
			out.PanicThreshold = uint32(math.Round(p.GetValue()))
		}
		out.LocalityWeighted = common.GetLocalityWeightedLbConfig() != nil
		out.ZoneAware = a.in("common_lb_config").legacyZoneAware(common.GetZoneAwareLbConfig())
		out.IgnoreNewHosts = common.GetIgnoreNewHostsUntilFirstHc()
		out.CloseOnHostSetChange = common.GetCloseConnectionsOnHostSetChange()
	}
	if provided := a.providedBalancing(c, out); provided {
		return
	}
	if policy := c.GetLoadBalancingPolicy(); policy != nil {
		out.LocalityWeighted, out.ZoneAware = false, defaultZoneAware
		a.in("load_balancing_policy").policy(policy, out, false)
		return
	}
	switch c.GetLbPolicy() {
	case clusterv3.Cluster_CLUSTER_PROVIDED: // refused already
	case clusterv3.Cluster_ROUND_ROBIN:
		out.LB = config.RoundRobin
	case clusterv3.Cluster_LEAST_REQUEST:
		out.LB = config.LeastRequest
	case clusterv3.Cluster_RANDOM:
		out.LB = config.Random
	case clusterv3.Cluster_LOAD_BALANCING_POLICY_CONFIG:
		a.in("load_balancing_policy").errorf("must be set with lb_policy LOAD_BALANCING_POLICY_CONFIG")
	case clusterv3.Cluster_RING_HASH:
		out.LB = config.RingHash
	case clusterv3.Cluster_MAGLEV:
		out.LB = config.Maglev
	default:
		a.in("lb_policy").errorf("%s is not supported, only ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH and MAGLEV", c.GetLbPolicy())
	}
	a.legacyHashing(c, out)
	a.in("lb_subset_config").legacySubsets(c, out)
	if l := c.GetLeastRequestLbConfig(); l != nil {
		place := a.in("least_request_lb_config")
		place.only(l, legacyLeastRequestFields)
		place.leastRequest(l.GetChoiceCount(), l.GetActiveRequestBias(), out)
		if out.LB == config.LeastRequest {
			place.legacySlowStart(l.GetSlowStartConfig(), out)
		}
	}
	if r := c.GetRoundRobinLbConfig(); r != nil {
		place := a.in("round_robin_lb_config")
		place.only(r, legacyRoundRobinFields)
		if out.LB == config.RoundRobin {
			place.legacySlowStart(r.GetSlowStartConfig(), out)
		}
	}
}

// policy decodes the first policy of the list that is supported. Below wrr_locality, inLocality is set.
func (a *at) policy(p *clusterv3.LoadBalancingPolicy, out *config.Cluster, inLocality bool) {
	for i, entry := range p.GetPolicies() {
		packed := entry.GetTypedExtensionConfig().GetTypedConfig()
		place := a.item("policies", i).in("typed_extension_config.typed_config")
		switch name := messageName(packed); {
		case name == roundRobinMessage:
			var m roundrobinv3.RoundRobin
			if place.unpack(packed, &m) {
				place.only(&m, roundRobinFields)
				place.slowStart(m.GetSlowStartConfig(), out)
				place.locality(m.GetLocalityLbConfig(), out, inLocality)
			}
			out.LB = config.RoundRobin
		case name == leastRequestMessage:
			var m leastrequestv3.LeastRequest
			if place.unpack(packed, &m) {
				place.only(&m, leastRequestFields)
				place.leastRequest(m.GetChoiceCount(), m.GetActiveRequestBias(), out)
				place.slowStart(m.GetSlowStartConfig(), out)
				place.locality(m.GetLocalityLbConfig(), out, inLocality)
			}
			out.LB = config.LeastRequest
		case name == randomMessage:
			var m randomv3.Random
			if place.unpack(packed, &m) {
				place.only(&m, randomFields)
				place.locality(m.GetLocalityLbConfig(), out, inLocality)
			}
			out.LB = config.Random
		case name == clientSideMessage:
			var m clientsidev3.ClientSideWeightedRoundRobin
			if place.unpack(packed, &m) {
				place.clientSide(&m, out)
			}
		case name == subsetMessage && !inLocality && out.Subsets == nil:
			var m subsetv3.Subset
			if place.unpack(packed, &m) {
				place.subsets(&m, out)
			}
		case name == ringHashMessage && !inLocality:
			var m ringhashv3.RingHash
			if place.unpack(packed, &m) {
				place.ringHash(&m, out)
			}
		case name == overrideHostMessage && !inLocality && out.OverrideHeaders == nil:
			var m overridehostv3.OverrideHost
			if place.unpack(packed, &m) {
				place.overrideHost(&m, out)
			}
		case name == maglevMessage && !inLocality:
			var m maglevv3.Maglev
			if place.unpack(packed, &m) {
				place.maglev(&m, out)
			}
		case name == wrrLocalityMessage && !inLocality:
			var m wrrlocalityv3.WrrLocality
			if place.unpack(packed, &m) {
				place.only(&m, wrrLocalityFields)
				place.in("endpoint_picking_policy").policy(m.GetEndpointPickingPolicy(), out, true)
			}
			out.LocalityWeighted = true
		default:
			continue
		}
		return
	}
	a.in("policies").errorf("%s", noPolicy(p, out.Name))
}

// noPolicy says, in Envoy's words, which policies were found instead of supported ones, and which are supported.
func noPolicy(p *clusterv3.LoadBalancingPolicy, cluster string) string {
	var names, types []string
	for _, entry := range p.GetPolicies() {
		e := entry.GetTypedExtensionConfig()
		names, types = append(names, e.GetName()), append(types, "'"+typeOf(e.GetTypedConfig())+"'")
	}
	return fmt.Sprintf("cluster: didn't find a registered load balancer factory implementation for cluster: '%s' with names from [%s]; "+
		"their type URLs are %s, supported are round_robin, least_request, random, client_side_weighted_round_robin, wrr_locality over one of them, ring_hash, maglev, override_host and subset",
		cluster, strings.Join(names, ", "), strings.Join(types, ", "))
}

// leastRequest decodes the settings of least request.
func (a *at) leastRequest(choices *wrapperspb.UInt32Value, bias *corev3.RuntimeDouble, out *config.Cluster) {
	out.ChoiceCount = orUint32(choices, config.DefaultLeastRqChoices)
	if out.ChoiceCount < 2 || out.ChoiceCount > maxChoiceCount {
		a.in("choice_count").errorf("%d must be from 2 to %d", out.ChoiceCount, maxChoiceCount)
	}
	if bias == nil {
		return
	}
	out.ActiveRequestBias = bias.GetDefaultValue()
	if !(out.ActiveRequestBias >= 0) || math.IsInf(out.ActiveRequestBias, 1) {
		a.in("active_request_bias.default_value").errorf("%v must be a number that is not negative", out.ActiveRequestBias)
	}
}

// locality decodes locality_lb_config of a policy.
func (a *at) locality(c *commonlbv3.LocalityLbConfig, out *config.Cluster, inLocality bool) {
	if c == nil {
		return
	}
	place := a.in("locality_lb_config")
	if inLocality {
		place.errorf("cannot be set below wrr_locality")
		return
	}
	place.only(c, localityLBFields)
	out.LocalityWeighted = c.GetLocalityWeightedLbConfig() != nil
	out.ZoneAware = place.zoneAware(c.GetZoneAwareLbConfig())
}
