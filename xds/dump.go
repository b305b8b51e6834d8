package xds

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// DumpOptions tells what a ConfigDump holds.
type DumpOptions struct {
	// IncludeEDS adds the endpoints (include_eds).
	IncludeEDS bool
}

// ConfigDump returns what Envoy's /config_dump shows: bootstrap, clusters, endpoints when asked for, configurations of filters
// when there are any, listeners, scoped routes, routes, secrets.
// The resources in it are shared with the Manager and read-only.
func (m *Manager) ConfigDump(o DumpOptions) (*adminv3.ConfigDump, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	parts := []proto.Message{
		&adminv3.BootstrapConfigDump{Bootstrap: m.boot.Proto, LastUpdated: stamp(m.bootApplied)},
		m.dumpClusters(),
	}
	if o.IncludeEDS {
		parts = append(parts, m.dumpEndpoints())
	}
	if extensions := m.dumpExtensions(); len(extensions.GetEcdsFilters()) > 0 {
		parts = append(parts, extensions)
	}
	parts = append(parts, m.dumpListeners(), m.dumpScopes(), m.dumpRoutes(), m.dumpSecrets())
	dump := &adminv3.ConfigDump{}
	for _, part := range parts {
		packed, err := anypb.New(part)
		if err != nil {
			return nil, fmt.Errorf("config dump: %T: %w", part, err)
		}
		dump.Configs = append(dump.Configs, packed)
	}
	return dump, nil
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// pack packs a message of the bootstrap, which was unmarshalled from text and so can be marshalled.
func pack(message proto.Message) *anypb.Any {
	packed, err := anypb.New(message)
	if err != nil {
		panic(fmt.Sprintf("BUG: marshal %T: %v", message, err))
	}
	return packed
}

func byName[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}

func (f *failure) dump() *adminv3.UpdateFailureState {
	if f == nil {
		return nil
	}
	return &adminv3.UpdateFailureState{
		FailedConfiguration: f.packed,
		LastUpdateAttempt:   stamp(f.when),
		Details:             f.why,
		VersionInfo:         f.version,
	}
}

// staticApplied reports whether the resources of the bootstrap are in force.
func (m *Manager) staticApplied() bool { return !m.bootApplied.IsZero() }

func (m *Manager) staticClusters() []*clusterv3.Cluster {
	if !m.staticApplied() {
		return nil
	}
	return m.boot.Proto.GetStaticResources().GetClusters()
}

func (m *Manager) staticListeners() []*listenerv3.Listener {
	if !m.staticApplied() {
		return nil
	}
	return m.boot.Proto.GetStaticResources().GetListeners()
}

func (m *Manager) dumpClusters() *adminv3.ClustersConfigDump {
	dump := &adminv3.ClustersConfigDump{VersionInfo: m.clusters.version}
	for _, c := range m.staticClusters() {
		dump.StaticClusters = append(dump.StaticClusters,
			&adminv3.ClustersConfigDump_StaticCluster{Cluster: pack(c), LastUpdated: stamp(m.bootApplied)})
	}
	for _, p := range byName(m.clusters.parents) {
		if r := p.active; r != nil {
			dump.DynamicActiveClusters = append(dump.DynamicActiveClusters, &adminv3.ClustersConfigDump_DynamicCluster{
				VersionInfo: r.version, Cluster: r.packed, LastUpdated: stamp(r.updated), ErrorState: p.failure.dump(),
			})
		}
		if r := p.warming; r != nil {
			dump.DynamicWarmingClusters = append(dump.DynamicWarmingClusters, &adminv3.ClustersConfigDump_DynamicCluster{
				VersionInfo: r.version, Cluster: r.packed, LastUpdated: stamp(r.updated),
			})
		}
		if p.active == nil && p.warming == nil {
			dump.DynamicWarmingClusters = append(dump.DynamicWarmingClusters, p.failure.dumpCluster())
		}
	}
	return dump
}

// dumpCluster shows a cluster of which no version was ever good. Envoy does not, but its messages have a place for it; who lists
// clusters expects one in every entry.
func (f *failure) dumpCluster() *adminv3.ClustersConfigDump_DynamicCluster {
	return &adminv3.ClustersConfigDump_DynamicCluster{
		VersionInfo: f.version, Cluster: f.packed, LastUpdated: stamp(f.when), ErrorState: f.dump(),
		ClientStatus: adminv3.ClientResourceStatus_NACKED,
	}
}

func (m *Manager) dumpEndpoints() *adminv3.EndpointsConfigDump {
	dump := &adminv3.EndpointsConfigDump{}
	for _, c := range m.staticClusters() {
		if c.GetLoadAssignment() != nil {
			dump.StaticEndpointConfigs = append(dump.StaticEndpointConfigs, &adminv3.EndpointsConfigDump_StaticEndpointConfig{
				EndpointConfig: pack(c.GetLoadAssignment()), LastUpdated: stamp(m.bootApplied),
			})
		}
	}
	for _, p := range byName(m.clusters.parents) {
		if r := p.active; r != nil {
			if assignment := inlineAssignment(r.packed); assignment != nil {
				dump.DynamicEndpointConfigs = append(dump.DynamicEndpointConfigs, &adminv3.EndpointsConfigDump_DynamicEndpointConfig{
					VersionInfo: r.version, EndpointConfig: assignment, LastUpdated: stamp(r.updated),
				})
			}
		}
	}
	for _, c := range byName(m.tables[resource.AssignmentType].children) {
		if r := c.held; r != nil {
			dump.DynamicEndpointConfigs = append(dump.DynamicEndpointConfigs, &adminv3.EndpointsConfigDump_DynamicEndpointConfig{
				VersionInfo: r.version, EndpointConfig: r.packed, LastUpdated: stamp(r.updated), ErrorState: c.failure.dump(),
			})
		}
	}
	return dump
}

func (m *Manager) dumpListeners() *adminv3.ListenersConfigDump {
	dump := &adminv3.ListenersConfigDump{VersionInfo: m.listeners.version}
	for _, l := range m.staticListeners() {
		dump.StaticListeners = append(dump.StaticListeners,
			&adminv3.ListenersConfigDump_StaticListener{Listener: pack(l), LastUpdated: stamp(m.bootApplied)})
	}
	draining := m.drains.byName()
	shown := make(map[string]*adminv3.ListenersConfigDump_DynamicListener, len(m.listeners.parents)+len(draining))
	for name, p := range m.listeners.parents {
		shown[name] = &adminv3.ListenersConfigDump_DynamicListener{
			Name:         name,
			ActiveState:  dumpListener(p.active),
			WarmingState: dumpListener(p.warming),
			ErrorState:   p.failure.dump(),
		}
	}
	for name, state := range draining {
		if shown[name] == nil { // it was removed
			shown[name] = &adminv3.ListenersConfigDump_DynamicListener{Name: name}
		}
		shown[name].DrainingState = state
	}
	for _, l := range byName(shown) {
		dump.DynamicListeners = append(dump.DynamicListeners, l)
	}
	return dump
}

func dumpListener(r *revision) *adminv3.ListenersConfigDump_DynamicListenerState {
	if r == nil {
		return nil
	}
	return &adminv3.ListenersConfigDump_DynamicListenerState{
		VersionInfo: r.version, Listener: r.packed, LastUpdated: stamp(r.updated),
	}
}

func (m *Manager) dumpRoutes() *adminv3.RoutesConfigDump {
	dump := &adminv3.RoutesConfigDump{}
	inline := func(l *listenerv3.Listener, updated time.Time) {
		for _, routes := range inlineRoutes(l) {
			dump.StaticRouteConfigs = append(dump.StaticRouteConfigs,
				&adminv3.RoutesConfigDump_StaticRouteConfig{RouteConfig: routes, LastUpdated: stamp(updated)})
		}
	}
	for _, l := range m.staticListeners() {
		inline(l, m.bootApplied)
	}
	for _, p := range byName(m.listeners.parents) {
		if p.active == nil {
			continue
		}
		var l listenerv3.Listener
		if proto.Unmarshal(p.active.packed.GetValue(), &l) == nil {
			inline(&l, p.active.updated)
		}
	}
	for _, c := range byName(m.tables[resource.RouteType].children) {
		if r := c.held; r != nil {
			dump.DynamicRouteConfigs = append(dump.DynamicRouteConfigs, &adminv3.RoutesConfigDump_DynamicRouteConfig{
				VersionInfo: r.version, RouteConfig: r.packed, LastUpdated: stamp(r.updated), ErrorState: c.failure.dump(),
			})
		}
	}
	return dump
}

// inlineAssignment returns the endpoints that stand in a cluster, nil when there are none.
func inlineAssignment(packed *anypb.Any) *anypb.Any {
	var c clusterv3.Cluster
	if proto.Unmarshal(packed.GetValue(), &c) != nil || c.GetLoadAssignment() == nil {
		return nil
	}
	return pack(c.GetLoadAssignment())
}

// dumpScopes has the scopes of every connection manager that asks for some.
func (m *Manager) dumpScopes() *adminv3.ScopedRoutesConfigDump {
	dump := &adminv3.ScopedRoutesConfigDump{}
	add := func(value any) {
		for hcm := range value.(*config.Listener).Managers() {
			if hcm.Scopes == nil || hcm.Scopes.SRDS == nil {
				continue
			}
			c := m.tables[resource.ScopeType].children[hcm.Scopes.SRDS.Source.Key("")]
			if c == nil || c.held == nil {
				continue
			}
			scopes := &adminv3.ScopedRoutesConfigDump_DynamicScopedRouteConfigs{
				Name: hcm.Scopes.Name, VersionInfo: c.held.version, LastUpdated: stamp(c.held.updated), ErrorState: c.failure.dump(),
			}
			for _, member := range byName(c.held.members) {
				scopes.ScopedRouteConfigs = append(scopes.ScopedRouteConfigs, member.packed)
			}
			dump.DynamicScopedRouteConfigs = append(dump.DynamicScopedRouteConfigs, scopes)
		}
	}
	for _, value := range byName(m.listeners.static) {
		add(value)
	}
	for _, p := range byName(m.listeners.parents) {
		if p.active != nil {
			add(p.active.value)
		}
	}
	return dump
}

// dumpExtensions has the configurations of filters that came by ECDS.
func (m *Manager) dumpExtensions() *adminv3.EcdsConfigDump {
	dump := &adminv3.EcdsConfigDump{}
	for _, c := range byName(m.tables[resource.ExtensionType].children) {
		if r := c.held; r != nil {
			dump.EcdsFilters = append(dump.EcdsFilters, &adminv3.EcdsConfigDump_EcdsFilterConfig{
				VersionInfo: r.version, EcdsFilter: r.packed, LastUpdated: stamp(r.updated), ErrorState: c.failure.dump(),
			})
		}
	}
	return dump
}

// dumpSecrets has the secrets as they came: who shows them hides what must not be seen.
func (m *Manager) dumpSecrets() *adminv3.SecretsConfigDump {
	dump := &adminv3.SecretsConfigDump{}
	if m.staticApplied() {
		for _, s := range m.boot.Proto.GetStaticResources().GetSecrets() {
			dump.StaticSecrets = append(dump.StaticSecrets, &adminv3.SecretsConfigDump_StaticSecret{
				Name: s.GetName(), Secret: pack(s), LastUpdated: stamp(m.bootApplied),
			})
		}
	}
	for _, c := range byName(m.tables[resource.SecretType].children) {
		s := &adminv3.SecretsConfigDump_DynamicSecret{Name: c.name, ErrorState: c.failure.dump()}
		if r := c.held; r != nil {
			s.VersionInfo, s.Secret, s.LastUpdated = r.version, r.packed, stamp(r.updated)
			dump.DynamicActiveSecrets = append(dump.DynamicActiveSecrets, s)
			continue
		}
		s.LastUpdated = stamp(c.since)
		dump.DynamicWarmingSecrets = append(dump.DynamicWarmingSecrets, s)
	}
	return dump
}

// inlineRoutes returns the route configurations that stand in the connection managers of l.
func inlineRoutes(l *listenerv3.Listener) (packed []*anypb.Any) {
	chains := l.GetFilterChains()
	if l.GetDefaultFilterChain() != nil {
		chains = append(slices.Clip(chains), l.GetDefaultFilterChain())
	}
	for _, chain := range chains {
		for _, filter := range chain.GetFilters() {
			var hcm hcmv3.HttpConnectionManager
			if !filter.GetTypedConfig().MessageIs(&hcm) || filter.GetTypedConfig().UnmarshalTo(&hcm) != nil {
				continue
			}
			if hcm.GetRouteConfig() != nil {
				packed = append(packed, pack(hcm.GetRouteConfig()))
			}
		}
	}
	return packed
}
