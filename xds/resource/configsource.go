//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// adsSource checks that a config source is the aggregated stream and returns its initial_fetch_timeout.
func (a *at) adsSource(s *corev3.ConfigSource) time.Duration {
	switch s.GetConfigSourceSpecifier().(type) {
	case *corev3.ConfigSource_Ads, *corev3.ConfigSource_Self:
	case *corev3.ConfigSource_ApiConfigSource:
		a.in("api_config_source").errorf("is not supported, only ads")
	case *corev3.ConfigSource_PathConfigSource:
		a.in("path_config_source").errorf("is not supported, only ads")
	case *corev3.ConfigSource_Path:
		a.in("path").errorf("is not supported, only ads")
	default:
		a.errorf("must have ads")
	}
	if s.GetResourceApiVersion() == corev3.ApiVersion_V2 {
		a.in("resource_api_version").errorf("V2 is not supported, only V3")
	}
	if len(s.GetAuthorities()) > 0 {
		a.in("authorities").errorf("is not supported")
	}
	return a.duration("initial_fetch_timeout", s.GetInitialFetchTimeout(), config.DefaultInitialFetchExpiry)
}

// ADSSource checks that a config source of the bootstrap, at the field path, is the aggregated stream, and returns its
// initial_fetch_timeout.
func ADSSource(path string, s *corev3.ConfigSource) (time.Duration, error) {
	root := &at{report: &report{resource: path}}
	timeout := root.adsSource(s)
	return timeout, root.err()
}
