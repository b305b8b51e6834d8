package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

func TestKeepAlive(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	p := harness.NewSetup(origin.Addr()).Start(t)
	c := p.Dial()
	for i := range 50 {
		path := fmt.Sprintf("/%d", i)
		resp := c.Get(path)
		if want := "GET " + path + " "; resp.Body != want || resp.Fields.Has("connection") {
			t.Fatalf("got %q", resp.Raw)
		}
	}
	c.ExpectOpen()
	if n := origin.Connections(); n != 1 {
		t.Errorf("%d connections to the origin, want 1", n)
	}
	if n := p.ClusterStat("upstream_cx_total"); n != 1 {
		t.Errorf("upstream_cx_total is %d, want 1", n)
	}
	if n := p.HTTPStat("downstream_rq_2xx"); n != 50 {
		t.Errorf("downstream_rq_2xx is %d, want 50", n)
	}
}

// TestPipelining holds that requests sent ahead are answered in order, one at a time, also when bad ones come last.
func TestPipelining(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	p := harness.NewSetup(origin.Addr()).Start(t)
	input := harness.Get("/1") + harness.Head("POST /2", "Content-Length: 3") + "two" + chunkedPost("/3", "three") + harness.Head("HEAD /4") + harness.Get("/5")
	for _, last := range []struct {
		input  string
		status int
	}{{"", 0}, {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400}, {harness.Get("/6", "Connection: close"), 200}} {
		p.EachSplit(input+last.input, 1, func(how string, c *harness.Client) {
			for _, want := range []string{"GET /1 ", "POST /2 two", "POST /3 three", "", "GET /5 "} {
				method := "GET"
				if want == "" {
					method = "HEAD"
				}
				if resp := c.ReadResponse(method); resp.Status != 200 || resp.Body != want {
					t.Fatalf("%s: got %q, want the body %q", how, resp.Raw, want)
				}
			}
			if last.status == 0 {
				c.ExpectOpen()
				return
			}
			if resp := c.ReadResponse("GET"); resp.Status != last.status || resp.Fields.Get("connection") != "close" {
				t.Fatalf("%s: got %q, want status %d", how, resp.Raw, last.status)
			}
			c.ExpectClosed()
		})
	}
	origin.Requests()
}

// chunkedPost is a POST with the body in one chunk.
func chunkedPost(path, body string) string {
	return harness.Head("POST "+path, "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
}

// TestManyPipelined sends 10,000 requests that the proxy answers itself, and reads nothing (row 20). The proxy must stop
// taking requests when the answers pile up; later all are there, in order, and the bad request at the end is answered last.
func TestManyPipelined(t *testing.T) {
	const (
		requests = 10000
		// held is what the kernel and the proxy may hold of the answers: the socket's buffers (tcp_wmem and tcp_rmem end
		// at 4 and 6 MiB) and the listener's limit, twice, since a request in progress may exceed it.
		held = 12 << 20
	)
	body := strings.Repeat("x", 4096)
	s := harness.NewSetup()
	answer := harness.Direct("/", 200, body)
	answer.ResponseAdd = []config.HeaderValue{{Name: "x-n", Value: "%REQ(x-n)%"}}
	s.SetRoutes(answer)
	p := s.Start(t)
	c := p.Dial(harness.ReceiveBuffer(4096))
	var input strings.Builder
	for i := range requests {
		input.WriteString(harness.Get("/", fmt.Sprintf("X-N: %d", i)))
	}
	input.WriteString("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
	written := make(chan error, 1)
	go func() { written <- c.Write(input.String()) }()
	answered := untilCalm(p, "downstream_rq_2xx")
	if answered*uint64(len(body)) > held {
		t.Errorf("the proxy has answered %d requests, nobody reads the answers", answered)
	}
	p.Canary(10)
	for i := range requests {
		resp := c.ReadResponse("GET")
		if resp.Status != 200 || resp.Fields.Get("x-n") != fmt.Sprint(i) || resp.Body != body {
			t.Fatalf("answer %d: %q", i, resp.Raw)
		}
	}
	if resp := c.ReadResponse("GET"); resp.Status != 400 {
		t.Errorf("got %q", resp.Raw)
	}
	c.ExpectClosed()
	if err := <-written; err != nil {
		t.Errorf("write: %v", err)
	}
}

// TestResponseTrailers holds that trailers pass where both sides enable them, and only there.
func TestResponseTrailers(t *testing.T) {
	for _, test := range []struct {
		listener, cluster bool
		want              string
	}{{false, false, ""}, {true, false, ""}, {false, true, ""}, {true, true, "1"}} {
		t.Run(fmt.Sprint(test.listener, test.cluster), func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Respond("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;ext\r\nabc\r\n0\r\nX-T: 1\r\nContent-Length: 7\r\n\r\n"))
			s := harness.NewSetup(origin.Addr())
			s.HTTP().EnableTrailers, s.Clusters[0].EnableTrailers = test.listener, test.cluster
			p := s.Start(t)
			c := p.Dial()
			for range 2 {
				resp := c.Get("/")
				if resp.Body != "abc" || resp.Trailers.Get("x-t") != test.want || resp.Trailers.Has("content-length") {
					t.Errorf("got %q", resp.Raw)
				}
			}
			if n := origin.Connections(); n != 1 {
				t.Errorf("%d connections to the origin, want 1", n)
			}
		})
	}
}

