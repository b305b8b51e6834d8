//lint:file-ignore SA1019 bootstraps still have the deprecated fields

package bootstrap

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// defaultMaxReceive bounds a message from the control plane where max_receive_message_length does not. One response
// holds all clusters or all endpoints, tens of thousands of them at a few hundred bytes each.
const defaultMaxReceive = 64 << 20

// adsPath is the field of the aggregated stream.
const adsPath = "dynamic_resources.ads_config"

const (
	streamOnly  = "has no effect on a stream"
	clientOwned = "has no effect on the connection to the control plane"
)

var (
	dynamicFields = map[protoreflect.Name]string{"lds_config": handled, "cds_config": handled, "ads_config": handled}
	apiFields     = map[protoreflect.Name]string{
		"api_type": handled, "transport_api_version": handled, "grpc_services": handled,
		"set_node_on_first_message_only": handled,
		"refresh_delay":                  handled, "request_timeout": handled, "rate_limit_settings": noFunction,
		"cluster_names": handled,
	}
	grpcServiceFields = map[protoreflect.Name]string{
		"envoy_grpc": handled, "initial_metadata": handled,
		"timeout": streamOnly, "retry_policy": noFunction,
	}
	envoyGRPCFields = map[protoreflect.Name]string{
		"cluster_name": handled, "authority": handled, "max_receive_message_length": handled,
		"retry_policy": noFunction, "skip_envoy_headers": handled, // none are sent
	}
	// clientFields are the fields of the control plane's cluster that the gRPC client goes by. The others that may be set
	// are about traffic.
	clientFields = []protoreflect.Name{
		"name", "type", "cluster_type", "connect_timeout", "load_assignment", "transport_socket", "dns_refresh_rate",
		"respect_dns_ttl", "dns_lookup_family", "http2_protocol_options", "typed_extension_protocol_options",
	}
)

// dynamicResources decodes what is asked of control planes.
func (d *decoder) dynamicResources(written *bootstrapv3.Bootstrap) {
	r := written.GetDynamicResources()
	d.fields("dynamic_resources", r, dynamicFields)
	if ads := r.GetAdsConfig(); ads != nil {
		d.out.ADS = d.controlPlane(adsPath, ads, written)
	}
	d.out.LDS = d.discovery("dynamic_resources.lds_config", r.GetLdsConfig(), written)
	d.out.CDS = d.discovery("dynamic_resources.cds_config", r.GetCdsConfig(), written)
}

func (d *decoder) add(err error) {
	if err != nil {
		d.errs = append(d.errs, err)
	}
}

// controlPlane decodes an ApiConfigSource, at the field path.
func (d *decoder) controlPlane(path string, api *corev3.ApiConfigSource, written *bootstrapv3.Bootstrap) *ControlPlane {
	x := &ControlPlane{SetNodeOnFirstMessageOnly: api.GetSetNodeOnFirstMessageOnly()}
	d.fields(path, api, apiFields)
	if v := api.GetTransportApiVersion(); v != corev3.ApiVersion_V3 && v != corev3.ApiVersion_AUTO {
		d.errorf(path+".transport_api_version", "%s is not supported, only V3", v)
	}
	switch t := api.GetApiType(); t {
	case corev3.ApiConfigSource_GRPC:
		d.stream(path, api, x)
	case corev3.ApiConfigSource_DELTA_GRPC:
		x.Incremental = true
		d.stream(path, api, x)
	case corev3.ApiConfigSource_REST:
		d.polls(path, api, x)
	default:
		d.errorf(path+".api_type", "%s is not supported, only GRPC, DELTA_GRPC and REST", t)
	}
	if x.Cluster != "" {
		d.backing(path, written, x)
	}
	return x
}

// stream decodes what a gRPC stream needs.
func (d *decoder) stream(path string, api *corev3.ApiConfigSource, x *ControlPlane) {
	if len(api.GetClusterNames()) > 0 {
		d.errorf(path+".cluster_names", "must not be set with api_type %s, grpc_services has the cluster", api.GetApiType())
	}
	if api.GetRefreshDelay() != nil {
		d.warnf(path+".refresh_delay", streamOnly)
	}
	if api.GetRequestTimeout() != nil {
		d.warnf(path+".request_timeout", streamOnly)
	}
	switch services := api.GetGrpcServices(); len(services) {
	case 0:
		d.errorf(path+".grpc_services", "must have an entry")
	case 1:
		d.grpcService(path+".grpc_services[0]", services[0], x)
	default:
		d.errorf(path+".grpc_services[1]", "a second service is not supported, only more endpoints in the cluster of the first")
	}
}

