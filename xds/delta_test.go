package xds_test

import (
	"testing"
	"testing/synctest"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/xds/ads/adstest"
)

func incremental(p *proxy) { p.boot.ADS.Incremental = true }

func delta(url, nonce string, subscribe ...string) *discoveryv3.DeltaDiscoveryRequest {
	return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, ResponseNonce: nonce, ResourceNamesSubscribe: subscribe}
}

func dropping(r *discoveryv3.DeltaDiscoveryRequest, names ...string) *discoveryv3.DeltaDiscoveryRequest {
	r.ResourceNamesUnsubscribe = names
	return r
}

func changed(name string, message proto.Message) adstest.Changed {
	return adstest.Changed{Name: name, Version: "1", Message: message}
}

// connectDelta leads a new stream to where two clusters, a listener and its routes are in force.
func (p *proxy) connectDelta() *adstest.DeltaStream {
	p.t.Helper()
	s := p.server.AcceptDelta()
	s.Expect("clusters", delta(clusterURL, ""))
	n := s.Send(clusterURL, "1", nil, changed("a", edsCluster("a")), changed("b", edsCluster("b")))
	s.Expect("endpoints", delta(endpointURL, "", "a", "b"))
	s.Expect("clusters", delta(clusterURL, n))
	n = s.Send(endpointURL, "1", nil, changed("a", assignment("a", 1)), changed("b", assignment("b", 1)))
	s.Expect("listeners", delta(listenerURL, ""))
	s.Expect("endpoints", delta(endpointURL, n))
	n = s.Send(listenerURL, "1", nil, changed("l", rdsListener("l", 80, "r")))
	s.Expect("routes", delta(routeURL, "", "r"))
	s.Expect("listeners", delta(listenerURL, n))
	n = s.Send(routeURL, "1", nil, changed("r", routes("r", "a")))
	s.Expect("routes", delta(routeURL, n))
	p.want("all", "a b", "a b", "l", "r")
	return s
}

func TestDeltaLifecycle(t *testing.T) {
	run(t, incremental, func(p *proxy) {
		s := p.connectDelta()
		if !p.initialized() {
			t.Errorf("not initialized: %+v", p.State())
		}
		n := s.Send(clusterURL, "2", nil, changed("c", edsCluster("c")))
		s.Expect("endpoints of the new one", delta(endpointURL, "", "c"))
		s.Expect("clusters", delta(clusterURL, n))
		p.want("it warms, and the others stay", "a b", "a b", "l", "r")
		n = s.Send(endpointURL, "2", nil, changed("c", assignment("c", 1)))
		s.Expect("endpoints", delta(endpointURL, n))
		p.want("one more", "a b c", "a b c", "l", "r")

		n = s.Send(clusterURL, "3", []string{"b", "stranger"})
		s.Expect("its endpoints are not wanted", dropping(delta(endpointURL, ""), "b"))
		s.Expect("clusters", delta(clusterURL, n))
		p.want("one less", "a c", "a c", "l", "r")
		n = s.Send(listenerURL, "2", []string{"l"}, changed("m", rdsListener("m", 81, "r")))
		s.Expect("listeners", delta(listenerURL, n))
		p.want("one for the other", "a c", "a c", "m", "r")
		synctest.Wait()
		s.Silent("at the end")
	})
}

// TestDeltaRefusedInParts holds that of a response with a bad resource the good ones and the removals take effect.
func TestDeltaRefusedInParts(t *testing.T) {
	run(t, incremental, func(p *proxy) {
		s := p.connectDelta()
		n := s.Send(listenerURL, "2", []string{"l"}, changed("bad", badListener("bad", 90)), changed("m", rdsListener("m", 81, "r")))
		want := delta(listenerURL, n)
		want.ErrorDetail = &statuspb.Status{Code: 13}
		s.Expect("refusal", want)
		p.want("the rest of it", "a b", "a b", "m", "r")
	})
}

// TestDeltaAbsentChild holds that a cluster does not wait for endpoints that the server says are not there.
func TestDeltaAbsentChild(t *testing.T) {
	run(t, incremental, func(p *proxy) {
		s := p.connectDelta()
		s.Send(clusterURL, "2", nil, changed("c", edsCluster("c")))
		s.Next()
		s.Next()
		p.want("it warms", "a b", "a b", "l", "r")
		began := time.Now()
		n := s.Send(endpointURL, "2", []string{"c"})
		s.Expect("endpoints", delta(endpointURL, n))
		p.want("it is warm without", "a b c", "a b", "l", "r")
		if waited := time.Since(began); waited > 0 {
			t.Errorf("after %v", waited)
		}
		n = s.Send(endpointURL, "3", []string{"a"})
		s.Expect("endpoints", delta(endpointURL, n))
		p.want("what is held stays", "a b c", "a b", "l", "r")
	})
}

// TestDeltaReconnect holds that a new stream begins with the versions of what is in force.
func TestDeltaReconnect(t *testing.T) {
	run(t, incremental, func(p *proxy) {
		s := p.connectDelta()
		s.Close("going away")
		s = p.server.AcceptDelta()
		held := func(url string, versions map[string]string, names ...string) {
			t.Helper()
			want := delta(url, "", names...)
			want.InitialResourceVersions = versions
			s.Expect(url, want)
		}
		held(clusterURL, map[string]string{"a": "1", "b": "1"})
		held(endpointURL, map[string]string{"a": "1", "b": "1"}, "a", "b")
		held(listenerURL, map[string]string{"l": "1"})
		held(routeURL, map[string]string{"r": "1"}, "r")
		p.want("all of it in force", "a b", "a b", "l", "r")
	})
}
