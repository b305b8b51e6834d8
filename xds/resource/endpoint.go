//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"maps"
	"math"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// maxPriority is the largest priority of a locality.
const maxPriority = 127

var (
	assignmentFields = fields{"cluster_name": decoded, "endpoints": decoded, "named_endpoints": decoded, "policy": decoded}
	policyFields     = fields{"overprovisioning_factor": decoded, "drop_overloads": decoded, "endpoint_stale_after": decoded, "weighted_priority_health": decoded}
	dropFields       = fields{
		"drop_percentage": decoded,
		"category":        noEffect, // a label for load reports, which there are none of
	}
	localityFields = fields{
		"locality": decoded, "lb_endpoints": decoded, "load_balancer_endpoints": decoded, "load_balancing_weight": decoded,
		"priority": decoded, "metadata": decoded,
		"proximity": noEffect, // no balancing policy goes by it
	}
	lbEndpointFields = fields{
		"endpoint": decoded, "endpoint_name": decoded, "health_status": decoded, "load_balancing_weight": decoded, "metadata": decoded,
	}
	moreAddressFields = fields{"address": decoded}
	endpointFields    = fields{
		"address": decoded, "hostname": decoded, "health_check_config": decoded, "additional_addresses": decoded,
		"observability_name": noEffect,
	}
)

// Assignment decodes the endpoints of an EDS cluster, which must be IP addresses or Unix domain sockets.
func Assignment(cla *endpointv3.ClusterLoadAssignment) (*config.ClusterLoadAssignment, error) {
	root := newReport("cluster load assignment", cla.GetClusterName())
	if !root.validate(cla) {
		return nil, root.err()
	}
	out := root.assignment(cla, ipOrPipe)
	if root.failed() {
		return nil, root.err()
	}
	return out, nil
}

// localityKey tells localities of one priority apart.
type localityKey struct {
	region, zone, subZone string
	priority              uint32
}

// assignment decodes endpoints. Localities that are listed more than once are joined, with the last weight, and endpoints
// that are listed more than once count once, the first time.
func (a *at) assignment(cla *endpointv3.ClusterLoadAssignment, allowed hosts) *config.ClusterLoadAssignment {
	a.only(cla, assignmentFields)
	out := &config.ClusterLoadAssignment{Name: cla.GetClusterName(), Overprovision: config.DefaultOverprovision}
	if p := cla.GetPolicy(); p != nil {
		place := a.in("policy")
		place.only(p, policyFields)
		out.Overprovision = orUint32(p.GetOverprovisioningFactor(), config.DefaultOverprovision)
		if out.Overprovision == 0 {
			place.in("overprovisioning_factor").errorf("must be more than 0")
		}
		out.WeightedHealth = p.GetWeightedPriorityHealth()
		out.StaleAfter = place.positive("endpoint_stale_after", p.GetEndpointStaleAfter(), 0)
		out.Drop = place.dropOverload(p.GetDropOverloads())
	}
	index := make(map[localityKey]int)
	d := endpointDecoder{allowed: allowed, seen: make(map[config.Address]bool), named: make(map[string]config.Endpoint)}
	for _, name := range slices.Sorted(maps.Keys(cla.GetNamedEndpoints())) {
		d.named[name] = a.key("named_endpoints", name).hostEndpoint(cla.GetNamedEndpoints()[name], allowed)
	}
	for i, l := range cla.GetEndpoints() {
		place := a.item("endpoints", i)
		place.only(l, localityFields)
		key := localityKey{l.GetLocality().GetRegion(), l.GetLocality().GetZone(), l.GetLocality().GetSubZone(), l.GetPriority()}
		at, known := index[key]
		if !known {
			at = len(out.Localities)
			index[key] = at
			out.Localities = append(out.Localities, config.LocalityEndpoints{
				Region: key.region, Zone: key.zone, SubZone: key.subZone, Priority: key.priority,
			})
		}
		locality := &out.Localities[at]
		locality.Weight = l.GetLoadBalancingWeight().GetValue()
		locality.Endpoints = place.endpoints(l, locality.Endpoints, &d)
	}
	a.checkPriorities(out)
	a.checkWeights(out)
	return out
}

