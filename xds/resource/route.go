//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"fmt"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// defaultMaxBody is max_direct_response_body_size_bytes where it is not set.
const defaultMaxBody = 4096

var (
	routeConfigurationFields = fields{
		"name": decoded, "virtual_hosts": decoded, "internal_only_headers": decoded, "ignore_port_in_host_matching": decoded,
		"response_headers_to_add": decoded, "response_headers_to_remove": decoded, "request_headers_to_add": decoded,
		"request_headers_to_remove": decoded, "most_specific_header_mutations_wins": decoded,
		"max_direct_response_body_size_bytes": decoded, "vhds": decoded, "typed_per_filter_config": decoded,
		"request_mirror_policies": decoded,

		"cluster_specifier_plugins": decoded,

		"metadata": noEffect,
		// A route to a cluster that does not exist is legal; it answers with cluster_not_found_response_code.
		"validate_clusters": onlyFalse,
	}
	vhdsFields        = fields{"config_source": decoded}
	virtualHostFields = fields{
		"name": decoded, "domains": decoded, "routes": decoded, "require_tls": decoded,
		"response_headers_to_add": decoded, "response_headers_to_remove": decoded, "request_headers_to_add": decoded,
		"request_headers_to_remove": decoded, "include_request_attempt_count": decoded, "include_is_timeout_retry_header": decoded,
		"include_attempt_count_in_response": decoded, "retry_policy": decoded, "per_request_buffer_limit_bytes": decoded,
		"request_body_buffer_limit": decoded, "typed_per_filter_config": decoded, "request_mirror_policies": decoded,
		"matcher": decoded, "hedge_policy": decoded, "virtual_clusters": decoded, "cors": decoded,

		"metadata":    noEffect,
		"rate_limits": noEffect, // they are for the filter of global rate limits, which there is none of
	}
	routeFields = fields{
		"name": decoded, "match": decoded, "route": decoded, "redirect": decoded, "direct_response": decoded,
		"response_headers_to_add": decoded, "response_headers_to_remove": decoded, "request_headers_to_add": decoded,
		"request_headers_to_remove": decoded, "per_request_buffer_limit_bytes": decoded, "request_body_buffer_limit": decoded,
		"typed_per_filter_config": decoded, "stat_prefix": decoded,

		"metadata": noEffect, "decorator": noEffect, "tracing": noEffect,
	}
	virtualClusterFields = fields{"headers": decoded, "name": decoded}
)

// RouteConfiguration decodes a route configuration. Routes without a name get one that routeNames makes.
func RouteConfiguration(rc *routev3.RouteConfiguration) (*config.RouteConfiguration, error) {
	root := newReport("route configuration", rc.GetName())
	if !root.validate(rc) {
		return nil, root.err()
	}
	if rc.GetName() == "" {
		root.in("name").errorf("must not be empty")
	}
	out := root.routeConfiguration(rc)
	if vhds := rc.GetVhds(); vhds != nil {
		place := root.in("vhds")
		place.only(vhds, vhdsFields)
		source := place.in("config_source").configSource(vhds.GetConfigSource())
		out.VHDS = &source
	}
	if root.failed() {
		return nil, root.err()
	}
	return out, nil
}

// VirtualHost decodes a virtual host that is a resource of its own (VHDS).
func VirtualHost(vh *routev3.VirtualHost) (*config.VirtualHost, error) {
	root := newReport("virtual host", vh.GetName())
	if !root.validate(vh) {
		return nil, root.err()
	}
	out := root.virtualHost(vh, make(map[string]string), defaultMaxBody)
	if root.failed() {
		return nil, root.err()
	}
	nameRoutes(&config.RouteConfiguration{VirtualHosts: []*config.VirtualHost{out}})
	return out, nil
}

// WithVirtualHosts returns rc with more virtual hosts, which like its own share no domain.
func WithVirtualHosts(rc *config.RouteConfiguration, more []*config.VirtualHost) (*config.RouteConfiguration, error) {
	root := newReport("route configuration", rc.Name)
	out := *rc
	out.VirtualHosts = slices.Concat(rc.VirtualHosts, more)
	taken := make(map[string]string)
	for _, vh := range out.VirtualHosts {
		for _, domain := range vh.Domains {
			root.domain(domain, vh.Name, taken)
		}
	}
	if root.failed() {
		return nil, root.err()
	}
	return &out, nil
}

