package acceptance

import (
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy"
)

// drainSetup answers by itself at /own and from a host elsewhere.
func drainSetup(t *testing.T) *harness.Setup {
	t.Helper()
	s := harness.NewSetup(harness.NewOrigin(t, harness.Echo).Addr())
	s.SetRoutes(harness.Direct("/own", 200, "own"), harness.Forward("/", harness.ClusterName))
	return s
}

// told reports whether a new client is told to leave with its response.
func told(t *testing.T, p *harness.Proxy, path string) bool {
	t.Helper()
	c := p.Dial()
	defer c.Close()
	r := c.Get(path)
	if r.Status != 200 {
		t.Fatalf("got %q", r.Raw)
	}
	return r.Fields.Get("connection") == "close"
}

// accepts reports whether the listener accepts connections.
func accepts(p *harness.Proxy) bool {
	c, err := net.DialTimeout("tcp", p.Address(), harness.Guard)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// TestDrainListenersGradually has no client leave at first, about half of them in the middle of the time to drain, and every one at its
// end, after which nothing is accepted.
func TestDrainListenersGradually(t *testing.T) {
	const samples, tolerance = 1000, 100 // more than six standard deviations
	p := drainSetup(t).Start(t)
	old := p.Dial()
	old.Get("/")
	p.Server.DrainGracefully(proxy.DrainOptions{})
	for _, path := range []string{"/own", "/"} {
		if told(t, p, path) {
			t.Errorf("%s: a client left at the beginning", path)
		}
	}
	p.Advance(proxy.DefaultDrainTime / 2)
	p.Server.DrainGracefully(proxy.DrainOptions{}) // which is under way
	for _, path := range []string{"/own", "/"} {
		left := 0
		for range samples {
			if told(t, p, path) {
				left++
			}
		}
		if left < samples/2-tolerance || left > samples/2+tolerance {
			t.Errorf("%s: %d of %d clients left in the middle", path, left, samples)
		}
	}
	before := p.HTTPStat("downstream_cx_drain_close")
	p.Advance(proxy.DefaultDrainTime/2 - time.Nanosecond)
	if !told(t, p, "/own") || p.HTTPStat("downstream_cx_drain_close") != before+1 {
		t.Error("a client stays at the end, or is not counted")
	}
	if !accepts(p) {
		t.Error("connections are not accepted before the end")
	}
	p.Advance(time.Nanosecond)
	old.ExpectClosed()
	if accepts(p) {
		t.Error("connections are accepted after the end")
	}
}

// TestDrainListenersAtOnce has every client leave from the beginning, and goes on to accept with skip_exit.
func TestDrainListenersAtOnce(t *testing.T) {
	p := drainSetup(t).Start(t)
	h2 := p.DialH2()
	p.Server.DrainGracefully(proxy.DrainOptions{Immediate: true, KeepListening: true})
	for _, path := range []string{"/own", "/"} {
		if !told(t, p, path) {
			t.Errorf("%s: a client stays", path)
		}
	}
	h2.ExpectIdle() // it has asked for nothing
	id := h2.Get("/own")
	if last, _ := h2.ExpectGoAway(http2.ErrCodeNo); last != noLastStream {
		t.Errorf("the warning names stream %d", last)
	}
	if r := h2.Response(id); r.Body != "own" {
		t.Errorf("got %v", r)
	}
	h2.Close()
	p.Advance(2 * proxy.DefaultDrainTime)
	if !told(t, p, "/") || p.HTTPStat("downstream_cx_drain_close") != 4 {
		t.Errorf("%d clients left, want 4", p.HTTPStat("downstream_cx_drain_close"))
	}
}

// TestDrainInbound drains and stops inbound listeners alone.
func TestDrainInbound(t *testing.T) {
	for _, inbound := range []bool{false, true} {
		s := drainSetup(t)
		s.Listener.Inbound = inbound
		p := s.Start(t)
		p.Server.DrainGracefully(proxy.DrainOptions{InboundOnly: true, Immediate: true})
		if got := told(t, p, "/"); got != inbound {
			t.Errorf("inbound %v: a client leaves: %v", inbound, got)
		}
		p.Advance(proxy.DefaultDrainTime)
		if got := accepts(p); got == inbound {
			t.Errorf("inbound %v: accepts: %v", inbound, got)
		}
		changed := harness.Listener(harness.Direct("/", 200, ""))
		changed.Address, changed.Inbound = p.Server.Listeners()[0].Address, inbound
		applyListener(p, changed)
		if got := accepts(p); got == inbound {
			t.Errorf("inbound %v: accepts after a change: %v", inbound, got)
		}
		p.Server.DrainGracefully(proxy.DrainOptions{Immediate: true}) // goes further than the one before
		if !inbound && !told(t, p, "/") {
			t.Error("a client of a listener that is not inbound stays")
		}
	}
}

// TestStopInbound closes inbound listeners at once, and nothing else.
func TestStopInbound(t *testing.T) {
	for _, inbound := range []bool{false, true} {
		s := drainSetup(t)
		s.Listener.Inbound = inbound
		p := s.Start(t)
		c := p.Dial()
		c.Get("/")
		p.Server.StopInbound()
		if got := accepts(p); got == inbound {
			t.Errorf("inbound %v: accepts: %v", inbound, got)
		}
		if r := c.Get("/"); r.Status != 200 || r.Fields.Has("connection") {
			t.Errorf("inbound %v: got %q", inbound, r.Raw)
		}
	}
}

// TestFailedHealthChecksDrain has clients leave while health checks are made to fail, but for listeners that drain when they are changed
// only.
func TestFailedHealthChecksDrain(t *testing.T) {
	for _, modifyOnly := range []bool{false, true} {
		s := drainSetup(t)
		s.Listener.ModifyOnly = modifyOnly
		p := s.Start(t)
		p.Server.FailHealthChecks(true)
		for _, path := range []string{"/own", "/"} {
			if got := told(t, p, path); got == modifyOnly {
				t.Errorf("drain_type MODIFY_ONLY %v: %s: a client leaves: %v", modifyOnly, path, got)
			}
		}
		p.Server.FailHealthChecks(false)
		if told(t, p, "/") {
			t.Error("a client leaves while health checks pass")
		}
	}
}