// dropOverload decodes the share of requests that are refused. As in Envoy there is one category.
func (a *at) dropOverload(list []*endpointv3.ClusterLoadAssignment_Policy_DropOverload) uint32 {
	if len(list) == 0 {
		return 0
	}
	if len(list) > 1 {
		a.in("drop_overloads").errorf("has %d entries, only one is supported", len(list))
	}
	place := a.item("drop_overloads", 0)
	place.only(list[0], dropFields)
	return fraction(list[0].GetDropPercentage())
}

// endpointDecoder is what the endpoints of an assignment have in common.
type endpointDecoder struct {
	allowed hosts
	seen    map[config.Address]bool
	named   map[string]config.Endpoint // named_endpoints
}

// endpoints appends the endpoints of a locality that were not seen before.
func (a *at) endpoints(l *endpointv3.LocalityLbEndpoints, list []config.Endpoint, d *endpointDecoder) []config.Endpoint {
	field, endpoints := "lb_endpoints", l.GetLbEndpoints()
	var labels *config.Labels
	if m := l.GetMetadata(); m != nil {
		labels = a.in("metadata").socketLabels(m)
	}
	place := a
	if grouped := l.GetLoadBalancerEndpoints(); grouped != nil {
		if len(endpoints) > 0 {
			a.in("lb_endpoints").errorf("cannot be set together with load_balancer_endpoints")
		}
		place, endpoints = a.in("load_balancer_endpoints"), grouped.GetLbEndpoints()
	}
	list = slices.Grow(list, len(endpoints))
	for i, e := range endpoints {
		decodedEndpoint := place.item(field, i).endpoint(e, d)
		decodedEndpoint.LocalityLabels = labels
		if !d.seen[decodedEndpoint.Address] {
			d.seen[decodedEndpoint.Address] = true
			list = append(list, decodedEndpoint)
		}
	}
	return list
}

// endpoint decodes one endpoint of a locality, which may be one of named_endpoints.
func (a *at) endpoint(e *endpointv3.LbEndpoint, d *endpointDecoder) config.Endpoint {
	a.only(e, lbEndpointFields)
	var out config.Endpoint
	switch e.GetHostIdentifier().(type) {
	case *endpointv3.LbEndpoint_EndpointName:
		known := false
		if out, known = d.named[e.GetEndpointName()]; !known {
			a.in("endpoint_name").errorf("%q is not among named_endpoints", e.GetEndpointName())
			return config.Endpoint{}
		}
	case *endpointv3.LbEndpoint_Endpoint:
		out = a.in("endpoint").hostEndpoint(e.GetEndpoint(), d.allowed)
	default:
		a.in("endpoint").errorf("must be set")
		return config.Endpoint{}
	}
	out.Weight = max(e.GetLoadBalancingWeight().GetValue(), 1)
	out.Health = healthStatus(e.GetHealthStatus())
	if m := e.GetMetadata(); m != nil {
		place := a.in("metadata")
		out.HashKey, out.Canary = hashKey(m), isCanary(m)
		out.SocketLabels, out.SubsetLabels = place.socketLabels(m), place.subsetLabels(m)
		place.noHostTLVs(m)
	}
	return out
}

// hostEndpoint decodes what an endpoint is, wherever it is listed.
func (a *at) hostEndpoint(e *endpointv3.Endpoint, allowed hosts) config.Endpoint {
	a.only(e, endpointFields)
	out := config.Endpoint{
		Address:  a.in("address").address(e.GetAddress(), allowed),
		Hostname: e.GetHostname(),
	}
	out.Additional = a.moreAddresses(e, allowed)
	if check := e.GetHealthCheckConfig(); check != nil {
		out.HealthCheck = a.in("health_check_config").endpointHealthCheck(check)
	}
	if out.Address.Path != "" && e.GetHealthCheckConfig().GetPortValue() != 0 {
		a.in("health_check_config").in("port_value").errorf("cannot be set for a pipe, which has no ports")
	}
	return out
}