// routeConfiguration decodes a route configuration, which has no name when it is inline.
func (a *at) routeConfiguration(rc *routev3.RouteConfiguration) *config.RouteConfiguration {
	a.only(rc, routeConfigurationFields)
	if rc.GetVhds() != nil && a.up != nil {
		a.in("vhds").errorf("is not supported in a route configuration that is inline, only in one of RDS")
	}
	out := &config.RouteConfiguration{
		Name:                      rc.GetName(),
		HeaderMutations:           a.headerMutations(rc),
		Filters:                   a.filterConfigs(rc.GetTypedPerFilterConfig()),
		InternalOnlyHeaders:       make([]string, 0, len(rc.GetInternalOnlyHeaders())),
		IgnorePortInHostMatching:  rc.GetIgnorePortInHostMatching(),
		MostSpecificMutationsWins: rc.GetMostSpecificHeaderMutationsWins(),
		Mirrors:                   a.mirrorPolicies(rc.GetRequestMirrorPolicies()),
	}
	for i, name := range rc.GetInternalOnlyHeaders() {
		out.InternalOnlyHeaders = append(out.InternalOnlyHeaders, a.item("internal_only_headers", i).fieldName(name))
	}
	a.clusterSpecifiers(rc.GetClusterSpecifierPlugins())
	maxBody := orUint32(rc.GetMaxDirectResponseBodySizeBytes(), defaultMaxBody)
	taken := make(map[string]string)
	for i, vh := range rc.GetVirtualHosts() {
		place := a.item("virtual_hosts", i)
		out.VirtualHosts = append(out.VirtualHosts, place.virtualHost(vh, taken, maxBody))
	}
	nameRoutes(out)
	return out
}

// virtualHost decodes a virtual host. The domains of the virtual hosts before it are in taken.
func (a *at) virtualHost(vh *routev3.VirtualHost, taken map[string]string, maxBody uint32) *config.VirtualHost {
	a.only(vh, virtualHostFields)
	out := &config.VirtualHost{
		Name:                          vh.GetName(),
		Domains:                       make([]string, 0, len(vh.GetDomains())),
		Routes:                        make([]*config.Route, 0, len(vh.GetRoutes())),
		HeaderMutations:               a.headerMutations(vh),
		Filters:                       a.filterConfigs(vh.GetTypedPerFilterConfig()),
		RequireTLS:                    tlsRequirement(vh.GetRequireTls()),
		IncludeRequestAttemptCount:    vh.GetIncludeRequestAttemptCount(),
		IncludeAttemptCountInResponse: vh.GetIncludeAttemptCountInResponse(),
		IncludeIsTimeoutRetry:         vh.GetIncludeIsTimeoutRetryHeader(),
		Retry:                         a.in("retry_policy").retryPolicy(vh.GetRetryPolicy()),
		Hedge:                         a.in("hedge_policy").hedgePolicy(vh.GetHedgePolicy()),
		BodyBuffer:                    a.bodyBuffer(vh),
		Mirrors:                       a.mirrorPolicies(vh.GetRequestMirrorPolicies()),
		VirtualClusters:               a.virtualClusters(vh.GetVirtualClusters()),
		CORS:                          a.in("cors").deprecatedCORS(vh.GetCors()),
	}
	for i, domain := range vh.GetDomains() {
		out.Domains = append(out.Domains, a.item("domains", i).domain(domain, vh.GetName(), taken))
	}
	for i, r := range vh.GetRoutes() {
		out.Routes = append(out.Routes, a.item("routes", i).route(r, maxBody))
	}
	if vh.GetMatcher() != nil {
		if len(out.Routes) > 0 {
			a.in("matcher").errorf("cannot be set together with routes")
		}
		out.Matcher = newHostMatcher(out, maxBody).matcher(a.in("matcher"), vh.GetMatcher())
	}
	return out
}

// virtualClusters decodes the groups of requests that a virtual host has statistics of.
func (a *at) virtualClusters(list []*routev3.VirtualCluster) (out []config.VirtualCluster) {
	for i, vc := range list {
		place := a.item("virtual_clusters", i)
		place.only(vc, virtualClusterFields)
		if len(vc.GetHeaders()) == 0 {
			place.in("headers").errorf("must have at least one, such as of :path or :method")
		}
		cluster := config.VirtualCluster{Name: vc.GetName()}
		for j, h := range vc.GetHeaders() {
			cluster.Headers = append(cluster.Headers, place.item("headers", j).headerMatcher(h))
		}
		out = append(out, cluster)
	}
	return out
}

