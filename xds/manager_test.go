package xds_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/zap"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
	"github.com/penguintechinc/marchproxy-alb/xds/ads/adstest"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const (
	clusterURL  = resource.ClusterType
	endpointURL = resource.AssignmentType
	listenerURL = resource.ListenerType
	routeURL    = resource.RouteType
)

// fetchTimeout is the initial_fetch_timeout of these tests, and the default.
const fetchTimeout = config.DefaultInitialFetchExpiry

// proxy is a Manager and the store it feeds, with a scripted control plane.
type proxy struct {
	*xds.Manager
	t      *testing.T
	store  *config.Store
	server *adstest.Server
	boot   *bootstrap.Bootstrap

	installs    int
	runtime     func(name string, texts map[string]string) error // nil for none
	refuse      func(next *config.Snapshot) error
	stop        func()
	checkSecret func(*config.Secret) error
	waitWarm    func(context.Context, *config.Cluster) // nil for nobody to wait for
	draining    func() map[*config.Listener]bool       // nil for nobody who knows
}

func target(boot *bootstrap.Bootstrap) {
	boot.Node = &corev3.Node{Id: "n", Cluster: "c"}
	boot.Proto = &bootstrapv3.Bootstrap{Node: boot.Node}
	boot.ADS = &bootstrap.ControlPlane{Servers: []bootstrap.Server{{Targets: []config.Address{{IP: "127.0.0.1", Port: 18000}}}}}
	boot.CDS = &config.Discovery{FetchTimeout: fetchTimeout}
	boot.LDS = &config.Discovery{FetchTimeout: fetchTimeout}
}

// run runs script in a bubble with a Manager that was started.
func run(t *testing.T, change func(*proxy), script func(*proxy)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &proxy{t: t, server: adstest.New(t), boot: &bootstrap.Bootstrap{}}
		target(p.boot)
		p.refuse = func(*config.Snapshot) error { return nil }
		p.store = config.NewStore(func(_, next *config.Snapshot, _ *config.Delta) error {
			p.installs++
			return p.refuse(next)
		})
		if change != nil {
			change(p)
		}
		p.startWith(xds.Options{Logger: zap.NewNop(), DialOptions: p.server.DialOptions()})
		defer func() { p.stop() }()
		script(p)
	})
}

// startWith runs a Manager with o; bootstrap and store are the proxy's.
func (p *proxy) startWith(o xds.Options) {
	p.t.Helper()
	o.Bootstrap, o.Store, o.Runtime, o.CheckSecret, o.WaitWarm = p.boot, p.store, p.runtime, p.checkSecret, p.waitWarm
	o.Draining = p.draining
	var err error
	p.Manager, err = xds.New(o)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.Static(); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	p.stop = func() {
		cancel()
		<-done
	}
}

// want waits until nothing moves, and compares the names of what is in force.
func (p *proxy) want(what string, clusters, endpoints, listeners, routes string) {
	p.t.Helper()
	synctest.Wait()
	now := p.store.Current()
	got := []string{names(now.Clusters), names(now.Endpoints), names(now.Listeners), names(now.Routes)}
	if want := []string{clusters, endpoints, listeners, routes}; !slices.Equal(got, want) {
		p.t.Errorf("%s: clusters, endpoints, listeners, routes are %q, want %q", what, got, want)
	}
}

func names[T any](m map[string]T) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }

func (p *proxy) initialized() bool {
	synctest.Wait()
	select {
	case <-p.Initialized():
		return true
	default:
		return false
	}
}

func (p *proxy) stat(name string) uint64 {
	p.t.Helper()
	for _, s := range p.Stats() {
		if s.Name == name {
			return s.Value
		}
	}
	p.t.Errorf("there is no statistic %s", name)
	return 0
}

func request(url, version, nonce string, names ...string) *discoveryv3.DiscoveryRequest {
	return &discoveryv3.DiscoveryRequest{TypeUrl: url, VersionInfo: version, ResponseNonce: nonce, ResourceNames: names}
}

func refusal(url, version, nonce, why string, names ...string) *discoveryv3.DiscoveryRequest {
	r := request(url, version, nonce, names...)
	r.ErrorDetail = &statuspb.Status{Code: 13, Message: why}
	return r
}