// maxAdditionalAddresses bounds the further addresses of an endpoint: a connection may try all of them, each with a socket. Hosts have an
// address of each family, or one on each of a few networks.
const maxAdditionalAddresses = 7

// moreAddresses decodes where an endpoint can be reached as well, nil for nowhere.
func (a *at) moreAddresses(e *endpointv3.Endpoint, allowed hosts) *config.MoreAddresses {
	list := e.GetAdditionalAddresses()
	switch {
	case len(list) == 0:
		return nil
	case len(list) > maxAdditionalAddresses:
		a.in("additional_addresses").errorf("there are %d, there may be %d", len(list), maxAdditionalAddresses)
		return nil
	case e.GetAddress().GetPipe() != nil:
		a.in("additional_addresses").errorf("cannot be set beside a pipe")
		return nil
	case allowed == nameOrIP:
		a.in("additional_addresses").errorf("cannot be set on an endpoint whose name is resolved")
		return nil
	}
	out := &config.MoreAddresses{}
	for i, more := range list {
		place := a.item("additional_addresses", i)
		place.only(more, moreAddressFields)
		out.List = append(out.List, place.in("address").address(more.GetAddress(), onlyIP))
	}
	return out
}

// checkPriorities refuses priorities that leave one out.
func (a *at) checkPriorities(out *config.ClusterLoadAssignment) {
	used := make(map[uint32]bool)
	for _, l := range out.Localities {
		used[l.Priority] = true
	}
	for i, p := range slices.Sorted(maps.Keys(used)) {
		switch {
		case p > maxPriority:
			a.in("endpoints").errorf("priority %d is too large, at most %d is allowed", p, maxPriority)
			return
		case p != uint32(i):
			a.in("endpoints").errorf("priority %d is used but %d is not, priorities must be contiguous from 0", p, i)
			return
		}
	}
}

// checkWeights refuses weights whose sum does not fit: those of a locality's endpoints, and those of the localities of
// one priority.
func (a *at) checkWeights(out *config.ClusterLoadAssignment) {
	localities := make(map[uint32]uint64)
	for _, l := range out.Localities {
		sum := uint64(0)
		for _, e := range l.Endpoints {
			sum += uint64(e.Weight)
		}
		if sum > math.MaxUint32 {
			a.in("endpoints").errorf("the sum of the weights in locality %q/%q/%q of priority %d is %d, it must be at most %d",
				l.Region, l.Zone, l.SubZone, l.Priority, sum, uint32(math.MaxUint32))
		}
		localities[l.Priority] += uint64(l.Weight)
	}
	for _, p := range slices.Sorted(maps.Keys(localities)) {
		if localities[p] > math.MaxUint32 {
			a.in("endpoints").errorf("the sum of the locality weights of priority %d is %d, it must be at most %d",
				p, localities[p], uint32(math.MaxUint32))
		}
	}
}

// isCanary reports whether the metadata of an endpoint say that it has a version on trial.
func isCanary(m *corev3.Metadata) bool {
	return m.GetFilterMetadata()[subsetMetadata].GetFields()["canary"].GetBoolValue()
}

func healthStatus(h corev3.HealthStatus) config.HealthStatus {
	switch h {
	case corev3.HealthStatus_HEALTHY:
		return config.HealthHealthy
	case corev3.HealthStatus_UNHEALTHY:
		return config.HealthUnhealthy
	case corev3.HealthStatus_DRAINING:
		return config.HealthDraining
	case corev3.HealthStatus_TIMEOUT:
		return config.HealthTimeout
	case corev3.HealthStatus_DEGRADED:
		return config.HealthDegraded
	default:
		return config.HealthUnknown
	}
}