// domain checks a domain and that no virtual host has it yet.
func (a *at) domain(domain, virtualHost string, taken map[string]string) string {
	domain = strings.ToLower(domain)
	switch stars := strings.Count(domain, "*"); {
	case domain == "":
		a.errorf("must not be empty")
	case stars > 1, stars == 1 && domain[0] != '*' && domain[len(domain)-1] != '*':
		a.errorf("%q may have one wildcard, at its beginning or its end", domain)
	}
	if other, ok := taken[domain]; ok {
		if domain == "*" {
			a.errorf("only one virtual host may have the domain \"*\": %q and %q have it", other, virtualHost)
		} else {
			a.errorf("domain %q is in virtual host %q already and again in %q", domain, other, virtualHost)
		}
	}
	taken[domain] = virtualHost
	return domain
}

// route decodes a route.
func (a *at) route(r *routev3.Route, maxBody uint32) *config.Route {
	a.only(r, routeFields)
	out := &config.Route{
		Name:            r.GetName(),
		StatPrefix:      r.GetStatPrefix(),
		Match:           a.in("match").routeMatch(r.GetMatch()),
		BodyBuffer:      a.bodyBuffer(r),
		Filters:         a.filterConfigs(r.GetTypedPerFilterConfig()),
		HeaderMutations: a.headerMutations(r),
	}
	switch action := r.GetAction().(type) {
	case *routev3.Route_Route:
		out.Forward = a.in("route").forward(action.Route)
	case *routev3.Route_Redirect:
		out.Redirect = a.in("redirect").redirect(action.Redirect)
	case *routev3.Route_DirectResponse:
		out.Direct = a.in("direct_response").directResponse(action.DirectResponse, maxBody)
	}
	return out
}

// maxBodyBuffer bounds request_body_buffer_limit: so much may be kept of every request in flight.
const maxBodyBuffer = 64 << 20

// bodyBuffer decodes how much of a request body may be kept, nil where that is not said.
func (a *at) bodyBuffer(m interface {
	GetPerRequestBufferLimitBytes() *wrapperspb.UInt32Value
	GetRequestBodyBufferLimit() *wrapperspb.UInt64Value
}) *config.BodyBuffer {
	older, newer := m.GetPerRequestBufferLimitBytes(), m.GetRequestBodyBufferLimit()
	switch {
	case older != nil && newer != nil:
		a.in("per_request_buffer_limit_bytes").errorf("cannot be set together with request_body_buffer_limit")
	case older != nil:
		return &config.BodyBuffer{Bytes: older.GetValue(), AtMost: true}
	case newer.GetValue() > maxBodyBuffer:
		a.in("request_body_buffer_limit").errorf("is %d, it must be at most %d", newer.GetValue(), maxBodyBuffer)
	case newer != nil:
		return &config.BodyBuffer{Bytes: uint32(newer.GetValue())}
	}
	return nil
}

// nameRoutes gives each route without a name the stable one "virtual host/match:text", with "#2" and so on appended
// until no other route of the configuration has it.
func nameRoutes(rc *config.RouteConfiguration) {
	taken := make(map[string]bool)
	for _, vh := range rc.VirtualHosts {
		for _, r := range vh.Routes {
			taken[r.Name] = true
		}
	}
	count := make(map[string]int)
	for _, vh := range rc.VirtualHosts {
		for _, r := range vh.Routes {
			if r.Name != "" {
				continue
			}
			base := vh.Name + "/" + matchText(&r.Match)
			for r.Name = base; taken[r.Name]; {
				if count[base] == 0 {
					count[base] = 1
				}
				count[base]++
				r.Name = fmt.Sprintf("%s#%d", base, count[base])
			}
			taken[r.Name] = true
		}
	}
}

// matchText says what path a route matches: "prefix:/", "path:/a", "path_separated_prefix:/a", "safe_regex:/a.*",
// "connect".
func matchText(m *config.RouteMatch) string {
	switch m.Kind {
	case config.PathExact:
		return "path:" + m.Path
	case config.PathSeparatedPrefix:
		return "path_separated_prefix:" + m.Path
	case config.PathRegex:
		return "safe_regex:" + m.Path
	case config.PathConnect:
		return "connect"
	default:
		return "prefix:" + m.Path
	}
}

func tlsRequirement(t routev3.VirtualHost_TlsRequirementType) config.TLSRequirement {
	switch t {
	case routev3.VirtualHost_EXTERNAL_ONLY:
		return config.TLSExternalOnly
	case routev3.VirtualHost_ALL:
		return config.TLSAll
	default:
		return config.TLSNone
	}
}
