package acceptance

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy"
)

// TestPanicCostsOneConnection holds that a panic while a stream ends is counted and costs the connection it happened on, and
// nothing else: neither the streams beside it nor the worker nor what they hold.
func TestPanicCostsOneConnection(t *testing.T) {
	letGo := make(chan struct{})
	origin := harness.NewOrigin(t, held(letGo))
	var panics atomic.Int64
	s := harness.NewSetup(origin.Addr())
	s.SetRoutes(harness.Direct("/panic", 200, "x"), harness.Forward("/", "c"))
	s.HTTP().RequestHeadersTimeout = time.Second
	s.Observe = func(o *proxy.Outcome) {
		if path := string(o.Request.Path); path == "/panic" || path == "" {
			panics.Add(1)
			panic("in Observe")
		}
	}
	s.Quiet = true
	p := s.Start(t)
	busy, idle := p.Dial(), p.Dial()
	busy.Send(harness.Get("/busy"))
	idle.Send(harness.Get("/panicking")) // begins like the other, ends well
	idle.ReadResponse("GET")
	p.Sync()
	for range 10 {
		c := p.Dial()
		c.Send(harness.Get("/panic"))
		if _, err := c.TryResponse("GET"); err == nil {
			c.ExpectClosed()
		}
	}
	// Outside a task: a timer.
	slow := p.Dial()
	slow.Send("GET ")
	p.Advance(2 * time.Second)
	if _, err := slow.TryResponse("GET"); err == nil {
		slow.ExpectClosed()
	}
	p.Canary(10)
	idle.ExpectOpen()
	close(letGo)
	if resp := busy.ReadResponse("GET"); resp.Body != "/busy" {
		t.Errorf("got %q", resp.Raw)
	}
	if got, counted := panics.Load(), p.Stat("server.worker_panics"); got != 11 || counted != 11 {
		t.Errorf("%d panics, %d counted, want 11", got, counted)
	}
}
