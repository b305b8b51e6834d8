package xds_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// ownStream is a config source with a stream of its own to the static cluster called cluster.
func ownStream(cluster string, api corev3.ApiConfigSource_ApiType) *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion: corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: &corev3.ApiConfigSource{
			ApiType: api, TransportApiVersion: corev3.ApiVersion_V3,
			GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: cluster},
			}}},
		}},
	}
}

// controlPlanes gives the bootstrap static clusters that can be control planes, and takes the aggregated stream away.
func controlPlanes(p *proxy) {
	p.boot.ADS = nil
	p.boot.Proto.StaticResources = &bootstrapv3.Bootstrap_StaticResources{
		Clusters: []*clusterv3.Cluster{staticCluster("cp", 18000), staticCluster("other", 18001)},
	}
}

func (p *proxy) discovery(s *corev3.ConfigSource) *config.Discovery {
	p.t.Helper()
	d, err := resource.Discovery("test", s)
	if err != nil {
		p.t.Fatal(err)
	}
	return &d
}

// own has clusters come over a stream of their own, listeners over one in the incremental variant.
func own(p *proxy) {
	controlPlanes(p)
	p.boot.CDS = p.discovery(ownStream("cp", corev3.ApiConfigSource_GRPC))
	p.boot.LDS = p.discovery(ownStream("cp", corev3.ApiConfigSource_DELTA_GRPC))
}

func edsFrom(name string, from *corev3.ConfigSource) *clusterv3.Cluster {
	c := edsCluster(name)
	c.EdsClusterConfig.EdsConfig = from
	return c
}

func rdsFrom(name string, port uint32, route string, from *corev3.ConfigSource) *listenerv3.Listener {
	return listener(name, port, &hcmv3.HttpConnectionManager{RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{
		Rds: &hcmv3.Rds{ConfigSource: from, RouteConfigName: route},
	}})
}

const (
	streamClusters  = clusterservice.ClusterDiscoveryService_StreamClusters_FullMethodName
	streamEndpoints = endpointservice.EndpointDiscoveryService_StreamEndpoints_FullMethodName
	deltaListeners  = listenerservice.ListenerDiscoveryService_DeltaListeners_FullMethodName
	streamRoutes    = routeservice.RouteDiscoveryService_StreamRoutes_FullMethodName
)

// TestOwnStreams holds that without an aggregated stream each type comes over one of its own, which clusters and listeners
// that ask the same source share, and which ends with the last of them.
func TestOwnStreams(t *testing.T) {
	from := ownStream("cp", corev3.ApiConfigSource_GRPC)
	run(t, own, func(p *proxy) {
		clusters := p.server.AcceptMethod(streamClusters)
		clusters.Expect("clusters", request(clusterURL, "", ""))
		n := clusters.Send(clusterURL, "1", edsFrom("a", from), edsFrom("b", from))
		endpoints := p.server.AcceptMethod(streamEndpoints)
		endpoints.Expect("endpoints of both", request(endpointURL, "", "", "a", "b"))
		clusters.Expect("clusters", request(clusterURL, "1", n))
		p.want("clusters warm", "", "", "", "")
		endpoints.Send(endpointURL, "1", assignment("a", 1), assignment("b", 1))
		listeners := p.server.AcceptDeltaMethod(deltaListeners)
		listeners.Expect("listeners", delta(listenerURL, ""))
		synctest.Wait()
		if now := p.store.Current(); now.Assignment(now.Clusters["a"]) == nil || now.Assignment(now.Clusters["b"]) == nil {
			t.Errorf("clusters %v, endpoints %q", names(now.Clusters), names(now.Endpoints))
		}

		n = listeners.Send(listenerURL, "1", nil, changed("l", rdsFrom("l", 80, "r", from)))
		served := p.server.AcceptMethod(streamRoutes)
		served.Expect("routes", request(routeURL, "", "", "r"))
		listeners.Expect("listeners", delta(listenerURL, n))
		served.Send(routeURL, "1", routes("r", "a"))
		served.Next()
		synctest.Wait()
		now := p.store.Current()
		if l := now.Listeners["l"]; l == nil || now.RouteConfiguration(l.Chains[0].HTTP) == nil {
			t.Errorf("listeners %q, routes %q", names(now.Listeners), names(now.Routes))
		}
		if !p.initialized() {
			t.Errorf("not initialized: %+v", p.State())
		}
		for _, name := range []string{
			"cluster.a.update_success", "cluster.b.update_success", "http.ingress.rds.r.update_success",
			"cluster_manager.cds.control_plane.connected_state", "cluster.a.control_plane.connected_state",
		} {
			if p.stat(name) != 1 {
				t.Errorf("%s = %d, want 1", name, p.stat(name))
			}
		}

		endpoints.Next() // the answer to what both asked for
		clusters.Send(clusterURL, "2", edsFrom("a", from))
		endpoints.Expect("one less", request(endpointURL, "1", "ent1", "a"))
		clusters.Send(clusterURL, "3", staticCluster("a", 1))
		endpoints.WaitClosed()
		listeners.Send(listenerURL, "2", []string{"l"})
		served.WaitClosed()
		p.want("no children are left", "a", "", "", "")
	})
}

