package xds_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
)

// stove warms clusters up, when the test says so.
type stove struct {
	mu   sync.Mutex
	cold map[string]chan struct{} // by name and connect timeout, which tells revisions of a name apart
	cut  []string                 // whose context ended first
}

// heated is run with a stove.
func heated(t *testing.T, change func(*proxy), script func(*proxy, *stove)) {
	t.Helper()
	s := &stove{cold: make(map[string]chan struct{})}
	run(t, func(p *proxy) {
		p.waitWarm = s.wait
		if change != nil {
			change(p)
		}
	}, func(p *proxy) { script(p, s) })
}

func revisionOf(c *config.Cluster) string { return fmt.Sprint(c.Name, c.ConnectTimeout.Seconds()) }

func (s *stove) wait(ctx context.Context, c *config.Cluster) {
	warm := make(chan struct{})
	s.mu.Lock()
	s.cold[revisionOf(c)] = warm
	s.mu.Unlock()
	select {
	case <-warm:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cold, revisionOf(c))
	if ctx.Err() != nil {
		s.cut = append(s.cut, revisionOf(c))
	}
}

// want waits until nothing moves, and compares the revisions that are being warmed up.
func (s *stove) want(p *proxy, what, revisions string) {
	p.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := names(s.cold); got != revisions {
		p.t.Errorf("%s: %q is warmed up, want %q", what, got, revisions)
	}
}

// wantCut compares the revisions whose warm-up was given up, since it was last asked.
func (s *stove) wantCut(p *proxy, what string, revisions ...string) {
	p.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.cut, revisions) {
		p.t.Errorf("%s: given up were %q, want %q", what, s.cut, revisions)
	}
	s.cut = nil
}

// warm lets revisions be warm.
func (s *stove) warm(revisions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range revisions {
		close(s.cold[r])
	}
}

