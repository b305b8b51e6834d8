package xds_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
)

// controlPlane is go-control-plane's server with a snapshot cache in ADS mode, which can go away and come back.
type controlPlane struct {
	t       *testing.T
	ordered bool
	cache   cache.SnapshotCache
	stop    func()
	mu      sync.Mutex        // guards listener
	pipe    *bufconn.Listener // nil while away

	requests, refusals atomic.Int64
}

func newControlPlane(t *testing.T, ordered bool) *controlPlane {
	c := &controlPlane{t: t, ordered: ordered}
	c.serve()
	t.Cleanup(func() { c.stop() })
	return c
}

// serve begins with an empty cache.
func (c *controlPlane) serve() {
	c.cache = cache.NewSnapshotCache(true, cache.IDHash{}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	callbacks := server.CallbackFuncs{StreamRequestFunc: func(_ int64, r *discoveryv3.DiscoveryRequest) error {
		c.requests.Add(1)
		if r.GetErrorDetail() != nil {
			c.refusals.Add(1)
		}
		return nil
	}}
	var s server.Server
	if c.ordered {
		s = server.NewServer(ctx, c.cache, callbacks, sotw.WithOrderedADS())
	} else {
		s = server.NewServer(ctx, c.cache, callbacks)
	}
	pipe := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
	var serving sync.WaitGroup
	serving.Go(func() { _ = g.Serve(pipe) })
	c.listen(pipe)
	c.stop = func() {
		c.listen(nil)
		cancel()
		g.Stop()
		serving.Wait()
	}
}

func (c *controlPlane) listen(pipe *bufconn.Listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pipe = pipe
}

func (c *controlPlane) dial(ctx context.Context, _ string) (net.Conn, error) {
	c.mu.Lock()
	pipe := c.pipe
	c.mu.Unlock()
	if pipe == nil {
		return nil, status.Error(codes.Unavailable, "connection refused")
	}
	return pipe.DialContext(ctx)
}

// set serves a world: clusters with their endpoints, and listeners with their routes.
func (c *controlPlane) set(version string, clusters, endpoints, listeners, routes []types.Resource) {
	c.t.Helper()
	snapshot, err := cache.NewSnapshot(version, map[string][]types.Resource{
		clusterURL: clusters, endpointURL: endpoints, listenerURL: listeners, routeURL: routes,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.cache.SetSnapshot(c.t.Context(), "n", snapshot); err != nil {
		c.t.Fatal(err)
	}
}

func resources(r ...types.Resource) []types.Resource { return r }

// withControlPlane runs script for both ways in which the server can order its answers.
func withControlPlane(t *testing.T, script func(*testing.T, *controlPlane, *proxy)) {
	for _, ordered := range []bool{false, true} {
		t.Run(fmt.Sprintf("ordered %v", ordered), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newControlPlane(t, ordered)
				p := &proxy{t: t, boot: &bootstrap.Bootstrap{}, refuse: func(*config.Snapshot) error { return nil }}
				target(p.boot)
				p.store = config.NewStore(func(_, next *config.Snapshot, _ *config.Delta) error {
					p.installs++
					return p.refuse(next)
				})
				p.startWith(xds.Options{Logger: zap.NewNop(), DialOptions: []grpc.DialOption{grpc.WithContextDialer(c.dial)}})
				defer func() { p.stop() }()
				script(t, c, p)
			})
		})
	}
}

