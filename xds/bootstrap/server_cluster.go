//lint:file-ignore SA1019 bootstraps still have the deprecated fields

package bootstrap

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const clientOwned = "has no effect on the connection to the control plane"

// ownFields are the fields of the control plane's cluster that its client goes by. The others that may be set are about
// traffic.
var ownFields = []protoreflect.Name{
	"name", "alt_stat_name", "type", "cluster_type", "connect_timeout", "load_assignment", "transport_socket", "dns_refresh_rate",
	"respect_dns_ttl", "dns_lookup_family", "upstream_bind_config", "http2_protocol_options", "typed_extension_protocol_options",
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

// backing finds the addresses of a server in its static cluster, which stands at the field named.
func (d *decoder) backing(named string, written *bootstrapv3.Bootstrap, x *Server) {
	clusters := written.GetStaticResources().GetClusters()
	i := slices.IndexFunc(clusters, func(c *clusterv3.Cluster) bool { return c.GetName() == x.Cluster })
	if i < 0 || clusters[i].GetType() == clusterv3.Cluster_EDS {
		known := make([]string, len(clusters))
		for i, c := range clusters {
			known[i] = c.GetName()
		}
		d.errorf(named, "envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: '%s' does not exist, "+
			"was added via api, or is an EDS cluster; static_resources.clusters has %s", x.Cluster, names(known))
		return
	}
	path := fmt.Sprintf("static_resources.clusters[%d]", i)
	d.clientFields(path, clusters[i])
	reduced := clientCluster(clusters[i])
	if reduced.GetLoadAssignment() == nil {
		d.errorf(path, "cluster %q of the control plane must be of type STATIC or STRICT_DNS and have a load_assignment", x.Cluster)
		return
	}
	cluster, err := resource.Cluster(reduced)
	if err != nil {
		return // it is reported with the static clusters
	}
	x.ConnectTimeout, x.Bind = cluster.ConnectTimeout, cmp.Or(cluster.Bind, d.out.Bind)
	if cluster.ProxyHeader != nil {
		d.errorf(path+".transport_socket", "ProxyProtocolUpstreamTransport is not supported to a control plane, only RawBuffer and UpstreamTlsContext")
	}
	x.TLS = d.serverTLS(path, cluster.TLS)
	x.HTTP2 = speaksHTTP2(clusters[i])
	d.serverFilters(path, clusters[i], written, x)
	x.Targets, x.Hostnames = targets(cluster.Assignment)
	if len(x.Targets) == 0 {
		d.errorf(path+".load_assignment", "cluster %q of the control plane has no endpoints", x.Cluster)
	}
	d.pipes(path+".load_assignment", x)
	d.keepalive(path, clusters[i], x)
}

// pipes refuses paths of Unix domain sockets that the URI of a gRPC target cannot hold.
func (d *decoder) pipes(path string, x *Server) {
	for _, a := range x.Targets {
		if a.Path != "" && a.Path[0] != '/' && strings.ContainsAny(a.Path, "%?#") {
			d.errorf(path, "pipe %q of a control plane must be absolute to hold any of %%?#", a.Path)
		}
	}
}

// serverTLS checks that what TLS to a control plane needs is there before the first connection to one.
func (d *decoder) serverTLS(path string, asked *config.UpstreamTLS) *config.UpstreamTLS {
	if asked == nil {
		return nil
	}
	d.failed(path+": transport_socket", d.static.CheckSecrets(asked.Secrets()))
	for _, ref := range asked.Secrets() {
		if ref.Static {
			continue
		}
		if ref.SDS.Source.Path == "" {
			d.errorf(path, "transport_socket: secret %q of a control plane must be static or come from a file, by path_config_source", ref.Name)
			continue
		}
		d.failed(fmt.Sprintf("%s: transport_socket: secret %q", path, ref.Name), (&Bootstrap{}).CheckSource(ref.SDS.Source))
	}
	return asked
}

// clientCluster returns the part of a cluster that matters to the gRPC client. It asks DNS anew for each connection, so LOGICAL_DNS is
// the same as STRICT_DNS to it.
func clientCluster(c *clusterv3.Cluster) *clusterv3.Cluster {
	out := &clusterv3.Cluster{
		Name: c.GetName(), AltStatName: c.GetAltStatName(), ClusterDiscoveryType: c.GetClusterDiscoveryType(),
		ConnectTimeout: c.GetConnectTimeout(), LoadAssignment: c.GetLoadAssignment(), TransportSocket: c.GetTransportSocket(),
		DnsLookupFamily: c.GetDnsLookupFamily(), UpstreamBindConfig: c.GetUpstreamBindConfig(), Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
	}
	if c.GetType() == clusterv3.Cluster_LOGICAL_DNS {
		out.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
	}
	return out
}

// clientFields warns of the fields of a cluster that do not matter to the gRPC client.
func (d *decoder) clientFields(path string, c *clusterv3.Cluster) {
	if !speaksHTTP2(c) {
		return
	}
	known := make(map[protoreflect.Name]string)
	fields := c.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		known[fields.Get(i).Name()] = clientOwned
	}
	delete(known, "transport_socket_matches") // the endpoints would be spoken to in another way than is asked for
	for _, name := range ownFields {
		known[name] = handled
	}
	d.fields(path, c, known)
}

// targets returns the addresses of an assignment by priority, and the host names that endpoints have of their own.
func targets(a *config.ClusterLoadAssignment) (out []config.Address, hostnames map[string]string) {
	localities := slices.Clone(a.Localities)
	slices.SortStableFunc(localities, func(x, y config.LocalityEndpoints) int { return cmp.Compare(x.Priority, y.Priority) })
	for _, l := range localities {
		for _, e := range l.Endpoints {
			out = append(out, e.Address)
			if e.Hostname == "" {
				continue
			}
			if hostnames == nil {
				hostnames = make(map[string]string)
			}
			hostnames[e.Address.String()] = e.Hostname
		}
	}
	return out, hostnames
}

// keepalive decodes the pings that keep a connection to the control plane alive. Without an interval there are none.
func (d *decoder) keepalive(path string, c *clusterv3.Cluster, x *Server) {
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
