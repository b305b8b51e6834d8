package peer

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func spec(dir string) Spec {
	return Spec{
		Listen: "127.0.0.1:20001", Origin: "127.0.0.1:20000", Admin: "127.0.0.1:20002", GRPC: "127.0.0.1:20003",
		ControlPlane: "127.0.0.1:20006", Metrics: "127.0.0.1:20004", Health: "127.0.0.1:20005", MaxConnections: 10000, MaxRequests: 64, Dir: dir, Root: true,
		Certificate: "/run/lab/tls.pem", Key: "/run/lab/tls.pem.key",
		Traffic: Traffic{Downstream: HTTP1, Upstream: HTTP1},
	}
}

// traffics are the kinds of traffic that the scenarios have, by the suffix of their
// golden files.
func traffics() map[string]Traffic {
	buffers := &Buffers{Data: 32 << 10, StreamWindow: 64 << 10, ConnectionWindow: 1 << 20}
	return map[string]Traffic{
		"":       {Downstream: HTTP1, Upstream: HTTP1},
		"-h2-h1": {Downstream: HTTP2, Upstream: HTTP1, AddHeaders: true},
		"-h2-h2": {Downstream: HTTP2, Upstream: HTTP2, AddHeaders: true},
		"-grpc":  {Downstream: HTTP2, Upstream: HTTP2, AddHeaders: true, GRPC: true},
		"-bulk":  {Downstream: HTTP2, Upstream: HTTP2, AddHeaders: true, Bulk: true},

		"-bulk-h2-h1": {Downstream: HTTP2, Upstream: HTTP1, AddHeaders: true, Bulk: true},

		"-stalls": {Downstream: HTTP2, Upstream: HTTP2, AddHeaders: true, Stalls: true, Buffers: buffers},

		"-tls":      {Downstream: HTTP1, Upstream: HTTP1, TLS: true},
		"-tls-bulk": {Downstream: HTTP1, Upstream: HTTP1, TLS: true, Bulk: true},
		"-tls-h2":   {Downstream: HTTP2, Upstream: HTTP1, TLS: true, AddHeaders: true},

		"-uploads":  {Downstream: HTTP1, Upstream: HTTP1, Uploads: true},
		"-routes":   {Downstream: HTTP1, Upstream: HTTP1, Routes: 3},
		"-clusters": {Downstream: HTTP1, Upstream: HTTP1, Routes: 3, Clusters: 2},

		"-messages":  {Downstream: HTTP2, Upstream: HTTP2, AddHeaders: true, GRPC: true, Messages: true},
		"-websocket": {Downstream: HTTP1, Upstream: HTTP1, WebSocket: true},
		"-limited":   {Downstream: HTTP1, Upstream: HTTP1, RateLimit: 5000},
		"-tcp":       {Downstream: HTTP1, Upstream: HTTP1, TCP: true},

		"-module":  {Downstream: HTTP1, Upstream: HTTP1, ModuleService: true},
		"-managed": {Downstream: HTTP1, Upstream: HTTP1, ControlPlane: true},

		"-stalls-h2-h1": {Downstream: HTTP2, Upstream: HTTP1, AddHeaders: true, Stalls: true, Buffers: buffers},
	}
}

// text returns all of a launch in one readable piece.
func (l Launch) text() string {
	var b strings.Builder
	b.WriteString("args: " + strings.Join(l.Args, " ") + "\nenv: " + strings.Join(l.Env, " ") +
		"\nunset: " + strings.Join(l.Unset, " ") + "\n")
	for _, name := range slices.Sorted(maps.Keys(l.Files)) {
		b.WriteString("--- " + name + "\n" + l.Files[name])
	}
	return b.String()
}

