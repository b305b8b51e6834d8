package xds

import (
	"fmt"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// filterNeeds returns the configurations of HTTP filters that a connection manager asks for.
func filterNeeds(hcm *config.HTTPConnectionManager) (needs []need) {
	for _, f := range hcm.Filters {
		if d := f.Discovery; d != nil {
			needs = append(needs, need{
				url: resource.ExtensionType, name: f.Name, Discovery: d.Discovery, field: "http_filters.config_discovery.config_source",
				statPrefix: "extension_config_discovery.http_filter." + f.Name + ".", types: d.Types, unawaited: d.WithoutWarming,
			})
		}
	}
	return needs
}

// extensionKind is of configurations of HTTP filters (ECDS). One that is removed gives way to the default of each filter.
func extensionKind(m *Manager) *kind {
	k := kindOf("extension_config", resource.ExtensionType,
		func(message *corev3.TypedExtensionConfig) (*config.Extension, error) {
			return resource.Extension(message)
		},
		func(d *config.Delta) *config.Changes[*config.Extension] { return &d.Extensions }, nil)
	k.countsReloads, k.removable = true, true
	k.check = func(key string, value any) error {
		e := value.(*config.Extension)
		var err error
		m.listeners.eachNeeds(func(needs []need) {
			for i := range needs {
				if n := &needs[i]; n.url == resource.ExtensionType && n.key() == key && !slices.Contains(n.types, e.Type) {
					err = fmt.Errorf("filter config has type URL %s but expect %s", e.Type, strings.Join(n.types, ", "))
				}
			}
		})
		return err
	}
	return k
}
