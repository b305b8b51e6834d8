package acceptance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy"
)

// held is an origin that answers a request only when it is let go.
func held(letGo <-chan struct{}) func(*harness.Peer) {
	return func(p *harness.Peer) {
		for {
			req, ok := p.ReadRequest()
			if !ok {
				return
			}
			p.Wait(letGo)
			if !p.Write(harness.OK(req.Target)) {
				return
			}
		}
	}
}

// TestMaxConnections holds that requests beyond max_connections wait in line, in order, and those beyond max_pending_requests
// are refused.
func TestMaxConnections(t *testing.T) {
	letGo := make(chan struct{})
	origin := harness.NewOrigin(t, held(letGo))
	s := harness.NewSetup(origin.Addr())
	s.Clusters[0].Breakers.MaxConnections, s.Clusters[0].Breakers.MaxPending = 2, 3
	p := s.Start(t)
	var clients []*harness.Client
	for i := range 5 {
		c := p.Dial()
		c.Send(harness.Get(fmt.Sprintf("/%d", i)))
		p.Sync()
		clients = append(clients, c)
	}
	if n := p.ClusterStat("upstream_rq_pending_active"); n != 3 {
		t.Errorf("upstream_rq_pending_active is %d, want 3", n)
	}
	over := p.Dial().Get("/over")
	if over.Status != 503 || over.Fields.Get("x-envoy-overloaded") != "true" || over.Body != resetReason("overflow") {
		t.Errorf("got %q", over.Raw)
	}
	if o := p.Outcome(); o.Flags != "UO" {
		t.Errorf("outcome %+v", o)
	}
	close(letGo)
	for i, c := range clients {
		if resp := c.ReadResponse("GET"); resp.Body != fmt.Sprintf("/%d", i) {
			t.Errorf("client %d got %q", i, resp.Raw)
		}
	}
	if n := origin.Connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	for name, want := range map[string]uint64{"upstream_rq_pending_overflow": 1, "upstream_rq_pending_total": 3, "upstream_rq_active": 0, "upstream_rq_pending_active": 0} {
		if n := p.ClusterStat(name); n != want {
			t.Errorf("%s is %d, want %d", name, n, want)
		}
	}
}

// TestPendingClientLeaves holds that a client that leaves the line gives its place up.
func TestPendingClientLeaves(t *testing.T) {
	letGo := make(chan struct{})
	origin := harness.NewOrigin(t, held(letGo))
	s := harness.NewSetup(origin.Addr())
	s.Clusters[0].Breakers.MaxConnections = 1
	p := s.Start(t)
	first, leaver, last := p.Dial(), p.Dial(), p.Dial()
	first.Send(harness.Get("/first"))
	p.Sync()
	leaver.Send(harness.Get("/leaver"))
	p.Sync()
	last.Send(harness.Get("/last"))
	p.Sync()
	leaver.Close()
	if o := p.Outcome(); o.Path != "/leaver" || o.Flags != "DC" {
		t.Errorf("outcome %+v", o)
	}
	close(letGo)
	first.ReadResponse("GET")
	if resp := last.ReadResponse("GET"); resp.Body != "/last" {
		t.Errorf("got %q", resp.Raw)
	}
	for _, req := range origin.Requests() {
		if req.Target == "/leaver" {
			t.Error("the origin got a request nobody waits for")
		}
	}
}

// TestPendingTimesOut holds that the route's timeout runs while a request waits in line.
func TestPendingTimesOut(t *testing.T) {
	letGo := make(chan struct{})
	defer close(letGo)
	origin := harness.NewOrigin(t, held(letGo))
	s := harness.NewSetup(origin.Addr())
	s.Clusters[0].Breakers.MaxConnections = 1
	p := s.Start(t)
	first, second := p.Dial(), p.Dial()
	first.Send(harness.Get("/first"))
	p.Sync()
	p.Advance(10 * time.Second)
	second.Send(harness.Get("/second"))
	p.Advance(6 * time.Second)
	if resp := first.ReadResponse("GET"); resp.Status != 504 {
		t.Errorf("got %q", resp.Raw)
	}
	p.Advance(10 * time.Second)
	if resp := second.ReadResponse("GET"); resp.Status != 504 {
		t.Errorf("got %q", resp.Raw)
	}
}