// TestLifecycle holds the whole conversation of a start: clusters, their endpoints, listeners, their routes.
func TestLifecycle(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.server.Accept()
		s.Expect("clusters first", request(clusterURL, "", ""))
		synctest.Wait()
		s.Silent("before clusters")
		n := s.Send(clusterURL, "1", edsCluster("a"), edsCluster("b"))
		s.Expect("endpoints of both in one", request(endpointURL, "", "", "a", "b"))
		s.Expect("clusters", request(clusterURL, "1", n))
		p.want("clusters warm", "", "", "", "")
		n = s.Send(endpointURL, "1", assignment("a", 1), assignment("stranger", 1))
		s.Expect("endpoints", request(endpointURL, "1", n, "a", "b"))
		p.want("one is warm", "a", "a", "", "")
		if got := p.stat("cluster_manager.warming_clusters"); got != 1 {
			t.Errorf("%d clusters warm", got)
		}
		s.Silent("listeners wait for all clusters")
		if p.State().ClustersInitialized {
			t.Error("initialized while a cluster warms")
		}
		n = s.Send(endpointURL, "2", assignment("b", 1))
		s.Expect("listeners after clusters", request(listenerURL, "", ""))
		s.Expect("endpoints", request(endpointURL, "2", n, "a", "b"))
		p.want("absence of endpoints means nothing", "a b", "a b", "", "")
		if state := p.State(); !state.ClustersInitialized || state.Initialized {
			t.Errorf("state %+v", state)
		}

		n = s.Send(listenerURL, "1", rdsListener("l", 80, "r"))
		s.Expect("routes", request(routeURL, "", "", "r"))
		s.Expect("listeners", request(listenerURL, "1", n))
		p.want("listener warms", "a b", "a b", "", "")
		if p.initialized() {
			t.Error("initialized before the routes")
		}
		n = s.Send(routeURL, "1", routes("r", "a"))
		s.Expect("routes", request(routeURL, "1", n, "r"))
		p.want("all", "a b", "a b", "l", "r")
		if !p.initialized() || p.State().Waiting != "" {
			t.Errorf("not initialized: %+v", p.State())
		}
		if !p.store.Current().Clusters["a"].AddedViaAPI {
			t.Error("cluster is not marked as added over the API")
		}

		n = s.Send(clusterURL, "2", edsCluster("b"))
		s.Expect("endpoints of the rest", request(endpointURL, "2", "ent2", "b"))
		s.Expect("clusters", request(clusterURL, "2", n))
		p.want("removal", "b", "b", "l", "r")
		n = s.Send(listenerURL, "2")
		s.Expect("no routes", request(routeURL, "1", "ion1"))
		s.Expect("listeners", request(listenerURL, "2", n))
		p.want("all listeners removed", "b", "b", "", "")
		synctest.Wait()
		s.Silent("at the end")
	})
}

// connect leads a new stream to the point where static cluster c is in force and listeners are asked for.
func (p *proxy) connect() *adstest.Stream {
	p.t.Helper()
	s := p.server.Accept()
	s.Expect("clusters", request(clusterURL, "", ""))
	n := s.Send(clusterURL, "c1", staticCluster("c", 1))
	s.Expect("listeners", request(listenerURL, "", ""))
	s.Expect("clusters", request(clusterURL, "c1", n))
	return s
}