// polls decodes what polls over HTTP need.
func (d *decoder) polls(path string, api *corev3.ApiConfigSource, x *ControlPlane) {
	if path == adsPath {
		d.errorf(path+".api_type", "REST is not supported for the aggregated stream, only GRPC and DELTA_GRPC")
		return
	}
	if len(api.GetGrpcServices()) > 0 {
		d.errorf(path+".grpc_services", "must not be set with api_type REST, cluster_names has the cluster")
	}
	if names := api.GetClusterNames(); len(names) != 1 || names[0] == "" {
		d.errorf(path+".cluster_names", "must have exactly one entry with api_type REST")
	} else {
		x.Cluster, x.MaxReceiveBytes = names[0], defaultMaxReceive
	}
	x.Polls = &Polls{RefreshDelay: api.GetRefreshDelay().AsDuration()}
	if x.Polls.RefreshDelay < time.Millisecond {
		d.errorf(path+".refresh_delay", "must be at least 1ms with api_type REST")
	}
	if t := api.GetRequestTimeout(); t != nil {
		if x.Polls.RequestTimeout = t.AsDuration(); x.Polls.RequestTimeout <= 0 {
			d.errorf(path+".request_timeout", "must be more than 0s")
		}
	}
}

// grpcService decodes how the control plane is called.
func (d *decoder) grpcService(path string, s *corev3.GrpcService, x *ControlPlane) {
	d.fields(path, s, grpcServiceFields)
	for i, m := range s.GetInitialMetadata() {
		if len(m.GetRawValue()) > 0 {
			d.errorf(fmt.Sprintf("%s.initial_metadata[%d].raw_value", path, i), "is not supported, only value")
		}
		x.InitialMetadata = append(x.InitialMetadata, Metadata{m.GetKey(), m.GetValue()})
	}
	g := s.GetEnvoyGrpc()
	if g == nil {
		if s.GetGoogleGrpc() == nil {
			d.errorf(path, "must have envoy_grpc")
		}
		return
	}
	d.fields(path+".envoy_grpc", g, envoyGRPCFields)
	x.Cluster, x.Authority, x.MaxReceiveBytes = g.GetClusterName(), g.GetAuthority(), defaultMaxReceive
	if n := g.GetMaxReceiveMessageLength(); n != nil {
		x.MaxReceiveBytes = int(min(uint64(n.GetValue()), math.MaxInt32))
	}
}

// controlPlaneClusters returns the names of the clusters that are the control planes of dynamic_resources.
func controlPlaneClusters(written *bootstrapv3.Bootstrap) map[string]bool {
	found := make(map[string]bool)
	r := written.GetDynamicResources()
	for _, api := range []*corev3.ApiConfigSource{
		r.GetAdsConfig(), r.GetLdsConfig().GetApiConfigSource(), r.GetCdsConfig().GetApiConfigSource(),
	} {
		for _, name := range api.GetClusterNames() {
			found[name] = true
		}
		for _, s := range api.GetGrpcServices() {
			if g := s.GetEnvoyGrpc(); g != nil {
				found[g.GetClusterName()] = true
			}
		}
	}
	return found
}

