//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	configSourceFields = fields{
		"ads": decoded, "self": decoded, "api_config_source": decoded, "path_config_source": decoded, "path": decoded,
		"initial_fetch_timeout": decoded, "resource_api_version": decoded,
	}
	pathSourceFields       = fields{"path": decoded, "watched_directory": decoded}
	watchedDirectoryFields = fields{"path": decoded}
)

// configSource decodes a config source. What an api_config_source says is for the maker of its transport to check, who knows
// the clusters of the bootstrap.
func (a *at) configSource(s *corev3.ConfigSource) config.Discovery {
	out := config.Discovery{FetchTimeout: config.DefaultInitialFetchExpiry}
	if s == nil {
		a.errorf("must be set")
		return out
	}
	a.only(s, configSourceFields)
	switch kind := s.GetConfigSourceSpecifier().(type) {
	case *corev3.ConfigSource_Ads:
	case *corev3.ConfigSource_Self: // resources come from the aggregated stream, so theirs is that
	case *corev3.ConfigSource_ApiConfigSource:
		// The message was received, so it can be encoded.
		api, _ := proto.MarshalOptions{Deterministic: true}.Marshal(kind.ApiConfigSource)
		if out.Source.API = string(api); out.Source.API == "" {
			a.in("api_config_source.api_type").errorf("must be GRPC, DELTA_GRPC or REST")
		}
	case *corev3.ConfigSource_PathConfigSource:
		a.in("path_config_source").pathSource(kind.PathConfigSource, &out.Source)
	case *corev3.ConfigSource_Path:
		out.Source.Path = a.in("path").existing(kind.Path)
	default:
		a.errorf("must have ads, self, api_config_source or path_config_source")
	}
	if s.GetResourceApiVersion() == corev3.ApiVersion_V2 {
		a.in("resource_api_version").errorf("V2 is not supported, only V3")
	}
	out.FetchTimeout = a.duration("initial_fetch_timeout", s.GetInitialFetchTimeout(), config.DefaultInitialFetchExpiry)
	return out
}

// pathSource decodes path_config_source.
func (a *at) pathSource(s *corev3.PathConfigSource, out *config.ConfigSource) {
	a.only(s, pathSourceFields)
	out.Path = a.in("path").existing(s.GetPath())
	if d := s.GetWatchedDirectory(); d != nil {
		place := a.in("watched_directory")
		place.only(d, watchedDirectoryFields)
		out.WatchedDirectory = place.in("path").existing(d.GetPath())
	}
}

// existing checks the name of something in the file system. Whether it is there is found out when it is opened.
func (a *at) existing(path string) string {
	if path == "" {
		a.errorf("must not be empty")
	}
	return a.asked(path)
}

// asked checks a name that is asked for by discovery: the keys of a snapshot need it to be without NUL.
func (a *at) asked(name string) string {
	if strings.Contains(name, "\x00") {
		a.errorf("%q must not contain NUL", name)
	}
	return name
}

// Discovery decodes a config source of the bootstrap, at the field path.
func Discovery(path string, s *corev3.ConfigSource) (config.Discovery, error) {
	root := &at{report: &report{resource: path}}
	out := root.configSource(s)
	return out, root.err()
}
