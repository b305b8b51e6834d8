//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"math"
	"net/http"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	forwardFields = fields{
		"cluster": decoded, "weighted_clusters": decoded, "cluster_header": decoded, "cluster_not_found_response_code": decoded, "prefix_rewrite": decoded,
		"regex_rewrite": decoded, "host_rewrite_literal": decoded, "auto_host_rewrite": decoded,
		"host_rewrite_header": decoded, "host_rewrite_path_regex": decoded, "append_x_forwarded_host": decoded, "timeout": decoded, "idle_timeout": decoded, "flush_timeout": decoded,
		"upgrade_configs": decoded, "max_grpc_timeout": decoded, "grpc_timeout_offset": decoded, "max_stream_duration": decoded, "hash_policy": decoded,
		"retry_policy": decoded, "request_mirror_policies": decoded, "internal_redirect_policy": decoded,
		"internal_redirect_action": decoded, "priority": decoded, "max_internal_redirects": decoded, "metadata_match": decoded,

		"hedge_policy": decoded, "cors": decoded, "cluster_specifier_plugin": decoded, "inline_cluster_specifier_plugin": decoded,

		"early_data_policy": noEffect, // nothing is sent before hands are shaken

		// They are for the filter of global rate limits, which there is none of.
		"rate_limits": noEffect, "include_vh_rate_limits": noEffect,
	}
	streamDurationFields = fields{
		"max_stream_duration": decoded, "grpc_timeout_header_max": decoded, "grpc_timeout_header_offset": decoded,
	}
	weightedClustersFields = fields{
		"clusters": decoded, "total_weight": decoded, "runtime_key_prefix": decoded, "use_hash_policy": decoded,
		"header_name": decoded,
	}
	clusterWeightFields = fields{
		"name": decoded, "cluster_header": decoded, "weight": decoded, "host_rewrite_literal": decoded, "response_headers_to_add": decoded,
		"response_headers_to_remove": decoded, "request_headers_to_add": decoded, "request_headers_to_remove": decoded,
		"metadata_match": decoded, "typed_per_filter_config": decoded,
	}
	redirectFields = fields{
		"https_redirect": decoded, "scheme_redirect": decoded, "host_redirect": decoded, "port_redirect": decoded,
		"path_redirect": decoded, "prefix_rewrite": decoded, "regex_rewrite": decoded, "response_code": decoded,
		"strip_query": decoded,
	}
	directResponseFields = fields{"status": decoded, "body": decoded, "body_format": decoded}
	bodyFormatFields     = fields{"text_format": decoded, "text_format_source": decoded, "content_type": decoded}
)

