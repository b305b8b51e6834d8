package process

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

func TestMain(m *testing.M) { Main(m) }

// TestProxy has requests go to origins of both protocols, and looks at what the rest of the tests look at.
func TestProxy(t *testing.T) {
	one := harness.NewOrigin(t, harness.Echo)
	two := harness.NewH2Origin(t, harness.H2Echo)
	s := NewSetup(one.Addr())
	s.Clusters = append(s.Clusters, HTTP2Cluster("two", Fields{"max_concurrent_streams": 7}, two.Addr()))
	s.Listeners[0].Routes = []Fields{Route("/two", "two"), Direct("/direct", 418, "tea"), Route("/", harness.ClusterName)}
	s.HTTP()["http2_protocol_options"] = Fields{"max_concurrent_streams": 5}
	s.Listeners = append(s.Listeners, NewListener("other", Direct("/", 200, "other")))
	s.Runtime = Fields{"overload.premature_reset_total_stream_count": 3}
	p := s.Start(t)
	c := harness.DialH2Address(t, p.Address())
	for path, want := range map[string]string{"/one": "GET /one ", "/two": "GET /two ", "/direct": "tea"} {
		if got := c.Response(c.Get(path)); got.Body != want {
			t.Errorf("%s: got %v, want body %q", path, got, want)
		}
	}
	other := harness.DialH2Address(t, p.ListenerAddress("other"))
	if got := other.Response(other.Get("/")); got.Body != "other" {
		t.Errorf("the other listener: got %v", got)
	}
	if got := p.HTTPStat("downstream_rq_total"); got != 4 {
		t.Errorf("downstream_rq_total is %d, want 4", got)
	}
	if got := p.ClusterStat("upstream_rq_total"); got != 1 {
		t.Errorf("upstream_rq_total is %d, want 1", got)
	}
	c.Close()
	other.Close()
	p.WaitStat("http."+harness.StatPrefix+".downstream_cx_active", 0)
	usage, err := p.Process().Usage()
	if err != nil || usage.RSS == 0 || usage.Threads == 0 || usage.Descriptors == 0 {
		t.Errorf("usage %+v, %v", usage, err)
	}
}

func TestProxyEnds(t *testing.T) {
	p := NewSetup().Start(t)
	if err := p.Stop(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if _, err := p.TryGet("/ready"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the admin server after the end: %v", err)
	}
	if !strings.Contains(p.Output(), `"ended"`) {
		t.Errorf("log: %s", p.Output())
	}
}

// TestBinaryIsBuiltOnce holds the callers to one build.
func TestBinaryIsBuiltOnce(t *testing.T) {
	before, err := os.Stat(Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(Binary(t))
	if err != nil || !os.SameFile(before, after) || before.ModTime() != after.ModTime() {
		t.Errorf("%v then %v, %v", before, after, err)
	}
}

func TestChild(t *testing.T) {
	p := Run(t, Command{Path: "/bin/sh", Args: []string{"-c", "echo out; echo err >&2; exit 3"}})
	err := p.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("ended with %v, want status 3", err)
	}
	if got := p.Output(); !strings.Contains(got, "out\n") || !strings.Contains(got, "err\n") {
		t.Errorf("output %q", got)
	}
}

func TestChildStops(t *testing.T) {
	dir := t.TempDir()
	p := Run(t, Command{Path: "/bin/sh", Args: []string{"-c", "echo $$ > pid; exec sleep 1000"}, Dir: dir})
	p.Eventually("a file", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "pid"))
		return err == nil && strings.HasSuffix(string(text), "\n")
	})
	var exit *exec.ExitError
	if err := p.Stop(); !errors.As(err, &exit) {
		t.Errorf("ended with %v, want a signal", err)
	}
}

func TestAlarm(t *testing.T) {
	const calm = `{"level":"info","msg":"serving"}` + "\n"
	for _, line := range []string{
		"panic: runtime error: index out of range [3] with length 2\n", "fatal error: concurrent map writes\n",
		"WARNING: DATA RACE\n", `{"level":"error","msg":"panic on a worker, its connection was closed"}` + "\n",
	} {
		if got, found := alarm(calm + line + calm); !found || got != line {
			t.Errorf("got %q, want %q", got, line)
		}
	}
	if got, found := alarm(calm); found {
		t.Errorf("got %q from a calm log", got)
	}
}

func TestLogIsBounded(t *testing.T) {
	var l log
	piece := make([]byte, maxLog/2)
	for range 2 {
		if n, err := l.Write(piece); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if l.overflown() {
		t.Error("overflown at the limit")
	}
	if n, err := l.Write([]byte("x")); n != 1 || err != nil || !l.overflown() || len(l.String()) != maxLog {
		t.Errorf("%d, %v, %v, %d bytes", n, err, l.overflown(), len(l.String()))
	}
}

func TestWaitListening(t *testing.T) {
	at := FreeAddress(t)
	s := NewSetup()
	s.Listeners[0].Routes = []Fields{Direct("/", 200, "")}
	s.Listeners[0].Fields["address"] = Fields{"socket_address": Fields{"address": "127.0.0.1", "port_value": portOf(t, at)}}
	p := s.Start(t)
	p.WaitListening(at)
	if p.Address() != at {
		t.Errorf("listens on %s, want %s", p.Address(), at)
	}
}

func portOf(t *testing.T, address string) uint16 {
	t.Helper()
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return at.Port()
}
