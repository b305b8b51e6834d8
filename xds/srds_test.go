package xds_test

import (
	"strings"
	"testing"
	"testing/synctest"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const scopeURL = resource.ScopeType

// scopedListener gets its scopes from one place and their routes from another.
func scopedListener(name string, port uint32, scopes, routes *corev3.ConfigSource) *listenerv3.Listener {
	type builder = hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder
	return listener(name, port, &hcmv3.HttpConnectionManager{RouteSpecifier: &hcmv3.HttpConnectionManager_ScopedRoutes{
		ScopedRoutes: &hcmv3.ScopedRoutes{
			Name: "n", RdsConfigSource: routes,
			ScopeKeyBuilder: &hcmv3.ScopedRoutes_ScopeKeyBuilder{Fragments: []*builder{{
				Type: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_{
					HeaderValueExtractor: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor{
						Name:        "x",
						ExtractType: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Index{},
					},
				},
			}}},
			ConfigSpecifier: &hcmv3.ScopedRoutes_ScopedRds{ScopedRds: &hcmv3.ScopedRds{ScopedRdsConfigSource: scopes}},
		},
	}})
}

func scope(name, key, route string) *routev3.ScopedRouteConfiguration {
	return &routev3.ScopedRouteConfiguration{
		Name: name, RouteConfigurationName: route,
		Key: &routev3.ScopedRouteConfiguration_Key{Fragments: []*routev3.ScopedRouteConfiguration_Key_Fragment{{
			Type: &routev3.ScopedRouteConfiguration_Key_Fragment_StringKey{StringKey: key},
		}}},
	}
}

// wantScopes compares the keys of the scopes that come by the aggregated stream.
func (p *proxy) wantScopes(what, keys string) {
	p.t.Helper()
	synctest.Wait()
	var all []string
	for _, s := range p.store.Current().Scopes[""] {
		all = append(all, s.Key...)
	}
	if got := strings.Join(all, " "); got != keys {
		p.t.Errorf("%s: scopes %q, want %q", what, got, keys)
	}
}

// TestScopes holds that a listener warms for its scopes and for their routes, that scopes not named in a response are gone, and
// that their routes go with them.
func TestScopes(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		n := s.Send(listenerURL, "1", scopedListener("l", 80, overADS(), overADS()))
		s.Expect("all scopes", request(scopeURL, "", ""))
		s.Expect("listeners", request(listenerURL, "1", n))
		n = s.Send(scopeURL, "1", scope("a", "1", "ra"), scope("b", "2", "rb"))
		s.Expect("their routes", request(routeURL, "", "", "ra", "rb"))
		s.Expect("scopes", request(scopeURL, "1", n))
		p.want("it warms for the routes", "c", "", "", "")
		s.Send(routeURL, "1", routes("ra", "c"))
		s.Next()
		p.want("for all of them", "c", "", "", "ra")
		s.Send(routeURL, "2", routes("rb", "c"))
		s.Next()
		p.want("in force", "c", "", "l", "ra rb")
		p.wantScopes("in force", "1 2")
		if p.stat("http.ingress.scoped_rds.n.update_success") != 1 || p.stat("http.ingress.rds.ra.update_success") != 1 {
			t.Error("the updates are not counted")
		}

		var dump adminv3.ScopedRoutesConfigDump
		p.part(xds.DumpOptions{}, &dump)
		if list := dump.GetDynamicScopedRouteConfigs(); len(list) != 1 || list[0].GetName() != "n" || list[0].GetVersionInfo() != "1" ||
			len(list[0].GetScopedRouteConfigs()) != 2 || !holds(list[0].GetScopedRouteConfigs()[0], scope("a", "1", "ra")) {
			t.Errorf("dump %v", &dump)
		}
		n = s.Send(scopeURL, "2", scope("a", "9", "ra"))
		s.Expect("routes of what is left", request(routeURL, "2", "ion2", "ra"))
		s.Expect("scopes", request(scopeURL, "2", n))
		p.wantScopes("one less, one changed", "9")
		p.want("its routes are gone", "c", "", "l", "ra")

		n = s.Send(scopeURL, "3", scope("a", "9", "ra"), scope("b", "9", "rb"))
		why := s.Expect("refusal", refusal(scopeURL, "2", n, "")).GetErrorDetail().GetMessage()
		if !strings.Contains(why, "scope key conflict found, first scope is a, second scope is b") {
			t.Errorf("refused because %q", why)
		}
		p.wantScopes("as before", "9")
		s.Send(listenerURL, "2")
		s.Next()
		s.Next()
		p.want("everything is gone", "c", "", "", "")
		p.wantScopes("everything is gone", "")
	})
}

