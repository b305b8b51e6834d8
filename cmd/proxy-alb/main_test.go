package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// asProxy makes the test binary behave as proxy-alb.
const asProxy = "PROXY_ALB_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asProxy) != "" {
		main()
	}
	os.Exit(m.Run())
}

// guard bounds what a test waits for; it is far above what anything here takes.
const guard = 20 * time.Second

// command returns the test binary as proxy-alb with the given variables on top of an otherwise empty environment.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append([]string{asProxy + "=1", "PATH=" + os.Getenv("PATH"), "ENVOY_CONFIG_PATH=/nonexistent/envoy.yaml"}, env...)
	return cmd
}

// freePorts are the variables that have every face take a free port.
var freePorts = []string{"GRPC_PORT=0", "METRICS_PORT=0", "HEALTH_PORT=0"}

const listenerYAML = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          route_config:
            name: routes
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: %q}}}]}]
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadInputIsOneLineAndStatusOne(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	onTaken := write(t, fmt.Sprintf(listenerYAML, port, "hi"))
	good := write(t, fmt.Sprintf(listenerYAML, 0, "hi"))
	unknown := write(t, "static_resources: {listenerz: []}\n")
	tests := []struct {
		name string
		env  []string
		args []string
		want string
	}{
		{"unknown flag", nil, []string{"--nope"}, "unknown flag: --nope"},
		{"argument", nil, []string{"extra"}, `unexpected argument "extra", want flags only`},
		{"mode", nil, []string{"--mode", "sing"}, `--mode: "sing" is not a mode (serve, validate, init_only)`},
		{"concurrency", nil, []string{"--concurrency=-1"}, "--concurrency: -1 is not a number of threads"},
		{"address version", nil, []string{"--local-address-ip-version=v5"}, `--local-address-ip-version: "v5" is not a version (v4, v6)`},
		{"level", nil, []string{"-l", "loud"}, `--log-level: "loud" is not a level`},
		{"port variable", []string{"GRPC_PORT=many"}, nil, `environment variable GRPC_PORT: "many" is not a port (0-65535)`},
		{"duration variable", []string{"SHUTDOWN_TIMEOUT=soon"}, nil, `environment variable SHUTDOWN_TIMEOUT: "soon" is not a duration`},
		{"certificate without key", []string{"GRPC_TLS_CERT=c.pem"}, nil, "environment variable GRPC_TLS_KEY: not set though GRPC_TLS_CERT is: want the file"},
		{"key without certificate", []string{"GRPC_TLS_KEY=k.pem"}, nil, "environment variable GRPC_TLS_CERT: not set though GRPC_TLS_KEY is: want the file"},
		{"CA alone", []string{"GRPC_TLS_CLIENT_CA=ca.pem"}, nil, "environment variable GRPC_TLS_CLIENT_CA: set without GRPC_TLS_CERT and GRPC_TLS_KEY"},
		{"address of a face", []string{"METRICS_ADDRESS=localhost"}, nil, `environment variable METRICS_ADDRESS: "localhost" is not an IP address`},
		{"read-only", []string{"ENVOY_ADMIN_READ_ONLY=yes"}, nil, `environment variable ENVOY_ADMIN_READ_ONLY: "yes" is not one of false, true`},
		{"admin's certificate without key", []string{"ENVOY_ADMIN_TLS_CERT=c.pem"}, nil, "environment variable ENVOY_ADMIN_TLS_KEY: not set though ENVOY_ADMIN_TLS_CERT is"},
		{"admin's certificate is no PEM", append(slices.Clone(freePorts), "ENVOY_ADMIN_TLS_CERT="+good, "ENVOY_ADMIN_TLS_KEY="+good), []string{"-c", good},
			"TLS of the admin interface: certificate file"},
		{"no such certificate", append(slices.Clone(freePorts), "GRPC_TLS_CERT=/nonexistent/c.pem", "GRPC_TLS_KEY=/nonexistent/k.pem"), []string{"-c", good},
			`TLS of ModuleService: certificate file "/nonexistent/c.pem": no such file or directory, want a file with`},
		{"certificate is no PEM", append(slices.Clone(freePorts), "GRPC_TLS_CERT="+good, "GRPC_TLS_KEY="+good), []string{"-c", good}, `it is not PEM, want blocks`},
		{"no such file", nil, []string{"-c", "/nonexistent/x.yaml"}, "/nonexistent/x.yaml"},
		{"unknown field", nil, []string{"-c", unknown}, "listenerz"},
		{"listener port in use", freePorts, []string{"-c", onTaken}, fmt.Sprintf("listen on 127.0.0.1:%d: bind: address already in use", port)},
		{"face port in use", append(slices.Clone(freePorts), "METRICS_PORT="+strconv.Itoa(port)), []string{"-c", good}, "metrics: listen tcp"},
	}
	// The metrics face listens on all addresses, which collides with the one address that is taken.
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cmd := command(t, test.env, test.args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != exitError {
				t.Fatalf("err = %v, want exit status 1; stderr: %s", err, &stderr)
			}
			if !strings.Contains(stderr.String(), test.want) {
				t.Errorf("stderr = %q, want it to say %q", &stderr, test.want)
			}
			if n := strings.Count(stderr.String(), "\n"); n != 1 {
				t.Errorf("%d lines on stderr, want 1: %s", n, &stderr)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	path := write(t, fmt.Sprintf(listenerYAML, 0, "hi"))
	out, err := command(t, nil, "--mode", "validate", "-c", path, "--", "whatever", "--follows").Output()
	if want := "configuration '" + path + "' OK\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
	out, err = command(t, nil, "--mode=validate", "--config-yaml", fmt.Sprintf(listenerYAML, 0, "hi")).Output()
	if want := "configuration '--config-yaml' OK\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
	out, err = command(t, nil, "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "proxy-alb ") {
		t.Errorf("--version: %q, %v", out, err)
	}
}

// running is a proxy-alb in a process of its own.
type running struct {
	cmd    *exec.Cmd
	admin  string
	stderr *bytes.Buffer
	client *http.Client // nil for plaintext
}

func startProxy(t *testing.T, path string, args ...string) *running {
	t.Helper()
	return startProxyIn(t, nil, path, args...)
}

// startProxyIn is startProxy with variables.
func startProxyIn(t *testing.T, env []string, path string, args ...string) *running {
	t.Helper()
	return startProxyFor(t, nil, env, path, args...)
}

// startProxyFor is startProxyIn with a client for all that is asked.
func startProxyFor(t *testing.T, client *http.Client, env []string, path string, args ...string) *running {
	t.Helper()
	address := filepath.Join(t.TempDir(), "admin")
	all := append([]string{"-c", path, "--admin-address-path", address, "--concurrency", "1"}, args...)
	cmd := command(t, append(slices.Clone(freePorts), env...), all...)
	r := &running{cmd: cmd, stderr: new(bytes.Buffer), client: client}
	cmd.Stderr = r.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	r.eventually(t, func() bool {
		text, err := os.ReadFile(address)
		r.admin = string(text)
		return err == nil && r.get(r.admin, "/ready") == "LIVE\n"
	})
	return r
}

// eventually asks until the answer is yes.
func (r *running) eventually(t *testing.T, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(guard); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen; stderr: %s", r.stderr)
		}
	}
}