// TestMaxRequests holds that max_requests bounds what is in flight.
func TestMaxRequests(t *testing.T) {
	letGo := make(chan struct{})
	origin := harness.NewOrigin(t, held(letGo))
	s := harness.NewSetup(origin.Addr())
	s.Clusters[0].Breakers.MaxRequests = 2
	p := s.Start(t)
	a, b := p.Dial(), p.Dial()
	a.Send(harness.Get("/a"))
	b.Send(harness.Get("/b"))
	p.Sync()
	c := p.Dial()
	if resp := c.Get("/c"); resp.Status != 503 || resp.Body != resetReason("overflow") {
		t.Errorf("got %q", resp.Raw)
	}
	close(letGo)
	a.ReadResponse("GET")
	b.ReadResponse("GET")
	if resp := c.Get("/c"); resp.Body != "/c" {
		t.Errorf("got %q", resp.Raw)
	}
}

// closesOnSecond answers a request, and closes the connection when the proxy sends another.
func closesOnSecond(p *harness.Peer) {
	_, _ = p.ReadRequest()
	p.Write(harness.OK("first"))
	_, _ = p.ReadRequest()
}

// TestStaleConnection holds that a request which can be repeated is sent once more when the kept connection it went out on was
// closed at the same time, and that no other is.
func TestStaleConnection(t *testing.T) {
	for _, test := range []struct {
		method string
		again  bool
	}{{"GET", true}, {"HEAD", true}, {"OPTIONS", true}, {"DELETE", true}, {"PUT", true}, {"POST", false}, {"PATCH", false}} {
		for _, body := range []bool{false, true} {
			t.Run(fmt.Sprint(test.method, " body ", body), func(t *testing.T) {
				origin := harness.NewOrigin(t, harness.InTurn(closesOnSecond, harness.Echo))
				p := harness.NewSetup(origin.Addr()).Start(t)
				c := p.Dial()
				c.Get("/")
				request := harness.Head(test.method + " /again")
				if body {
					request = harness.Head(test.method+" /again", "Content-Length: 5") + "hello"
				}
				c.Send(request)
				resp := c.ReadResponse(test.method)
				want := 503
				if test.again && !body {
					want = 200
				}
				if resp.Status != want {
					t.Errorf("got %q, want %d", resp.Raw, want)
				}
				seen := 0
				for _, req := range origin.Requests() {
					if req.Target == "/again" {
						seen++
					}
				}
				if wanted := map[int]int{200: 2, 503: 1}[want]; seen != wanted {
					t.Errorf("the origin got the request %d times, want %d", seen, wanted)
				}
			})
		}
	}
}

// TestStaleConnectionTwice holds that there is no third attempt, and no second one on a fresh connection.
func TestStaleConnectionTwice(t *testing.T) {
	origin := harness.NewOrigin(t, harness.InTurn(closesOnSecond, harness.Then("", closeNow)))
	p := harness.NewSetup(origin.Addr()).Start(t)
	c := p.Dial()
	c.Get("/")
	if resp := c.Get("/"); resp.Status != 503 || resp.Body != resetReason("connection termination") {
		t.Errorf("got %q", resp.Raw)
	}
	if n := origin.Connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// TestClosedIdleConnection holds that a pooled connection which the origin closed is not used.
func TestClosedIdleConnection(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Then(harness.OK("x"), closeNow))
	p := harness.NewSetup(origin.Addr()).Start(t)
	c := p.Dial()
	for i := range 5 {
		c.Send(harness.Head("POST /", "Content-Length: 1") + "x")
		if resp := c.ReadResponse("POST"); resp.Status != 200 {
			t.Fatalf("request %d: got %q", i, resp.Raw)
		}
		origin.WaitEnded(i)
		p.Sync()
	}
	if n := p.ClusterStat("upstream_cx_destroy"); n != 5 {
		t.Errorf("upstream_cx_destroy is %d, want 5", n)
	}
}

