package resource

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// RouteConfiguration decodes a route configuration.
func RouteConfiguration(rc *routev3.RouteConfiguration) (*config.RouteConfiguration, error) {
	return nil, nil
}