// backing finds the addresses of a control plane in its static cluster. The ApiConfigSource is at the field path.
func (d *decoder) backing(path string, written *bootstrapv3.Bootstrap, x *ControlPlane) {
	clusters := written.GetStaticResources().GetClusters()
	i := slices.IndexFunc(clusters, func(c *clusterv3.Cluster) bool { return c.GetName() == x.Cluster })
	if i < 0 || clusters[i].GetType() == clusterv3.Cluster_EDS {
		named := path + ".grpc_services[0].envoy_grpc.cluster_name"
		if x.Polls != nil {
			named = path + ".cluster_names[0]"
		}
		known := make([]string, len(clusters))
		for i, c := range clusters {
			known[i] = c.GetName()
		}
		d.errorf(named, "envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: '%s' does not exist, "+
			"was added via api, or is an EDS cluster; static_resources.clusters has %s", x.Cluster, names(known))
		return
	}
	path = fmt.Sprintf("static_resources.clusters[%d]", i)
	reduced := d.clientCluster(path, clusters[i])
	if reduced.GetLoadAssignment() == nil {
		d.errorf(path, "cluster %q of the control plane must be of type STATIC or STRICT_DNS and have a load_assignment", x.Cluster)
		return
	}
	cluster, err := resource.Cluster(reduced)
	if err != nil {
		if !speaksHTTP2(clusters[i]) { // or else it is reported with the clusters for traffic
			return
		}
		d.failed(path, err)
		return
	}
	x.ConnectTimeout = cluster.ConnectTimeout
	if x.Polls != nil {
		x.Polls.HTTP2 = speaksHTTP2(clusters[i])
	}
	x.Targets = targets(cluster.Assignment)
	if len(x.Targets) == 0 {
		d.errorf(path+".load_assignment", "cluster %q of the control plane has no endpoints", x.Cluster)
	}
	d.keepalive(path, clusters[i], x)
}

// clientCluster returns the part of a cluster that matters to the gRPC client, and warns of the rest when the cluster is
// for that client only. The client asks DNS anew for each connection, so LOGICAL_DNS is the same as STRICT_DNS to it.
func (d *decoder) clientCluster(path string, c *clusterv3.Cluster) *clusterv3.Cluster {
	out := &clusterv3.Cluster{
		Name: c.GetName(), ClusterDiscoveryType: c.GetClusterDiscoveryType(), ConnectTimeout: c.GetConnectTimeout(),
		LoadAssignment: c.GetLoadAssignment(), TransportSocket: c.GetTransportSocket(), DnsLookupFamily: c.GetDnsLookupFamily(),
	}
	if c.GetType() == clusterv3.Cluster_LOGICAL_DNS {
		out.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
	}
	if speaksHTTP2(c) {
		known := make(map[protoreflect.Name]string)
		fields := c.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			known[fields.Get(i).Name()] = clientOwned
		}
		for _, name := range clientFields {
			known[name] = handled
		}
		d.fields(path, c, known)
	}
	return out
}

// targets returns the addresses of an assignment by priority.
func targets(a *config.ClusterLoadAssignment) []config.Address {
	localities := slices.Clone(a.Localities)
	slices.SortStableFunc(localities, func(x, y config.LocalityEndpoints) int { return cmp.Compare(x.Priority, y.Priority) })
	var out []config.Address
	for _, l := range localities {
		for _, e := range l.Endpoints {
			out = append(out, e.Address)
		}
	}
	return out
}

// keepalive decodes the pings that keep a connection to the control plane alive. Without an interval there are none.
func (d *decoder) keepalive(path string, c *clusterv3.Cluster, x *ControlPlane) {
	k := http2Options(c).GetConnectionKeepalive()
	if k.GetInterval() == nil {
		return
	}
	if err := resource.Validate(path+": cluster "+strconv.Quote(c.GetName())+": connection_keepalive", k); err != nil {
		d.errs = append(d.errs, err)
		return
	}
	x.KeepaliveInterval, x.KeepaliveTimeout = k.GetInterval().AsDuration(), k.GetTimeout().AsDuration()
}

// speaksHTTP2 reports whether a cluster is configured for HTTP/2.
func speaksHTTP2(c *clusterv3.Cluster) bool { return http2Options(c) != nil }

// http2Options returns the HTTP/2 options of a cluster, nil when it has none. As in Envoy, HttpProtocolOptions takes the
// place of the deprecated field.
func http2Options(c *clusterv3.Cluster) *corev3.Http2ProtocolOptions {
	for _, packed := range c.GetTypedExtensionProtocolOptions() {
		var o upstreamv3.HttpProtocolOptions
		if packed.UnmarshalTo(&o) == nil {
			return o.GetExplicitHttpConfig().GetHttp2ProtocolOptions()
		}
	}
	return c.GetHttp2ProtocolOptions()
}
