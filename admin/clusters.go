package admin

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy"
)

// clusters is /clusters.
func (a *surface) clusters(r *request) {
	all := a.Clusters()
	if r.wantsJSON() {
		list := &adminv3.Clusters{}
		for i := range all {
			list.ClusterStatuses = append(list.ClusterStatuses, clusterStatus(&all[i]))
		}
		r.json(list, omitDefaults)
		return
	}
	var b strings.Builder
	for i := range all {
		writeCluster(&b, &all[i])
	}
	r.ok(b.String())
}

// observabilityName is the name of a cluster in statistics.
func observabilityName(c *config.Cluster) string { return cmp.Or(c.AltStatName, c.Name) }

func writeCluster(b *strings.Builder, k *proxy.ClusterStatus) {
	c := k.Config
	name := visible(c.Name)
	line := func(key string, value any) { fmt.Fprintf(b, "%s::%s::%v\n", name, key, value) }
	line("observability_name", visible(observabilityName(c)))
	breakers := func(priority string, t config.Thresholds) {
		line(priority+"::max_connections", t.MaxConnections)
		line(priority+"::max_pending_requests", t.MaxPending)
		line(priority+"::max_requests", t.MaxRequests)
		line(priority+"::max_retries", t.MaxRetries)
	}
	breakers("default_priority", c.Breakers)
	breakers("high_priority", c.HighBreakers)
	line("added_via_api", c.AddedViaAPI)
	if c.EDSName != "" {
		line("eds_service_name", visible(c.EDSName))
	}
	for i := range k.Hosts {
		writeHost(b, name, &k.Hosts[i])
	}
}

// noSuccessRate stands for a success rate that outlier detection has not computed.
const noSuccessRate = -1

func writeHost(b *strings.Builder, cluster string, h *proxy.HostStatus) {
	line := func(key string, value any) {
		fmt.Fprintf(b, "%s::%s::%s::%v\n", cluster, visible(h.Address), key, value)
	}
	s := &h.Stats
	line("cx_active", s.CxActive)
	line("cx_connect_fail", s.CxConnectFail)
	line("cx_total", s.CxTotal)
	line("rq_active", s.RqActive)
	line("rq_error", s.RqError)
	line("rq_success", s.RqSuccess)
	line("rq_timeout", s.RqTimeout)
	line("rq_total", s.RqTotal)
	line("hostname", visible(h.Hostname))
	line("health_flags", healthFlags(h))
	line("weight", h.Weight)
	line("region", visible(h.Locality.Region))
	line("zone", visible(h.Locality.Zone))
	line("sub_zone", visible(h.Locality.SubZone))
	line("canary", h.Canary)
	line("priority", h.Priority)
	line("success_rate", noSuccessRate)
	line("local_origin_success_rate", noSuccessRate)
}

// healthFlags says why a host is not healthy, with Envoy's flags in Envoy's order.
func healthFlags(h *proxy.HostStatus) string {
	var b strings.Builder
	for _, flag := range []struct {
		set  bool
		name string
	}{
		{h.ActiveHealth.Has(config.FailedActiveHC), "failed_active_hc"},
		{h.ActiveHealth.Has(config.FailedOutlierCheck), "failed_outlier_check"},
		{failedEDS(h.EDSHealth), "failed_eds_health"},
		{h.ActiveHealth.Has(config.DegradedActiveHC), "degraded_active_hc"},
		{h.EDSHealth == config.HealthDegraded, "degraded_eds_health"},
		{h.PendingRemoval, "pending_dynamic_removal"},
		{h.ActiveHealth.Has(config.PendingActiveHC), "pending_active_hc"},
		{h.ActiveHealth.Has(config.ExcludedViaImmediateHCFail), "excluded_via_immediate_hc_fail"},
		{h.ActiveHealth.Has(config.ActiveHCTimeout), "active_hc_timeout"},
	} {
		if flag.set {
			b.WriteString("/" + flag.name)
		}
	}
	if b.Len() == 0 {
		return "healthy"
	}
	return b.String()
}

// failedEDS reports whether the control plane has taken the host out.
func failedEDS(s config.HealthStatus) bool {
	return s == config.HealthUnhealthy || s == config.HealthTimeout
}