// forward decodes a route to clusters.
func (a *at) forward(r *routev3.RouteAction) *config.Forward {
	a.only(r, forwardFields)
	out := &config.Forward{
		Clusters:              a.targets(r),
		ClusterHeader:         a.clusterHeader(r),
		RuntimeKeyPrefix:      r.GetWeightedClusters().GetRuntimeKeyPrefix(),
		HashPolicies:          a.hashPolicies(r.GetHashPolicy()),
		HashSplit:             r.GetWeightedClusters().GetUseHashPolicy().GetValue(),
		SplitHeader:           a.splitHeader(r.GetWeightedClusters()),
		ClusterNotFoundStatus: http.StatusServiceUnavailable,
		PrefixRewrite:         r.GetPrefixRewrite(),
		RegexRewrite:          a.in("regex_rewrite").regexRewrite(r.GetRegexRewrite()),
		AppendForwardedHost:   r.GetAppendXForwardedHost(),
		Retry:                 a.in("retry_policy").retryPolicy(r.GetRetryPolicy()),
		Hedge:                 a.in("hedge_policy").hedgePolicy(r.GetHedgePolicy()),
		Mirrors:               a.mirrorPolicies(r.GetRequestMirrorPolicies()),
		CORS:                  a.in("cors").deprecatedCORS(r.GetCors()),
		InternalRedirect:      a.internalRedirect(r),
		Timeout:               a.duration("timeout", r.GetTimeout(), config.DefaultRouteTimeout),
	}
	if r.GetPriority() == corev3.RoutingPriority_HIGH {
		out.Priority = config.PriorityHigh
	}
	a.specifiedCluster(r, out)
	switch r.GetClusterNotFoundResponseCode() {
	case routev3.RouteAction_NOT_FOUND:
		out.ClusterNotFoundStatus = http.StatusNotFound
	case routev3.RouteAction_INTERNAL_SERVER_ERROR:
		out.ClusterNotFoundStatus = http.StatusInternalServerError
	}
	if out.PrefixRewrite != "" && r.GetRegexRewrite() != nil {
		a.in("prefix_rewrite").errorf("cannot be set together with regex_rewrite")
	}
	a.in("prefix_rewrite").visible(out.PrefixRewrite)
	a.hostRewrite(r, out)
	a.matches(r, out)
	out.IdleTimeout = a.optionalDuration("idle_timeout", r.GetIdleTimeout())
	out.FlushTimeout = a.optionalDuration("flush_timeout", r.GetFlushTimeout())
	a.grpcTimeouts(r, out)
	for i, u := range r.GetUpgradeConfigs() {
		place := a.item("upgrade_configs", i)
		place.only(u, routeUpgradeFields)
		out.Upgrades = place.upgrade(out.Upgrades, u.GetUpgradeType(), orBool(u.GetEnabled(), true))
		place.connectConfig(u, out)
	}
	return out
}

// connectConfig decodes what becomes of the bytes of a CONNECT.
func (a *at) connectConfig(u *routev3.RouteAction_UpgradeConfig, out *config.Forward) {
	c := u.GetConnectConfig()
	if c == nil {
		return
	}
	place := a.in("connect_config")
	place.only(c, connectFields)
	if !strings.EqualFold(u.GetUpgradeType(), "CONNECT") {
		place.errorf("must be set with upgrade_type CONNECT only")
	}
	out.TerminateConnect = true
}

// grpcTimeouts decodes how a request may choose its limits on time with grpc-timeout. As in Envoy, max_stream_duration takes
// the place of timeout and max_grpc_timeout, also when it is empty.
func (a *at) grpcTimeouts(r *routev3.RouteAction, out *config.Forward) {
	if r.GetMaxGrpcTimeout() != nil {
		out.GRPCTimeout = &config.GRPCTimeout{
			Max:    a.duration("max_grpc_timeout", r.GetMaxGrpcTimeout(), 0),
			Offset: a.duration("grpc_timeout_offset", r.GetGrpcTimeoutOffset(), 0),
		}
	}
	d := r.GetMaxStreamDuration()
	if d == nil {
		return
	}
	place := a.in("max_stream_duration")
	place.only(d, streamDurationFields)
	out.TellsDuration, out.Timeout, out.GRPCTimeout = true, 0, nil
	out.MaxStreamDuration = place.optionalDuration("max_stream_duration", d.GetMaxStreamDuration())
	if d.GetGrpcTimeoutHeaderMax() != nil {
		out.GRPCStreamDuration = &config.GRPCTimeout{
			Max:    place.duration("grpc_timeout_header_max", d.GetGrpcTimeoutHeaderMax(), 0),
			Offset: place.duration("grpc_timeout_header_offset", d.GetGrpcTimeoutHeaderOffset(), 0),
		}
	}
}

// hostRewrite decodes what becomes of the authority.
func (a *at) hostRewrite(r *routev3.RouteAction, out *config.Forward) {
	switch h := r.GetHostRewriteSpecifier().(type) {
	case *routev3.RouteAction_HostRewriteLiteral:
		out.HostRewrite = h.HostRewriteLiteral
		a.in("host_rewrite_literal").visible(out.HostRewrite)
	case *routev3.RouteAction_AutoHostRewrite:
		out.AutoHostRewrite = h.AutoHostRewrite.GetValue()
	case *routev3.RouteAction_HostRewriteHeader:
		out.HostRewriteHeader = a.in("host_rewrite_header").fieldName(h.HostRewriteHeader)
	case *routev3.RouteAction_HostRewritePathRegex:
		out.HostRewritePath = a.in("host_rewrite_path_regex").regexRewrite(h.HostRewritePathRegex)
	}
}

