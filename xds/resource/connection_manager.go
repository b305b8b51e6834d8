package resource

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	connectionManagerFields = fields{
		"codec_type": decoded, "stat_prefix": decoded, "rds": decoded, "route_config": decoded, "scoped_routes": decoded, "http_filters": decoded,
		"common_http_protocol_options": decoded, "http_protocol_options": decoded, "server_name": decoded,
		"server_header_transformation": decoded, "via": decoded, "use_remote_address": decoded,
		"xff_num_trusted_hops": decoded, "skip_xff_append": decoded, "internal_address_config": decoded,
		"generate_request_id": decoded, "preserve_external_request_id": decoded, "always_set_request_id_in_response": decoded,
		"proxy_100_continue": decoded, "upgrade_configs": decoded, "path_with_escaped_slashes_action": decoded,
		"normalize_path": decoded, "merge_slashes": decoded, "strip_matching_host_port": decoded,
		"strip_any_host_port": decoded, "strip_trailing_host_dot": decoded, "max_request_headers_kb": decoded,
		"stream_idle_timeout": decoded, "request_timeout": decoded, "request_headers_timeout": decoded,
		"drain_timeout": decoded, "delayed_close_timeout": decoded, "http2_protocol_options": decoded,
		"stream_error_on_invalid_http_message": decoded, "forward_client_cert_details": decoded,
		"access_log": decoded, "set_current_client_cert_details": decoded, "local_reply_config": decoded,
		"original_ip_detection_extensions": decoded, "early_header_mutation_extensions": decoded, "scheme_header_transformation": decoded,
		"request_id_extension": decoded, "append_x_forwarded_port": decoded, "drain_timeout_jitter": decoded,
		"stream_flush_timeout": decoded,

		// There is neither a PROXY protocol header whose state could be added nor a statistic to record.
		"add_proxy_protocol_connection_state": noEffect, "record_route_resolution_stats": noEffect,

		"add_user_agent": onlyFalse,
	}
	downstreamOptionFields = fields{
		"idle_timeout": decoded, "max_connection_duration": decoded, "max_stream_duration": decoded,
		"max_connection_duration_jitter": decoded,
		"max_headers_count":              decoded, "headers_with_underscores_action": decoded, "max_requests_per_connection": decoded,
		"max_response_headers_kb": noEffect, // of upstreams
	}
	http1Fields = fields{
		"accept_http_10": decoded, "default_host_for_http_10": decoded, "enable_trailers": decoded,
		"header_key_format": decoded,
		"use_balsa_parser":  noEffect, "allow_custom_methods": noEffect, // every method that is a token is accepted
		"allow_absolute_url": onlyTrue, "override_stream_error_on_invalid_http_message": onlyFalse,
	}
	rdsFields             = fields{"config_source": decoded, "route_config_name": decoded}
	internalAddressFields = fields{"cidr_ranges": decoded, "unix_sockets": decoded}
	clientCertFields      = fields{"subject": decoded, "cert": decoded, "chain": decoded, "dns": decoded, "uri": decoded}
	upgradeFields         = fields{"upgrade_type": decoded, "enabled": decoded}
	routeUpgradeFields    = fields{"upgrade_type": decoded, "enabled": decoded, "connect_config": decoded}
	connectFields         = fields{"allow_post": onlyFalse}
)