func TestSnapshotCache(t *testing.T) {
	withControlPlane(t, func(t *testing.T, c *controlPlane, p *proxy) {
		time.Sleep(time.Second)
		p.want("an unknown node waits", "", "", "", "")
		c.set("1",
			resources(edsCluster("a"), edsCluster("b")), resources(assignment("a", 1), assignment("b", 1)),
			resources(rdsListener("l", 80, "r")), resources(routes("r", "a")))
		p.want("everything came", "a b", "a b", "l", "r")
		if !p.initialized() {
			t.Errorf("state = %+v", p.State())
		}

		c.set("2",
			resources(edsCluster("a"), edsCluster("b")), resources(assignment("a", 2), assignment("b", 1)),
			resources(rdsListener("l", 80, "r")), resources(routes("r", "b")))
		p.want("update", "a b", "a b", "l", "r")
		now := p.store.Current()
		if port := now.Endpoints["a"].Localities[0].Endpoints[0].Address.Port; port != 2 {
			t.Errorf("endpoint has port %d", port)
		}
		if to := now.Routes["r"].VirtualHosts[0].Routes[0].Forward.Clusters[0].Name; to != "b" {
			t.Errorf("route goes to %q", to)
		}

		changed := edsCluster("a")
		changed.ConnectTimeout.Seconds = 9
		c.set("3",
			resources(changed, edsCluster("d")), resources(assignment("a", 2), assignment("d", 1)),
			resources(rdsListener("l", 80, "r"), rdsListener("m", 81, "q")), resources(routes("r", "a"), routes("q", "d")))
		p.want("one removed, one changed, one added of each", "a d", "a d", "l m", "q r")
		if got := p.store.Current().Clusters["a"].ConnectTimeout; got != 9*time.Second {
			t.Errorf("connect timeout %v: the updated cluster is stuck", got)
		}

		c.set("4", nil, nil, nil, nil)
		p.want("nothing is left", "", "", "", "")
		requests := c.requests.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		if now := c.requests.Load(); now != requests {
			t.Errorf("%d requests without a reason", now-requests)
		}
		if c.refusals.Load() != 0 {
			t.Errorf("%d refusals", c.refusals.Load())
		}
	})
}

func TestSnapshotCacheRestart(t *testing.T) {
	withControlPlane(t, func(_ *testing.T, c *controlPlane, p *proxy) {
		world := func(version string, port uint32) {
			c.set(version, resources(edsCluster("a")), resources(assignment("a", port)),
				resources(rdsListener("l", 80, "r")), resources(routes("r", "a")))
		}
		world("1", 1)
		p.want("everything came", "a", "a", "l", "r")
		c.stop()
		time.Sleep(10 * time.Minute)
		p.want("the last good stays", "a", "a", "l", "r")
		c.serve()
		time.Sleep(time.Minute)
		p.want("a control plane that knows nothing yet", "a", "a", "l", "r")
		world("2", 2)
		p.want("back", "a", "a", "l", "r")
		if port := p.store.Current().Endpoints["a"].Localities[0].Endpoints[0].Address.Port; port != 2 {
			p.t.Errorf("endpoint has port %d", port)
		}
	})
}

// TestSnapshotCacheRefusal holds that a refused version, which this server sends again as soon as it was refused, neither
// makes both sides spin nor stands in the way of the next.
func TestSnapshotCacheRefusal(t *testing.T) {
	withControlPlane(t, func(t *testing.T, c *controlPlane, p *proxy) {
		c.set("1", resources(staticCluster("a", 1)), nil, resources(plainListener("l", 80, "a")), nil)
		p.want("good", "a", "", "l", "")
		c.set("2", resources(staticCluster("a", 2), badCluster("x")), nil, resources(plainListener("l", 80, "a")), nil)
		p.want("bad", "a", "", "l", "")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := c.refusals.Load(); n < 1 || n > 70 {
			t.Errorf("%d refusals in a minute", n)
		}
		c.set("3", resources(staticCluster("a", 3)), nil, resources(plainListener("l", 80, "a")), nil)
		time.Sleep(2 * time.Second)
		p.want("fixed", "a", "", "l", "")
		if port := p.store.Current().Clusters["a"].Assignment.Localities[0].Endpoints[0].Address.Port; port != 3 {
			t.Errorf("endpoint has port %d", port)
		}
		refusals := c.refusals.Load()
		time.Sleep(time.Minute)
		synctest.Wait()
		if c.refusals.Load() != refusals {
			t.Error("the fix is refused")
		}
	})
}