func TestGoodAndBadInOneResponse(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		n := s.Send(clusterURL, "c2", badCluster("x"), staticCluster("c", 2), staticCluster("d", 1), badCluster("y"))
		why := s.Expect("refusal", refusal(clusterURL, "c1", n, "")).GetErrorDetail().GetMessage()
		if !strings.HasPrefix(why, "Error adding/updating cluster(s) x: ") || !strings.Contains(why, "\ny: ") {
			t.Errorf("refused because %q", why)
		}
		p.want("good ones are in force", "c d", "", "", "")
		if port := p.store.Current().Clusters["c"].Assignment.Localities[0].Endpoints[0].Address.Port; port != 2 {
			t.Errorf("c has port %d, want the update", port)
		}
		n = s.Send(clusterURL, "c3", badCluster("c"))
		s.Expect("refusal", refusal(clusterURL, "c1", n, ""))
		p.want("the last good stays, the absent goes", "c", "", "", "")
		n = s.Send(clusterURL, "c4", staticCluster("c", 2))
		s.Expect("fixed", request(clusterURL, "c4", n))

		n = s.Send(listenerURL, "l1", badListener("x", 81), plainListener("l", 80, "c"))
		why = s.Expect("refusal", refusal(listenerURL, "", n, "")).GetErrorDetail().GetMessage()
		if !strings.HasPrefix(why, "Error adding/updating listener(s) x: ") {
			t.Errorf("refused because %q", why)
		}
		p.want("the good listener is in force", "c", "", "l", "")
		if rejected := p.stat("listener_manager.lds.update_rejected"); rejected != 1 {
			t.Errorf("lds.update_rejected = %d", rejected)
		}
	})
}

func TestUndecodableChangesNothing(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		broken := pack(staticCluster("e", 1))
		broken.Value = append(broken.Value, 0xff)
		for i, second := range []proto.Message{broken, assignment("c", 1), staticCluster("d", 1)} {
			n := s.Send(clusterURL, fmt.Sprint("bad", i), staticCluster("d", 1), second)
			s.Expect("refusal", refusal(clusterURL, "c1", n, ""))
			p.want("nothing changed", "c", "", "", "")
		}
	})
}

func TestPortInUse(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		n := s.Send(listenerURL, "l1", plainListener("l", 80, "c"))
		s.Expect("listeners", request(listenerURL, "l1", n))
		p.refuse = func(next *config.Snapshot) error {
			for _, l := range next.Listeners {
				if l.Address.Port == 666 {
					return errors.New("bind: address already in use")
				}
			}
			return nil
		}
		n = s.Send(listenerURL, "l2", plainListener("l", 666, "c"), plainListener("m", 81, "c"), plainListener("o", 82, "c"))
		why := s.Expect("refusal", refusal(listenerURL, "l1", n, "")).GetErrorDetail().GetMessage()
		if !strings.HasPrefix(why, "Error adding/updating listener(s) l: ") || !strings.HasSuffix(why, "bind: address already in use") ||
			strings.Contains(why, "\n") {
			t.Errorf("refused because %q", why)
		}
		p.want("the others came, the old one stays", "c", "", "l m o", "")
		if port := p.store.Current().Listeners["l"].Address.Port; port != 80 {
			t.Errorf("listener l has port %d", port)
		}
		p.refuse = func(*config.Snapshot) error { return nil }
		n = s.Send(listenerURL, "l3", plainListener("l", 666, "c"))
		s.Expect("tried again and fixed", request(listenerURL, "l3", n))
		p.want("removed and changed", "c", "", "l", "")
	})
}

// TestPortHandedOver holds that a port freed by a response can be used by it.
func TestPortHandedOver(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		s.Send(listenerURL, "l1", plainListener("l", 80, "c"))
		s.Next()
		n := s.Send(listenerURL, "l2", plainListener("m", 80, "c"), badListener("x", 81))
		s.Expect("only x is bad", refusal(listenerURL, "l1", n, ""))
		p.want("handed over", "c", "", "m", "")
		n = s.Send(listenerURL, "l3", plainListener("m", 80, "c"), plainListener("l", 80, "c"))
		why := s.Expect("taken", refusal(listenerURL, "l1", n, "")).GetErrorDetail().GetMessage()
		if !strings.Contains(why, `address 127.0.0.1:80 is taken by listener`) {
			t.Errorf("refused because %q", why)
		}
		p.want("the one before stays", "c", "", "m", "")
	})
}

