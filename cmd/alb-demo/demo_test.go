package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds a test that would otherwise wait for ever; nothing is measured with it.
const patience = 30 * time.Second

// running is a demo with a fake proxy.
type running struct {
	t              *testing.T
	log            string
	cancel         context.CancelFunc
	status         chan int
	stdout, stderr output
}

// startDemo runs the demo on free ports with a fake proxy of the given behaviour.
func startDemo(t *testing.T, behaviour string, flags ...string) *running {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(fakeEnv, behaviour)
	p := freePorts(t, 5)
	r := &running{t: t, log: filepath.Join(t.TempDir(), "proxy.log"), status: make(chan int, 1)}
	args := append([]string{
		"--proxy", self, "--proxy-log", r.log, "--ads-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0",
		"--blue-addr", "127.0.0.1:0", "--green-addr", "127.0.0.1:0",
		"--traffic-port", p[0], "--admin-port", p[1], "--grpc-port", p[2], "--metrics-port", p[3], "--health-port", p[4],
	}, flags...)
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	go func() { r.status <- run(ctx, args, &r.stdout, &r.stderr) }()
	return r
}

// waitOutput waits until the demo has printed text.
func (r *running) waitOutput(text string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(r.stdout.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%q was not printed:\n%s%s", text, r.stdout.String(), r.stderr.String())
		}
	}
}

// end waits for the demo's exit status.
func (r *running) end() int {
	r.t.Helper()
	select {
	case status := <-r.status:
		return status
	case <-time.After(patience):
		r.t.Fatalf("the demo does not end:\n%s%s", r.stdout.String(), r.stderr.String())
		return 0
	}
}