// TestClientLeaves holds that a client that goes away ends the request at the origin, wherever it has come to.
func TestClientLeaves(t *testing.T) {
	for name, test := range map[string]struct {
		request string
		script  func(*harness.Peer)
		read    string
		leave   func(*harness.Client)
		status  int
	}{
		"waiting for the response, FIN":   {harness.Get("/"), silent, "", (*harness.Client).Close, 0},
		"waiting for the response, reset": {harness.Get("/"), silent, "", (*harness.Client).Reset, 0},
		"in the request body, FIN":        {harness.Head("POST /", "Content-Length: 9") + "hello", silent, "", (*harness.Client).Close, 0},
		"in the request body, reset":      {harness.Head("POST /", "Content-Length: 9") + "hello", silent, "", (*harness.Client).Reset, 0},
		"in a chunked body":               {harness.Head("POST /", "Transfer-Encoding: chunked") + "9\r\nhello", silent, "", (*harness.Client).Close, 0},
		"in the response body":            {harness.Get("/"), harness.Then("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", hang), "HTTP/1.1 200 OK\r\n", (*harness.Client).Close, 200},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan struct{})
			origin := harness.NewOrigin(t, func(p *harness.Peer) { close(got); test.script(p) })
			p := harness.NewSetup(origin.Addr()).Start(t)
			c := p.Dial()
			c.Send(test.request)
			<-got
			p.Sync()
			c.Expect(test.read)
			test.leave(c)
			origin.WaitEnded(0)
			if o := p.Outcome(); o.Flags != "DC" || o.Details != "downstream_remote_disconnect" || o.Status != test.status {
				t.Errorf("outcome %+v", o)
			}
			if n := p.ClusterStat("upstream_cx_active"); n != 0 {
				t.Errorf("upstream_cx_active is %d, want 0", n)
			}
		})
	}
}

// TestSlowReader holds that a client that does not read bounds what is taken from the origin.
func TestSlowReader(t *testing.T) {
	const (
		limit = 64 << 10
		total = 64 << 20
		// held is what the kernel may hold on both connections, and the proxy's own buffers.
		held = 24 << 20
	)
	body := strings.Repeat("0123456789abcdef", total/16)
	written := make(chan int, 1)
	stalled := make(chan struct{})
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		_, _ = p.ReadRequest()
		p.Write(fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n", total))
		const piece = 64 << 10
		n := 0
		for ; n < total; n += piece {
			select {
			case written <- n:
			case <-written:
				written <- n
			}
			if !p.Write(body[n : n+piece]) {
				return
			}
		}
		select {
		case <-stalled:
		default:
			t.Error("the origin has written everything, nobody reads it")
		}
		p.UntilClosed()
	})
	s := harness.NewSetup(origin.Addr())
	s.Listener.BufferLimit = limit
	p := s.Start(t)
	c := p.Dial(harness.ReceiveBuffer(4096))
	c.Send(harness.Get("/"))
	c.Expect("HTTP/1.1 200 OK\r\n")
	p.Canary(calm)
	if n := <-written; n > held {
		t.Errorf("%d bytes were taken from the origin", n)
	}
	close(stalled)
	c.Expect("x-envoy-upstream-service-time: 0\r\n")
	rest := len(lines("date: Sun, 22 Nov 2026 23:15:15 GMT", "server: envoy", fmt.Sprintf("content-length: %d", total)))
	c.Skip(rest + total - 16)
	c.Expect(body[:16])
	c.ExpectOpen()
}

// TestSlowOrigin holds that an origin that does not read bounds what is taken from the client.
func TestSlowOrigin(t *testing.T) {
	const (
		limit = 64 << 10
		total = 32 << 20 // more than the buffers of four sockets
	)
	body := strings.Repeat("0123456789abcdef", total/16)
	read := make(chan struct{})
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		_, _ = p.ReadHead()
		p.Wait(read)
		got := p.ReadBytes(total)
		if got != body {
			t.Errorf("the origin got %d bytes, want %d", len(got), total)
		}
		p.Write(harness.OK("done"))
		p.UntilClosed()
	})
	s := harness.NewSetup(origin.Addr())
	s.Clusters[0].BufferLimit = limit
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Head("POST /", fmt.Sprintf("Content-Length: %d", total)))
	written := make(chan error, 1)
	go func() { written <- c.Write(body) }()
	p.Canary(calm)
	select {
	case err := <-written:
		t.Errorf("the whole body was taken, nobody reads it (%v)", err)
	default:
	}
	close(read)
	if resp := c.ReadResponse("POST"); resp.Body != "done" {
		t.Errorf("got %q", resp.Raw)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	c.ExpectOpen()
}

