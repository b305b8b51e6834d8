package resource

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	connectionManagerMessage = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
	rawBufferMessage         = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
)

var (
	listenerFields = fields{
		"name": decoded, "address": decoded, "stat_prefix": decoded, "filter_chains": decoded, "default_filter_chain": decoded,
		"per_connection_buffer_limit_bytes": decoded,

		"metadata": noEffect, "traffic_direction": noEffect, "drain_type": noEffect, "reuse_port": noEffect,
		"enable_reuse_port": noEffect, "connection_balance_config": noEffect, "tcp_backlog_size": noEffect,
		"tcp_fast_open_queue_length": noEffect, "max_connections_to_accept_per_socket_event": noEffect,
		// There is no global connection limit or overload manager to be excepted from, nor a listener filter to wait for.
		"ignore_global_conn_limit": noEffect, "bypass_overload_manager": noEffect, "listener_filters_timeout": noEffect,
		"continue_on_listener_filters_timeout": noEffect,

		"bind_to_port": onlyTrue, "use_original_dst": onlyFalse, "transparent": onlyFalse, "freebind": onlyFalse,
	}
	filterChainFields = fields{
		"filter_chain_match": decoded, "filters": decoded, "transport_socket": decoded,
		"name": noEffect, "metadata": noEffect, "transport_socket_connect_timeout": noEffect,
		"use_proxy_proto": onlyFalse,
	}
	networkFilterFields = fields{"name": noEffect, "typed_config": decoded}
)

// Listener decodes a listener: a TCP address and one filter chain, which has an HTTP connection manager or a TCP proxy and
// matches every connection.
func Listener(l *listenerv3.Listener) (*config.Listener, error) {
	root := newReport("listener", l.GetName())
	if !root.validate(l) {
		return nil, root.err()
	}
	if l.GetName() == "" {
		root.in("name").errorf("must not be empty")
	}
	root.only(l, listenerFields)
	out := &config.Listener{
		Name:        l.GetName(),
		StatPrefix:  l.GetStatPrefix(),
		Address:     root.in("address").address(l.GetAddress(), onlyIP),
		BufferLimit: orUint32(l.GetPerConnectionBufferLimitBytes(), config.DefaultBufferLimit),
	}
	if place, chain := root.filterChain(l); chain != nil {
		if decoded := place.filterOf(chain); chain == l.GetDefaultFilterChain() {
			out.Default = decoded
		} else {
			out.Chains = []*config.FilterChain{decoded}
		}
	}
	if root.failed() {
		return nil, root.err()
	}
	return out, nil
}

// filterChain returns the only filter chain of a listener.
func (a *at) filterChain(l *listenerv3.Listener) (*at, *listenerv3.FilterChain) {
	chains, fallback := l.GetFilterChains(), l.GetDefaultFilterChain()
	switch {
	case len(chains) == 0 && fallback == nil:
		a.in("filter_chains").errorf("must have one filter chain")
		return nil, nil
	case len(chains) == 0:
		return a.in("default_filter_chain"), fallback
	case len(chains) > 1:
		a.item("filter_chains", 1).errorf("a second filter chain is not supported")
	case fallback != nil:
		a.in("default_filter_chain").errorf("is not supported beside filter_chains")
	}
	return a.item("filter_chains", 0), chains[0]
}

// filterOf decodes the only filter of a filter chain.
func (a *at) filterOf(chain *listenerv3.FilterChain) *config.FilterChain {
	out := &config.FilterChain{}
	a.only(chain, filterChainFields)
	if match := chain.GetFilterChainMatch(); match != nil && proto.Size(match) > 0 {
		a.in("filter_chain_match").errorf("is not supported, only a chain that matches every connection")
	}
	a.transportSocket(chain.GetTransportSocket())
	filters := chain.GetFilters()
	if len(filters) == 0 {
		a.in("filters").errorf("must have an HTTP connection manager or a TCP proxy")
		return out
	}
	place, filter := a.item("filters", 0), filters[0]
	if len(filters) > 1 {
		a.item("filters", 1).errorf("%sis not supported, only one HTTP connection manager or TCP proxy", describe(filters[1].ProtoReflect()))
		return out
	}
	place.only(filter, networkFilterFields)
	packed := filter.GetTypedConfig()
	if packed == nil {
		place.in("typed_config").errorf("must be set")
		return out
	}
	switch messageName(packed) {
	case connectionManagerMessage:
		var hcm hcmv3.HttpConnectionManager
		if place = place.in("typed_config"); place.unpack(packed, &hcm) {
			out.HTTP = place.connectionManager(&hcm)
		}
	case tcpProxyMessage:
		var tcp tcpproxyv3.TcpProxy
		if place = place.in("typed_config"); place.unpack(packed, &tcp) {
			out.TCP = place.tcpProxy(&tcp)
		}
	default:
		place.unregistered(filter.GetName(), packed)
	}
	return out
}
