package resource

import (
	overridehostv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/override_host/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const overrideHostMessage = lbPackage + "override_host.v3.OverrideHost"

// maxOverrideSources bounds the fields that are looked at for each request.
const maxOverrideSources = 16

var (
	overrideHostFields   = fields{"override_host_sources": decoded, "fallback_policy": decoded}
	overrideSourceFields = fields{"header": decoded}
)

// overrideHost decodes the policy in which a request may name its host. What it does not choose, the fallback does.
func (a *at) overrideHost(m *overridehostv3.OverrideHost, out *config.Cluster) {
	a.only(m, overrideHostFields)
	if n := len(m.GetOverrideHostSources()); n > maxOverrideSources {
		a.in("override_host_sources").errorf("has %d entries, at most %d are allowed", n, maxOverrideSources)
		return
	}
	for i, source := range m.GetOverrideHostSources() {
		place := a.item("override_host_sources", i)
		place.only(source, overrideSourceFields)
		if source.GetHeader() == "" {
			if source.GetMetadata() == nil { // or else it is refused as a field
				place.in("header").errorf("must be set")
			}
			continue
		}
		out.OverrideHeaders = append(out.OverrideHeaders, place.in("header").fieldName(source.GetHeader()))
	}
	a.in("fallback_policy").policy(m.GetFallbackPolicy(), out, false)
}
