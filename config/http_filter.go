package config

import (
	"slices"
	"time"
)

// HTTPFilter is one entry of http_filters that is not the router.
type HTTPFilter struct {
	Name string
	// Config is the filter's own decoded configuration, nil when Discovery tells where it comes from.
	Config    any
	Discovery *FilterDiscovery
	// Disabled says that the filter is for routes that have a configuration for it only.
	Disabled bool
}

// FilterDiscovery tells where the configuration of a filter comes from (ExtensionConfigSource).
type FilterDiscovery struct {
	Discovery
	// Types are the full names of the messages that it may be.
	Types []string
	// Default is in force until one comes, nil for none: then requests are answered with 500.
	Default any
	// WithoutWarming puts Default into force at once (apply_default_config_without_warming), instead of waiting for another.
	WithoutWarming bool
}

// Extension is a decoded configuration of a filter that is a resource of its own.
type Extension struct {
	Type   string // the full name of the message that it was
	Config any
}

// FilterConfig returns the configuration of a filter that is in force, nil while there is none.
func (s *Snapshot) FilterConfig(f *HTTPFilter) any {
	d := f.Discovery
	if d == nil {
		return f.Config
	}
	if e := s.Extensions[d.Source.Key(f.Name)]; e != nil && slices.Contains(d.Types, e.Type) {
		return e.Config
	}
	return d.Default
}

// FilterConfigs is typed_per_filter_config: what a route or something above it says to filters, by their names in http_filters.
type FilterConfigs map[string]FilterConfig

// FilterConfig is what one of them says to a filter.
type FilterConfig struct {
	// Config is the filter's decoded configuration for routes, nil for none.
	Config any
	// Disabled says that the filter does nothing (envoy.config.route.v3.FilterConfig); otherwise it works, also when it is disabled
	// in http_filters.
	Disabled bool
}

// GRPCWeb is envoy.extensions.filters.http.grpc_web.v3.GrpcWeb.
type GRPCWeb struct{}

// CORS is envoy.extensions.filters.http.cors.v3.Cors.
type CORS struct{}

// CORSPolicy is envoy.extensions.filters.http.cors.v3.CorsPolicy. What is empty or nil is as the next policy up says: a virtual
// host's, then the route configuration's.
type CORSPolicy struct {
	AllowOrigin   []StringMatcher
	AllowMethods  string // "*" stands for the one that is asked for
	AllowHeaders  string // "*" stands for those that are asked for
	ExposeHeaders string
	MaxAge        string

	AllowCredentials             *bool
	AllowPrivateNetworkAccess    *bool
	ForwardNotMatchingPreflights *bool

	// Enabled is the share of requests that the policy is for, Shadow that of those of the others whose origins are counted. Those
	// of the most specific policy alone count.
	Enabled, Shadow RuntimeFraction
}

// HealthCheckFilter is envoy.extensions.filters.http.health_check.v3.HealthCheck.
type HealthCheckFilter struct {
	// PassThrough passes health checks on to the hosts; otherwise they are answered here.
	PassThrough bool
	Headers     []HeaderMatcher // all of which a health check matches
}

// Fault is envoy.extensions.filters.http.fault.v3.HTTPFault.
type Fault struct {
	Headers   []HeaderMatcher // all of which a request matches that a fault is for
	MaxActive uint64          // faults at a time in one listener's filter, over all workers

	// Delay is how long requests of DelayShare wait, 0 for none.
	Delay      time.Duration
	DelayShare RuntimeFraction
	// Status answers requests of AbortShare, 0 for none.
	Status     int
	GRPCStatus int64 // for clients of gRPC, 0 where it follows from Status
	AbortShare RuntimeFraction
}
