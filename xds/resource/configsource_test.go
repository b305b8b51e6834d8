package resource_test

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

func TestConfigSource(t *testing.T) {
	const grpc = "api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: x}}]}"
	api := parse(t, grpc, &corev3.ConfigSource{}).GetApiConfigSource()
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(api)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]config.ConfigSource{
		"ads: {}":                           {},
		"self: {}":                          {},
		"path: /a":                          {Path: "/a"},
		"path_config_source: {path: /a}":    {Path: "/a"},
		grpc:                                {API: string(wire)},
		grpc + "\nresource_api_version: V3": {API: string(wire)},
		"path_config_source: {path: /a, watched_directory: {path: /b}}": {Path: "/a", WatchedDirectory: "/b"},
	} {
		got, err := resource.Discovery("s", parse(t, text, &corev3.ConfigSource{}))
		if err != nil || got.Source != want || got.FetchTimeout != config.DefaultInitialFetchExpiry {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"{}":                                  "s: must have ads, self, api_config_source or path_config_source",
		"path: \"\"":                          "s: path: must not be empty",
		"path: \"a\\0\"":                      `s: path: "a\x00" must not contain NUL`,
		"api_config_source: {}":               "s: api_config_source.api_type: must be GRPC, DELTA_GRPC or REST",
		"ads: {}\nauthorities: [{name: a}]":   "s: authorities[0]: is not supported",
		"ads: {}\nresource_api_version: V2":   "s: resource_api_version: V2 is not supported, only V3",
		"ads: {}\ninitial_fetch_timeout: -1s": "s: initial_fetch_timeout: must be from 0s to 87600h0m0s",
		"path_config_source: {path: /a, watched_directory: {}}": "s: path_config_source.watched_directory.path: must not be empty",
	} {
		if _, err := resource.Discovery("s", parse(t, text, &corev3.ConfigSource{})); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestKeysOfSources holds that a name is another one where it comes from elsewhere.
func TestKeysOfSources(t *testing.T) {
	seen := make(map[string]config.ConfigSource)
	for _, s := range []config.ConfigSource{
		{}, {Path: "a"}, {Path: "b"}, {WatchedDirectory: "a"}, {Path: "a", WatchedDirectory: "b"}, {API: "a"}, {API: "\x00a"},
	} {
		key := s.Key("name")
		if other, ok := seen[key]; ok {
			t.Errorf("%+v and %+v are one", s, other)
		}
		seen[key] = s
	}
	if (config.ConfigSource{}).Key("name") != "name" {
		t.Error("the aggregated stream does not leave a name as it is")
	}
}
