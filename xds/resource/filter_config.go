//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"maps"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	filterConfigMessage = "envoy.config.route.v3.FilterConfig"
	corsPolicyMessage   = "envoy.extensions.filters.http.cors.v3.CorsPolicy"
)

var (
	filterConfigFields = fields{"config": decoded, "is_optional": decoded, "disabled": decoded}
	corsPolicyFields   = fields{
		"allow_origin_string_match": decoded, "allow_methods": decoded, "allow_headers": decoded, "expose_headers": decoded,
		"max_age": decoded, "allow_credentials": decoded, "filter_enabled": decoded, "shadow_enabled": decoded,
		"allow_private_network_access": decoded, "forward_not_matching_preflights": decoded,
	}
)

// filterConfigs decodes typed_per_filter_config, nil for none.
func (a *at) filterConfigs(packed map[string]*anypb.Any) config.FilterConfigs {
	if len(packed) == 0 {
		return nil
	}
	out := make(config.FilterConfigs)
	for _, name := range slices.Sorted(maps.Keys(packed)) {
		place := a.key("typed_per_filter_config", name)
		if messageName(packed[name]) != filterConfigMessage {
			if c, ok := place.filterConfig(packed[name], false); ok {
				out[name] = config.FilterConfig{Config: c}
			}
			continue
		}
		var m routev3.FilterConfig
		if !place.unpack(packed[name], &m) {
			continue
		}
		place.only(&m, filterConfigFields)
		entry := config.FilterConfig{Disabled: m.GetDisabled()}
		if m.GetConfig().GetTypeUrl() != "" {
			c, ok := place.in("config").filterConfig(m.GetConfig(), m.GetIsOptional())
			if !ok {
				continue
			}
			entry.Config = c
		}
		out[name] = entry
	}
	return out
}

// filterConfig decodes what is said to one filter. ok is false when there is nothing to be said: one of an unknown type is refused
// unless it is optional.
func (a *at) filterConfig(packed *anypb.Any, optional bool) (c any, ok bool) {
	switch messageName(packed) {
	case corsPolicyMessage:
		var m corsv3.CorsPolicy
		if !a.unpack(packed, &m) {
			return nil, false
		}
		return a.corsPolicy(&m), true
	case faultMessage:
		var m faultv3.HTTPFault
		if !a.unpack(packed, &m) {
			return nil, false
		}
		return a.fault(&m), true
	default:
		if !optional {
			a.errorf("type URL '%s' is not supported", typeOf(packed))
		}
		return nil, false
	}
}

// deprecatedCORS decodes a field cors of a virtual host or route, which has the fields of the filter's message; nil for a nil p.
func (a *at) deprecatedCORS(p *routev3.CorsPolicy) *config.CORSPolicy {
	if p == nil {
		return nil
	}
	a.only(p, corsPolicyFields)
	return a.corsPolicy(&corsv3.CorsPolicy{
		AllowOriginStringMatch: p.GetAllowOriginStringMatch(), AllowMethods: p.GetAllowMethods(), AllowHeaders: p.GetAllowHeaders(),
		ExposeHeaders: p.GetExposeHeaders(), MaxAge: p.GetMaxAge(), AllowCredentials: p.GetAllowCredentials(),
		FilterEnabled: p.GetFilterEnabled(), ShadowEnabled: p.GetShadowEnabled(), AllowPrivateNetworkAccess: p.GetAllowPrivateNetworkAccess(),
		ForwardNotMatchingPreflights: p.GetForwardNotMatchingPreflights(),
	})
}

// corsPolicy decodes what scripts of other origins may do.
func (a *at) corsPolicy(p *corsv3.CorsPolicy) *config.CORSPolicy {
	a.only(p, corsPolicyFields)
	out := &config.CORSPolicy{
		AllowMethods: p.GetAllowMethods(), AllowHeaders: p.GetAllowHeaders(), ExposeHeaders: p.GetExposeHeaders(), MaxAge: p.GetMaxAge(),
		Enabled: config.RuntimeFraction{Default: config.FractionAll},
	}
	for i, m := range p.GetAllowOriginStringMatch() {
		out.AllowOrigin = append(out.AllowOrigin, a.item("allow_origin_string_match", i).stringMatcher(m))
	}
	a.in("allow_methods").fieldValue(out.AllowMethods)
	a.in("allow_headers").fieldValue(out.AllowHeaders)
	a.in("expose_headers").fieldValue(out.ExposeHeaders)
	a.in("max_age").fieldValue(out.MaxAge)
	out.AllowCredentials = optionalBool(p.GetAllowCredentials())
	out.AllowPrivateNetworkAccess = optionalBool(p.GetAllowPrivateNetworkAccess())
	out.ForwardNotMatchingPreflights = optionalBool(p.GetForwardNotMatchingPreflights())
	if f := p.GetFilterEnabled(); f != nil {
		out.Enabled = a.in("filter_enabled").runtimeFraction(f)
	}
	if f := p.GetShadowEnabled(); f != nil {
		out.Shadow = a.in("shadow_enabled").runtimeFraction(f)
	}
	return out
}
