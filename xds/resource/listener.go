package resource

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	balanceFields = fields{
		"exact_balance": noEffect, // connections are spread exactly wherever the kernel lets them be steered
	}
	listenerFields = fields{
		"name": decoded, "address": decoded, "stat_prefix": decoded, "filter_chains": decoded, "default_filter_chain": decoded,
		"per_connection_buffer_limit_bytes": decoded, "additional_addresses": decoded,
		"socket_options": decoded, "tcp_keepalive": decoded, "tcp_backlog_size": decoded, "freebind": decoded, "transparent": decoded,
		"access_log":       decoded,
		"listener_filters": decoded, "listener_filters_timeout": decoded,
		"continue_on_listener_filters_timeout": decoded,

		"metadata": noEffect, "traffic_direction": decoded, "drain_type": decoded, "reuse_port": noEffect,
		"enable_reuse_port": noEffect, "connection_balance_config": decoded,
		"tcp_fast_open_queue_length": noEffect, "max_connections_to_accept_per_socket_event": noEffect,
		"ignore_global_conn_limit": decoded, "bypass_overload_manager": decoded,

		"bind_to_port": decoded, "use_original_dst": decoded, "deprecated_v1": decoded,
	}
)

// Listener decodes a listener.
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
		BufferLimit: orUint32(l.GetPerConnectionBufferLimitBytes(), config.DefaultBufferLimit),

		ModifyOnly: l.GetDrainType() == listenerv3.Listener_MODIFY_ONLY,
		Inbound:    l.GetTrafficDirection() == corev3.TrafficDirection_INBOUND,

		IgnoreGlobalConnLimit: l.GetIgnoreGlobalConnLimit() || l.GetBypassOverloadManager(),
	}
	root.originalDestinations(l, out)
	root.in("connection_balance_config").balance(l.GetConnectionBalanceConfig())
	root.listenAddresses(l, out)
	root.listenerFilters(l, out)
	out.AccessLogs = root.accessLogs(l.GetAccessLog())
	root.filterChains(l, out)
	if root.failed() {
		return nil, root.err()
	}
	return out, nil
}

// balance refuses what would spread connections over workers otherwise than it is done anyway.
func (a *at) balance(b *listenerv3.Listener_ConnectionBalanceConfig) {
	if extension := b.GetExtendBalance(); extension.GetTypedConfig() != nil {
		a.in("extend_balance").unregistered(extension.GetName(), extension.GetTypedConfig())
		return
	}
	if b != nil {
		a.only(b, balanceFields)
	}
}
