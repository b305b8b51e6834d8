package resource

import (
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	grpcwebv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	healthcheckv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	routerMessage      = "envoy.extensions.filters.http.router.v3.Router"
	routerName         = "envoy.filters.http.router"
	grpcWebMessage     = "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"
	healthCheckMessage = "envoy.extensions.filters.http.health_check.v3.HealthCheck"
	corsMessage        = "envoy.extensions.filters.http.cors.v3.Cors"
)

var (
	httpFilterFields = fields{
		"name": decoded, "typed_config": decoded, "is_optional": decoded, "disabled": decoded, "config_discovery": decoded,
	}
	healthCheckFilterFields = fields{"pass_through_mode": decoded, "headers": decoded}
	routerFields            = fields{
		"suppress_envoy_headers": decoded,
		// Statistics that the API leaves to the implementation, and data before a TLS handshake, which there is none of.
		"dynamic_stats": noEffect, "suppress_grpc_request_failure_code_stats": noEffect,
		"reject_connect_request_early_data": noEffect,
		"respect_expected_rq_timeout":       onlyFalse,
		"start_child_span":                  onlyFalse,
	}
)

// httpFilters decodes http_filters, of which the router must be the last. A filter of an unknown type is left out when
// it is optional, and refused otherwise.
func (a *at) httpFilters(list []*hcmv3.HttpFilter) ([]config.HTTPFilter, config.Router) {
	var router config.Router
	if len(list) == 0 {
		a.in("http_filters").errorf("must have a router filter (type URL '%s%s') as the last one", typePrefix, routerMessage)
		return nil, router
	}
	var filters []config.HTTPFilter
	for i, f := range list {
		place, last := a.item("http_filters", i), i == len(list)-1
		place.only(f, httpFilterFields)
		isRouter := isRouter(f)
		switch {
		case isRouter && last && f.GetDisabled():
			place.in("disabled").errorf("true is not supported on the router filter")
		case isRouter && last:
			router = place.in("typed_config").router(f)
		case isRouter:
			place.errorf("the router filter must be the last one in http_filters")
		default:
			filters = place.filter(filters, f)
		}
		if last && !isRouter {
			place.errorf("the last one in http_filters must be a router filter (type URL '%s%s')", typePrefix, routerMessage)
		}
	}
	return filters, router
}

// filter appends what a filter other than the router is decoded to.
func (a *at) filter(list []config.HTTPFilter, f *hcmv3.HttpFilter) []config.HTTPFilter {
	out := config.HTTPFilter{Name: f.GetName(), Disabled: f.GetDisabled()}
	if discovery := f.GetConfigDiscovery(); discovery != nil {
		a.in("name").asked(f.GetName())
		out.Discovery = a.in("config_discovery").filterDiscovery(discovery)
		return append(list, out)
	}
	packed := f.GetTypedConfig()
	if packed == nil {
		a.unknownFilter(f)
		return list
	}
	decode := filterTypes[messageName(packed)]
	if decode == nil {
		if !f.GetIsOptional() {
			a.unknownFilter(f)
		}
		return list
	}
	if out.Config = decode(a.in("typed_config"), packed); out.Config != nil {
		list = append(list, out)
	}
	return list
}

// filterTypes are the filters other than the router by the full names of their messages. Each decodes a configuration, and returns
// nil when that is bad.
var filterTypes = map[string]func(*at, *anypb.Any) any{
	grpcWebMessage: func(a *at, packed *anypb.Any) any {
		var m grpcwebv3.GrpcWeb
		if !a.unpack(packed, &m) {
			return nil
		}
		return config.GRPCWeb{}
	},
	corsMessage: func(a *at, packed *anypb.Any) any {
		var m corsv3.Cors
		if !a.unpack(packed, &m) {
			return nil
		}
		return config.CORS{}
	},
	faultMessage: func(a *at, packed *anypb.Any) any {
		var m faultv3.HTTPFault
		if !a.unpack(packed, &m) {
			return nil
		}
		return a.fault(&m)
	},
	healthCheckMessage: func(a *at, packed *anypb.Any) any {
		var m healthcheckv3.HealthCheck
		if !a.unpack(packed, &m) {
			return nil
		}
		return a.healthCheckFilter(&m)
	},
}

// unknownFilter refuses a filter.
func (a *at) unknownFilter(f *hcmv3.HttpFilter) {
	if f.GetTypedConfig() == nil {
		a.in("typed_config").errorf("must be set on filter '%s'", f.GetName())
		return
	}
	a.unregistered(f.GetName(), f.GetTypedConfig())
}

// isRouter reports whether f is the router. Control planes exist that send it by its well-known name without any
// configuration; that can mean only one thing, so it is accepted although Envoy refuses it.
func isRouter(f *hcmv3.HttpFilter) bool {
	if packed := f.GetTypedConfig(); packed != nil {
		return messageName(packed) == routerMessage
	}
	return f.GetName() == routerName && f.GetConfigDiscovery() == nil
}

// router decodes the configuration of the router filter.
func (a *at) router(f *hcmv3.HttpFilter) config.Router {
	var r routerv3.Router
	if packed := f.GetTypedConfig(); packed != nil && a.unpack(packed, &r) {
		a.only(&r, routerFields)
	}
	return config.Router{SuppressEnvoyHeaders: r.GetSuppressEnvoyHeaders()}
}

// healthCheckFilter decodes which requests are health checks of this proxy.
func (a *at) healthCheckFilter(m *healthcheckv3.HealthCheck) *config.HealthCheckFilter {
	a.only(m, healthCheckFilterFields)
	out := &config.HealthCheckFilter{PassThrough: m.GetPassThroughMode().GetValue()}
	for i, h := range m.GetHeaders() {
		out.Headers = append(out.Headers, a.item("headers", i).headerMatcher(h))
	}
	return out
}
