package acceptance

import (
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
)

// pipeOrigin is an origin on a Unix domain socket. It answers with what it was asked, and for its health as it is told.
type pipeOrigin struct {
	path string
	sick atomic.Bool
}

func newPipeOrigin(t *testing.T, path string) *pipeOrigin {
	o := &pipeOrigin{path: path}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: o, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the origin on %s: %v", path, err)
		}
	})
	return o
}

func (o *pipeOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/health" && o.sick.Load():
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/health":
	case r.URL.Path == "/sick":
		o.sick.Store(true)
		w.Header().Set("x-envoy-immediate-health-check-fail", "true")
	default:
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, o.path+" "+r.Proto+" "+r.Host+" "+r.Header.Get("x-forwarded-for")+" "+string(body))
	}
}

// logOfPaths keeps the paths of hosts that it is told of.
type logOfPaths chan string

func (l logOfPaths) Log(e *accesslog.Entry) {
	path := e.UpstreamPath
	if e.UpstreamRemote.IsValid() {
		path += " and " + e.UpstreamRemote.String()
	}
	l <- path
}

func (l logOfPaths) Close() {}

func pipes(paths ...string) *config.ClusterLoadAssignment {
	a := &config.ClusterLoadAssignment{Name: harness.ClusterName, Overprovision: config.DefaultOverprovision, Localities: []config.LocalityEndpoints{{}}}
	for _, path := range paths {
		a.Localities[0].Endpoints = append(a.Localities[0].Endpoints, config.Endpoint{Address: config.Address{Path: path}, Weight: 1})
	}
	return a
}

// TestPipeHost forwards to hosts on Unix domain sockets, in both protocols: of a file and of an abstract name. Who is on the way is told
// as ever.
func TestPipeHost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s")
	for _, path := range []string{file, "@" + file} {
		newPipeOrigin(t, path)
		for protocol, version := range map[config.Protocol]string{config.ProtocolHTTP1: "HTTP/1.1", config.ProtocolHTTP2: "HTTP/2.0"} {
			t.Run(version+path[:1], func(t *testing.T) {
				s := harness.NewSetup()
				s.Clusters[0].Protocol = protocol
				if protocol == config.ProtocolHTTP2 {
					s.Clusters[0].HTTP2 = config.DefaultHTTP2()
				}
				s.Clusters[0].Assignment = pipes(path)
				s.Clusters[0].SocketOptions = []config.SocketOption{{Level: 6, Name: 4, Int: 7}} // TCP_KEEPIDLE
				logged := make(logOfPaths, 1)
				s.Log, s.HTTP().AccessLogs = logged, []*config.AccessLog{{GRPC: &config.GRPCAccessLog{LogName: "l", Cluster: "c"}}}
				c := s.Start(t).Dial()
				for range 2 {
					c.Send("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc")
					if got, want := c.ReadResponse("POST").Body, path+" "+version+" h 127.0.0.1 abc"; got != want {
						t.Errorf("got %q, want %q", got, want)
					}
					if got := <-logged; got != path {
						t.Errorf("logged %q, want %q", got, path)
					}
				}
			})
		}
	}
}

// TestPipeHostAway answers 503 while nobody listens, and counts that as any connection that fails.
func TestPipeHostAway(t *testing.T) {
	s := harness.NewSetup()
	s.Clusters[0].Assignment = pipes(filepath.Join(t.TempDir(), "none"))
	p := s.Start(t)
	if r := p.Dial().Get("/"); r.Status != 503 || !strings.HasSuffix(r.Body, "connection failure") {
		t.Errorf("got %d %q", r.Status, r.Body)
	}
	p.Sync()
	for _, k := range p.Server.Clusters() {
		if k.Config.Name == harness.ClusterName && k.Hosts[0].Stats.CxConnectFail != 1 {
			t.Errorf("%s has failed %d connections, want 1", k.Hosts[0].Address, k.Hosts[0].Stats.CxConnectFail)
		}
	}
}

// TestPipeHostChecked holds that health checks go to Unix domain sockets, and that a host there may ask to be taken out.
func TestPipeHostChecked(t *testing.T) {
	dir := t.TempDir()
	a, b := newPipeOrigin(t, filepath.Join(dir, "a")), newPipeOrigin(t, "@"+filepath.Join(dir, "b"))
	s := harness.NewSetup()
	s.Clusters[0].Assignment, s.Clusters[0].HealthCheck, s.SystemClock = pipes(a.path, b.path), httpCheck(), true
	p := s.Start(t)
	healthy := func(want int) {
		t.Helper()
		n := -1
		for end := time.Now().Add(harness.Guard); n != want && time.Now().Before(end); p.Sync() {
			n = 0
			for _, k := range p.Server.Clusters() {
				for i := range k.Hosts {
					if k.Config.Name == harness.ClusterName && !k.Hosts[i].ActiveHealth.Has(config.FailedActiveHC) {
						n++
					}
				}
			}
		}
		if n != want {
			t.Fatalf("%d hosts pass their checks, want %d", n, want)
		}
	}
	healthy(2)
	c := p.Dial()
	c.Get("/sick")
	healthy(1)
	well := a
	if a.sick.Load() {
		well = b
	}
	for range 3 {
		if got := c.Get("/").Body; !strings.HasPrefix(got, well.path+" ") {
			t.Errorf("got %q, want the answer of %s", got, well.path)
		}
	}
}
