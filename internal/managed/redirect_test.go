package managed

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// redirected are the rules of a network namespace in which what comes from 127.0.0.9 goes to port 15001, wherever it was to go.
const redirected = `
table inet original {
	chain output {
		type nat hook output priority -100;
		ip saddr 127.0.0.9 tcp dport 8000-8999 redirect to :15001
	}
}
`

// redirect has the kernel redirect connections in the test's network namespace.
func redirect(t *testing.T) {
	t.Helper()
	nft, err := exec.LookPath("nft")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no nft: make deps-test")
		}
		t.Skip("there is no nft")
	}
	cmd := exec.Command(nft, "-f", "-")
	cmd.Stdin = strings.NewReader(redirected)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("this kernel does not let us redirect: %v\n%s", err, out)
	}
}

// fromRedirected has a client come from an address whose connections are redirected.
func fromRedirected(d *net.Dialer) { d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)} }

// answersName returns a listener that answers with its name.
func answersName(name, ip string, port uint32) *config.Listener {
	l := harness.Listener(harness.Direct("/", 200, name))
	l.Name, l.Address = name, config.Address{IP: ip, Port: port}
	return l
}

// TestRedirectedPassthrough sends requests that the kernel has redirected, and bytes, on to where they were meant to go.
func TestRedirectedPassthrough(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	redirect(t)
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup()
	s.Listener = answersName("virtual", "0.0.0.0", 15001)
	s.HTTP().Routes = harness.Routes(harness.Forward("/", harness.ClusterName))
	s.Listener.Filters = []config.ListenerFilter{{Config: config.OriginalDst{}}}
	// The origin is on a port that is not redirected.
	s.Clusters[0].Type = config.ClusterOriginalDst
	s.Clusters[0].OriginalDst = config.OriginalDstHosts{Cleanup: config.DefaultHostCleanup, Port: origin.Addr().Port()}
	p := s.Start(t)
	if got := p.DialAddress("127.0.0.1:8010", fromRedirected).Get("/a"); got.Body != "GET /a " {
		t.Errorf("to an origin: %q, want its answer", got.Raw)
	}
	if got := p.DialAddress("127.0.0.2:8010", fromRedirected).Get("/a"); got.Status != 503 || !strings.Contains(got.Body, "connection failure") {
		t.Errorf("to where nobody listens: %q", got.Raw)
	}
	var addresses []string
	for _, k := range p.Server.Clusters() {
		if k.Config.Name == harness.ClusterName {
			for _, h := range k.Hosts {
				addresses = append(addresses, h.Address)
			}
		}
	}
	port := fmt.Sprint(origin.Addr().Port())
	if want := []string{"127.0.0.1:" + port, "127.0.0.2:" + port}; !slices.Equal(addresses, want) {
		t.Errorf("the hosts are %v, want %v", addresses, want)
	}
}

// TestRedirected gives connections that the kernel has redirected to the listeners that they were meant for.
func TestRedirected(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	redirect(t)
	s := harness.NewSetup()
	s.Workers = 2
	s.Listener = answersName("virtual", "0.0.0.0", 15001)
	s.Listener.HandsOff, s.Listener.Filters = true, []config.ListenerFilter{{Config: config.OriginalDst{}}}
	p := s.Start(t)
	exact, wild := answersName("exact", "127.0.0.5", 8001), answersName("wild", "0.0.0.0", 8002)
	exact.Unbound, wild.Unbound = true, true
	set := map[string]*config.Listener{"exact": exact, "wild": wild, "bound": answersName("bound", "127.0.0.6", 8004)}
	p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Set: set}})
	for address, want := range map[string]string{
		"127.0.0.5:8001": "exact", "127.0.0.6:8001": "virtual", "127.0.0.7:8002": "wild", "127.0.0.7:8003": "virtual", "127.0.0.6:8004": "bound",
		"127.0.0.1:15001": "virtual",
	} {
		if got := p.DialAddress(address, fromRedirected).Get("/"); got.Body != want {
			t.Errorf("to %s: answered by %q, want %s", address, got.Body, want)
		}
	}
	if got := p.DialAddress("127.0.0.6:8004").Get("/"); got.Body != "bound" {
		t.Errorf("not redirected: %q", got.Raw)
	}
	if got := p.Stat("listener.127.0.0.5_8001.downstream_cx_total"); got != 1 {
		t.Errorf("the listener that does not bind counts %d connections, want 1", got)
	}
	if got := p.Stat("listener.0.0.0.0_15001.downstream_cx_total"); got != 3 {
		t.Errorf("the one that accepts counts %d connections, want the 3 that it served", got)
	}
}
