package xds_test

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
)

// part unpacks the part of the dump that is of message's type.
func (p *proxy) part(o xds.DumpOptions, message proto.Message) {
	p.t.Helper()
	dump, err := p.ConfigDump(o)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, packed := range dump.GetConfigs() {
		if packed.MessageIs(message) {
			if err := packed.UnmarshalTo(message); err != nil {
				p.t.Fatal(err)
			}
			return
		}
	}
	p.t.Fatalf("no %T in the dump", message)
}

// staticWorld gives the bootstrap one cluster and one listener.
func staticWorld(p *proxy) {
	p.boot.Proto.StaticResources = &bootstrapv3.Bootstrap_StaticResources{
		Clusters:  []*clusterv3.Cluster{staticCluster("s", 1)},
		Listeners: []*listenerv3.Listener{plainListener("sl", 90, "s")},
	}
	p.boot.Clusters = []*config.Cluster{{Name: "s"}}
	p.boot.Listeners = []*config.Listener{{Name: "sl", Address: config.Address{IP: "127.0.0.1", Port: 90}}}
}

func TestConfigDumpOrder(t *testing.T) {
	run(t, staticWorld, func(p *proxy) {
		for _, eds := range []bool{false, true} {
			dump, err := p.ConfigDump(xds.DumpOptions{IncludeEDS: eds})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, packed := range dump.GetConfigs() {
				got = append(got, string(packed.MessageName().Name()))
			}
			want := "[BootstrapConfigDump ClustersConfigDump ListenersConfigDump ScopedRoutesConfigDump RoutesConfigDump SecretsConfigDump]"
			if eds {
				want = "[BootstrapConfigDump ClustersConfigDump EndpointsConfigDump ListenersConfigDump ScopedRoutesConfigDump RoutesConfigDump SecretsConfigDump]"
			}
			if fmt.Sprint(got) != want {
				t.Errorf("parts %v, want %s", got, want)
			}
		}
		var boot adminv3.BootstrapConfigDump
		p.part(xds.DumpOptions{}, &boot)
		if !proto.Equal(boot.GetBootstrap(), p.boot.Proto) || boot.GetLastUpdated() == nil {
			t.Errorf("bootstrap: %v", &boot)
		}
	})
}

func TestConfigDumpStates(t *testing.T) {
	run(t, staticWorld, func(p *proxy) {
		s := p.connect()
		s.Send(clusterURL, "c2", staticCluster("c", 1), edsCluster("e"), edsCluster("w"), badCluster("x"))
		s.Next()
		s.Next()
		s.Send(endpointURL, "e1", assignment("e", 7))
		s.Next()
		s.Send(listenerURL, "l1", plainListener("l", 80, "c"), rdsListener("m", 81, "r"))
		s.Next()
		s.Next()
		s.Send(routeURL, "r1", routes("r", "c"))
		s.Next()
		s.Send(listenerURL, "l2", badListener("l", 80), rdsListener("m", 81, "q"), badListener("n", 82))
		s.Next()
		s.Next()
		synctest.Wait()

		var clusters adminv3.ClustersConfigDump
		p.part(xds.DumpOptions{}, &clusters)
		if clusters.GetVersionInfo() != "c1" || len(clusters.GetStaticClusters()) != 1 ||
			len(clusters.GetDynamicActiveClusters()) != 2 || len(clusters.GetDynamicWarmingClusters()) != 2 {
			t.Fatalf("clusters: %v", &clusters)
		}
		c := clusters.GetDynamicActiveClusters()[0]
		if c.GetVersionInfo() != "c1" || c.GetLastUpdated() == nil || !holds(c.GetCluster(), staticCluster("c", 1)) {
			t.Errorf("an unchanged cluster: %v", c)
		}
		if w := clusters.GetDynamicWarmingClusters()[0]; !holds(w.GetCluster(), edsCluster("w")) {
			t.Errorf("a warming cluster: %v", w)
		}
		if x := clusters.GetDynamicWarmingClusters()[1]; !holds(x.GetCluster(), badCluster("x")) || !proto.Equal(x.GetErrorState().GetFailedConfiguration(), x.GetCluster()) ||
			x.GetErrorState().GetDetails() == "" || x.GetErrorState().GetLastUpdateAttempt() == nil || x.GetClientStatus() != adminv3.ClientResourceStatus_NACKED {
			t.Errorf("a cluster that was never good: %v", x)
		}

		var endpoints adminv3.EndpointsConfigDump
		p.part(xds.DumpOptions{IncludeEDS: true}, &endpoints)
		if len(endpoints.GetStaticEndpointConfigs()) != 1 || len(endpoints.GetDynamicEndpointConfigs()) != 2 ||
			!holds(endpoints.GetDynamicEndpointConfigs()[0].GetEndpointConfig(), assignment("c", 1)) ||
			!holds(endpoints.GetDynamicEndpointConfigs()[1].GetEndpointConfig(), assignment("e", 7)) {
			t.Errorf("endpoints: %v", &endpoints)
		}
		p.checkListenerStates()
		want := []xds.Unready{
			{Kind: "cluster", Name: "w", Targets: []string{`cluster_load_assignment "w"`}},
			{Kind: "listener", Name: "m", Targets: []string{`route_configuration "q"`}},
		}
		if got := p.Unready(); !reflect.DeepEqual(got, want) {
			t.Errorf("unready: %+v, want %+v", got, want)
		}

		var found adminv3.RoutesConfigDump
		p.part(xds.DumpOptions{}, &found)
		if len(found.GetStaticRouteConfigs()) != 2 || len(found.GetDynamicRouteConfigs()) != 1 ||
			!holds(found.GetStaticRouteConfigs()[0].GetRouteConfig(), routes("inline-sl", "s")) ||
			!holds(found.GetStaticRouteConfigs()[1].GetRouteConfig(), routes("inline-l", "c")) ||
			!holds(found.GetDynamicRouteConfigs()[0].GetRouteConfig(), routes("r", "c")) {
			t.Errorf("routes: %v", &found)
		}
	})
}