// TestSameNameFromTwoSources holds that a name is a resource of its own in each place that it comes from.
func TestSameNameFromTwoSources(t *testing.T) {
	change := func(p *proxy) {
		ads := p.boot.ADS
		controlPlanes(p)
		p.boot.ADS = ads
	}
	run(t, change, func(p *proxy) {
		s := p.server.Accept()
		s.Next()
		x, y := edsCluster("x"), edsFrom("y", ownStream("other", corev3.ApiConfigSource_GRPC))
		x.EdsClusterConfig.ServiceName, y.EdsClusterConfig.ServiceName = "e", "e"
		s.Send(clusterURL, "1", x, y)
		s.Expect("aggregated", request(endpointURL, "", "", "e"))
		other := p.server.AcceptMethod(streamEndpoints)
		other.Expect("own", request(endpointURL, "", "", "e"))
		s.Send(endpointURL, "1", assignment("e", 1))
		other.Send(endpointURL, "1", assignment("e", 2))
		synctest.Wait()
		now := p.store.Current()
		for name, port := range map[string]uint32{"x": 1, "y": 2} {
			c := now.Clusters[name]
			if c == nil || now.Assignment(c) == nil || now.Assignment(c).Localities[0].Endpoints[0].Address.Port != port {
				t.Errorf("cluster %s does not have the endpoint with port %d", name, port)
			}
		}
	})
}

// TestSourcesThatCannotBe holds that what asks where nothing can be asked is refused with the field and the reason.
func TestSourcesThatCannotBe(t *testing.T) {
	run(t, own, func(p *proxy) {
		clusters := p.server.AcceptMethod(streamClusters)
		clusters.Next()
		unknown := ownStream("nowhere", corev3.ApiConfigSource_GRPC)
		n := clusters.Send(clusterURL, "1", edsFrom("a", unknown), edsCluster("b"), staticCluster("c", 1))
		why := clusters.Expect("refusal", refusal(clusterURL, "", n, "")).GetErrorDetail().GetMessage()
		for _, part := range []string{
			"a: eds_cluster_config.eds_config: api_config_source.grpc_services[0].envoy_grpc.cluster_name: " +
				"envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: 'nowhere' does not exist, " +
				"was added via api, or is an EDS cluster",
			"\nb: eds_cluster_config.eds_config: there is no dynamic_resources.ads_config",
		} {
			if !strings.Contains(why, part) {
				t.Errorf("refused because %q, want %q", why, part)
			}
		}
		p.want("the good one", "c", "", "", "")
		listeners := p.server.AcceptDeltaMethod(deltaListeners)
		listeners.Next()
		listeners.Send(listenerURL, "1", nil, changed("l", rdsFrom("l", 80, "r", unknown)))
		why = listeners.Next().GetErrorDetail().GetMessage()
		if !strings.Contains(why, "l: rds.config_source: api_config_source.grpc_services[0]") {
			t.Errorf("refused because %q", why)
		}
	})
}

// TestOwnStreamIsLost holds that the loss of a stream counts for what came by it, and for nothing else.
func TestOwnStreamIsLost(t *testing.T) {
	run(t, own, func(p *proxy) {
		clusters := p.server.AcceptMethod(streamClusters)
		clusters.Next()
		clusters.Send(clusterURL, "1", edsFrom("a", ownStream("cp", corev3.ApiConfigSource_GRPC)),
			edsFrom("b", ownStream("other", corev3.ApiConfigSource_GRPC)))
		clusters.Next()
		one, two := p.server.AcceptMethod(streamEndpoints), p.server.AcceptMethod(streamEndpoints)
		asked := one.Next().GetResourceNames()[0]
		two.Next()
		if asked == "b" {
			one, two = two, one
		}
		one.Close("gone")
		synctest.Wait()
		if p.stat("cluster.a.update_failure") != 1 || p.stat("cluster.b.update_failure") != 0 || p.stat("cluster_manager.cds.update_failure") != 0 {
			t.Error("the loss is not counted where it should be")
		}
		time.Sleep(time.Minute)
		p.server.AcceptMethod(streamEndpoints).Expect("asked again", request(endpointURL, "", "", "a"))
		two.Silent("nothing happened to this one")
	})
}

// TestEndsWithOpenSources holds that Run waits for every source it has opened; a bubble with a goroutine left would not end.
func TestEndsWithOpenSources(t *testing.T) {
	run(t, own, func(p *proxy) {
		p.server.AcceptMethod(streamClusters).Next()
		p.server.Refuse()
		p.RestartStream()
		time.Sleep(time.Second)
	})
}

// TestReloadAsksTheControlPlanesOfTheStart holds that a reload whose resources ask a control plane which was not there at the start is
// refused as a whole.
func TestReloadAsksTheControlPlanesOfTheStart(t *testing.T) {
	run(t, own, func(p *proxy) {
		p.server.AcceptMethod(streamClusters).Next()
		reloaded := func(from *corev3.ConfigSource) *bootstrap.Bootstrap {
			return &bootstrap.Bootstrap{
				Proto: p.boot.Proto, Node: p.boot.Node,
				Clusters: []*config.Cluster{{Name: "plain"}, {Name: "e", Type: config.ClusterEDS, EDSName: "e", EDS: *p.discovery(from)}},
			}
		}
		err := p.ReloadFile(reloaded(ownStream("nowhere", corev3.ApiConfigSource_GRPC)))
		if err == nil || !strings.HasPrefix(err.Error(), `cluster "e": eds_cluster_config.eds_config: api_config_source.grpc_services[0].envoy_grpc.cluster_name: `) {
			t.Errorf("err = %v", err)
		}
		p.want("nothing changed", "", "", "", "")
		if err := p.ReloadFile(reloaded(ownStream("other", corev3.ApiConfigSource_GRPC))); err != nil {
			t.Fatal(err)
		}
		p.server.AcceptMethod(streamEndpoints).Expect("endpoints of a static cluster", request(endpointURL, "", "", "e"))
		p.want("in force", "e plain", "", "", "")
	})
}
