package resource

import (
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	filterDiscoveryFields = fields{
		"config_source": decoded, "default_config": decoded, "apply_default_config_without_warming": decoded, "type_urls": decoded,
	}
	extensionFields = fields{"name": decoded, "typed_config": decoded}
)

// filterDiscovery decodes where the configuration of an HTTP filter comes from.
func (a *at) filterDiscovery(s *corev3.ExtensionConfigSource) *config.FilterDiscovery {
	a.only(s, filterDiscoveryFields)
	out := &config.FilterDiscovery{
		Discovery:      a.in("config_source").configSource(s.GetConfigSource()),
		WithoutWarming: s.GetApplyDefaultConfigWithoutWarming(),
	}
	for i, url := range s.GetTypeUrls() {
		name := url[strings.LastIndexByte(url, '/')+1:]
		if filterTypes[name] == nil {
			a.item("type_urls", i).errorf("Error: no factory found for a required type URL %s.", url)
		}
		out.Types = append(out.Types, name)
	}
	packed := s.GetDefaultConfig()
	if packed == nil {
		if out.WithoutWarming {
			a.in("default_config").errorf("must be set with apply_default_config_without_warming")
		}
		return out
	}
	place := a.in("default_config")
	if name := messageName(packed); !slices.Contains(out.Types, name) {
		place.errorf("Error: filter config has type URL %s but expect %s.", name, strings.Join(out.Types, ", "))
	} else if decode := filterTypes[name]; decode != nil {
		out.Default = decode(place, packed)
	}
	return out
}

// Extension decodes the configuration of a filter that is a resource of its own (ECDS).
func Extension(e *corev3.TypedExtensionConfig) (*config.Extension, error) {
	root := newReport("extension", e.GetName())
	if !root.validate(e) {
		return nil, root.err()
	}
	root.only(e, extensionFields)
	packed := e.GetTypedConfig()
	if packed == nil {
		root.in("typed_config").errorf("must be set")
		return nil, root.err()
	}
	out := &config.Extension{Type: messageName(packed)}
	if decode := filterTypes[out.Type]; decode != nil {
		out.Config = decode(root.in("typed_config"), packed)
	} else {
		root.in("typed_config").unregistered(e.GetName(), packed)
	}
	if root.failed() {
		return nil, root.err()
	}
	return out, nil
}