func TestIdenticalIsNoWork(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		s.Send(clusterURL, "c2", staticCluster("c", 1), edsCluster("e"))
		s.Next()
		s.Next()
		s.Send(endpointURL, "e1", assignment("e", 1))
		s.Next()
		p.want("before", "c e", "e", "", "")
		installs, modified := p.installs, p.stat("cluster_manager.cluster_modified")
		n := s.Send(clusterURL, "c3", staticCluster("c", 1), edsCluster("e"))
		s.Expect("clusters", request(clusterURL, "c3", n))
		n = s.Send(endpointURL, "e2", assignment("e", 1))
		s.Expect("endpoints", request(endpointURL, "e2", n, "e"))
		p.want("after", "c e", "e", "", "")
		if p.installs != installs || p.stat("cluster_manager.cluster_modified") != modified {
			t.Errorf("%d snapshots for nothing", p.installs-installs)
		}
	})
}

func TestBatchIsOneSnapshot(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		s.Send(clusterURL, "c2", edsCluster("a"), edsCluster("b"), edsCluster("d"))
		s.Next()
		s.Next()
		synctest.Wait()
		installs := p.installs
		s.Send(endpointURL, "e1", assignment("a", 1), assignment("b", 1), assignment("d", 1))
		s.Next()
		p.want("all", "a b d", "a b d", "", "")
		if p.installs != installs+1 {
			t.Errorf("%d snapshots, want 1", p.installs-installs)
		}
	})
}

// TestUpdatedClusterIsNotStuck holds that an updated cluster does not wait for endpoints that are held and that the server
// will not send again.
func TestUpdatedClusterIsNotStuck(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		s.Send(clusterURL, "c2", edsCluster("e"))
		s.Next()
		s.Next()
		s.Send(endpointURL, "e1", assignment("e", 1))
		s.Next()
		changed := edsCluster("e")
		changed.ConnectTimeout.Seconds = 7
		n := s.Send(clusterURL, "c3", changed)
		s.Expect("clusters", request(clusterURL, "c3", n))
		p.want("updated", "e", "e", "", "")
		if got := p.store.Current().Clusters["e"].ConnectTimeout; got != 7*time.Second {
			t.Errorf("connect timeout %v: the update is not in force", got)
		}

		renamed := edsCluster("e")
		renamed.EdsClusterConfig.ServiceName = "other"
		s.Send(clusterURL, "c4", renamed)
		s.Expect("both names while one warms", request(endpointURL, "e1", "ent1", "e", "other"))
		s.Next()
		p.want("the old one serves meanwhile", "e", "e", "", "")
		if got := p.store.Current().Clusters["e"].EDSName; got != "e" {
			t.Errorf("cluster uses the endpoints %q", got)
		}
		n = s.Send(endpointURL, "e2", assignment("other", 2))
		s.Expect("answer, with the name that is left", request(endpointURL, "e2", n, "other"))
		p.want("swapped", "e", "other", "", "")
	})
}

func TestWarmingEnds(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		s.Send(clusterURL, "c2", edsCluster("e"))
		s.Next()
		s.Next()
		s.Send(listenerURL, "l1", rdsListener("l", 80, "r"))
		s.Next()
		s.Next()
		p.want("both warm", "", "", "", "")
		time.Sleep(fetchTimeout - time.Nanosecond)
		p.want("both still warm", "", "", "", "")
		if p.initialized() {
			t.Error("initialized before the timeout")
		}
		time.Sleep(time.Nanosecond)
		p.want("in force without endpoints and routes", "e", "", "l", "")
		if !p.initialized() {
			t.Error("not initialized after the timeout")
		}
		if p.stat("cluster.e.init_fetch_timeout") != 1 || p.stat("http.ingress.rds.r.init_fetch_timeout") != 1 {
			t.Error("timeouts are not counted")
		}
		s.Send(routeURL, "r1", routes("r", "e"))
		s.Next()
		s.Send(endpointURL, "e1", assignment("e", 1))
		s.Next()
		p.want("late is not too late", "e", "e", "l", "r")
	})
}