func (r *running) readLog() string {
	r.t.Helper()
	data, err := os.ReadFile(r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

func TestDemo(t *testing.T) {
	r := startDemo(t, fakeGood)
	r.waitOutput("Ctrl-C stops everything.")
	if log := r.readLog(); !strings.Contains(log, "clusters: 2\n") {
		t.Errorf("the proxy did not get two clusters over ADS:\n%s", log)
	}
	api := regexp.MustCompile(`curl (http://[^ ]+/v1/config)\n`).FindStringSubmatch(r.stdout.String())
	if api == nil {
		t.Fatalf("no URL of the HTTP API in\n%s", r.stdout.String())
	}
	config := get(t, api[1])
	for _, want := range []string{`"name":"hello","prefix":"/","cluster_name":"blue"`, `"name":"green","prefix":"/green","cluster_name":"green"`} {
		if !strings.Contains(config, want) {
			t.Errorf("%s is not in %s", want, config)
		}
	}
	// The guide edits this text with sed.
	if !strings.Contains(config, `"prefix":"/green"`) {
		t.Errorf("the guide's edit does not apply to %s", config)
	}
	ports := regexp.MustCompile(`"port":(\d+)`).FindAllStringSubmatch(config, -1)
	for i, colour := range []string{"blue", "green"} {
		if got, want := get(t, "http://127.0.0.1:"+ports[i][1]+"/"), "Hello from "+colour+"\n"; got != want {
			t.Errorf("origin %s says %q", colour, got)
		}
	}
	r.cancel()
	if status := r.end(); status != exitOK {
		t.Errorf("exit status %d, stderr:\n%s", status, r.stderr.String())
	}
	for _, port := range ports {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port[1]); err == nil {
			conn.Close()
			t.Errorf("port %s is still listened on", port[1])
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestProxyFails(t *testing.T) {
	for _, test := range []struct {
		behaviour string
		flags     []string
		want      []string
	}{
		{fakeExits, nil, []string{"the proxy ended: exit status 3\nits log ", "  cannot read the bootstrap\n"}},
		{fakeDies, nil, []string{"the proxy ended: exit status 4\n"}},
		{fakeNotReady, []string{"--ready-timeout", "1s"}, []string{"the proxy is not ready after 1s: http://127.0.0.1:", "/ready", "  fake proxy not ready\n"}},
	} {
		t.Run(test.behaviour, func(t *testing.T) {
			r := startDemo(t, test.behaviour, test.flags...)
			if status := r.end(); status != exitFailure {
				t.Errorf("exit status %d, want %d", status, exitFailure)
			}
			for _, want := range append(test.want, r.log) {
				if !strings.Contains(r.stderr.String(), want) {
					t.Errorf("%q is not in\n%s", want, r.stderr.String())
				}
			}
		})
	}
}

// TestDeafProxyIsKilled has a proxy and its child ignore SIGTERM.
func TestDeafProxyIsKilled(t *testing.T) {
	r := startDemo(t, fakeDeaf, "--grace", "100ms")
	r.waitOutput("Ctrl-C stops everything.")
	match := regexp.MustCompile(`child (\d+)`).FindStringSubmatch(r.readLog())
	if match == nil {
		t.Fatalf("no child in\n%s", r.readLog())
	}
	child, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	r.cancel()
	if status := r.end(); status != exitOK {
		t.Errorf("exit status %d, stderr:\n%s", status, r.stderr.String())
	}
	for deadline := time.Now().Add(patience); isAlive(child); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is left behind", child)
		}
	}
}

// isAlive reports whether a process runs; one that ended but has not been waited for by its parent does not.
func isAlive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestCancelBeforeReady(t *testing.T) {
	r := startDemo(t, fakeNotReady)
	r.waitOutput("starting ")
	r.cancel()
	if status := r.end(); status != exitOK {
		t.Errorf("exit status %d, stderr:\n%s", status, r.stderr.String())
	}
	if strings.Contains(r.stdout.String(), "is ready") {
		t.Errorf("claims to be ready:\n%s", r.stdout.String())
	}
}

func TestPortsInUse(t *testing.T) {
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--traffic-port", "--admin-port", "--grpc-port", "--metrics-port", "--health-port"} {
		wantPortInUse(t, flag, port, flag)
	}
	for _, flag := range []string{"--blue-addr", "--green-addr"} {
		wantPortInUse(t, flag, "127.0.0.1:"+port, flag)
	}
	wantPortInUse(t, "--ads-addr", "127.0.0.1:"+port, "--ads-addr or --api-addr")
	wantPortInUse(t, "--api-addr", "127.0.0.1:"+port, "--ads-addr or --api-addr")
}

func wantPortInUse(t *testing.T, flag, value, remedy string) {
	t.Helper()
	r := startDemo(t, fakeGood, flag, value)
	if status := r.end(); status != exitFailure {
		t.Errorf("%s: exit status %d, want %d", flag, status, exitFailure)
	}
	for _, want := range []string{"address already in use", "ss -ltnp", "choose another with " + remedy} {
		if !strings.Contains(r.stderr.String(), want) {
			t.Errorf("%s: %q is not in\n%s", flag, want, r.stderr.String())
		}
	}
}

func TestSamePortTwice(t *testing.T) {
	port := freePorts(t, 1)[0]
	wantPortInUse(t, "--health-port="+port, "--metrics-port="+port, "--health-port")
}

func TestFlagErrors(t *testing.T) {
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--prxy", "x"}, exitUsage, "flag provided but not defined: -prxy (alb-demo -h lists the flags)\n"},
		{[]string{"--traffic-port", "70000"}, exitUsage, "--traffic-port: 70000 is not a port (1-65535)\n"},
		{[]string{"--admin-port", "0"}, exitUsage, "--admin-port: 0 is not a port (1-65535)\n"},
		{[]string{"--grpc-port", "-1"}, exitUsage, `invalid value "-1" for flag -grpc-port`},
		{[]string{"--blue-addr", "localhost:1"}, exitUsage, `--blue-addr: "localhost:1" is not an IP address with a port`},
		{[]string{"--green-addr", "127.0.0.1"}, exitUsage, `--green-addr: "127.0.0.1" is not an IP address with a port`},
		{[]string{"--ready-timeout", "0s"}, exitUsage, "--ready-timeout: 0s is not a positive time\n"},
		{[]string{"--grace", "-1s"}, exitUsage, "--grace: -1s is not a positive time\n"},
		{[]string{"wieght"}, exitUsage, `unknown command "wieght"`},
		{[]string{"-h"}, exitOK, "-ready-timeout"},
		{[]string{"weight", "-h"}, exitOK, "usage: alb-demo weight [--grpc ADDRESS] ROUTE [BACKEND=WEIGHT ...]\n"},
		{[]string{"--proxy", "/nonexistent/proxy-alb"}, exitFailure, "build it with make, or name it with --proxy"},
		{[]string{"weight"}, exitUsage, "which route?"},
		{[]string{"weight", "hello", "blue"}, exitUsage, `"blue" is not BACKEND=WEIGHT`},
		{[]string{"weight", "hello", "=1"}, exitUsage, `"=1" is not BACKEND=WEIGHT`},
		{[]string{"weight", "hello", "blue=-1"}, exitUsage, `"blue=-1" is not BACKEND=WEIGHT`},
		{[]string{"weight", "hello", "blue=4294967296"}, exitUsage, `"blue=4294967296" is not BACKEND=WEIGHT`},
		{[]string{"limit", "hello"}, exitUsage, "a route and a rate are needed"},
		{[]string{"limit", "hello", "1", "2", "3"}, exitUsage, "a route and a rate are needed"},
		{[]string{"limit", "hello", "0"}, exitUsage, `"0" is not a number of requests, 1 or more`},
		{[]string{"limit", "hello", "5", "off"}, exitUsage, `"off" is not a number of requests, 1 or more`},
		{[]string{"limit", "hello", "off", "5"}, exitUsage, `"off" is not a number of requests, 1 or more`},
	} {
		var stdout, stderr output
		if status := run(t.Context(), test.args, &stdout, &stderr); status != test.status || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%q: exit status %d, want %d with %q, stderr:\n%s", test.args, status, test.status, test.want, stderr.String())
		}
	}
}