func healthStatus(h *proxy.HostStatus) *adminv3.HostHealthStatus {
	status := &adminv3.HostHealthStatus{
		FailedActiveHealthCheck:    h.ActiveHealth.Has(config.FailedActiveHC),
		FailedActiveDegradedCheck:  h.ActiveHealth.Has(config.DegradedActiveHC),
		FailedOutlierCheck:         h.ActiveHealth.Has(config.FailedOutlierCheck),
		PendingDynamicRemoval:      h.PendingRemoval,
		PendingActiveHc:            h.ActiveHealth.Has(config.PendingActiveHC),
		ExcludedViaImmediateHcFail: h.ActiveHealth.Has(config.ExcludedViaImmediateHCFail),
		ActiveHcTimeout:            h.ActiveHealth.Has(config.ActiveHCTimeout),
		EdsHealthStatus:            corev3.HealthStatus_HEALTHY,
	}
	switch {
	case failedEDS(h.EDSHealth):
		status.EdsHealthStatus = corev3.HealthStatus_UNHEALTHY
	case h.EDSHealth == config.HealthDegraded:
		status.EdsHealthStatus = corev3.HealthStatus_DEGRADED
	}
	return status
}

func clusterStatus(k *proxy.ClusterStatus) *adminv3.ClusterStatus {
	c := k.Config
	status := &adminv3.ClusterStatus{
		Name:        c.Name,
		AddedViaApi: c.AddedViaAPI,
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{
			thresholds(corev3.RoutingPriority_DEFAULT, c.Breakers),
			thresholds(corev3.RoutingPriority_HIGH, c.HighBreakers),
		}},
		ObservabilityName: observabilityName(c),
		EdsServiceName:    c.EDSName,
	}
	for i := range k.Hosts {
		status.HostStatuses = append(status.HostStatuses, hostStatus(&k.Hosts[i]))
	}
	return status
}

func thresholds(p corev3.RoutingPriority, t config.Thresholds) *clusterv3.CircuitBreakers_Thresholds {
	return &clusterv3.CircuitBreakers_Thresholds{
		Priority:           p,
		MaxConnections:     wrapperspb.UInt32(t.MaxConnections),
		MaxPendingRequests: wrapperspb.UInt32(t.MaxPending),
		MaxRequests:        wrapperspb.UInt32(t.MaxRequests),
		MaxRetries:         wrapperspb.UInt32(t.MaxRetries),
	}
}

func hostStatus(h *proxy.HostStatus) *adminv3.HostStatus {
	metric := func(name string, kind adminv3.SimpleMetric_Type, value uint64) *adminv3.SimpleMetric {
		return &adminv3.SimpleMetric{Name: name, Type: kind, Value: value}
	}
	s := &h.Stats
	return &adminv3.HostStatus{
		Address: hostMessage(h.Address),
		Stats: []*adminv3.SimpleMetric{
			metric("cx_connect_fail", adminv3.SimpleMetric_COUNTER, s.CxConnectFail),
			metric("cx_total", adminv3.SimpleMetric_COUNTER, s.CxTotal),
			metric("rq_error", adminv3.SimpleMetric_COUNTER, s.RqError),
			metric("rq_success", adminv3.SimpleMetric_COUNTER, s.RqSuccess),
			metric("rq_timeout", adminv3.SimpleMetric_COUNTER, s.RqTimeout),
			metric("rq_total", adminv3.SimpleMetric_COUNTER, s.RqTotal),
			metric("cx_active", adminv3.SimpleMetric_GAUGE, s.CxActive),
			metric("rq_active", adminv3.SimpleMetric_GAUGE, s.RqActive),
		},
		HealthStatus: healthStatus(h),
		Weight:       h.Weight,
		Hostname:     h.Hostname,
		Priority:     h.Priority,
		Locality:     &corev3.Locality{Region: h.Locality.Region, Zone: h.Locality.Zone, SubZone: h.Locality.SubZone},
	}
}

// hostMessage returns the address of a host as a message, that of a Unix domain socket as a pipe.
func hostMessage(address string) *corev3.Address {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return addressMessage(config.Address{Path: address})
	}
	return socketAddress(address)
}

// addressMessage returns an address as a message.
func addressMessage(a config.Address) *corev3.Address {
	if a.Path != "" {
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: a.Path}}}
	}
	return socketAddress(a.String())
}

// socketAddress returns "ip:port" as a message.
func socketAddress(address string) *corev3.Address {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	number, _ := strconv.ParseUint(port, 10, 16) // 0 where there is none
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(number)},
	}}}
}
