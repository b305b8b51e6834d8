package acceptance

import (
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// silent reads a request and never answers.
func silent(p *harness.Peer) {
	_, _ = p.ReadHead()
	p.UntilClosed()
}

// justBefore is how far tests stay from a timeout that must not fire yet.
const justBefore = 10 * time.Millisecond

func TestRouteTimeout(t *testing.T) {
	origin := harness.NewOrigin(t, harness.InTurn(silent, harness.Echo))
	p := harness.NewSetup(origin.Addr()).Start(t)
	c := p.Dial()
	c.Send(harness.Head("POST /", "Content-Length: 5"))
	p.Advance(config.DefaultRouteTimeout + time.Second) // it counts from the end of the request
	p.NoOutcome()
	c.Send("hello")
	p.Advance(config.DefaultRouteTimeout - justBefore)
	c.ExpectOpen()
	p.Advance(2 * justBefore)
	if resp := c.ReadResponse("POST"); resp.Status != 504 || resp.Body != "upstream request timeout" || resp.Fields.Has("connection") {
		t.Errorf("got %q", resp.Raw)
	}
	if o := p.Outcome(); o.String() != "504 UT response_timeout" || o.Duration < config.DefaultRouteTimeout {
		t.Errorf("outcome %+v", o)
	}
	origin.WaitEnded(0)
	if resp := c.Get("/own"); resp.Body != "GET /own " {
		t.Errorf("then got %q", resp.Raw)
	}
	if n := p.ClusterStat("upstream_rq_timeout"); n != 1 {
		t.Errorf("upstream_rq_timeout is %d", n)
	}
}

// TestRouteTimeoutInBody holds that a response that has begun is broken off.
func TestRouteTimeoutInBody(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Then("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello", hang))
	p := harness.NewSetup(origin.Addr()).Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	c.Await("HTTP/1.1 200 OK\r\n")
	p.Advance(config.DefaultRouteTimeout + justBefore)
	if resp, err := c.TryResponse("GET"); err == nil {
		t.Errorf("got a whole response %q", resp.Raw)
	}
	if o := p.Outcome(); o.Status != 200 || o.Flags != "UT" || o.Details != "response_timeout" {
		t.Errorf("outcome %+v", o)
	}
	origin.WaitEnded(0)
}

// TestStreamIdle holds that a stream on which nothing moves ends: with 408 while the request is not whole, with 504 after.
func TestStreamIdle(t *testing.T) {
	for _, test := range []struct {
		request string
		outcome string
	}{
		{harness.Head("POST /", "Content-Length: 5") + "he", "408 SI stream_idle_timeout"},
		{harness.Get("/"), "504 SI stream_idle_timeout"},
	} {
		origin := harness.NewOrigin(t, silent)
		s := harness.NewSetup(origin.Addr())
		s.Route(0).Forward.Timeout = 0
		p := s.Start(t)
		c := p.Dial()
		c.Send(test.request)
		p.Advance(config.DefaultStreamIdle - justBefore)
		c.ExpectOpen()
		p.Advance(2 * justBefore)
		resp := c.ReadResponse("GET")
		if o := p.Outcome(); o.String() != test.outcome || resp.Body != "stream timeout" || resp.Status != o.Status {
			t.Errorf("got %q, outcome %+v", resp.Raw, o)
		}
		if resp.Status == 408 {
			c.ExpectClosed()
		}
		origin.WaitEnded(0)
	}
}

// TestStreamIdleOfRoute holds that a route's idle_timeout replaces the listener's.
func TestStreamIdleOfRoute(t *testing.T) {
	origin := harness.NewOrigin(t, silent)
	s := harness.NewSetup(origin.Addr())
	idle := 2 * time.Second
	s.Route(0).Forward.IdleTimeout = &idle
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	p.Advance(idle + justBefore)
	if resp := c.ReadResponse("GET"); resp.Status != 504 || resp.Body != "stream timeout" {
		t.Errorf("got %q", resp.Raw)
	}
}

// TestConnectionIdle holds that a connection without a request is closed after idle_timeout without an answer.
func TestConnectionIdle(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	p := harness.NewSetup(origin.Addr()).Start(t)
	fresh, used := p.Dial(), p.Dial()
	p.Sync()
	p.Advance(config.DefaultConnectionIdle / 2)
	used.Get("/")
	p.Advance(config.DefaultConnectionIdle/2 + justBefore)
	fresh.ExpectClosed()
	used.ExpectOpen()
	p.Advance(config.DefaultConnectionIdle/2 + justBefore)
	used.ExpectClosed()
	if n := p.HTTPStat("downstream_cx_idle_timeout"); n != 2 {
		t.Errorf("downstream_cx_idle_timeout is %d, want 2", n)
	}
	// The pooled connection to the origin has its own.
	origin.WaitEnded(0)
	if n := p.ClusterStat("upstream_cx_idle_timeout"); n != 1 {
		t.Errorf("upstream_cx_idle_timeout is %d, want 1", n)
	}
}