// TestWarmsForAllRoutes has a listener wait for the routes of all its filter chains, each as long as that chain says.
func TestWarmsForAllRoutes(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		s.Send(clusterURL, "c2", staticCluster("e", 1))
		s.Next()
		l := rdsListener("l", 80, "first")
		l.DefaultFilterChain = rdsListener("", 80, "second").FilterChains[0]
		s.Send(listenerURL, "l1", l)
		s.Next()
		s.Next()
		s.Send(routeURL, "r1", routes("first", "e"))
		s.Next()
		p.want("one is missing", "e", "", "", "first")
		s.Send(routeURL, "r2", routes("second", "e"))
		s.Next()
		p.want("both are there", "e", "", "l", "first second")

		l.FilterChains[0] = rdsListener("", 80, "third").FilterChains[0]
		s.Send(listenerURL, "l2", l)
		s.Next()
		s.Next()
		time.Sleep(fetchTimeout)
		p.want("long enough", "e", "", "l", "second")
		if p.stat("http.ingress.rds.third.init_fetch_timeout") != 1 || p.stat("http.ingress.rds.second.init_fetch_timeout") != 0 {
			t.Error("timeouts are not counted where they belong")
		}
	})
}

func TestRouteUpdateAndSharing(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		s.Send(listenerURL, "l1", rdsListener("l", 80, "r"))
		s.Expect("routes", request(routeURL, "", "", "r"))
		s.Next()
		s.Send(routeURL, "r1", routes("r", "c"))
		s.Next()
		n := s.Send(listenerURL, "l2", rdsListener("l", 80, "r"), rdsListener("m", 81, "r"))
		s.Expect("nothing new to ask for", request(listenerURL, "l2", n))
		p.want("held routes are enough", "c", "", "l m", "r")
		before := p.store.Current().Routes["r"]
		n = s.Send(routeURL, "r2", routes("r", "d"))
		s.Expect("routes", request(routeURL, "r2", n, "r"))
		p.want("same names", "c", "", "l m", "r")
		if p.store.Current().Routes["r"] == before {
			t.Error("the update is not in force")
		}
		bad := routes("r", "d")
		bad.VirtualHosts[0].Domains = nil
		n = s.Send(routeURL, "r3", bad)
		why := s.Expect("refusal", refusal(routeURL, "r2", n, "", "r")).GetErrorDetail().GetMessage()
		if !strings.Contains(why, "domains") {
			t.Errorf("refused because %q", why)
		}
		if p.stat("http.ingress.rds.r.update_rejected") != 1 || p.stat("http.ingress.rds.r.update_success") != 2 {
			t.Error("the refusal is not counted")
		}
		n = s.Send(listenerURL, "l3", rdsListener("m", 81, "r"))
		s.Expect("still referred to", request(listenerURL, "l3", n))
		p.want("routes stay with the last listener", "c", "", "m", "r")
	})
}

func TestStaticWins(t *testing.T) {
	change := func(p *proxy) {
		p.boot.Clusters = []*config.Cluster{{Name: "s"}}
		p.boot.Listeners = []*config.Listener{{Name: "sl", Address: config.Address{IP: "127.0.0.1", Port: 90}}}
	}
	run(t, change, func(p *proxy) {
		p.want("static", "s", "", "sl", "")
		s := p.server.Accept()
		s.Next()
		n := s.Send(clusterURL, "1", staticCluster("s", 1), staticCluster("d", 1))
		s.Next()
		s.Expect("accepted", request(clusterURL, "1", n))
		n = s.Send(listenerURL, "1", plainListener("sl", 91, "d"))
		s.Expect("accepted", request(listenerURL, "1", n))
		p.want("ignored", "d s", "", "sl", "")
		now := p.store.Current()
		if now.Clusters["s"] != p.boot.Clusters[0] || now.Listeners["sl"] != p.boot.Listeners[0] {
			t.Error("a static resource was changed")
		}
		n = s.Send(clusterURL, "2")
		s.Expect("accepted", request(clusterURL, "2", n))
		p.want("not removed either", "s", "", "sl", "")
	})
}