// checkListenerStates expects a listener whose update was refused, one that warms again, and one that was never good.
func (p *proxy) checkListenerStates() {
	p.t.Helper()
	var listeners adminv3.ListenersConfigDump
	p.part(xds.DumpOptions{}, &listeners)
	if listeners.GetVersionInfo() != "l1" || len(listeners.GetStaticListeners()) != 1 || len(listeners.GetDynamicListeners()) != 3 {
		p.t.Fatalf("listeners: %v", &listeners)
	}
	l, m, n := listeners.GetDynamicListeners()[0], listeners.GetDynamicListeners()[1], listeners.GetDynamicListeners()[2]
	if l.GetName() != "l" || !holds(l.GetActiveState().GetListener(), plainListener("l", 80, "c")) || l.GetActiveState().GetVersionInfo() != "l1" ||
		!holds(l.GetErrorState().GetFailedConfiguration(), badListener("l", 80)) || l.GetErrorState().GetDetails() == "" ||
		l.GetErrorState().GetVersionInfo() != "l2" || l.GetErrorState().GetLastUpdateAttempt() == nil {
		p.t.Errorf("refused update: %v", l)
	}
	if !holds(m.GetActiveState().GetListener(), rdsListener("m", 81, "r")) ||
		!holds(m.GetWarmingState().GetListener(), rdsListener("m", 81, "q")) || m.GetErrorState() != nil {
		p.t.Errorf("warming update: %v", m)
	}
	if n.GetActiveState() != nil || n.GetWarmingState() != nil || n.GetErrorState() == nil {
		p.t.Errorf("never good: %v", n)
	}
}

func holds(packed *anypb.Any, message proto.Message) bool { return proto.Equal(packed, pack(message)) }

// TestReadersDoNotDisturb is for the race detector: everything that may be read, while everything changes.
func TestReadersDoNotDisturb(t *testing.T) {
	run(t, staticWorld, func(p *proxy) {
		s := p.connect()
		done := make(chan struct{})
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					if _, err := p.ConfigDump(xds.DumpOptions{IncludeEDS: true}); err != nil {
						t.Error(err)
					}
					p.Stats()
					p.State()
					time.Sleep(time.Microsecond)
				}
			})
		}
		for i := range 20 {
			changed := edsCluster("e")
			changed.ConnectTimeout.Seconds = int64(i + 1)
			n := s.Send(clusterURL, fmt.Sprint(i), changed)
			for s.Next().GetResponseNonce() != n {
			}
			s.Send(endpointURL, fmt.Sprint(i), assignment("e", uint32(i+1)))
			s.Next()
			if err := p.ReloadFile(p.boot); err != nil {
				t.Error(err)
			}
		}
		close(done)
		readers.Wait()
	})
}

func TestStats(t *testing.T) {
	run(t, staticWorld, func(p *proxy) {
		s := p.connect()
		s.Send(clusterURL, "c2", staticCluster("c", 2), edsCluster("e"))
		s.Next()
		s.Next()
		s.Send(endpointURL, "e1", assignment("e", 1))
		s.Next()
		n := s.Send(listenerURL, "l1", plainListener("l", 80, "c"), badListener("x", 81))
		s.Expect("refusal", refusal(listenerURL, "", n, ""))
		s.Send(clusterURL, "c3", edsCluster("e"))
		s.Next()
		synctest.Wait()
		want := map[string]uint64{
			"control_plane.connected_state":           1,
			"cluster_manager.cds.update_attempt":      4,
			"cluster_manager.cds.update_success":      3,
			"cluster_manager.cds.update_rejected":     0,
			"cluster_manager.cds.update_failure":      0,
			"cluster_manager.cluster_added":           3, // one is static
			"cluster_manager.cluster_modified":        1,
			"cluster_manager.cluster_removed":         1,
			"cluster_manager.active_clusters":         2,
			"cluster_manager.warming_clusters":        0,
			"listener_manager.lds.update_rejected":    1,
			"listener_manager.total_listeners_active": 2,
			"cluster.e.update_attempt":                2,
			"cluster.e.update_success":                1,
			"cluster.e.update_time":                   uint64(time.Now().UnixMilli()),
		}
		seen := make(map[string]bool)
		for _, stat := range p.Stats() {
			if seen[stat.Name] {
				t.Errorf("%s is there twice", stat.Name)
			}
			seen[stat.Name] = true
			if value, ok := want[stat.Name]; ok && stat.Value != value {
				t.Errorf("%s = %d, want %d", stat.Name, stat.Value, value)
			}
			if stat.Name == "cluster_manager.cds.version_text" && (stat.Kind != xds.TextReadout || stat.Text != "c3") {
				t.Errorf("%+v", stat)
			}
		}
		for name := range want {
			if !seen[name] {
				t.Errorf("%s is missing", name)
			}
		}
	})
}

// dumpedCluster returns what the dump has of an active dynamic cluster.
func (p *proxy) dumpedCluster(name string) *adminv3.ClustersConfigDump_DynamicCluster {
	p.t.Helper()
	var clusters adminv3.ClustersConfigDump
	p.part(xds.DumpOptions{}, &clusters)
	for _, c := range clusters.GetDynamicActiveClusters() {
		var cluster clusterv3.Cluster
		if err := c.GetCluster().UnmarshalTo(&cluster); err != nil {
			p.t.Fatal(err)
		}
		if cluster.GetName() == name {
			return c
		}
	}
	p.t.Fatalf("no cluster %q in the dump", name)
	return nil
}
