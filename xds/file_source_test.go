package xds_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
)

// move puts a DiscoveryResponse with resources into place as the file path.
func move(t *testing.T, path, version string, resources ...proto.Message) {
	t.Helper()
	r := &discoveryv3.DiscoveryResponse{VersionInfo: version}
	for _, m := range resources {
		r.Resources = append(r.Resources, pack(m))
	}
	text, err := protojson.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	moveText(t, path, text)
}

func moveText(t *testing.T, path string, text []byte) {
	t.Helper()
	beside := path + ".new"
	if err := os.WriteFile(beside, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(beside, path); err != nil {
		t.Fatal(err)
	}
}

func inFile(path string) *corev3.ConfigSource {
	return &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{
		PathConfigSource: &corev3.PathConfigSource{Path: path},
	}}
}

// files runs script with a Manager that takes clusters and listeners from files in dir.
func files(t *testing.T, dir string, script func(p *proxy, wait func(what string, done func() bool))) {
	t.Helper()
	inRealTime(t, func(p *proxy) {
		p.boot.CDS = p.discovery(inFile(filepath.Join(dir, "cds.json")))
		p.boot.LDS = p.discovery(inFile(filepath.Join(dir, "lds.json")))
	}, script)
}

// inRealTime runs script with a Manager whose sources are those of the kernel, which no bubble can wait for: wait waits until
// something is done.
func inRealTime(t *testing.T, change func(*proxy), script func(p *proxy, wait func(what string, done func() bool))) {
	t.Helper()
	changed := make(chan struct{}, 1)
	p := &proxy{t: t, boot: &bootstrap.Bootstrap{Node: &corev3.Node{}, Proto: &bootstrapv3.Bootstrap{}}}
	change(p)
	p.store = config.NewStore(func(_, _ *config.Snapshot, _ *config.Delta) error {
		select {
		case changed <- struct{}{}:
		default:
		}
		return nil
	})
	p.startWith(xds.Options{Logger: zap.NewNop()})
	defer func() { p.stop() }()
	const patience = 30 * time.Second
	script(p, func(what string, done func() bool) {
		t.Helper()
		for end := time.After(patience); !done(); {
			select {
			case <-changed:
			case <-time.After(10 * time.Millisecond): // counters change without the store
			case <-end:
				now := p.store.Current()
				t.Fatalf("%s: clusters %q, listeners %q, state %+v", what, names(now.Clusters), names(now.Listeners), p.State())
			}
		}
	})
}

// TestFiles holds that everything can come from files: no control plane, no node id.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	move(t, path("cds.json"), "1", edsFrom("a", inFile(path("eds.json"))), staticCluster("b", 1))
	move(t, path("eds.json"), "1", assignment("a", 1), assignment("stranger", 1))
	move(t, path("lds.json"), "1", rdsFrom("l", 80, "r", inFile(path("rds.json"))))
	move(t, path("rds.json"), "1", routes("r", "a"))
	files(t, dir, func(p *proxy, wait func(string, func() bool)) {
		now := p.store.Current
		port := func() uint32 {
			if c := now().Clusters["a"]; c != nil && now().Assignment(c) != nil {
				return now().Assignment(c).Localities[0].Endpoints[0].Address.Port
			}
			return 0
		}
		<-p.Initialized()
		if names(now().Clusters) != "a b" || names(now().Listeners) != "l" || port() != 1 {
			t.Errorf("clusters %q, listeners %q, endpoint with port %d", names(now().Clusters), names(now().Listeners), port())
		}
		if hcm := now().Listeners["l"].Chains[0].HTTP; now().RouteConfiguration(hcm) == nil {
			t.Errorf("no routes among %q", names(now().Routes))
		}
		for _, s := range p.Stats() {
			if strings.Contains(s.Name, ".control_plane.") {
				t.Errorf("%s, and there is none", s.Name)
			}
		}
		move(t, path("eds.json"), "2", assignment("a", 2))
		wait("new endpoints", func() bool { return port() == 2 })
		move(t, path("cds.json"), "2", edsFrom("a", inFile(path("eds.json"))))
		wait("one cluster less", func() bool { return names(now().Clusters) == "a" })

		moveText(t, path("eds.json"), []byte("{"))
		wait("a failure", func() bool { return p.stat("cluster.a.update_failure") == 1 })
		bad := assignment("a", 3)
		bad.Endpoints[0].LbEndpoints[0].GetEndpoint().Address = &corev3.Address{}
		move(t, path("eds.json"), "3", bad)
		wait("a refusal", func() bool { return p.stat("cluster.a.update_rejected") == 1 })
		if port() != 2 {
			t.Errorf("endpoint has port %d, want the last good", port())
		}
		move(t, path("cds.json"), "3", edsFrom("a", inFile(path("missing.json"))))
		wait("a refused cluster", func() bool { return p.stat("cluster_manager.cds.update_rejected") == 1 })
		dump := p.dumpedCluster("a")
		if why := dump.GetErrorState().GetDetails(); !strings.Contains(why, "paths must refer to an existing path in the system: '"+path("missing.json")) {
			t.Errorf("refused because %q", why)
		}
	})
}

// TestBrokenFilesInitialize holds that a start does not wait for files that cannot be used.
func TestBrokenFilesInitialize(t *testing.T) {
	dir := t.TempDir()
	moveText(t, filepath.Join(dir, "cds.json"), []byte("nonsense"))
	move(t, filepath.Join(dir, "lds.json"), "1", assignment("a", 1))
	files(t, dir, func(p *proxy, _ func(string, func() bool)) {
		<-p.Initialized()
		if p.stat("cluster_manager.cds.init_fetch_timeout")+p.stat("listener_manager.lds.init_fetch_timeout") != 0 {
			t.Error("it waited")
		}
	})
}

// TestPolls holds that clusters and their endpoints can be polled for.
func TestPolls(t *testing.T) {
	var port atomic.Uint32
	port.Store(1)
	polled := func() *corev3.ConfigSource {
		return &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: &corev3.ApiConfigSource{
			ApiType: corev3.ApiConfigSource_REST, TransportApiVersion: corev3.ApiVersion_V3, ClusterNames: []string{"cp"},
			RefreshDelay: durationpb.New(time.Millisecond),
		}}}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &discoveryv3.DiscoveryResponse{VersionInfo: fmt.Sprint(port.Load())}
		switch r.URL.Path {
		case "/v3/discovery:clusters":
			answer.Resources = append(answer.Resources, pack(edsFrom("a", polled())))
		case "/v3/discovery:endpoints":
			answer.Resources = append(answer.Resources, pack(assignment("a", port.Load())))
		}
		text, err := protojson.Marshal(answer)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(text)
	}))
	defer server.Close()
	change := func(p *proxy) {
		listens := server.Listener.Addr().(*net.TCPAddr)
		p.boot.Node.Id, p.boot.Node.Cluster = "n", "c"
		controlPlanes(p)
		c := p.boot.Proto.StaticResources.Clusters[0]
		c.LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint().Address = address(listens.IP.String(), uint32(listens.Port))
		p.boot.CDS = p.discovery(polled())
	}
	inRealTime(t, change, func(p *proxy, wait func(string, func() bool)) {
		has := func(port uint32) func() bool {
			return func() bool {
				now := p.store.Current()
				c := now.Clusters["a"]
				return c != nil && now.Assignment(c) != nil && now.Assignment(c).Localities[0].Endpoints[0].Address.Port == port
			}
		}
		wait("the first poll", has(1))
		port.Store(2)
		wait("a change", has(2))
	})
}