func TestScopesIncrementally(t *testing.T) {
	run(t, incremental, func(p *proxy) {
		s := p.server.AcceptDelta()
		s.Next()
		s.Send(clusterURL, "1", nil, changed("c", staticCluster("c", 1)))
		s.Next()
		s.Next()
		s.Send(listenerURL, "1", nil, changed("l", scopedListener("l", 80, overADS(), overADS())))
		s.Expect("all scopes", delta(scopeURL, ""))
		s.Next()
		n := s.Send(scopeURL, "1", nil, changed("a", scope("a", "1", "ra")), changed("b", scope("b", "2", "ra")))
		s.Expect("their routes", delta(routeURL, "", "ra"))
		s.Expect("scopes", delta(scopeURL, n))
		s.Send(routeURL, "1", nil, changed("ra", routes("ra", "c")))
		s.Next()
		p.want("in force", "c", "", "l", "ra")
		n = s.Send(scopeURL, "2", []string{"a"}, changed("d", scope("d", "4", "ra")))
		s.Expect("scopes", delta(scopeURL, n))
		p.wantScopes("one less, one more", "2 4")
	})
}

// TestScopesFromElsewhere holds that scopes and their routes each come from where the listener says.
func TestScopesFromElsewhere(t *testing.T) {
	run(t, own, func(p *proxy) {
		p.server.AcceptMethod(streamClusters).Send(clusterURL, "1", staticCluster("c", 1))
		listeners := p.server.AcceptDeltaMethod(deltaListeners)
		listeners.Next()
		listeners.Send(listenerURL, "1", nil, changed("l",
			scopedListener("l", 80, ownStream("cp", corev3.ApiConfigSource_GRPC), ownStream("other", corev3.ApiConfigSource_GRPC))))
		scopes := p.server.AcceptMethod(routeservice.ScopedRoutesDiscoveryService_StreamScopedRoutes_FullMethodName)
		scopes.Expect("scopes", request(scopeURL, "", ""))
		scopes.Send(scopeURL, "1", scope("a", "1", "ra"))
		served := p.server.AcceptMethod(streamRoutes)
		served.Expect("routes", request(routeURL, "", "", "ra"))
		served.Send(routeURL, "1", routes("ra", "c"))
		synctest.Wait()
		now := p.store.Current()
		l := now.Listeners["l"]
		if l == nil {
			t.Fatal("the listener is not in force")
		}
		var found []*config.RouteConfiguration
		for rc := range now.RouteConfigurations(l.Chains[0].HTTP) {
			found = append(found, rc)
		}
		if len(found) != 1 || found[0].Name != "ra" {
			t.Errorf("routes %v", found)
		}
		listeners.Next()
		listeners.Send(listenerURL, "2", nil, changed("m", scopedListener("m", 81, overADS(), overADS())),
			changed("k", scopedListener("k", 82, ownStream("cp", corev3.ApiConfigSource_GRPC), overADS())))
		why := listeners.Next().GetErrorDetail().GetMessage()
		for _, part := range []string{
			"m: scoped_routes.scoped_rds.scoped_rds_config_source: there is no", "k: scoped_routes.rds_config_source: there is no",
		} {
			if !strings.Contains(why, part) {
				t.Errorf("refused because %q, want %q", why, part)
			}
		}
	})
}
