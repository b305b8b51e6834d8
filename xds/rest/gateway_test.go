package rest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/rest"
)

// TestGateway polls the HTTP gateway of go-control-plane: what it sends is taken, once, and then it says that nothing is new.
func TestGateway(t *testing.T) {
	snapshots := cache.NewSnapshotCache(false, cache.IDHash{}, nil)
	set := func(version, name string) {
		t.Helper()
		snapshot, err := cache.NewSnapshot(version, map[resource.Type][]types.Resource{resource.ClusterType: {&clusterv3.Cluster{Name: name}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := snapshots.SetSnapshot(t.Context(), "n", snapshot); err != nil {
			t.Fatal(err)
		}
	}
	set("v1", "a")
	gateway := &server.HTTPGateway{Server: server.NewServer(t.Context(), snapshots, nil)}
	statuses := make(chan int, 1024)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, status, err := gateway.ServeHTTP(r)
		if err != nil {
			body = []byte(err.Error())
		}
		w.WriteHeader(status)
		_, _ = w.Write(body)
		select {
		case statuses <- status:
		default: // polls go on while nobody looks
		}
	}))
	defer web.Close()

	handled := make(chan string, 16)
	c := &talk{t: t, handle: func(r ads.Response) error {
		for _, res := range r.Resources {
			handled <- r.Version + " " + res.Name
		}
		return nil
	}}
	source, err := rest.New(rest.Options{
		Targets: []string{strings.TrimPrefix(web.URL, "http://")}, Host: "xds_cluster", Node: &corev3.Node{Id: "n", Cluster: "c"},
		Types: []ads.Type{c.typ(true)}, RefreshDelay: time.Millisecond, RequestTimeout: 10 * time.Second, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		source.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done
	}()
	source.Subscribe(clusterURL, nil)
	for _, want := range []int{http.StatusOK, http.StatusNotModified, http.StatusNotModified} {
		if got := <-statuses; got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
	set("v2", "b")
	for _, want := range []string{"v1 a", "v2 b"} {
		if got := <-handled; got != want {
			t.Errorf("handled %q, want %q", got, want)
		}
	}
}
