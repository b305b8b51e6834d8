//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"fmt"
	"maps"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	protocolOptionsMessage = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	noHTTP3                = "HTTP/3 upstreams are not supported"
)

var (
	protocolOptionsFields = fields{
		"common_http_protocol_options": decoded, "explicit_http_config": decoded, "use_downstream_protocol_config": decoded,
		"auto_config": decoded, "upstream_http_protocol_options": decoded, "hash_policy": decoded,
		"retry_policy": decoded, "request_mirror_policies": decoded, "outlier_detection": decoded,
	}
	autoConfigFields = fields{"http_protocol_options": decoded, "http2_protocol_options": decoded}
	serverNameFields = fields{
		"auto_sni": decoded, "auto_san_validation": decoded,
		"override_auto_sni_header": decoded,
	}
	upstreamOptionFields = fields{
		"idle_timeout": decoded, "max_connection_duration": decoded, "max_headers_count": decoded,
		"max_response_headers_kb": decoded, "max_requests_per_connection": decoded,
		"max_stream_duration": decoded,
		// Of downstreams.
		"headers_with_underscores_action": noEffect, "max_connection_duration_jitter": noEffect,
	}
	upstreamHTTP1Fields = fields{
		"enable_trailers": decoded, "header_key_format": decoded,
		// Of downstreams.
		"accept_http_10": noEffect, "default_host_for_http_10": noEffect, "allow_custom_methods": noEffect,
		"use_balsa_parser": noEffect, "allow_absolute_url": noEffect,
		"override_stream_error_on_invalid_http_message": onlyFalse,
	}
)

// upstreamProtocol decodes how a cluster's hosts are spoken to. Where HttpProtocolOptions is set, the cluster's own fields
// of the same purpose are ignored.
func (a *at) upstreamProtocol(c *clusterv3.Cluster, out *config.Cluster) {
	place, packed := a.protocolOptions(c)
	if packed != nil {
		place.typedProtocol(packed, out)
	} else {
		a.olderProtocol(c, out)
		a.in("upstream_http_protocol_options").serverName(c.GetUpstreamHttpProtocolOptions(), out)
		a.in("common_http_protocol_options").upstreamOptions(c.GetCommonHttpProtocolOptions(), out)
		a.in("http_protocol_options").upstreamHTTP1(c.GetHttpProtocolOptions(), out)
	}
	if out.MaxRequestsPerConnection == 0 {
		out.MaxRequestsPerConnection = c.GetMaxRequestsPerConnection().GetValue()
	}
}

// serverName decodes how requests name hosts in TLS. In plaintext that has no effect.
func (a *at) serverName(o *corev3.UpstreamHttpProtocolOptions, out *config.Cluster) {
	if o == nil || !out.HasTLS() {
		return
	}
	a.only(o, serverNameFields)
	if !o.GetAutoSni() && !o.GetAutoSanValidation() {
		return
	}
	out.AutoName = &config.AutoName{SNI: o.GetAutoSni(), SAN: o.GetAutoSanValidation()}
	if header := o.GetOverrideAutoSniHeader(); header != "" {
		out.AutoName.Header = a.in("override_auto_sni_header").fieldName(header)
	}
	for i, c := range out.Sockets() {
		c.PerName = out.AutoName.SNI
		if !out.AutoName.SAN || c.HasTrust() {
			continue
		}
		socket := "transport_socket"
		if i >= 0 {
			socket = fmt.Sprintf("transport_socket_matches[%d].transport_socket", i)
		}
		a.in("auto_san_validation").errorf("needs trusted_ca, which %s does not have: anybody can make a certificate with any name", socket)
	}
}

// olderProtocol decodes the fields of a cluster that choose the protocol where there is no HttpProtocolOptions.
func (a *at) olderProtocol(c *clusterv3.Cluster, out *config.Cluster) {
	switch {
	case c.GetProtocolSelection() == clusterv3.Cluster_USE_DOWNSTREAM_PROTOCOL:
		out.Protocol = config.ProtocolDownstream
	case c.GetHttp2ProtocolOptions() != nil:
		out.Protocol = config.ProtocolHTTP2
	default:
		return
	}
	out.HTTP2 = a.in("http2_protocol_options").http2(c.GetHttp2ProtocolOptions())
}

