package acceptance

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// waitConnections waits until the proxy has so many connections of clients.
func waitConnections(t *testing.T, p *harness.Proxy, n int) {
	t.Helper()
	for deadline := time.Now().Add(harness.Guard); p.Server.Connections() != n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections, want %d", p.Server.Connections(), n)
		}
		p.Sync()
	}
}

// TestConnectionCountLimits holds the limits on connections, of all workers together: one too many is closed before anything of it is read,
// and one that ends makes room.
func TestConnectionCountLimits(t *testing.T) {
	const ofListener = "envoy.resource_limits.listener." + harness.ListenerName + ".connection_limit"
	tests := map[string]struct{ key, counted, other string }{
		"of all listeners": {config.KeyMaxConnections, "downstream_global_cx_overflow", "downstream_cx_overflow"},
		"of one listener":  {ofListener, "downstream_cx_overflow", "downstream_global_cx_overflow"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := harness.NewSetup()
			s.Workers = 2
			s.SetRoutes(harness.Direct("/", 200, "hi"))
			p := s.Start(t)
			setRuntime(p, map[string]uint64{test.key: 3})
			var clients []*harness.Client
			for range 3 {
				c := p.Dial()
				c.Get("/")
				clients = append(clients, c)
			}
			p.Dial().ExpectClosed()
			if got, other := p.ListenerStat(test.counted), p.ListenerStat(test.other); got != 1 || other != 0 {
				t.Errorf("%s is %d and %s %d, want 1 and 0", test.counted, got, test.other, other)
			}
			clients[0].Get("/")

			clients[1].Close()
			waitConnections(t, p, 2)
			p.Dial().Get("/")
			p.Dial().ExpectClosed()

			// A change of the listener counts on, and a limit that is lifted lets all in.
			setRuntime(p, map[string]uint64{test.key: 4})
			p.Dial().Get("/")
			p.Dial().ExpectClosed()
			setRuntime(p, nil)
			p.Dial().Get("/")
		})
	}
}

// TestConnectionLimitIgnored holds that a listener may be beyond the limit of all.
func TestConnectionLimitIgnored(t *testing.T) {
	s := harness.NewSetup()
	s.Listener.IgnoreGlobalConnLimit = true
	s.SetRoutes(harness.Direct("/", 200, "hi"))
	p := s.Start(t)
	setRuntime(p, map[string]uint64{config.KeyMaxConnections: 0})
	c := p.Dial()
	c.Get("/")
	if got := p.ListenerStat("downstream_global_cx_overflow"); got != 0 {
		t.Errorf("%d connections were refused", got)
	}
}