// connectionManager decodes an HTTP connection manager.
func (a *at) connectionManager(hcm *hcmv3.HttpConnectionManager) *config.HTTPConnectionManager {
	a.only(hcm, connectionManagerFields)
	out := &config.HTTPConnectionManager{
		StatPrefix: hcm.GetStatPrefix(),
		Codec:      a.codec(hcm.GetCodecType()),

		ServerName:   hcm.GetServerName(),
		ServerHeader: serverHeader(hcm.GetServerHeaderTransformation()),
		Via:          hcm.GetVia(),

		AccessLogs: a.accessLogs(hcm.GetAccessLog()),
		LocalReply: a.in("local_reply_config").localReply(hcm.GetLocalReplyConfig()),

		ForwardClientCert: a.in("forward_client_cert_details").forwardClientCert(hcm.GetForwardClientCertDetails()),
		ClientCertDetails: a.in("set_current_client_cert_details").clientCertDetails(hcm.GetSetCurrentClientCertDetails()),

		UseRemoteAddress:          hcm.GetUseRemoteAddress().GetValue(),
		XFFNumTrustedHops:         hcm.GetXffNumTrustedHops(),
		OriginalIPs:               a.originalIPs(hcm),
		SkipXFFAppend:             hcm.GetSkipXffAppend(),
		InternalAddresses:         a.in("internal_address_config").internalAddresses(hcm.GetInternalAddressConfig()),
		InternalUnixSockets:       hcm.GetInternalAddressConfig().GetUnixSockets(),
		EarlyMutations:            a.earlyMutations(hcm.GetEarlyHeaderMutationExtensions()),
		AppendForwardedPort:       hcm.GetAppendXForwardedPort(),
		GenerateRequestID:         orBool(hcm.GetGenerateRequestId(), true),
		PreserveExternalRequestID: hcm.GetPreserveExternalRequestId(),
		AlwaysSetRequestID:        hcm.GetAlwaysSetRequestIdInResponse(),
		Proxy100Continue:          hcm.GetProxy_100Continue(),

		EscapedSlashes:        escapedSlashes(hcm.GetPathWithEscapedSlashesAction()),
		NormalizePath:         hcm.GetNormalizePath().GetValue(),
		MergeSlashes:          hcm.GetMergeSlashes(),
		StripMatchingHostPort: hcm.GetStripMatchingHostPort(),
		StripAnyHostPort:      hcm.GetStripAnyHostPort(),
		StripTrailingHostDot:  hcm.GetStripTrailingHostDot(),

		MaxHeaderKB: orUint32(hcm.GetMaxRequestHeadersKb(), config.DefaultMaxHeaderKB),

		StreamIdle:            a.duration("stream_idle_timeout", hcm.GetStreamIdleTimeout(), config.DefaultStreamIdle),
		StreamFlush:           a.optionalDuration("stream_flush_timeout", hcm.GetStreamFlushTimeout()),
		RequestTimeout:        a.duration("request_timeout", hcm.GetRequestTimeout(), 0),
		RequestHeadersTimeout: a.duration("request_headers_timeout", hcm.GetRequestHeadersTimeout(), 0),
		DrainTimeout:          a.duration("drain_timeout", hcm.GetDrainTimeout(), config.DefaultDrainTimeout),
		DrainJitter:           hcm.GetDrainTimeoutJitter().GetValue(),
		DelayedClose:          a.duration("delayed_close_timeout", hcm.GetDelayedCloseTimeout(), config.DefaultDelayedClose),
	}
	if out.ServerName == "" {
		out.ServerName = config.DefaultServerName
	}
	if out.StripMatchingHostPort && out.StripAnyHostPort {
		a.in("strip_matching_host_port").errorf("cannot be set together with strip_any_host_port")
	}
	a.requestFields(hcm, out)
	a.routesOf(hcm, out)
	out.Filters, out.Router = a.httpFilters(hcm.GetHttpFilters())
	out.Upgrades = a.managerUpgrades(hcm.GetUpgradeConfigs())
	a.in("common_http_protocol_options").downstreamOptions(hcm.GetCommonHttpProtocolOptions(), out)
	a.in("http_protocol_options").downstreamHTTP1(hcm.GetHttpProtocolOptions(), out)
	out.HTTP2 = a.in("http2_protocol_options").http2(hcm.GetHttp2ProtocolOptions())
	if lenient := hcm.GetStreamErrorOnInvalidHttpMessage(); lenient != nil &&
		hcm.GetHttp2ProtocolOptions().GetOverrideStreamErrorOnInvalidHttpMessage() == nil {
		out.HTTP2.StrictMessages = !lenient.GetValue()
	}
	return out
}

// codec decodes codec_type.
func (a *at) codec(t hcmv3.HttpConnectionManager_CodecType) config.Codec {
	switch t {
	case hcmv3.HttpConnectionManager_AUTO:
	case hcmv3.HttpConnectionManager_HTTP1:
		return config.CodecHTTP1
	case hcmv3.HttpConnectionManager_HTTP2:
		return config.CodecHTTP2
	default:
		a.in("codec_type").errorf("%s is not supported, only AUTO, HTTP1 and HTTP2", t)
	}
	return config.CodecAuto
}

// routesOf decodes where the routes come from: RDS, inline, or by scope.
func (a *at) routesOf(hcm *hcmv3.HttpConnectionManager, out *config.HTTPConnectionManager) {
	switch r := hcm.GetRouteSpecifier().(type) {
	case *hcmv3.HttpConnectionManager_Rds:
		place := a.in("rds")
		place.only(r.Rds, rdsFields)
		out.RouteConfigName = r.Rds.GetRouteConfigName()
		if out.RouteConfigName == "" {
			place.in("route_config_name").errorf("must not be empty")
		}
		place.in("route_config_name").asked(out.RouteConfigName)
		out.RDS = place.in("config_source").configSource(r.Rds.GetConfigSource())
	case *hcmv3.HttpConnectionManager_RouteConfig:
		out.Routes = a.in("route_config").routeConfiguration(r.RouteConfig)
	case *hcmv3.HttpConnectionManager_ScopedRoutes:
		out.Scopes = a.in("scoped_routes").scopedRoutes(r.ScopedRoutes)
	default:
		a.errorf("must have rds, route_config or scoped_routes")
	}
}

func (a *at) forwardClientCert(f hcmv3.HttpConnectionManager_ForwardClientCertDetails) config.ForwardClientCert {
	switch f {
	case hcmv3.HttpConnectionManager_SANITIZE:
		return config.ClientCertSanitize
	case hcmv3.HttpConnectionManager_FORWARD_ONLY:
		return config.ClientCertForwardOnly
	case hcmv3.HttpConnectionManager_APPEND_FORWARD:
		return config.ClientCertAppendForward
	case hcmv3.HttpConnectionManager_SANITIZE_SET:
		return config.ClientCertSanitizeSet
	case hcmv3.HttpConnectionManager_ALWAYS_FORWARD_ONLY:
		return config.ClientCertAlwaysForwardOnly
	default:
		a.errorf("%s is not supported", f)
		return config.ClientCertSanitize
	}
}