// wantWarming compares the revisions in force and those that the store has beside them.
func (p *proxy) wantWarming(what, inForce, warming string) {
	p.t.Helper()
	synctest.Wait()
	now := p.store.Current()
	text := func(clusters map[string]*config.Cluster) string {
		var all []string
		for _, c := range clusters {
			all = append(all, revisionOf(c))
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	if got := text(now.Clusters); got != inForce {
		p.t.Errorf("%s: %q is in force, want %q", what, got, inForce)
	}
	if got := text(now.Warming); got != warming {
		p.t.Errorf("%s: %q warms, want %q", what, got, warming)
	}
}

// named is a cluster whose hosts are looked up. The revision is its connect timeout in seconds.
func named(name string, revision int64) *clusterv3.Cluster {
	c := staticCluster(name, 1)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
	c.ConnectTimeout = durationpb.New(time.Duration(revision) * time.Second)
	return c
}

// checked gives a cluster a health check.
func checked(c *clusterv3.Cluster) *clusterv3.Cluster {
	c.HealthChecks = []*corev3.HealthCheck{{
		Timeout: durationpb.New(1e9), Interval: durationpb.New(1e9),
		UnhealthyThreshold: wrapperspb.UInt32(1), HealthyThreshold: wrapperspb.UInt32(1),
		HealthChecker: &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{}},
	}}
	return c
}

// TestWarmup has clusters come, change and go while it is found out what their hosts are.
func TestWarmup(t *testing.T) {
	heated(t, nil, func(p *proxy, heat *stove) {
		s := p.server.Accept()
		s.Expect("clusters", request(clusterURL, "", ""))
		n := s.Send(clusterURL, "1", named("a", 1), staticCluster("s", 1))
		s.Expect("accepted before they are warm", request(clusterURL, "1", n))
		p.wantWarming("a new one", "s1", "a1")
		heat.want(p, "a new one", "a1")
		if got := p.stat("cluster_manager.warming_clusters"); got != 1 {
			t.Errorf("%d clusters warm", got)
		}
		if got, want := p.State().Waiting, `waiting for the name lookup of cluster "a"`; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got, want := p.Unready(), []xds.Unready{{Kind: "cluster", Name: "a", Targets: []string{"name lookup"}}}; !reflect.DeepEqual(got, want) {
			t.Errorf("unready %v, want %v", got, want)
		}
		s.Silent("listeners wait")
		heat.warm("a1")
		s.Expect("listeners", request(listenerURL, "", ""))
		p.wantWarming("it is warm", "a1 s1", "")

		s.Send(clusterURL, "2", named("a", 2), staticCluster("s", 1))
		s.Next()
		p.wantWarming("an update", "a1 s1", "a2")
		s.Send(clusterURL, "3", named("a", 3), staticCluster("s", 1))
		s.Next()
		p.wantWarming("an update of the update", "a1 s1", "a3")
		heat.wantCut(p, "an update of the update", "a2")
		heat.warm("a3")
		p.wantWarming("the second update is warm", "a3 s1", "")

		s.Send(clusterURL, "4", named("a", 4), staticCluster("s", 1))
		s.Next()
		s.Send(clusterURL, "5", named("a", 3), staticCluster("s", 1))
		s.Next()
		p.wantWarming("back to what is in force", "a3 s1", "")
		heat.wantCut(p, "back to what is in force", "a4")

		s.Send(clusterURL, "6", named("a", 6), named("b", 6))
		s.Next()
		p.wantWarming("both", "a3", "a6 b6")
		s.Send(clusterURL, "7", named("a", 6))
		s.Next()
		p.wantWarming("one goes while it warms", "a3", "a6")
		heat.wantCut(p, "one goes while it warms", "b6")
		s.Send(clusterURL, "8")
		s.Next()
		p.wantWarming("all are gone", "", "")
		heat.wantCut(p, "all are gone", "a6")
		if got := p.stat("cluster_manager.warming_clusters"); got != 0 {
			t.Errorf("%d clusters warm in the end", got)
		}
	})
}

// TestWarmupIsBounded holds that no cluster warms for longer than a minute.
func TestWarmupIsBounded(t *testing.T) {
	heated(t, nil, func(p *proxy, heat *stove) {
		s := p.server.Accept()
		s.Expect("clusters", request(clusterURL, "", ""))
		s.Send(clusterURL, "1", named("a", 1))
		s.Next()
		time.Sleep(time.Minute - time.Second)
		p.wantWarming("before the minute has passed", "", "a1")
		time.Sleep(2 * time.Second)
		p.wantWarming("after it", "a1", "")
		heat.wantCut(p, "after it", "a1")
	})
}

// TestWarmupComesLast holds that a cluster is warmed up once its endpoints came, or were waited for in vain.
func TestWarmupComesLast(t *testing.T) {
	for _, comes := range []bool{true, false} {
		t.Run(fmt.Sprint("comes=", comes), func(t *testing.T) {
			heated(t, nil, func(p *proxy, heat *stove) {
				s := p.server.Accept()
				s.Expect("clusters", request(clusterURL, "", ""))
				s.Send(clusterURL, "1", checked(edsCluster("e")))
				s.Next()
				s.Next()
				p.wantWarming("without endpoints", "", "")
				heat.want(p, "without endpoints", "")
				if comes {
					s.Send(endpointURL, "1", assignment("e", 1))
					s.Next()
				} else {
					time.Sleep(fetchTimeout)
				}
				p.wantWarming("with endpoints", "", "e1")
				if got, want := p.State().Waiting, `waiting for the first health checks of cluster "e"`; got != want {
					t.Errorf("%q, want %q", got, want)
				}
				time.Sleep(time.Second)
				if got, want := p.stat("cluster.e.init_fetch_timeout"), map[bool]uint64{true: 0, false: 1}[comes]; got != want {
					t.Errorf("init_fetch_timeout is %d, want %d", got, want)
				}
				heat.warm("e1")
				p.wantWarming("it is warm", "e1", "")
			})
		})
	}
}

// TestWarmupIsNotForAll has clusters that wait for nothing.
func TestWarmupIsNotForAll(t *testing.T) {
	heated(t, nil, func(p *proxy, heat *stove) {
		s := p.server.Accept()
		s.Expect("clusters", request(clusterURL, "", ""))
		hasty := named("hasty", 1)
		hasty.WaitForWarmOnInit = wrapperspb.Bool(false)
		s.Send(clusterURL, "1", staticCluster("s", 1), hasty)
		s.Next()
		p.wantWarming("at once", "hasty1 s1", "")
		heat.want(p, "at once", "")
	})
}

// TestWarmupOfStaticClusters holds that the initialization goes on when clusters of the bootstrap are warm.
func TestWarmupOfStaticClusters(t *testing.T) {
	heated(t, func(p *proxy) {
		p.boot.ADS, p.boot.CDS, p.boot.LDS = nil, nil, nil
		p.boot.Clusters = []*config.Cluster{
			{Name: "a", ConnectTimeout: time.Second, Type: config.ClusterStrictDNS},
			{Name: "b", ConnectTimeout: time.Second, HealthCheck: &config.HealthCheck{}},
			{Name: "c", ConnectTimeout: time.Second},
		}
	}, func(p *proxy, heat *stove) {
		p.wantWarming("static ones are in force", "a1 b1 c1", "")
		heat.want(p, "at the start", "a1 b1")
		if p.initialized() || p.State().ClustersInitialized {
			t.Error("initialized before they are warm")
		}
		heat.warm("a1")
		synctest.Wait()
		if got, want := p.State().Waiting, `waiting for the first health checks of cluster "b"`; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		next := &bootstrap.Bootstrap{Proto: p.boot.Proto, Clusters: []*config.Cluster{
			{Name: "d", ConnectTimeout: time.Second, Type: config.ClusterLogicalDNS},
		}}
		if err := p.ReloadFile(next); err != nil {
			t.Fatal(err)
		}
		p.wantWarming("others after a reload", "d1", "")
		heat.want(p, "others after a reload", "d1")
		heat.wantCut(p, "others after a reload", "b1")
		heat.warm("d1")
		if !p.initialized() {
			t.Errorf("not initialized: %+v", p.State())
		}
	})
}

// TestRefusedWarmup holds that what the data plane cannot warm up is refused like what it cannot serve.
func TestRefusedWarmup(t *testing.T) {
	heated(t, nil, func(p *proxy, heat *stove) {
		s := p.server.Accept()
		s.Expect("clusters", request(clusterURL, "", ""))
		p.refuse = func(next *config.Snapshot) error {
			if next.Warming["b"] != nil {
				return fmt.Errorf("no good")
			}
			return nil
		}
		n := s.Send(clusterURL, "1", named("a", 1), named("b", 1))
		why := s.Expect("refusal", refusal(clusterURL, "", n, "")).GetErrorDetail().GetMessage()
		if want := "Error adding/updating cluster(s) b: "; !strings.HasPrefix(why, want) {
			t.Errorf("refused because %q", why)
		}
		p.wantWarming("the good one", "", "a1")
		heat.want(p, "the good one", "a1")
		heat.warm("a1")
		p.wantWarming("the good one is warm", "a1", "")
	})
}
