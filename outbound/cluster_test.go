package outbound

import (
	"context"
	"net"
	"strconv"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// TestManyHosts bounds the hosts that are told apart. Those that have a connection stay.
func TestManyHosts(t *testing.T) {
	store := stats.NewStore(stats.Options{})
	k := New(Scopes{Cluster: store.Scope("c.", stats.Cluster)})
	dial := func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		t.Cleanup(func() { _ = far.Close() })
		return near, nil
	}
	kept, err := k.Dial(t.Context(), "kept", dial)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxHosts {
		c, err := k.Dial(t.Context(), strconv.Itoa(i), dial)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.hosts) > maxHosts {
		t.Errorf("%d hosts", len(k.hosts))
	}
	if got := k.Host("kept"); got.CxTotal != 1 || got.CxActive != 1 {
		t.Errorf("the host of the connection that stays is %+v", got)
	}
	if err := kept.Close(); err != nil || k.Host("kept").CxActive != 0 {
		t.Errorf("%v, host %+v", err, k.Host("kept"))
	}
}

// TestKeep lets go of clusters that are no more, and of their statistics.
func TestKeep(t *testing.T) {
	store := stats.NewStore(stats.Options{})
	scope := store.Scope("cluster.a.", stats.Cluster)
	var all Clusters
	k := all.Of("a", store, Scopes{Cluster: scope})
	if all.Of("a", store, Scopes{Cluster: scope}) != k || all.Known("a") != k {
		t.Error("the cluster is not the same")
	}
	scope.Release()
	shown := func() bool {
		_, ok := store.Snapshot(t.Context()).Value("cluster.a.upstream_cx_total")
		return ok
	}
	if all.Keep(func(string) bool { return true }); !shown() || all.Known("a") != k {
		t.Error("the cluster is gone while it exists")
	}
	if all.Keep(func(string) bool { return false }); shown() || all.Known("a") != nil {
		t.Error("the cluster is there when it exists no more")
	}
}