func TestConfigureGolden(t *testing.T) {
	for _, kind := range Kinds() {
		for suffix, traffic := range traffics() {
			if kind.Lacks(traffic) != "" {
				continue
			}
			t.Run(kind.Name+suffix, func(t *testing.T) {
				s := spec("/run/lab")
				s.Traffic = traffic
				if kind.Name == Nginx && traffic.TCP {
					s.Module = "/usr/lib/nginx/modules/ngx_stream_module.so"
				}
				launch, err := kind.Configure(s)
				if err != nil {
					t.Fatal(err)
				}
				checkGolden(t, filepath.Join("testdata", kind.Name+suffix+".golden"), launch.text())
			})
		}
	}
}

func checkGolden(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (rewrite it with -update):\n%s", golden, got)
	}
}

func TestLacks(t *testing.T) {
	all := traffics()
	for _, test := range []struct {
		kind, traffic string
		lacks         bool
	}{
		{ProxyALB, "", false}, {ProxyALB, "-h2-h2", false}, {ProxyALB, "-grpc", false},
		{HAProxy, "", false}, {HAProxy, "-h2-h2", false}, {HAProxy, "-grpc", false},
		{ProxyALB, "-managed", false}, {HAProxy, "-managed", true}, {Nginx, "-managed", true}, {Nghttpx, "-managed", true},
		{HAProxy, "-stalls", true}, {HAProxy, "-stalls-h2-h1", false}, {Nghttpx, "-stalls", false},
		{Caddy, "", false}, {Caddy, "-grpc", false}, {Caddy, "-routes", true}, {Caddy, "-managed", true}, {Traefik, "-tls-h2", false}, {Traefik, "-clusters", true},
		{Caddy, "-tcp", true}, {Traefik, "-tcp", false}, {Nginx, "-tcp", false}, {HAProxy, "-tcp", false}, {Nghttpx, "-tcp", true}, {Nghttpx, "-websocket", true},
		{Caddy, "-limited", true}, {Traefik, "-limited", false}, {Nginx, "-limited", false}, {HAProxy, "-limited", false},
		{ProxyALB, "-module", false}, {HAProxy, "-module", true}, {Caddy, "-module", true},
		{Nginx, "-messages", false}, {Traefik, "-managed", true},
		{Nginx, "", false}, {Nginx, "-h2-h1", false}, {Nginx, "-h2-h2", true}, {Nginx, "-grpc", false},
		{Nghttpx, "", true}, {Nghttpx, "-tls", true}, {Nghttpx, "-tls-h2", false}, {Nghttpx, "-h2-h1", false}, {Nghttpx, "-h2-h2", false}, {Nghttpx, "-grpc", false},
	} {
		for _, kind := range Kinds() {
			if got := kind.Lacks(all[test.traffic]); kind.Name == test.kind && (got != "") != test.lacks {
				t.Errorf("%s%s: got %q, want that it lacks something: %v", test.kind, test.traffic, got, test.lacks)
			}
		}
	}
}

func TestProxyALBConfigIsYAML(t *testing.T) {
	for suffix, traffic := range traffics() {
		s := spec("/run/lab")
		s.Traffic = traffic
		launch, err := configureProxyALB(s)
		if err != nil {
			t.Fatal(err)
		}
		var tree map[string]any
		if err := yaml.UnmarshalStrict([]byte(launch.Files["envoy.yaml"]), &tree); err != nil {
			t.Fatalf("%s: %v", suffix, err)
		}
		for _, key := range []string{"admin", "static_resources"} {
			if tree[key] == nil {
				t.Errorf("%s: no %s in %v", suffix, key, tree)
			}
		}
	}
}

// TestStreamModule reads how nginx was built.
func TestStreamModule(t *testing.T) {
	for built, want := range map[string][2]string{
		"configure arguments: --with-stream --modules-path=/m":         {"", ""},
		"configure arguments: --modules-path=/m --with-stream=dynamic": {"/m/ngx_stream_module.so", ""},
		"configure arguments: --with-stream_ssl_module":                {"", "was built without its module for TCP"},
	} {
		if path, lacks := streamModule(built); path != want[0] || lacks != want[1] {
			t.Errorf("%q: %q, %q, want %q", built, path, lacks, want)
		}
	}
	if _, lacks := nginxModule("/nonexistent", Traffic{TCP: true}); lacks == "" {
		t.Error("a program that is not there lacks nothing")
	}
}