// TestExpectContinue holds that the proxy answers the expectation itself and keeps it from the origin.
func TestExpectContinue(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	p := harness.NewSetup(origin.Addr()).Start(t)
	c := p.Dial()
	for range 2 {
		c.Send(harness.Head("POST /", "Content-Length: 5", "Expect: 100-continue"))
		c.Expect("HTTP/1.1 100 Continue\r\n\r\n")
		c.Send("hello")
		if resp := c.ReadResponse("POST"); resp.Body != "POST / hello" {
			t.Fatalf("got %q", resp.Raw)
		}
	}
	// A client that does not wait is not told to go on.
	c.Send(harness.Head("POST /", "Content-Length: 5", "Expect: 100-Continue") + "hello")
	c.Expect("HTTP/1.1 200 OK\r\n")
	for _, req := range origin.Requests() {
		if req.Fields.Has("expect") {
			t.Errorf("the origin got %q", req.Raw)
		}
	}
}

// TestExpectContinueOfRefused holds that a request answered without its body is never asked for it.
func TestExpectContinueOfRefused(t *testing.T) {
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/", 403, "no"))
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Head("POST /", "Content-Length: 5", "Expect: 100-continue"))
	if resp := c.ReadResponse("POST"); resp.Status != 403 || resp.Fields.Get("connection") != "close" {
		t.Errorf("got %q", resp.Raw)
	}
	c.ExpectClosed()
}

// TestProxy100Continue holds that with proxy_100_continue the expectation and its answer pass through.
func TestProxy100Continue(t *testing.T) {
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		if req, ok := p.ReadHead(); !ok || req.Fields.Get("expect") != "100-continue" {
			p.Write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
			return
		}
		p.Write("HTTP/1.1 100 Continue\r\nx-from: origin\r\n\r\n")
		p.Write(harness.OK("got " + p.ReadBytes(5)))
		p.UntilClosed()
	})
	s := harness.NewSetup(origin.Addr())
	s.HTTP().Proxy100Continue = true
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Head("POST /", "Content-Length: 5", "Expect: 100-continue"))
	if resp := c.ReadResponse("POST"); resp.Status != 100 || resp.Fields.Get("x-from") != "origin" {
		t.Fatalf("got %q", resp.Raw)
	}
	c.Send("hello")
	if resp := c.ReadResponse("POST"); resp.Body != "got hello" {
		t.Errorf("got %q", resp.Raw)
	}
}

// TestInformational holds that early hints reach clients of HTTP/1.1, and only them (RFC 9110 section 15.2).
func TestInformational(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Respond("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"+harness.OK("x")))
	s := harness.NewSetup(origin.Addr())
	s.HTTP().AcceptHTTP10 = true
	p := s.Start(t)
	c := p.Dial()
	if resp := c.Get("/"); resp.Status != 103 || resp.Fields.Get("link") != "</a>" {
		t.Errorf("got %q", resp.Raw)
	}
	if resp := c.ReadResponse("GET"); resp.Status != 200 || resp.Body != "x" {
		t.Errorf("got %q", resp.Raw)
	}
	c = p.Dial()
	c.Send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
	if resp := c.ReadResponse("GET"); resp.Status != 200 || resp.Body != "x" {
		t.Errorf("HTTP/1.0: got %q", resp.Raw)
	}
}

// TestBodylessResponses holds that responses without a body keep the length they declare and the connection.
func TestBodylessResponses(t *testing.T) {
	for _, test := range []struct{ method, response, length string }{
		{"HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", "1000"},
		{"HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", ""},
		{"HEAD", "HTTP/1.1 200 OK\r\n\r\n", ""},
		{"GET", "HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n", "1000"},
		{"GET", "HTTP/1.1 304 Not Modified\r\n\r\n", ""},
		{"GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "0"},
	} {
		t.Run(fmt.Sprintf("%s %.12q %s", test.method, test.response[9:], test.length), func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Respond(test.response))
			p := harness.NewSetup(origin.Addr()).Start(t)
			c := p.Dial()
			for range 3 {
				c.Send(harness.Head(test.method + " /"))
				if resp := c.ReadResponse(test.method); resp.Fields.Get("content-length") != test.length || resp.Body != "" || resp.Fields.Has("connection") {
					t.Fatalf("got %q", resp.Raw)
				}
			}
			c.ExpectOpen()
			if n := origin.Connections(); n != 1 {
				t.Errorf("%d connections to the origin, want 1", n)
			}
		})
	}
}