func TestReload(t *testing.T) {
	change := func(p *proxy) { p.boot.Clusters = []*config.Cluster{{Name: "old"}} }
	run(t, change, func(p *proxy) {
		s := p.connect()
		next := &bootstrap.Bootstrap{
			Proto: p.boot.Proto, Node: p.boot.Node,
			Clusters:  []*config.Cluster{{Name: "new"}, {Name: "e", Type: config.ClusterEDS, EDSName: "e"}},
			Listeners: []*config.Listener{{Name: "sl", Default: &config.FilterChain{HTTP: &config.HTTPConnectionManager{RouteConfigName: "r"}}}},
		}
		if err := p.ReloadFile(next); err != nil {
			t.Fatal(err)
		}
		s.Expect("endpoints of a static cluster", request(endpointURL, "", "", "e"))
		s.Expect("routes of a static listener", request(routeURL, "", "", "r"))
		p.want("replaced", "c e new", "", "sl", "")
		p.refuse = func(*config.Snapshot) error { return errors.New("no") }
		if err := p.ReloadFile(p.boot); err == nil {
			t.Error("no error")
		}
		p.want("a refused reload changes nothing", "c e new", "", "sl", "")
		if err := p.ReloadFile(nil); err == nil {
			t.Error("reload with nothing was accepted")
		}
	})
}

func TestControlPlaneComesBack(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		s.Send(clusterURL, "c2", staticCluster("c", 1), edsCluster("e"))
		s.Next()
		s.Next()
		s.Send(endpointURL, "e1", assignment("e", 1))
		s.Next()
		s.Send(listenerURL, "l1", rdsListener("l", 80, "r"))
		s.Next()
		s.Next()
		s.Send(routeURL, "r1", routes("r", "e"))
		s.Next()
		p.server.Refuse()
		s.Close("restart")
		time.Sleep(10 * time.Minute)
		p.want("everything stays", "c e", "e", "l", "r")
		st := p.State()
		if st.Connected || !st.Initialized || !strings.Contains(st.LastError, "connection refused") {
			t.Errorf("state = %+v", st)
		}
		if p.stat("control_plane.connected_state") != 0 || p.stat("cluster.e.update_failure") < 20 {
			t.Error("the loss is not counted")
		}
		p.server.Admit()
		s = p.server.Accept()
		s.Expect("in first order", request(clusterURL, "c2", ""))
		s.Expect("in first order", request(listenerURL, "l1", ""))
		s.Expect("in first order", request(endpointURL, "e1", "", "e"))
		s.Expect("in first order", request(routeURL, "r1", "", "r"))
		synctest.Wait()
		s.Silent("after the subscriptions")
		p.want("everything stays", "c e", "e", "l", "r")
	})
}

func TestStartWithoutControlPlane(t *testing.T) {
	change := func(p *proxy) {
		p.server.Refuse()
		p.boot.Clusters = []*config.Cluster{{Name: "s"}}
	}
	run(t, change, func(p *proxy) {
		time.Sleep(fetchTimeout - time.Nanosecond)
		if p.initialized() {
			t.Error("initialized too early")
		}
		w := p.State().Waiting
		if !strings.HasPrefix(w, "waiting for the control plane at 127.0.0.1:18000: ") || !strings.Contains(w, "connection refused") {
			t.Errorf("waiting: %q", w)
		}
		time.Sleep(time.Nanosecond)
		if !p.initialized() {
			t.Errorf("not initialized after the timeout: %+v", p.State())
		}
		p.want("static", "s", "", "", "")
		p.server.Admit()
		s := p.server.Accept()
		s.Expect("clusters", request(clusterURL, "", ""))
		s.Expect("listeners", request(listenerURL, "", ""))
	})
}

// TestSilentControlPlane is one that takes the subscription and never answers, as for a node that it does not know.
func TestSilentControlPlane(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.server.Accept()
		s.Next()
		synctest.Wait()
		if w := p.State().Waiting; w != "waiting for the control plane at 127.0.0.1:18000: connected, no answer yet for clusters" {
			t.Errorf("waiting: %q", w)
		}
		time.Sleep(fetchTimeout)
		if !p.initialized() {
			t.Error("not initialized after the timeout")
		}
		if p.stat("cluster_manager.cds.init_fetch_timeout") != 1 {
			t.Error("the timeout is not counted")
		}
		// It is asked for listeners as well, and what it says an hour later counts.
		s.Expect("listeners", request(listenerURL, "", ""))
		time.Sleep(time.Hour)
		n := s.Send(clusterURL, "1", staticCluster("c", 1))
		s.Expect("clusters", request(clusterURL, "1", n))
		n = s.Send(listenerURL, "1", plainListener("l", 80, "c"))
		s.Expect("listeners", request(listenerURL, "1", n))
		p.want("late answers", "c", "", "l", "")
	})
}

