package managed

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// Ports of go-control-plane's test driver, which are what it has by default.
const (
	driverADS      = 18000
	driverGateway  = 18001
	driverUpstream = 18080
	driverALS      = 18090
)

// driverPath names the driver in the environment of the test in its namespace, where the go command has no network.
const driverPath = "MANAGED_DRIVER"

// driverMode is a way in which the driver manages the proxy.
type driverMode struct {
	name  string // as the driver has it, and the bootstrap below testdata
	flags []string
	// mux has the mode driven with -mux, too. In the incremental modes the driver crashes with it, because its cache does not
	// say how to classify their requests, and by REST that cache cannot be asked.
	mux bool
}

// driverModes are those that the proxy is managed in, with as many runtime layers as the bootstrap has, and each with
// -tls, too.
var driverModes = []driverMode{
	{name: "ads", flags: []string{"-runtimes", "2"}, mux: true},
	{name: "delta-ads", flags: []string{"-runtimes", "1"}},
	{name: "xds", flags: []string{"-runtimes", "1"}, mux: true},
	// Its virtual hosts are to be asked for on demand, by the host of a request, and nothing in its listeners says so.
	{name: "delta", flags: []string{"-runtimes", "1", "-vhdshttp", "0"}},
	{name: "rest", flags: []string{"-runtimes", "1"}},
}

// TestDriver has go-control-plane's own test driver, which its authors run against Envoy, manage proxy-alb: it serves snapshot
// after snapshot and sends requests through every listener of each.
func TestDriver(t *testing.T) {
	var programs []string
	if os.Getenv(namespaced) == "" {
		programs = []string{driverPath + "=" + driver(t), process.BinaryVariable + "=" + process.Binary(t)}
	}
	for _, mode := range driverModes {
		for _, extra := range []string{"-mux=false", "-mux", "-tls"} {
			if extra == "-mux" && !mode.mux {
				continue
			}
			t.Run(mode.name+extra, func(t *testing.T) {
				t.Parallel()
				if inNamespace(t, programs...) {
					mode.drive(t, extra)
				}
			})
		}
	}
}

// driver returns the path of the program, which tools/go.mod pins.
func driver(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "tool", "-modfile=tools/go.mod", "-n", "github.com/envoyproxy/go-control-plane/pkg/test/main")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go tool: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// drive runs the driver against a proxy to its end. Everything that it serves has to be accepted.
func (m driverMode) drive(t *testing.T, extra string) {
	const message = "Hi, there!\n"
	upstream(t, message)
	args := append([]string{"-xds", m.name, extra, "-message", message, "-r", "8", "-delay", "150ms", "-debug"}, m.flags...)
	d := process.Run(t, process.Command{Path: os.Getenv(driverPath), Args: args})
	for _, port := range []int{driverADS, driverGateway, driverALS} {
		d.WaitListening(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	bootstrap, err := os.ReadFile(filepath.Join("testdata", "driver-"+m.name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p := (&process.Setup{Args: []string{"--drain-time-s", "1"}}).StartText(t, bootstrap)
	if err := d.Wait(); err != nil {
		t.Fatalf("the driver ended with %v:\n%s", err, d.Output())
	}
	for name, n := range p.Stats(`\.update_rejected$`) {
		if n != 0 {
			t.Errorf("%s is %d, want 0", name, n)
		}
	}
	if !strings.Contains(d.Output(), "Test for "+m.name+" passed!") {
		t.Errorf("the driver does not say that it has passed:\n%s", d.Output())
	}
}

// upstream serves the message to everybody until the test ends.
func upstream(t *testing.T, message string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(driverUpstream)))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(message)) })}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
}
