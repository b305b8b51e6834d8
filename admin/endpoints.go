package admin

import (
	"cmp"
	"slices"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy"
)

// liveEndpoints makes the assignments of a dump say how hosts are, as Envoy's do: the health that counts, and in place of names the
// addresses that DNS gave. What no cluster uses stays as it was received.
func liveEndpoints(dump *adminv3.EndpointsConfigDump, clusters []proxy.ClusterStatus) {
	byName := make(map[string]*proxy.ClusterStatus, len(clusters))
	for i := range clusters {
		c := &clusters[i]
		byName[cmp.Or(c.Config.EDSName, c.Config.Name)] = c
	}
	for _, e := range dump.GetStaticEndpointConfigs() {
		e.EndpointConfig = liveAssignment(e.GetEndpointConfig(), byName)
	}
	for _, e := range dump.GetDynamicEndpointConfigs() {
		e.EndpointConfig = liveAssignment(e.GetEndpointConfig(), byName)
	}
}

// liveAssignment returns packed as it is in force, or as it is when it is not.
func liveAssignment(packed *anypb.Any, clusters map[string]*proxy.ClusterStatus) *anypb.Any {
	var a endpointv3.ClusterLoadAssignment
	if packed.UnmarshalTo(&a) != nil {
		return packed
	}
	status := clusters[a.GetClusterName()]
	if status == nil {
		return packed
	}
	switch status.Config.Type {
	case config.ClusterStrictDNS, config.ClusterLogicalDNS:
		a.Endpoints = resolvedEndpoints(status.Hosts)
	default:
		setHealth(&a, status.Hosts)
	}
	live, err := anypb.New(&a)
	if err != nil {
		return packed
	}
	return live
}

// setHealth sets the health of those endpoints that are hosts.
func setHealth(a *endpointv3.ClusterLoadAssignment, hosts []proxy.HostStatus) {
	byAddress := make(map[string]*proxy.HostStatus, len(hosts))
	for i := range hosts {
		byAddress[hosts[i].Address] = &hosts[i]
	}
	for _, l := range a.GetEndpoints() {
		for _, e := range l.GetLbEndpoints() {
			if h := byAddress[hostAddress(e.GetEndpoint().GetAddress())]; h != nil {
				e.HealthStatus = coarseHealth(h)
			}
		}
	}
}

// hostAddress writes an address as a HostStatus has it, "" for what is none.
func hostAddress(a *corev3.Address) string {
	s := a.GetSocketAddress()
	if s == nil {
		return a.GetPipe().GetPath()
	}
	return config.Address{IP: s.GetAddress(), Port: s.GetPortValue()}.String()
}

// coarseHealth says whether a host gets traffic.
func coarseHealth(h *proxy.HostStatus) corev3.HealthStatus {
	switch {
	case failedEDS(h.EDSHealth) || h.ActiveHealth.Has(config.FailedActiveHC):
		return corev3.HealthStatus_UNHEALTHY
	case h.EDSHealth == config.HealthDegraded || h.ActiveHealth.Has(config.DegradedActiveHC):
		return corev3.HealthStatus_DEGRADED
	default:
		return corev3.HealthStatus_HEALTHY
	}
}

// resolvedEndpoints returns hosts as endpoints, by priority and locality.
func resolvedEndpoints(hosts []proxy.HostStatus) []*endpointv3.LocalityLbEndpoints {
	type place struct {
		priority              uint32
		region, zone, subZone string
	}
	places := make(map[place]*endpointv3.LocalityLbEndpoints)
	var all []*endpointv3.LocalityLbEndpoints
	for i := range hosts {
		h := &hosts[i]
		at := place{h.Priority, h.Locality.Region, h.Locality.Zone, h.Locality.SubZone}
		if places[at] == nil {
			places[at] = &endpointv3.LocalityLbEndpoints{
				Priority: h.Priority,
				Locality: &corev3.Locality{Region: h.Locality.Region, Zone: h.Locality.Zone, SubZone: h.Locality.SubZone},
			}
			all = append(all, places[at])
		}
		places[at].LbEndpoints = append(places[at].LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Address: socketAddress(h.Address), Hostname: h.Hostname,
			}},
			HealthStatus:        coarseHealth(h),
			LoadBalancingWeight: wrapperspb.UInt32(h.Weight),
		})
	}
	slices.SortStableFunc(all, func(x, y *endpointv3.LocalityLbEndpoints) int { return cmp.Compare(x.GetPriority(), y.GetPriority()) })
	return all
}