// visible refuses text that would break a request line or a Host field: anything but visible ASCII and bytes above it.
func (a *at) visible(text string) {
	if i := strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f }); i >= 0 {
		a.errorf("%q must not contain spaces or control characters", text)
	}
}

// targets decodes the clusters that a route sends to.
func (a *at) targets(r *routev3.RouteAction) []config.WeightedCluster {
	switch c := r.GetClusterSpecifier().(type) {
	case *routev3.RouteAction_Cluster:
		return []config.WeightedCluster{{Name: c.Cluster, Weight: 1}}
	case *routev3.RouteAction_WeightedClusters:
		return a.in("weighted_clusters").weightedClusters(c.WeightedClusters)
	default: // cluster_header, or what a plugin says
		return nil
	}
}

// weightedClusters decodes a traffic split.
func (a *at) weightedClusters(w *routev3.WeightedCluster) []config.WeightedCluster {
	a.only(w, weightedClustersFields)
	out := make([]config.WeightedCluster, 0, len(w.GetClusters()))
	sum := uint64(0)
	for i, c := range w.GetClusters() {
		place := a.item("clusters", i)
		place.only(c, clusterWeightFields)
		header := ""
		switch {
		case c.GetName() == "" && c.GetClusterHeader() == "":
			place.in("name").errorf("must not be empty")
		case c.GetName() != "" && c.GetClusterHeader() != "":
			place.in("name").errorf("cannot be set together with cluster_header")
		case c.GetClusterHeader() != "":
			header = place.in("cluster_header").matchedName(c.GetClusterHeader())
		}
		place.in("host_rewrite_literal").visible(c.GetHostRewriteLiteral())
		sum += uint64(c.GetWeight().GetValue())
		out = append(out, config.WeightedCluster{
			Name:            c.GetName(),
			Header:          header,
			Weight:          c.GetWeight().GetValue(),
			HeaderMutations: place.headerMutations(c),
			HostRewrite:     c.GetHostRewriteLiteral(),
			Filters:         place.filterConfigs(c.GetTypedPerFilterConfig()),
		})
	}
	switch total := w.GetTotalWeight(); {
	case sum == 0:
		a.in("clusters").errorf("the sum of the weights must be more than 0")
	case sum > math.MaxUint32:
		a.in("clusters").errorf("the sum of the weights is %d, it must be at most %d", sum, uint32(math.MaxUint32))
	case total != nil && uint64(total.GetValue()) != sum:
		a.in("total_weight").errorf("is %d, but the sum of the weights is %d", total.GetValue(), sum)
	}
	return out
}

// splitHeader decodes the field whose number decides on a split, empty for none.
func (a *at) splitHeader(w *routev3.WeightedCluster) string {
	if name := w.GetHeaderName(); name != "" {
		return a.in("weighted_clusters").in("header_name").matchedName(name)
	}
	return ""
}