// TestWorkers has every kind start as many as are asked for.
func TestWorkers(t *testing.T) {
	said := map[string]string{
		ProxyALB: "--concurrency 3\n", Nginx: "worker_processes 3;", HAProxy: "nbthread 3\n", Nghttpx: "\nworkers=3\n",
		Caddy: "GOMAXPROCS=3 ", Traefik: "GOMAXPROCS=3\n",
	}
	for _, kind := range Kinds() {
		s := spec("/run/lab")
		s.Workers = 3
		launch, err := kind.Configure(s)
		if err != nil || !strings.Contains(launch.text(), said[kind.Name]) {
			t.Errorf("%s: %v, want %q in\n%s", kind.Name, err, said[kind.Name], launch.text())
		}
	}
}

// TestLimitCall has a limit set where there is one.
func TestLimitCall(t *testing.T) {
	s := spec("/run/lab")
	s.Traffic.RateLimit = 5000
	launch, err := configureProxyALB(s)
	if err != nil || len(launch.Calls) != 1 || launch.Calls[0].Path != "/marchproxy.ModuleService/ApplyRateLimit" {
		t.Fatalf("%+v, %v", launch.Calls, err)
	}
	check := launch.Calls[0].Check
	if check([]byte{0x08, 1}) != nil || check(nil) == nil || check([]byte{0xff}) == nil {
		t.Error("an answer of success, none, and one that is none: want the first alone to pass")
	}
	s.Traffic.RateLimit = 0
	if launch, err := configureProxyALB(s); err != nil || len(launch.Calls) != 0 {
		t.Errorf("%+v, %v", launch.Calls, err)
	}
}

func TestAddressWithoutPort(t *testing.T) {
	bad := spec("/run/lab")
	bad.Origin = "nowhere"
	for _, configure := range []func(Spec) (Launch, error){configureProxyALB, configureNghttpx} {
		if _, err := configure(bad); err == nil {
			t.Error("an address without port: want an error")
		}
	}
}

func TestNginxUser(t *testing.T) {
	s := spec("/run/lab")
	s.Root = false
	launch, err := configureNginx(s)
	if err != nil || strings.Contains(launch.Files["nginx.conf"], "user ") {
		t.Errorf("user directive without root: %v\n%s", err, launch.Files["nginx.conf"])
	}
}

func TestEnviron(t *testing.T) {
	launch := Launch{Env: []string{"A=2", "C=3"}, Unset: []string{"B"}}
	got := launch.Environ([]string{"A=1", "B=1", "BB=1", "D=1"})
	if want := []string{"BB=1", "D=1", "A=2", "C=3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "lab-test-proxy")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	kind := Kind{Name: "test", Programs: []string{"lab-test-absent", "lab-test-proxy"}}
	for _, path := range []string{"", program} {
		if got, err := kind.Find(path); err != nil || got != program {
			t.Errorf("find %q: %q, %v, want %q", path, got, err, program)
		}
	}
	if _, err := (Kind{Name: "named"}).Find(""); err == nil || !strings.Contains(err.Error(), "--peer named=path") {
		t.Errorf("one that is found by its path only: %v", err)
	}
	for _, path := range []string{plain, dir, filepath.Join(dir, "absent")} {
		if got, err := kind.Find(path); err == nil {
			t.Errorf("find %q: %q, want an error", path, got)
		}
	}
	if got, err := (Kind{Name: "test", Programs: []string{"lab-test-absent"}}).Find(""); err == nil {
		t.Errorf("find an absent program: %q, want an error", got)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if err := (Launch{Files: map[string]string{"a": "x"}}).Write(dir); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(text) != "x" {
		t.Errorf("%q, %v", text, err)
	}
}