// typedProtocol decodes HttpProtocolOptions.
func (a *at) typedProtocol(packed *anypb.Any, out *config.Cluster) {
	var o upstreamv3.HttpProtocolOptions
	if !a.unpack(packed, &o) {
		return
	}
	a.only(&o, protocolOptionsFields)
	a.in("common_http_protocol_options").upstreamOptions(o.GetCommonHttpProtocolOptions(), out)
	a.in("upstream_http_protocol_options").serverName(o.GetUpstreamHttpProtocolOptions(), out)
	// As in Envoy, what the load balancing policy itself has goes over them.
	if policies := a.hashPolicies(o.GetHashPolicy()); len(out.Hashing.Policies) == 0 {
		out.Hashing.Policies = policies
	}
	out.Retry = a.in("retry_policy").retryPolicy(o.GetRetryPolicy())
	out.Errors = a.in("outlier_detection").httpOutlier(o.GetOutlierDetection())
	out.Mirrors = a.mirrorPolicies(o.GetRequestMirrorPolicies())
	switch p := o.GetUpstreamProtocolOptions().(type) {
	case *upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_:
		a.in("explicit_http_config").explicitProtocol(p.ExplicitHttpConfig, out)
	case *upstreamv3.HttpProtocolOptions_UseDownstreamProtocolConfig:
		down := a.in("use_downstream_protocol_config")
		out.Protocol = config.ProtocolDownstream
		out.HTTP2 = down.in("http2_protocol_options").http2(p.UseDownstreamProtocolConfig.GetHttp2ProtocolOptions())
		down.noHTTP3(p.UseDownstreamProtocolConfig.GetHttp3ProtocolOptions())
		down.in("http_protocol_options").upstreamHTTP1(p.UseDownstreamProtocolConfig.GetHttpProtocolOptions(), out)
	case *upstreamv3.HttpProtocolOptions_AutoConfig:
		a.in("auto_config").autoProtocol(p.AutoConfig, out)
	}
}

// protocolOptions returns the HttpProtocolOptions in typed_extension_protocol_options, nil when there are none. Anything
// else in there is refused.
func (a *at) protocolOptions(c *clusterv3.Cluster) (*at, *anypb.Any) {
	var place *at
	var found *anypb.Any
	for _, key := range slices.Sorted(maps.Keys(c.GetTypedExtensionProtocolOptions())) {
		packed := c.GetTypedExtensionProtocolOptions()[key]
		here := a.key("typed_extension_protocol_options", key)
		switch {
		case messageName(packed) != protocolOptionsMessage:
			here.unregistered(key, packed)
		case found != nil:
			here.errorf("is a second %s", protocolOptionsMessage)
		default:
			place, found = here, packed
		}
	}
	return place, found
}

// explicitProtocol decodes explicit_http_config.
func (a *at) explicitProtocol(e *upstreamv3.HttpProtocolOptions_ExplicitHttpConfig, out *config.Cluster) {
	if o := e.GetHttp2ProtocolOptions(); o != nil {
		out.Protocol = config.ProtocolHTTP2
		out.HTTP2 = a.in("http2_protocol_options").http2(o)
	}
	a.noHTTP3(e.GetHttp3ProtocolOptions())
	a.in("http_protocol_options").upstreamHTTP1(e.GetHttpProtocolOptions(), out)
}

// autoProtocol decodes auto_config. It takes TLS to choose a protocol by.
func (a *at) autoProtocol(c *upstreamv3.HttpProtocolOptions_AutoHttpConfig, out *config.Cluster) {
	a.only(c, autoConfigFields)
	out.Protocol = config.ProtocolAuto
	out.HTTP2 = a.in("http2_protocol_options").http2(c.GetHttp2ProtocolOptions())
	a.in("http_protocol_options").upstreamHTTP1(c.GetHttpProtocolOptions(), out)
	if out.TLS == nil {
		a.errorf("needs a transport_socket of TLS, whose ALPN chooses the protocol")
	}
	for i := range out.SocketMatches {
		if out.SocketMatches[i].TLS == nil {
			a.errorf("needs TLS, whose ALPN chooses the protocol, which transport_socket_matches[%d] does not have", i)
		}
	}
}

// noHTTP3 refuses a protocol that upstreams cannot be spoken to in.
func (a *at) noHTTP3(o *corev3.Http3ProtocolOptions) {
	if o != nil {
		a.in("http3_protocol_options").errorf(noHTTP3)
	}
}

// upstreamOptions decodes the options common to all HTTP versions.
func (a *at) upstreamOptions(o *corev3.HttpProtocolOptions, out *config.Cluster) {
	if o != nil {
		a.only(o, upstreamOptionFields)
	}
	out.IdleTimeout = a.duration("idle_timeout", o.GetIdleTimeout(), config.DefaultUpstreamIdle)
	out.MaxConnectionDuration = a.duration("max_connection_duration", o.GetMaxConnectionDuration(), 0)
	out.MaxStreamDuration = a.duration("max_stream_duration", o.GetMaxStreamDuration(), 0)
	out.MaxHeaderKB = orUint32(o.GetMaxResponseHeadersKb(), config.DefaultMaxResponseKB)
	out.MaxHeaderCount = orUint32(o.GetMaxHeadersCount(), config.DefaultMaxResponseHdrs)
	out.MaxRequestsPerConnection = o.GetMaxRequestsPerConnection().GetValue()
}

// upstreamHTTP1 decodes the options of HTTP/1.
func (a *at) upstreamHTTP1(o *corev3.Http1ProtocolOptions, out *config.Cluster) {
	if o == nil {
		return
	}
	a.only(o, upstreamHTTP1Fields)
	out.EnableTrailers = o.GetEnableTrailers()
	out.HeaderCase = a.in("header_key_format").headerCase(o.GetHeaderKeyFormat())
}