func TestTail(t *testing.T) {
	for _, test := range []struct{ name, content, want string }{
		{"empty", "", ""},
		{"blank", "\n\n", ""},
		{"one line", "a\n", "  a"},
		{"many lines", strings.Repeat("x\n", 50) + "last", strings.Repeat("  x\n", 9) + "  last"},
		{"long line", strings.Repeat("y", 10_000), "  " + strings.Repeat("y", tailBytes)},
	} {
		file, err := openLog(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteString(test.content); err != nil {
			t.Fatal(err)
		}
		if got, err := tail(file); err != nil || got != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

func TestGuideNamesEverything(t *testing.T) {
	opts, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out output
	writeGuide(&out, opts, "127.0.0.1:19000")
	for _, want := range []string{
		"http://127.0.0.1:10000/green", "http://127.0.0.1:19000/v1/config", "http://127.0.0.1:9901/", "http://127.0.0.1:9090/metrics", "http://127.0.0.1:8080/healthz",
		"127.0.0.1:50051 marchproxy.ModuleService/SetTrafficWeight", "127.0.0.1:50051 marchproxy.ModuleService/ApplyRateLimit",
		"bin/alb-demo weight hello blue=20 green=80\n", "bin/alb-demo limit hello 5\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the guide", want)
		}
	}
	if strings.Contains(out.String(), "@") && strings.Contains(strings.ReplaceAll(out.String(), "-d @-", ""), "@") {
		t.Errorf("a name is not filled in:\n%s", out.String())
	}
	opts.ports[grpcPort].number = 50052
	writeGuide(&out, opts, "127.0.0.1:19000")
	if want := "bin/alb-demo weight --grpc 127.0.0.1:50052 hello blue=20 green=80\n"; !strings.Contains(out.String(), want) {
		t.Errorf("%q is not in the guide", want)
	}
}
