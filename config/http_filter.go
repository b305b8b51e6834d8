package config

// HTTPFilter is one entry of http_filters that is not the router.
type HTTPFilter struct {
	Name string
	// Config is the filter's own decoded configuration.
	Config any
	// Disabled says that the filter is for routes that have a configuration for it only.
	Disabled bool
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
