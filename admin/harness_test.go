package admin

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/valyala/fasthttp/fasthttputil"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s, got:\n%s", path, got)
	}
}

// peer talks to a Server over an in-memory listener.
type peer struct {
	t        *testing.T
	listener *fasthttputil.InmemoryListener
}

// serve runs s until the test ends.
func serve(t *testing.T, s *Server, err error) *peer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t, fasthttputil.NewInmemoryListener()}
	served := make(chan error, 1)
	go func() { served <- s.Serve(p.listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return p
}

// answer is a response read to its end.
type answer struct {
	*http.Response
	body string
}

// send writes a request as it is and returns the response.
func (p *peer) send(request string) answer {
	p.t.Helper()
	conn, err := p.listener.Dial()
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, request) }() // the server may answer before it has read all
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("response to %.60q: %v", request, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer{response, string(body)}
}

// do sends a request with the fields, "name: value".
func (p *peer) do(method, target string, fields ...string) answer {
	p.t.Helper()
	fields = append([]string{"Host: localhost:9901", "Content-Length: 0"}, fields...)
	return p.send(fmt.Sprintf("%s %s HTTP/1.1\r\n%s\r\n\r\n", method, target, strings.Join(fields, "\r\n")))
}

func (p *peer) get(target string) answer { p.t.Helper(); return p.do("GET", target) }

// want checks status and body.
func (a answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if a.StatusCode != status || a.body != body {
		t.Errorf("%d %q, want %d %q", a.StatusCode, a.body, status, body)
	}
}

// fixture is a server in a known state and what its commands did.
type fixture struct {
	options Options
	state   adminv3.ServerInfo_State
	reason  string
	alive   error
	dump    *adminv3.ConfigDump
	did     []string
}

func newFixture() *fixture {
	f := &fixture{state: adminv3.ServerInfo_LIVE, dump: testDump()}
	start := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	level := zap.NewAtomicLevel()
	f.options = Options{
		Stats:      stats.NewStore(stats.Options{}),
		State:      func() (adminv3.ServerInfo_State, string) { return f.state, f.reason },
		Alive:      func() error { return f.alive },
		Clusters:   testClusters,
		Listeners:  testListeners,
		ConfigDump: func(eds bool) (*adminv3.ConfigDump, error) { return withoutEDS(f.dump, eds), nil },
		Info: Info{
			Version: "0123abc/1.0.0/Clean/RELEASE/Go", Start: start,
			Node: &corev3.Node{Id: "alb-node", Cluster: "marchproxy-cluster"},
			CommandLine: &adminv3.CommandLineOptions{
				Concurrency: 2, ConfigPath: "/etc/envoy/envoy.yaml", LogLevel: "info", DrainTime: durationpb.New(30 * time.Second),
			},
		},
		Runtime:          testRuntime(),
		Level:            &level,
		Quit:             func() { f.did = append(f.did, "quit") },
		Drain:            func(d Drain) { f.did = append(f.did, fmt.Sprintf("drain %+v", d)) },
		FailHealthChecks: func(fail bool) { f.did = append(f.did, fmt.Sprintf("fail %t", fail)) },
		ReopenLogs:       func() error { f.did = append(f.did, "reopen"); return nil },
		Now:              func() time.Time { return start.Add(26*time.Hour + 1500*time.Millisecond) },
	}
	return f
}

func (f *fixture) admin(t *testing.T) *peer {
	t.Helper()
	s, err := New(f.options)
	return serve(t, s, err)
}

func testClusters() []proxy.ClusterStatus {
	breakers := config.Thresholds{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3}
	return []proxy.ClusterStatus{
		{
			Config: &config.Cluster{
				Name: "blue", AltStatName: "blue_stats", EDSName: "blue-eds", AddedViaAPI: true, Breakers: breakers, HighBreakers: breakers,
			},
			Hosts: []proxy.HostStatus{
				{
					Address: "10.0.0.1:8080", Hostname: "one", Locality: balancer.Locality{Region: "r", Zone: "z", SubZone: "s"}, Weight: 1,
					Stats: upstream.HostStats{
						CxTotal: 3, CxActive: 1, CxConnectFail: 1, RqTotal: 9, RqActive: 2, RqSuccess: 5, RqError: 1, RqTimeout: 1,
					},
				},
				{Address: "10.0.0.2:8080", Priority: 1, Weight: 7, EDSHealth: config.HealthUnhealthy, ActiveHealth: config.FailedActiveHC | config.ActiveHCTimeout},
				{Address: "[fd00::3]:8080", Weight: 1, EDSHealth: config.HealthDegraded, ActiveHealth: config.DegradedActiveHC, PendingRemoval: true},
				{Address: "[fd00::4]:8080", Weight: 1, ActiveHealth: config.FailedActiveHC | config.PendingActiveHC | config.ExcludedViaImmediateHCFail},
			},
		},
		{Config: &config.Cluster{Name: "static\nforged::added_via_api::true"}},
	}
}

func testListeners() []proxy.ListenerStatus {
	return []proxy.ListenerStatus{
		{Name: "http", Address: config.Address{IP: "0.0.0.0", Port: 10000}},
		{Name: "http6", Address: config.Address{IP: "::", Port: 10080}, Additional: []config.Address{{IP: "::1", Port: 10081}, {Path: "@http6"}}},
		{Name: "local", Address: config.Address{Path: "/run/proxy-alb/http.sock"}},
	}
}