func TestWaitForEver(t *testing.T) {
	change := func(p *proxy) { p.boot.CDS.FetchTimeout, p.boot.LDS.FetchTimeout = 0, 0 }
	run(t, change, func(p *proxy) {
		s := p.server.Accept()
		s.Next()
		time.Sleep(100 * time.Hour)
		if p.initialized() {
			t.Error("initialized without an answer")
		}
	})
}

func TestRefusedFirstAnswerInitializes(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.server.Accept()
		s.Next()
		s.Send(clusterURL, "1", badCluster("x"))
		s.Expect("listeners come next", request(listenerURL, "", ""))
		s.Expect("refusal", refusal(clusterURL, "", "ter1", ""))
		s.Send(listenerURL, "1", badListener("x", 80))
		s.Next()
		if !p.initialized() {
			t.Error("not initialized")
		}
	})
}

// TestRefusedFirstAnswerEndsTheWait holds that what waits for a resource waits no longer when that came and cannot be used.
func TestRefusedFirstAnswerEndsTheWait(t *testing.T) {
	broken := pack(assignment("e", 1))
	broken.Value = append(broken.Value, 0xff)
	unusable := assignment("e", 1)
	unusable.Endpoints[0].LbEndpoints[0].GetEndpoint().Address = &corev3.Address{}
	for name, endpoints := range map[string]proto.Message{"undecodable": broken, "unusable": unusable} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, func(p *proxy) {
				s := p.connect()
				s.Send(clusterURL, "c2", edsCluster("e"))
				s.Next()
				s.Next()
				p.want("it warms", "", "", "", "")
				n := s.Send(endpointURL, "e1", endpoints)
				s.Expect("refusal", refusal(endpointURL, "", n, "", "e"))
				p.want("in force without", "e", "", "", "")
				if p.stat("cluster.e.update_rejected") != 1 || p.stat("cluster.e.init_fetch_timeout") != 0 {
					t.Error("the refusal is not counted, or as a timeout")
				}
				s.Send(endpointURL, "e2", assignment("e", 1))
				s.Next()
				p.want("in force with", "e", "e", "", "")
			})
		})
	}
}

// TestUndecodableFirstAnswerInitializes is TestRefusedFirstAnswerInitializes with answers that cannot be decoded.
func TestUndecodableFirstAnswerInitializes(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.server.Accept()
		s.Next()
		s.Send(clusterURL, "1", assignment("a", 1))
		s.Expect("listeners come next", request(listenerURL, "", ""))
		s.Expect("refusal", refusal(clusterURL, "", "ter1", ""))
		s.Send(listenerURL, "1", assignment("a", 1))
		s.Expect("refusal", refusal(listenerURL, "", "ner1", ""))
		if !p.initialized() {
			t.Error("not initialized")
		}
	})
}

func TestWithoutControlPlane(t *testing.T) {
	run(t, func(p *proxy) { p.boot.ADS, p.boot.CDS, p.boot.LDS = nil, nil, nil }, func(p *proxy) {
		if !p.initialized() {
			t.Error("not initialized")
		}
		p.RestartStream()
		if len(p.Stats()) == 0 || p.State().ControlPlane != "" {
			t.Errorf("state = %+v", p.State())
		}
	})
}

func TestNewRefuses(t *testing.T) {
	boot := &bootstrap.Bootstrap{}
	target(boot)
	store := config.NewStore(func(_, _ *config.Snapshot, _ *config.Delta) error { return nil })
	nameless := &bootstrap.Bootstrap{}
	target(nameless)
	nameless.Node = &corev3.Node{}
	for _, o := range []xds.Options{
		{Store: store, Logger: zap.NewNop()},
		{Bootstrap: boot, Logger: zap.NewNop()},
		{Bootstrap: boot, Store: store},
		{Bootstrap: nameless, Store: store, Logger: zap.NewNop()},
	} {
		if _, err := xds.New(o); err == nil {
			t.Errorf("accepted: %+v", o)
		}
	}
}
