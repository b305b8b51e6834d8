package resource

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httpinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	tlsInspectorMessage  = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
	httpInspectorMessage = "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
	proxyProtocolMessage = "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
	originalDstMessage   = "envoy.extensions.filters.listener.original_dst.v3.OriginalDst"
)

var (
	listenerFilterFields = fields{"name": noEffect, "typed_config": decoded}
	tlsInspectorFields   = fields{
		"enable_ja3_fingerprinting": onlyFalse, "enable_ja4_fingerprinting": onlyFalse,
		"initial_read_buffer_size":                        noEffect, // what has come is read as it comes
		"close_connection_on_client_hello_parsing_errors": decoded, "max_client_hello_size": decoded,
	}
	httpInspectorFields = fields{}
	originalDstFields   = fields{}
	proxyProtocolFields = fields{
		"allow_requests_without_proxy_protocol": decoded, "disallowed_versions": decoded, "stat_prefix": decoded,
		"tlv_location": noEffect, // values of TLVs are kept nowhere
	}
)

// listenerFilters decodes listener_filters and how long they may take.
func (a *at) listenerFilters(l *listenerv3.Listener, out *config.Listener) {
	for i, f := range l.GetListenerFilters() {
		place := a.item("listener_filters", i)
		place.only(f, listenerFilterFields)
		packed := f.GetTypedConfig()
		if packed == nil {
			place.in("typed_config").errorf("must be set on filter '%s'", f.GetName())
			continue
		}
		inside, decoded := place.in("typed_config"), any(nil)
		switch messageName(packed) {
		case tlsInspectorMessage:
			var m tlsinspectorv3.TlsInspector
			if inside.unpack(packed, &m) {
				decoded = inside.tlsInspector(&m)
			}
		case httpInspectorMessage:
			var m httpinspectorv3.HttpInspector
			if inside.unpack(packed, &m) {
				inside.only(&m, httpInspectorFields)
				decoded = config.HTTPInspector{}
			}
		case originalDstMessage:
			var m originaldstv3.OriginalDst
			if inside.unpack(packed, &m) {
				inside.only(&m, originalDstFields)
				decoded = config.OriginalDst{}
			}
		case proxyProtocolMessage:
			var m proxyprotocolv3.ProxyProtocol
			if inside.unpack(packed, &m) {
				decoded = inside.proxyProtocol(&m)
			}
		default:
			place.unregistered(f.GetName(), packed)
		}
		out.Filters = append(out.Filters, config.ListenerFilter{Name: f.GetName(), Config: decoded})
	}
	if out.HandsOff && !slices.ContainsFunc(out.Filters, isOriginalDst) {
		out.Filters = append(out.Filters, config.ListenerFilter{Name: "envoy.filters.listener.original_dst", Config: config.OriginalDst{}})
	}
	out.FiltersTimeout = a.duration("listener_filters_timeout", l.GetListenerFiltersTimeout(), config.DefaultListenerFiltersTimeout)
	out.ContinueOnTimeout = l.GetContinueOnListenerFiltersTimeout()
}

func isOriginalDst(f config.ListenerFilter) bool {
	_, ok := f.Config.(config.OriginalDst)
	return ok
}

func (a *at) tlsInspector(m *tlsinspectorv3.TlsInspector) config.TLSInspector {
	a.only(m, tlsInspectorFields)
	return config.TLSInspector{
		MaxClientHello: orUint32(m.GetMaxClientHelloSize(), config.DefaultMaxClientHello),
		CloseOnError:   m.GetCloseConnectionOnClientHelloParsingErrors(),
	}
}

func (a *at) proxyProtocol(m *proxyprotocolv3.ProxyProtocol) config.ProxyProtocol {
	a.only(m, proxyProtocolFields)
	out := config.ProxyProtocol{AllowWithout: m.GetAllowRequestsWithoutProxyProtocol(), StatPrefix: m.GetStatPrefix()}
	for i, v := range m.GetDisallowedVersions() {
		switch v {
		case corev3.ProxyProtocolConfig_V1:
			out.DisallowV1 = true
		case corev3.ProxyProtocolConfig_V2:
			out.DisallowV2 = true
		default:
			a.item("disallowed_versions", i).errorf("%d is not a version, it must be V1 or V2", v)
		}
	}
	if out.DisallowV1 && out.DisallowV2 {
		a.in("disallowed_versions").errorf("must leave a version that is allowed")
	}
	return out
}
