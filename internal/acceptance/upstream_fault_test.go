package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// hang keeps a connection open until the proxy closes it.
func hang(p *harness.Peer) { p.UntilClosed() }

func closeNow(p *harness.Peer) { p.Close() }

func reset(p *harness.Peer) { p.Reset() }

// protocolError is the body of the answer to a response that is none.
const protocolError = "upstream connect error or disconnect/reset before headers. reset reason: protocol error"

// badHeads are responses that must become a 502 (rows 66 to 69).
var badHeads = []struct{ row, response string }{
	{"66 no status line", "GARBAGE\r\n\r\n"},
	{"66 lower case version", "http/1.1 200 OK\r\n\r\n"},
	{"66 version 2", "HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n"},
	{"66 two spaces", "HTTP/1.1  200 OK\r\ncontent-length: 0\r\n\r\n"},
	{"66 status of two digits", "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n"},
	{"66 status of four digits", "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n"},
	{"66 status 600", "HTTP/1.1 600 X\r\ncontent-length: 0\r\n\r\n"},
	{"66 status 099", "HTTP/1.1 099 X\r\ncontent-length: 0\r\n\r\n"},
	{"66 control character in the reason", "HTTP/1.1 200 O\x01K\r\ncontent-length: 0\r\n\r\n"},
	{"66 bare LF after the status line", "HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n"},
	{"66 bare LF after a field", "HTTP/1.1 200 OK\r\ncontent-length: 0\nx: y\r\n\r\n"},
	{"66 bare CR in a field", "HTTP/1.1 200 OK\r\nx: y\rz\r\ncontent-length: 0\r\n\r\n"},
	{"66 NUL in a field", "HTTP/1.1 200 OK\r\nx: y\x00z\r\ncontent-length: 0\r\n\r\n"},
	{"66 space in a name", "HTTP/1.1 200 OK\r\nx y: z\r\ncontent-length: 0\r\n\r\n"},
	{"66 empty name", "HTTP/1.1 200 OK\r\n: z\r\ncontent-length: 0\r\n\r\n"},
	{"66 folded", "HTTP/1.1 200 OK\r\nx: y\r\n z\r\ncontent-length: 0\r\n\r\n"},
	{"66 two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\nhello"},
	{"66 list of lengths", "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello"},
	{"66 negative length", "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello"},
	{"66 length and chunked", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"66 unknown encoding", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
	{"66 encoding chunked twice", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"66 chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"67 a thousand early hints", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000) + harness.OK("late")},
	{"67 101 nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"},
	{"67 101 without upgrade field", "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
	{"68 header of 10 MB", "HTTP/1.1 200 OK\r\nx: " + strings.Repeat("y", 10<<20) + "\r\n\r\n"},
	{"68 a million bytes of fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("x: y\r\n", 1<<18) + "\r\n"},
	{"68 endless status line", "HTTP/1.1 200 " + strings.Repeat("K", 1<<20)},
	{"69 length on a 204", "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello"},
	{"69 chunked 204", "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
}

// TestBadResponseHeads holds that a response that is none becomes a 502, and that its connection is never used again: the
// next request gets its own answer on another one.
func TestBadResponseHeads(t *testing.T) {
	for _, test := range badHeads {
		t.Run(test.row, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.InTurn(harness.Then(test.response, hang), harness.Respond(harness.OK("own"))))
			p := harness.NewSetup(origin.Addr()).Start(t)
			c := p.Dial()
			c.Send(harness.Get("/"))
			resp := c.ReadResponse("GET")
			for resp.Status == 103 {
				resp = c.ReadResponse("GET")
			}
			if resp.Status != 502 || resp.Body != protocolError {
				t.Fatalf("got %q", resp.Raw)
			}
			if o := p.Outcome(); o.String() != "502 UPE upstream_reset_before_response_started{protocol_error}" {
				t.Errorf("outcome %v", o)
			}
			if resp := c.Get("/"); resp.Body != "own" {
				t.Errorf("the next request got %q", resp.Raw)
			}
			origin.WaitEnded(0)
			if n := p.ClusterStat("upstream_cx_protocol_error"); n != 1 {
				t.Errorf("upstream_cx_protocol_error is %d, want 1", n)
			}
			p.Canary(1)
		})
	}
}

// truncations are responses that break off, and all that the client may see of them (rows 63 and 68).
var truncations = []struct {
	row, response string
	end           func(*harness.Peer)
	body          string
	flags         string
}{
	{"63 length, closed", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello", closeNow, "hello", "UC"},
	{"63 length, nothing of the body", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", closeNow, "", "UC"},
	{"63 length, all but a byte", "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello", closeNow, "hello", "UC"},
	{"63 chunked, closed in a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello", closeNow, "hello", "UC"},
	{"63 chunked, closed between chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", closeNow, "hello", "UC"},
	{"63 chunked, closed before the last CRLF", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", closeNow, "hello", "UC"},
	{"63 bad chunk size", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n", hang, "hello", "UPE"},
	{"63 spilled chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n", hang, "hello", "UPE"},
	{"68 100,000 trailers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + strings.Repeat("x: y\r\n", 100000) + "\r\n", hang, "hello", "UPE"},
}

// TestTruncatedResponses holds that a response that broke off never looks whole to the client.
func TestTruncatedResponses(t *testing.T) {
	for _, test := range truncations {
		for _, version := range []string{"1.1", "1.0"} {
			t.Run(test.row+" HTTP/"+version, func(t *testing.T) {
				origin := harness.NewOrigin(t, harness.InTurn(harness.Then(test.response, test.end), harness.Respond(harness.OK("own"))))
				s := harness.NewSetup(origin.Addr())
				s.HTTP().AcceptHTTP10 = true
				p := s.Start(t)
				c := p.Dial()
				c.Send("GET / HTTP/" + version + "\r\nHost: a\r\n\r\n")
				resp, err := c.TryResponse("GET")
				if err == nil {
					t.Fatalf("got a whole response: %q", resp.Raw)
				}
				// A reset, which breaks off a body without length, may overtake what was sent before.
				if resp.Body != test.body && version == "1.1" || !strings.HasPrefix(test.body, resp.Body) {
					t.Errorf("got the body %q, want %q", resp.Body, test.body)
				}
				if o := p.Outcome(); o.Status != 200 || o.Flags != test.flags || !strings.HasPrefix(o.Details, "upstream_reset_after_response_started{") {
					t.Errorf("outcome %+v", o)
				}
				if resp := p.Dial().Get("/"); resp.Body != "own" {
					t.Errorf("the next client got %q", resp.Raw)
				}
			})
		}
	}
}

// TestResetResponse is TestTruncatedResponses for an origin that resets the connection, which may overtake what it wrote
// before.
func TestResetResponse(t *testing.T) {
	for _, head := range []string{"content-length: 100", "transfer-encoding: chunked", "connection: close"} {
		t.Run(head, func(t *testing.T) {
			seen := make(chan struct{})
			origin := harness.NewOrigin(t, func(p *harness.Peer) {
				_, _ = p.ReadRequest()
				p.Write("HTTP/1.1 200 OK\r\n" + head + "\r\n\r\n5\r\nhello\r\n")
				p.Wait(seen)
				p.Reset()
			})
			p := harness.NewSetup(origin.Addr()).Start(t)
			c := p.Dial()
			c.Send(harness.Get("/"))
			c.Await("HTTP/1.1 200 OK\r\n")
			close(seen)
			if resp, err := c.TryResponse("GET"); err == nil {
				t.Fatalf("got a whole response: %q", resp.Raw)
			}
			if o := p.Outcome(); o.Flags != "UC" {
				t.Errorf("outcome %+v", o)
			}
		})
	}
}

// TestUpstreamEndsBeforeResponse holds that a connection which ends before there was a response makes a 503.
func TestUpstreamEndsBeforeResponse(t *testing.T) {
	for name, script := range map[string]func(*harness.Peer){
		"closed":           harness.Then("", closeNow),
		"reset":            harness.Then("", reset),
		"half a head":      harness.Then("HTTP/1.1 200 OK\r\ncontent-le", closeNow),
		"after a 103":      harness.Then("HTTP/1.1 103 Early Hints\r\n\r\n", closeNow),
		"closed at accept": closeNow,
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewOrigin(t, script)
			p := harness.NewSetup(origin.Addr()).Start(t)
			c := p.Dial()
			resp := c.Get("/")
			if resp.Status == 103 {
				resp = c.ReadResponse("GET")
			}
			want := "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
			if resp.Status != 503 || resp.Body != want {
				t.Fatalf("got %q", resp.Raw)
			}
			if o := p.Outcome(); o.String() != "503 UC upstream_reset_before_response_started{connection_termination}" {
				t.Errorf("outcome %v", o)
			}
			if n := origin.Connections(); n != 1 {
				t.Errorf("%d connections, want 1: nothing was to be tried again", n)
			}
		})
	}
}

// TestExtraBytes holds that a connection on which more came than was asked for is not used again, whenever the rest comes
// (rows 64, 65 and 69).
func TestExtraBytes(t *testing.T) {
	const poison = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
	for _, test := range []struct {
		row, method, response string
		status                int
	}{
		{"64 second response", "GET", harness.OK("mine") + poison, 200},
		{"64 a byte too many", "GET", harness.OK("mine") + "x", 200},
		{"64 after the last chunk", "GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nmine\r\n0\r\n\r\n" + poison, 200},
		{"69 body on HEAD", "HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 49\r\n\r\n" + poison, 200},
		{"69 chunked body on HEAD", "HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + poison, 200},
		{"69 body on 204", "GET", "HTTP/1.1 204 No Content\r\n\r\n" + poison, 204},
		{"69 body on 304", "GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 49\r\n\r\n" + poison, 304},
		{"67 1xx after the final response", "GET", harness.OK("mine") + "HTTP/1.1 103 Early Hints\r\n\r\n", 200},
	} {
		t.Run(test.row, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.InTurn(harness.Then(test.response, hang), harness.Respond(harness.OK("own"))))
			p := harness.NewSetup(origin.Addr()).Start(t)
			c := p.Dial()
			c.Send(harness.Head(test.method + " /"))
			resp := c.ReadResponse(test.method)
			if want := map[bool]string{true: "mine", false: ""}[test.status == 200 && test.method == "GET"]; resp.Status != test.status || resp.Body != want {
				t.Fatalf("got %q", resp.Raw)
			}
			c.ExpectOpen()
			if resp := p.Dial().Get("/"); resp.Body != "own" {
				t.Errorf("the next client got %q", resp.Raw)
			}
			if resp := c.Get("/"); resp.Body != "own" {
				t.Errorf("the same client got %q", resp.Raw)
			}
			origin.WaitEnded(0)
		})
	}
}

// TestUnsolicitedResponse holds that an idle connection on which something comes is closed before anybody gets it (row 65).
func TestUnsolicitedResponse(t *testing.T) {
	for _, poison := range []string{harness.OK("poison"), "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "x"} {
		t.Run(fmt.Sprintf("%.20q", poison), func(t *testing.T) {
			idle := make(chan struct{})
			origin := harness.NewOrigin(t, harness.InTurn(func(p *harness.Peer) {
				_, _ = p.ReadRequest()
				p.Write(harness.OK("mine"))
				p.Wait(idle)
				p.Write(poison)
				p.UntilClosed()
			}, harness.Respond(harness.OK("own"))))
			p := harness.NewSetup(origin.Addr()).Start(t)
			c := p.Dial()
			if resp := c.Get("/"); resp.Body != "mine" {
				t.Fatalf("got %q", resp.Raw)
			}
			p.Sync()
			close(idle)
			origin.WaitEnded(0)
			if resp := c.Get("/"); resp.Body != "own" {
				t.Errorf("got %q", resp.Raw)
			}
			if n := p.ClusterStat("upstream_cx_protocol_error"); n != 1 {
				t.Errorf("upstream_cx_protocol_error is %d, want 1", n)
			}
		})
	}
}

// TestEarlyResponse holds that a response that comes before the request body has ended does not leave the rest of the body
// to be taken for a request by anybody (row 14).
func TestEarlyResponse(t *testing.T) {
	origin := harness.NewOrigin(t, harness.InTurn(func(p *harness.Peer) {
		_, _ = p.ReadHead()
		p.Write(harness.OK("early"))
		p.UntilClosed()
	}, harness.Echo))
	p := harness.NewSetup(origin.Addr()).Start(t)
	c := p.Dial()
	c.Send(harness.Head("POST /", "Content-Length: 100"))
	if resp := c.ReadResponse("POST"); resp.Body != "early" {
		t.Fatalf("got %q", resp.Raw)
	}
	origin.WaitEnded(0)
	_ = c.Write(smuggled) // it may find the connection closed
	c.ExpectClosed()
	if resp := p.Dial().Get("/own"); resp.Body != "GET /own " {
		t.Errorf("the next client got %q", resp.Raw)
	}
	for _, bytes := range origin.Captured() {
		if strings.Contains(bytes, "GET /smuggled HTTP/1.1\r\nhost:") {
			t.Errorf("the rest of the body became a request: %q", bytes)
		}
	}
}