func TestHTTP10(t *testing.T) {
	origin := harness.NewOrigin(t, harness.InTurn(harness.Respond("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")))
	length := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	s.Clusters = append(s.Clusters, harness.Cluster("length", length.Addr()))
	s.SetRoutes(harness.Forward("/length", "length"), harness.Forward("/", harness.ClusterName))
	s.HTTP().AcceptHTTP10 = true
	s.HTTP().DefaultHostForHTTP10 = "fallback"
	p := s.Start(t)

	c := p.Dial()
	c.Send("GET / HTTP/1.0\r\n\r\n")
	resp := c.ReadResponse("GET")
	if resp.Version != "HTTP/1.0" || !resp.CloseDelimited || resp.Body != "hello" || resp.Fields.Get("connection") != "close" {
		t.Errorf("body without length: got %q", resp.Raw)
	}
	if host := origin.Requests()[0].Fields.Get("host"); host != "fallback" {
		t.Errorf("host is %q", host)
	}

	c = p.Dial()
	for range 3 {
		c.Send("GET /length HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
		if resp := c.ReadResponse("GET"); resp.Version != "HTTP/1.0" || resp.Body != "GET /length " || resp.Fields.Get("connection") != "keep-alive" {
			t.Errorf("keep-alive: got %q", resp.Raw)
		}
	}
	c.Send("GET /length HTTP/1.0\r\nHost: a\r\n\r\n")
	if resp := c.ReadResponse("GET"); resp.Fields.Get("connection") != "close" {
		t.Errorf("last: got %q", resp.Raw)
	}
	c.ExpectClosed()
}

func TestHTTP10Refused(t *testing.T) {
	p := harness.NewSetup().Start(t)
	c := p.Dial()
	c.Send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
	resp := c.ReadResponse("GET")
	if resp.Status != 426 || resp.Fields.Get("connection") != "close" {
		t.Errorf("got %q", resp.Raw)
	}
	c.ExpectClosed()
	if o := p.Outcome(); o.Details != "low_version" {
		t.Errorf("outcome %v", o)
	}
}

// TestCloseDelimitedResponse holds that a body that ends with the origin's connection is chunked for the client, whose
// connection stays.
func TestCloseDelimitedResponse(t *testing.T) {
	for _, head := range []string{"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"} {
		origin := harness.NewOrigin(t, harness.Then(head+"hello", closeNow))
		p := harness.NewSetup(origin.Addr()).Start(t)
		c := p.Dial()
		for range 2 {
			if resp := c.Get("/"); resp.Body != "hello" || resp.Fields.Get("transfer-encoding") != "chunked" || resp.Fields.Has("connection") {
				t.Errorf("got %q", resp.Raw)
			}
		}
		if n := origin.Connections(); n != 2 {
			t.Errorf("%d connections to the origin, want 2", n)
		}
	}
}

// TestClientAsksToClose holds that the connection ends after the response, and the whole of it was sent before, even if
// the client takes it slowly.
func TestClientAsksToClose(t *testing.T) {
	// More than the kernel holds and less than the proxy gathers: the exchange is over before the client has read a byte.
	const limit = 16 << 20
	body := strings.Repeat("0123456789abcdef", limit*3/4/16)
	origin := harness.NewOrigin(t, harness.Respond(harness.OK(body)))
	s := harness.NewSetup(origin.Addr())
	s.Listener.BufferLimit = limit
	p := s.Start(t)
	for _, request := range []string{harness.Get("/", "Connection: close"), harness.Head("POST /", "Connection: close", "Content-Length: 2") + "hi"} {
		c := p.Dial(harness.ReceiveBuffer(4096))
		c.Send(request)
		p.Outcome()
		p.Advance(config.DefaultDelayedClose / 2)
		c.Skip(len(body) / 2) // its time begins anew
		p.Advance(config.DefaultDelayedClose * 3 / 4)
		all := c.ReadAll()
		if !strings.HasSuffix(body, all[len(all)-100:]) || len(all) < len(body)/2 {
			t.Errorf("the response breaks off %d bytes early", len(body)-len(body)/2-len(all))
		}
	}
}

const (
	// calm is how many looks in a row must find nothing new before a proxy is taken to wait for its peers.
	calm = 100
	// calmPause is between two looks. The peers of the test, and the kernel's timers, of which that for a closed window runs for 200 ms,
	// have to get on meanwhile: looks that follow each other at once are over before them.
	calmPause = 3 * time.Millisecond
)

// rest waits until the proxy waits for its peers, and they for it.
func rest(p *harness.Proxy) {
	for range calm {
		p.Sync()
		time.Sleep(calmPause)
	}
}

// untilCalm waits until a statistic of the connection manager has stopped changing, and returns it.
func untilCalm(p *harness.Proxy, stat string) uint64 {
	last := uint64(0)
	for looks := 0; looks < calm; looks++ {
		p.Sync()
		time.Sleep(calmPause)
		if now := p.HTTPStat(stat); now != last {
			last, looks = now, 0
		}
	}
	return last
}