func TestRequestTimeout(t *testing.T) {
	origin := harness.NewOrigin(t, silent)
	s := harness.NewSetup(origin.Addr())
	s.HTTP().RequestTimeout = 3 * time.Second
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Head("POST /", "Content-Length: 5"))
	for range 4 { // progress does not help
		c.Send("x")
		p.Advance(time.Second)
	}
	if resp := c.ReadResponse("POST"); resp.Status != 408 || resp.Body != "request timeout" || resp.Fields.Get("connection") != "close" {
		t.Errorf("got %q", resp.Raw)
	}
	c.ExpectClosed()
	if o := p.Outcome(); o.String() != "408 - request_overall_timeout" {
		t.Errorf("outcome %v", o)
	}
}

// TestRequestHeadersTimeout holds that the time for a head runs from its first byte, however slowly the rest comes (row 21).
func TestRequestHeadersTimeout(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	s.HTTP().RequestHeadersTimeout = 5 * time.Second
	p := s.Start(t)
	for _, first := range []string{"", harness.Head("HEAD /"), harness.Get("/")} {
		c := p.Dial()
		if first != "" {
			c.Send(first)
			c.ReadResponse(strings.Fields(first)[0])
			p.Outcome()
		}
		p.Advance(time.Minute) // waiting for the first byte is not limited by it
		head := harness.Get("/slow")
		for i := range 5 {
			c.Send(head[i : i+1])
			p.Advance(time.Second - time.Millisecond)
		}
		c.ExpectOpen()
		p.Advance(justBefore)
		if resp := c.ReadResponse("GET"); resp.Status != 408 || resp.Body != "request header timeout" || resp.Fields.Get("connection") != "close" {
			t.Errorf("got %q", resp.Raw)
		}
		c.ExpectClosed()
		if o := p.Outcome(); o.String() != "408 - request_header_timeout" {
			t.Errorf("outcome %v", o)
		}
	}
}

// TestRequestHeadersTimeoutIsOff holds that a slow head is answered at the stream's idle timeout when there is no other.
func TestRequestHeadersTimeoutIsOff(t *testing.T) {
	p := harness.NewSetup().Start(t)
	c := p.Dial()
	c.Send("GET / HT")
	p.Advance(config.DefaultStreamIdle - justBefore)
	c.ExpectOpen()
	p.Advance(2 * justBefore)
	if resp := c.ReadResponse("GET"); resp.Status != 408 {
		t.Errorf("got %q", resp.Raw)
	}
	c.ExpectClosed()
}

// TestAnswerNotTaken holds that a client that does not take its answers is given up after stream_idle_timeout, whether the
// exchange is under way, over, or more requests wait behind it.
func TestAnswerNotTaken(t *testing.T) {
	const size = 12 << 20 // more than the kernel holds
	body := strings.Repeat("x", size)
	for name, test := range map[string]struct {
		limit   uint32
		request string
	}{
		"under way":                   {1 << 20, harness.Get("/")},
		"over":                        {16 << 20, harness.Get("/")},
		"over, and more is asked for": {8 << 20, strings.Repeat(harness.Get("/"), 3)},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Respond(harness.OK(body)))
			s := harness.NewSetup(origin.Addr())
			s.Listener.BufferLimit = test.limit
			s.Route(0).Forward.Timeout = 0
			p := s.Start(t)
			c := p.Dial(harness.ReceiveBuffer(4096))
			c.Send(test.request)
			rest(p)
			p.Advance(config.DefaultStreamIdle - justBefore)
			if n := p.HTTPStat("downstream_cx_active"); n != 1 {
				t.Fatalf("%d connections before the time is up, want 1", n)
			}
			p.Advance(2 * justBefore)
			if n := p.HTTPStat("downstream_cx_active"); n != 0 {
				t.Errorf("%d connections after the time is up, want none", n)
			}
		})
	}
}

// TestAnswerTakenLate holds that a client that took its answer just in time keeps the connection.
func TestAnswerTakenLate(t *testing.T) {
	const size = 12 << 20
	origin := harness.NewOrigin(t, harness.InTurn(harness.Respond(harness.OK(strings.Repeat("x", size)))))
	s := harness.NewSetup(origin.Addr())
	s.Listener.BufferLimit = 16 << 20
	p := s.Start(t)
	c := p.Dial(harness.ReceiveBuffer(4096))
	c.Send(harness.Get("/"))
	p.Outcome()
	p.Advance(config.DefaultStreamIdle - justBefore)
	if resp := c.ReadResponse("GET"); len(resp.Body) != size {
		t.Errorf("got %d bytes", len(resp.Body))
	}
	p.Advance(config.DefaultConnectionIdle / 2)
	if resp := c.Get("/"); len(resp.Body) != size {
		t.Errorf("then got %d bytes", len(resp.Body))
	}
}