// redirect decodes a redirect.
func (a *at) redirect(r *routev3.RedirectAction) *config.Redirect {
	a.only(r, redirectFields)
	out := &config.Redirect{
		Status:     redirectStatus(r.GetResponseCode()),
		Host:       r.GetHostRedirect(),
		Port:       r.GetPortRedirect(),
		StripQuery: r.GetStripQuery(),
	}
	switch s := r.GetSchemeRewriteSpecifier().(type) {
	case *routev3.RedirectAction_HttpsRedirect:
		out.HTTPSRedirect = s.HttpsRedirect
	case *routev3.RedirectAction_SchemeRedirect:
		out.Scheme = s.SchemeRedirect
	}
	switch p := r.GetPathRewriteSpecifier().(type) {
	case *routev3.RedirectAction_PathRedirect:
		out.Path = p.PathRedirect
	case *routev3.RedirectAction_PrefixRewrite:
		out.PrefixRewrite = p.PrefixRewrite
	case *routev3.RedirectAction_RegexRewrite:
		out.RegexRewrite = a.in("regex_rewrite").regexRewrite(p.RegexRewrite)
	}
	a.in("scheme_redirect").visible(out.Scheme)
	a.in("host_redirect").visible(out.Host)
	a.in("path_redirect").visible(out.Path)
	a.in("prefix_rewrite").visible(out.PrefixRewrite)
	return out
}

func redirectStatus(code routev3.RedirectAction_RedirectResponseCode) int {
	switch code {
	case routev3.RedirectAction_FOUND:
		return http.StatusFound
	case routev3.RedirectAction_SEE_OTHER:
		return http.StatusSeeOther
	case routev3.RedirectAction_TEMPORARY_REDIRECT:
		return http.StatusTemporaryRedirect
	case routev3.RedirectAction_PERMANENT_REDIRECT:
		return http.StatusPermanentRedirect
	default:
		return http.StatusMovedPermanently
	}
}

// directResponse decodes an answer of the proxy's own with a body of at most maxBody bytes.
func (a *at) directResponse(d *routev3.DirectResponseAction, maxBody uint32) *config.DirectResponse {
	a.only(d, directResponseFields)
	out := &config.DirectResponse{Status: int(d.GetStatus())}
	place := a.in("body")
	out.Body = place.inline(d.GetBody())
	if uint64(len(out.Body)) > uint64(maxBody) {
		place.errorf("is %d bytes long, at most %d are allowed (max_direct_response_body_size_bytes)", len(out.Body), maxBody)
	}
	a.in("body_format").bodyFormat(d.GetBodyFormat(), out)
	return out
}

// maxBodyFormat bounds body_format, which Envoy does not: it is held in memory, and compiled.
const maxBodyFormat = 64 << 10

// bodyFormat decodes a body with command operators.
func (a *at) bodyFormat(f *corev3.SubstitutionFormatString, out *config.DirectResponse) {
	if f == nil {
		return
	}
	a.only(f, bodyFormatFields)
	field := "text_format"
	switch text := f.GetFormat().(type) {
	case *corev3.SubstitutionFormatString_TextFormat:
		out.Format = text.TextFormat
	case *corev3.SubstitutionFormatString_TextFormatSource:
		field = "text_format_source"
		out.Format = string(a.in(field).inline(text.TextFormatSource))
	}
	out.ContentType = f.GetContentType()
	a.in("content_type").fieldValue(out.ContentType)
	if len(out.Format) > maxBodyFormat {
		a.in(field).errorf("is %d bytes long, at most %d are allowed", len(out.Format), maxBodyFormat)
		return
	}
	a.in(field).format(out.Format)
}

// inline decodes a data source that has its data in it.
func (a *at) inline(d *corev3.DataSource) []byte {
	switch b := d.GetSpecifier().(type) {
	case *corev3.DataSource_InlineString:
		return []byte(b.InlineString)
	case *corev3.DataSource_InlineBytes:
		return append([]byte(nil), b.InlineBytes...)
	case *corev3.DataSource_Filename:
		a.in("filename").errorf("is not supported, only inline_string and inline_bytes")
	case *corev3.DataSource_EnvironmentVariable:
		a.in("environment_variable").errorf("is not supported, only inline_string and inline_bytes")
	}
	return nil
}

// clusterHeader decodes the field by which a request names its cluster, empty for none.
func (a *at) clusterHeader(r *routev3.RouteAction) string {
	if h, ok := r.GetClusterSpecifier().(*routev3.RouteAction_ClusterHeader); ok {
		return a.in("cluster_header").matchedName(h.ClusterHeader)
	}
	return ""
}
