package process

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// shutdownTimeout is how long the proxy lets connections finish when it is told to end. A test closes its own before.
const shutdownTimeout = "1s"

// Proxy is a proxy in a process of its own.
type Proxy struct {
	*Child
	admin     string
	listeners map[string]string // addresses by name
}

// Start starts a proxy with the setup and returns when it is ready. It ends with the test, which fails when the proxy does
// not end well.
func (s *Setup) Start(t testing.TB) *Proxy {
	t.Helper()
	return s.StartText(t, s.bootstrap(t))
}

// StartText is Start with a bootstrap of the test's own, YAML or JSON, whose ports should be 0. Of the setup it takes the
// command line.
func (s *Setup) StartText(t testing.TB, bootstrap []byte) *Proxy {
	t.Helper()
	dir := t.TempDir()
	config, admin := filepath.Join(dir, "bootstrap.yaml"), filepath.Join(dir, "admin")
	if err := os.WriteFile(config, bootstrap, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-c", config, "--admin-address-path", admin, "--concurrency", strconv.Itoa(max(s.Workers, 1))}
	env := []string{"PATH=" + os.Getenv("PATH"), "GRPC_PORT=0", "METRICS_PORT=0", "HEALTH_PORT=0", "SHUTDOWN_TIMEOUT=" + shutdownTimeout}
	p := &Proxy{Child: Run(t, Command{Path: Binary(t), Args: slices.Concat(args, s.Args), Env: slices.Concat(env, s.Env)})}
	p.name = "proxy-alb"
	t.Cleanup(p.end)
	p.Eventually("to be ready", func() bool {
		text, err := os.ReadFile(admin)
		if p.admin = string(text); err != nil || p.admin == "" {
			return false
		}
		answer, err := p.TryGet("/ready")
		return err == nil && answer == "LIVE\n"
	})
	p.listeners = make(map[string]string)
	for line := range strings.Lines(p.Get("/listeners")) {
		if name, at, ok := strings.Cut(strings.TrimSpace(line), "::"); ok {
			p.listeners[name] = at
		}
	}
	return p
}

// end ends the proxy and looks at what it has left.
func (p *Proxy) end() {
	if err := p.Stop(); err != nil {
		p.t.Errorf("proxy-alb ended with %v", err)
	}
	text := p.Output()
	if line, found := alarm(text); found {
		p.t.Errorf("the log of proxy-alb has: %s", line)
	}
	if p.log.overflown() {
		p.t.Errorf("proxy-alb logged more than %d bytes", maxLog)
	}
	if p.t.Failed() {
		p.t.Logf("proxy-alb wrote: %s", tail(text))
	}
}

// Address returns where the only listener, or the first one of a Setup, listens.
func (p *Proxy) Address() string {
	p.t.Helper()
	if at, ok := p.listeners[harness.ListenerName]; ok {
		return at
	}
	for _, at := range p.listeners {
		if len(p.listeners) == 1 {
			return at
		}
	}
	p.t.Fatalf("there are listeners %v, want one called %q", p.listeners, harness.ListenerName)
	return ""
}

// ListenerAddress returns where the listener of that name listens.
func (p *Proxy) ListenerAddress(name string) string {
	p.t.Helper()
	at, ok := p.listeners[name]
	if !ok {
		p.t.Fatalf("there are listeners %v, want one called %q", p.listeners, name)
	}
	return at
}

// Admin returns where the admin server listens.
func (p *Proxy) Admin() string { return p.admin }