// TestDrain holds that a proxy that stops lets exchanges finish, says close, and closes what is idle.
func TestDrain(t *testing.T) {
	letGo := make(chan struct{})
	origin := harness.NewOrigin(t, held(letGo))
	p := harness.NewSetup(origin.Addr()).Start(t)
	fresh, busy := p.Dial(), p.Dial()
	busy.Send(harness.Get("/busy"))
	p.Sync()
	p.Server.StopListening()
	fresh.ExpectClosed()
	busy.ExpectOpen()
	drained := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), harness.Guard)
	defer cancel()
	go func() { drained <- p.Server.Drain(ctx) }()
	close(letGo)
	if resp := busy.ReadResponse("GET"); resp.Body != "/busy" || resp.Fields.Get("connection") != "close" {
		t.Errorf("got %q", resp.Raw)
	}
	busy.ExpectClosed()
	busy.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestDrainKeepsLastAnswer holds that a connection whose answer is still being taken is not cut when the proxy stops.
func TestDrainKeepsLastAnswer(t *testing.T) {
	const limit = 16 << 20
	body := strings.Repeat("x", limit*3/4)
	origin := harness.NewOrigin(t, harness.Respond(harness.OK(body)))
	s := harness.NewSetup(origin.Addr())
	s.Listener.BufferLimit = limit
	p := s.Start(t)
	c := p.Dial(harness.ReceiveBuffer(4096))
	c.Send(harness.Get("/"))
	p.Outcome()
	p.Server.StopListening()
	if resp := c.ReadResponse("GET"); resp.Body != body {
		t.Errorf("got %d bytes, want %d", len(resp.Body), len(body))
	}
	c.ExpectClosed()
}

// TestListenerRemoved holds that connections of a listener that left the configuration end with their exchange, and those
// that have none when the time to drain is over.
func TestListenerRemoved(t *testing.T) {
	letGo := make(chan struct{})
	origin := harness.NewOrigin(t, held(letGo))
	s := harness.NewSetup(origin.Addr())
	p := s.Start(t)
	idle, busy := p.Dial(), p.Dial()
	busy.Send(harness.Get("/busy"))
	p.Sync()
	if got := p.Server.Draining(); len(got) != 0 {
		t.Errorf("%d listeners drain that are in force", len(got))
	}
	p.Apply(config.Delta{
		Listeners: config.Changes[*config.Listener]{Replace: true},
		Clusters:  config.Changes[*config.Cluster]{Replace: true},
	})
	close(letGo)
	if resp := busy.ReadResponse("GET"); resp.Body != "/busy" || resp.Fields.Get("connection") != "close" {
		t.Errorf("got %q", resp.Raw)
	}
	busy.ExpectClosed()
	origin.WaitEnded(0)
	idle.ExpectOpen()
	if n := p.Stat("listener_manager.total_listeners_draining"); n != 1 {
		t.Errorf("%d listeners drain, want 1", n)
	}
	if got := p.Server.Draining(); len(got) != 1 || !got[s.Listener] {
		t.Errorf("draining are %v, want the listener that was removed", got)
	}
	if got := p.Server.Listeners(); len(got) != 0 {
		t.Errorf("listeners that accept are %v", got)
	}
	p.Advance(proxy.DefaultDrainTime)
	idle.ExpectClosed()
	if n := p.Stat("listener_manager.total_listeners_draining"); n != 0 {
		t.Errorf("%d listeners drain in the end, want none", n)
	}
	if got := p.Server.Draining(); len(got) != 0 {
		t.Errorf("draining are %v in the end", got)
	}
}