func (r *running) get(address, path string) string {
	client, scheme := http.DefaultClient, "http://"
	if r.client != nil {
		client, scheme = r.client, "https://"
	}
	resp, err := client.Get(scheme + address + path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// traffic returns the address of the listener called main.
func (r *running) traffic() string {
	return strings.TrimSpace(strings.TrimPrefix(r.get(r.admin, "/listeners"), "main::"))
}

func TestServeReloadAndEnd(t *testing.T) {
	path := write(t, fmt.Sprintf(listenerYAML, 0, "one"))
	r := startProxy(t, path)
	at := r.traffic()
	if got := r.get(at, "/"); got != "one" {
		t.Fatalf("answer %q, want one", got)
	}
	rewrite := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	rewrite(fmt.Sprintf(listenerYAML, 0, "two"))
	r.eventually(t, func() bool { return r.get(at, "/") == "two" })
	rewrite("static_resources: {broken")
	r.eventually(t, func() bool { return strings.Contains(r.get(r.admin, "/ready"), "LIVE") })
	if err := r.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if got := r.get(at, "/"); got != "two" {
		t.Errorf("answer %q after a broken file, want two", got)
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("ended with %v; stderr: %s", err, r.stderr)
	}
	for line := range strings.Lines(r.stderr.String()) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("log line is not JSON: %s", line)
		}
	}
}

// checkedYAML goes below listenerYAML.
const checkedYAML = `
  clusters:
  - name: checked
    common_lb_config: {healthy_panic_threshold: {value: 0}}
    health_checks:
    - {timeout: 5s, interval: 0.01s, no_traffic_interval: 0.01s, unhealthy_threshold: 1, healthy_threshold: 1, http_health_check: {path: /health}}
    load_assignment:
      cluster_name: checked
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]
`

// TestHealthChecks holds that a process is ready when hosts were checked, and shows how they are.
func TestHealthChecks(t *testing.T) {
	var status atomic.Int32
	status.Store(http.StatusServiceUnavailable)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer server.Close()
	r := startProxy(t, write(t, fmt.Sprintf(listenerYAML+checkedYAML, 0, "hi", server.Listener.Addr().(*net.TCPAddr).Port)))
	if got := r.get(r.admin, "/stats?filter=health_check.failure"); strings.HasSuffix(got, ": 0\n") {
		t.Errorf("ready before a host that fails was asked: %q", got)
	}
	shows := func(flags, healthy string) func() bool {
		return func() bool {
			return strings.Contains(r.get(r.admin, "/clusters"), "::health_flags::"+flags+"\n") &&
				r.get(r.admin, "/stats?filter=membership_healthy") == "cluster.checked.membership_healthy: "+healthy+"\n" &&
				r.get(r.admin, "/stats?filter=health_check.healthy") == "cluster.checked.health_check.healthy: "+healthy+"\n"
		}
	}
	if !shows("/failed_active_hc", "0")() {
		t.Errorf("clusters: %s", r.get(r.admin, "/clusters"))
	}
	status.Store(http.StatusOK)
	r.eventually(t, shows("healthy", "1"))
	status.Store(http.StatusServiceUnavailable)
	r.eventually(t, shows("/failed_active_hc", "0"))
}

func TestHealthcheck(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var status atomic.Int32
	status.Store(http.StatusOK)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	// Where the face listens on one address, that is asked.
	env := []string{"HEALTH_PORT=" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)}
	if out, err := command(t, append(env, "HEALTH_ADDRESS=127.0.0.2"), "healthcheck").CombinedOutput(); err == nil || !strings.Contains(string(out), "127.0.0.2") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := command(t, env, "healthcheck").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	status.Store(http.StatusServiceUnavailable)
	if out, err := command(t, env, "healthcheck").CombinedOutput(); err == nil {
		t.Errorf("healthy though the answer is 503: %s", out)
	}
}
