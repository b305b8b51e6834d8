package xds_test

import (
	"strings"
	"testing"
	"testing/synctest"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"

	"github.com/penguintechinc/marchproxy-alb/xds/ads/adstest"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const (
	hostURL    = resource.HostType
	deltaHosts = routeservice.VirtualHostDiscoveryService_DeltaVirtualHosts_FullMethodName
)

// open is a route configuration that gets more virtual hosts from elsewhere.
func open(name string, from *corev3.ConfigSource) *routev3.RouteConfiguration {
	rc := routes(name, "c")
	rc.VirtualHosts[0].Domains = []string{"own.example"}
	rc.Vhds = &routev3.Vhds{ConfigSource: from}
	return rc
}

func host(name string, domains ...string) adstest.Changed {
	vh := routes("", "c").VirtualHosts[0]
	vh.Name, vh.Domains = name, domains
	return changed(name, vh)
}

// domains returns those of a route configuration that is in force.
func (p *proxy) domains(name string) string {
	p.t.Helper()
	synctest.Wait()
	rc := p.store.Current().Routes[name]
	if rc == nil {
		return "none"
	}
	var all []string
	for _, vh := range rc.VirtualHosts {
		all = append(all, vh.Domains...)
	}
	return strings.Join(all, " ")
}

// openRoutes leads a new stream to where a listener warms for the virtual hosts of its routes.
func (p *proxy) openRoutes() *adstest.DeltaStream {
	p.t.Helper()
	s := p.server.AcceptDelta()
	s.Next()
	s.Send(clusterURL, "1", nil, changed("c", staticCluster("c", 1)))
	s.Next()
	s.Next()
	s.Send(listenerURL, "1", nil, changed("l", rdsListener("l", 80, "r/1")))
	s.Expect("routes", delta(routeURL, "", "r/1"))
	s.Next()
	n := s.Send(routeURL, "1", nil, changed("r/1", open("r/1", overADS())))
	s.Expect("virtual hosts by the name of their routes", delta(hostURL, "", "r/1"))
	s.Expect("routes", delta(routeURL, n))
	p.want("the listener warms", "c", "", "", "r/1")
	return s
}

func TestVirtualHosts(t *testing.T) {
	run(t, incremental, func(p *proxy) {
		s := p.openRoutes()
		wants := func(what, domains string) {
			t.Helper()
			if got := p.domains("r/1"); got != domains {
				t.Errorf("%s: domains %q, want %q", what, got, domains)
			}
		}
		n := s.Send(hostURL, "1", nil, host("r/1/b", "b.example"), host("r/1/a", "a.example"), host("r/2/c", "c.example"))
		s.Expect("virtual hosts", delta(hostURL, n))
		p.want("in force", "c", "", "l", "r/1")
		wants("with what came for it", "own.example a.example b.example")
		if p.stat("http.ingress.vhds.r/1.config_reload") != 1 || !p.initialized() {
			t.Errorf("not counted, or not initialized: %+v", p.State())
		}
		installs := p.installs
		n = s.Send(hostURL, "2", nil, host("r/1/a", "a.example"))
		s.Expect("nothing new", delta(hostURL, n))
		if synctest.Wait(); p.installs != installs {
			t.Error("a snapshot for nothing")
		}
		n = s.Send(hostURL, "3", []string{"r/1/b", "r/1/stranger"}, host("r/1/a", "x.example"))
		s.Expect("virtual hosts", delta(hostURL, n))
		wants("one less, one changed", "own.example x.example")

		changedRoutes := open("r/1", overADS())
		changedRoutes.VirtualHosts[0].Domains = []string{"new.example"}
		n = s.Send(routeURL, "2", nil, changed("r/1", changedRoutes))
		s.Expect("routes", delta(routeURL, n))
		wants("what came stays when the routes change", "new.example x.example")

		n = s.Send(hostURL, "4", nil, host("r/1/d", "new.example"))
		why := s.Next().GetErrorDetail().GetMessage()
		if !strings.Contains(why, `domain "new.example" is in virtual host "all" already and again in "r/1/d"`) {
			t.Errorf("%s refused because %q", n, why)
		}
		bad := host("r/1/e", "e.example")
		bad.Message.(*routev3.VirtualHost).Domains = nil
		s.Send(hostURL, "5", nil, bad, host("r/1/f", "f.example"))
		why = s.Next().GetErrorDetail().GetMessage()
		if !strings.HasPrefix(why, "Error updating virtual_host(s) r/1/e: ") {
			t.Errorf("refused because %q", why)
		}
		wants("the good one of them", "new.example x.example f.example")

		closed := routes("r/1", "c")
		closed.VirtualHosts[0].Domains = []string{"own.example"}
		s.Send(routeURL, "3", nil, changed("r/1", closed))
		s.Expect("not wanted any more", dropping(delta(hostURL, ""), "r/1"))
		wants("its own alone", "own.example")
	})
}

// TestNoVirtualHosts holds that an answer without virtual hosts, or that there are none, ends the wait.
func TestNoVirtualHosts(t *testing.T) {
	for name, removed := range map[string][]string{"empty": nil, "not there": {"r/1"}} {
		t.Run(name, func(t *testing.T) {
			run(t, incremental, func(p *proxy) {
				s := p.openRoutes()
				n := s.Send(hostURL, "1", removed)
				s.Expect("virtual hosts", delta(hostURL, n))
				p.want("in force", "c", "", "l", "r/1")
				if got := p.domains("r/1"); got != "own.example" {
					t.Errorf("domains %q", got)
				}
			})
		})
	}
}

// TestVirtualHostsAfterReconnect holds that a new stream begins with the versions of the virtual hosts that are held.
func TestVirtualHostsAfterReconnect(t *testing.T) {
	run(t, incremental, func(p *proxy) {
		s := p.openRoutes()
		s.Send(hostURL, "1", nil, host("r/1/a", "a.example"))
		s.Next()
		s.Close("going away")
		s = p.server.AcceptDelta()
		for {
			if r := s.Next(); r.GetTypeUrl() == hostURL {
				if got := r.GetInitialResourceVersions(); len(got) != 1 || got["r/1/a"] != "1" {
					t.Errorf("versions %v", got)
				}
				return
			}
		}
	})
}

// TestVirtualHostsComeIncrementally holds that sources without the incremental variant are refused, in Envoy's words.
func TestVirtualHostsComeIncrementally(t *testing.T) {
	change := func(p *proxy) {
		ads := p.boot.ADS
		controlPlanes(p)
		p.boot.ADS = ads
	}
	run(t, change, func(p *proxy) {
		s := p.connect()
		s.Send(listenerURL, "1", rdsListener("l", 80, "r"))
		s.Next()
		s.Next()
		for from, want := range map[*corev3.ConfigSource]string{
			overADS(): "r: vhds.config_source: vhds: ADS must use DELTA_GRPC api_type when used as VHDS config source",
			ownStream("cp", corev3.ApiConfigSource_GRPC): "r: vhds.config_source: vhds: only 'DELTA_GRPC' or 'ADS' (which uses Delta xDS) is " +
				"supported as a config source",
		} {
			s.Send(routeURL, "1", open("r", from))
			if why := s.Next().GetErrorDetail().GetMessage(); !strings.Contains(why, want) {
				t.Errorf("refused because %q, want %q", why, want)
			}
		}
		s.Send(routeURL, "2", open("r", ownStream("cp", corev3.ApiConfigSource_DELTA_GRPC)))
		hosts := p.server.AcceptDeltaMethod(deltaHosts)
		hosts.Expect("virtual hosts", delta(hostURL, "", "r"))
		hosts.Send(hostURL, "1", nil, host("r/a", "a.example"))
		hosts.Next()
		if got := p.domains("r"); got != "own.example a.example" {
			t.Errorf("domains %q", got)
		}
	})
}