func (a *at) clientCertDetails(d *hcmv3.HttpConnectionManager_SetCurrentClientCertDetails) config.ClientCertDetails {
	if d == nil {
		return config.ClientCertDetails{}
	}
	a.only(d, clientCertFields)
	return config.ClientCertDetails{
		Cert: d.GetCert(), Chain: d.GetChain(), Subject: d.GetSubject().GetValue(), URI: d.GetUri(), DNS: d.GetDns(),
	}
}

// downstreamOptions decodes common_http_protocol_options.
func (a *at) downstreamOptions(o *corev3.HttpProtocolOptions, out *config.HTTPConnectionManager) {
	if o != nil {
		a.only(o, downstreamOptionFields)
	}
	out.ConnectionIdle = a.duration("idle_timeout", o.GetIdleTimeout(), config.DefaultConnectionIdle)
	out.MaxConnectionDuration = a.duration("max_connection_duration", o.GetMaxConnectionDuration(), 0)
	out.ConnectionDurationJitter = o.GetMaxConnectionDurationJitter().GetValue()
	out.MaxStreamDuration = a.duration("max_stream_duration", o.GetMaxStreamDuration(), 0)
	out.MaxHeaderCount = orUint32(o.GetMaxHeadersCount(), config.DefaultMaxHeaderCount)
	out.MaxRequestsPerConnection = o.GetMaxRequestsPerConnection().GetValue()
	switch o.GetHeadersWithUnderscoresAction() {
	case corev3.HttpProtocolOptions_REJECT_REQUEST:
		out.Underscores = config.UnderscoreReject
	case corev3.HttpProtocolOptions_DROP_HEADER:
		out.Underscores = config.UnderscoreDrop
	}
}

// downstreamHTTP1 decodes http_protocol_options.
func (a *at) downstreamHTTP1(o *corev3.Http1ProtocolOptions, out *config.HTTPConnectionManager) {
	if o == nil {
		return
	}
	a.only(o, http1Fields)
	out.AcceptHTTP10 = o.GetAcceptHttp_10()
	out.DefaultHostForHTTP10 = o.GetDefaultHostForHttp_10()
	out.EnableTrailers = o.GetEnableTrailers()
	out.HeaderCase = a.in("header_key_format").headerCase(o.GetHeaderKeyFormat())
}

// internalAddresses decodes the CIDR blocks of internal_address_config.
func (a *at) internalAddresses(c *hcmv3.HttpConnectionManager_InternalAddressConfig) []string {
	if c == nil {
		return nil
	}
	a.only(c, internalAddressFields)
	blocks := make([]string, 0, len(c.GetCidrRanges()))
	for _, block := range a.addressBlocks("cidr_ranges", c.GetCidrRanges()) {
		blocks = append(blocks, block.String())
	}
	return blocks
}

// managerUpgrades decodes upgrade_configs of the connection manager.
func (a *at) managerUpgrades(configs []*hcmv3.HttpConnectionManager_UpgradeConfig) []config.Upgrade {
	var out []config.Upgrade
	for i, u := range configs {
		place := a.item("upgrade_configs", i)
		place.only(u, upgradeFields)
		out = place.upgrade(out, u.GetUpgradeType(), orBool(u.GetEnabled(), true))
	}
	return out
}

// upgrade appends one entry of upgrade_configs.
func (a *at) upgrade(list []config.Upgrade, protocol string, enabled bool) []config.Upgrade {
	protocol = strings.ToLower(protocol)
	switch {
	case protocol == "":
		a.in("upgrade_type").errorf("must not be empty")
	case protocol == "connect-udp" && enabled:
		a.in("upgrade_type").errorf("CONNECT-UDP is not supported, only CONNECT and protocols of the Upgrade field")
	}
	for _, other := range list {
		if other.Type == protocol {
			a.in("upgrade_type").errorf("%s is listed twice", protocol)
		}
	}
	return append(list, config.Upgrade{Type: protocol, Enabled: enabled})
}

func serverHeader(t hcmv3.HttpConnectionManager_ServerHeaderTransformation) config.ServerHeader {
	switch t {
	case hcmv3.HttpConnectionManager_APPEND_IF_ABSENT:
		return config.ServerAppendIfAbsent
	case hcmv3.HttpConnectionManager_PASS_THROUGH:
		return config.ServerPassThrough
	default:
		return config.ServerOverwrite
	}
}

// escapedSlashes maps the action; the implementation's own default is to keep the path, as Envoy's is.
func escapedSlashes(action hcmv3.HttpConnectionManager_PathWithEscapedSlashesAction) config.EscapedSlashes {
	switch action {
	case hcmv3.HttpConnectionManager_REJECT_REQUEST:
		return config.EscapedSlashesReject
	case hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT:
		return config.EscapedSlashesUnescapeAndRedirect
	case hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD:
		return config.EscapedSlashesUnescapeAndForward
	default:
		return config.EscapedSlashesKeep
	}
}