func TestMaxStreamDuration(t *testing.T) {
	origin := harness.NewOrigin(t, silent)
	s := harness.NewSetup(origin.Addr())
	s.HTTP().MaxStreamDuration = 2 * time.Second
	p := s.Start(t)
	for request, outcome := range map[string]string{
		harness.Get("/"): "504 DT max_duration_timeout",
		harness.Head("POST /", "Content-Length: 5"): "408 DT max_duration_timeout",
	} {
		c := p.Dial()
		c.Send(request)
		p.Advance(2*time.Second + justBefore)
		if resp := c.ReadResponse("GET"); resp.Body != "downstream duration timeout" {
			t.Errorf("got %q", resp.Raw)
		}
		if o := p.Outcome(); o.String() != outcome {
			t.Errorf("outcome %v, want %s", o, outcome)
		}
	}
}

func TestConnectionLimits(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	s.HTTP().MaxRequestsPerConnection = 2
	s.Clusters[0].MaxRequestsPerConnection = 3
	p := s.Start(t)
	for range 3 {
		c := p.Dial()
		c.Get("/1")
		if resp := c.Get("/2"); resp.Fields.Get("connection") != "close" {
			t.Errorf("got %q", resp.Raw)
		}
		c.ExpectClosed()
	}
	if n := origin.Connections(); n != 2 {
		t.Errorf("%d connections to the origin, want 2 of 3 requests each", n)
	}
	expectStats(t, p, map[string]uint64{"http.in.downstream_cx_max_requests_reached": 3, "http.in.downstream_cx_drain_close": 0})
}

func TestMaxConnectionDuration(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	s.HTTP().MaxConnectionDuration = time.Minute
	p := s.Start(t)
	c := p.Dial()
	c.Get("/")
	p.Advance(time.Minute)
	if resp := c.Get("/"); resp.Fields.Get("connection") != "close" {
		t.Errorf("got %q", resp.Raw)
	}
	c.ExpectClosed()
}

// refusing returns an address that refuses connections: a socket has it and does not listen.
func refusing(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, address := boundSocket(t)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	return address
}

// boundSocket returns a TCP socket with an address of its own.
func boundSocket(t *testing.T) (int, netip.AddrPort) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	in := name.(*syscall.SockaddrInet4)
	return fd, netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port))
}

// blackHole returns an address that does not answer: nobody accepts there, and the queue is full.
func blackHole(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, address := boundSocket(t)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return address
}

func TestConnectRefused(t *testing.T) {
	p := harness.NewSetup(refusing(t)).Start(t)
	c := p.Dial()
	for range 2 {
		resp := c.Get("/")
		if resp.Status != 503 || resp.Body != "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure" {
			t.Errorf("got %q", resp.Raw)
		}
		if o := p.Outcome(); o.String() != "503 UF upstream_reset_before_response_started{remote_connection_failure}" {
			t.Errorf("outcome %v", o)
		}
	}
	if n := p.ClusterStat("upstream_cx_connect_fail"); n != 2 {
		t.Errorf("upstream_cx_connect_fail is %d", n)
	}
}

func TestConnectTimeout(t *testing.T) {
	p := harness.NewSetup(blackHole(t)).Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	p.Advance(config.DefaultConnectTimeout - justBefore)
	c.ExpectOpen()
	p.Advance(2 * justBefore)
	resp := c.ReadResponse("GET")
	if resp.Status != 503 || resp.Body != "upstream connect error or disconnect/reset before headers. reset reason: connection timeout" {
		t.Errorf("got %q", resp.Raw)
	}
	if o := p.Outcome(); o.String() != "503 UF upstream_reset_before_response_started{connection_timeout}" {
		t.Errorf("outcome %v", o)
	}
	if n := p.ClusterStat("upstream_cx_connect_timeout"); n != 1 {
		t.Errorf("upstream_cx_connect_timeout is %d", n)
	}
}

// TestRouteTimeoutWhileConnecting holds that the route's timeout covers the wait for a connection.
func TestRouteTimeoutWhileConnecting(t *testing.T) {
	s := harness.NewSetup(blackHole(t))
	s.Route(0).Forward.Timeout = time.Second
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	p.Advance(time.Second + justBefore)
	if resp := c.ReadResponse("GET"); resp.Status != 504 {
		t.Errorf("got %q", resp.Raw)
	}
}
