package acceptance

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// message returns message number i of a call.
func message(i int) string { return fmt.Sprintf("\x00\x00\x00\x00\x06msg%03d", i) }

// dialogueLength is how many messages go each way in a dialogue.
const dialogueLength = 50

// grpcDialogue is a host that answers each message with one of its own before it reads the next, and ends the call with
// trailers when the client has.
func grpcDialogue(t *testing.T) func(*harness.H2Peer) {
	return func(p *harness.H2Peer) {
		head, ok := p.ReadHead()
		if !ok {
			return
		}
		p.Headers(head.StreamID, false, ":status", "200", "content-type", "application/grpc")
		for i := 0; ; i++ {
			f := p.WaitFrame("a message", ofStream(head.StreamID, http2.FrameData))
			if f.EndStream() {
				break
			}
			if string(f.Payload) != message(i) {
				t.Errorf("message %d is %q", i, f.Payload)
			}
			p.Data(head.StreamID, false, message(i))
		}
		p.Headers(head.StreamID, true, "grpc-status", "0", "x-messages", "all")
		p.Drain()
	}
}

// ofStream matches frames of a type on a stream.
func ofStream(id uint32, kind http2.FrameType) func(*harness.H2Frame) bool {
	return func(f *harness.H2Frame) bool { return f.StreamID == id && f.Type == kind }
}

// expectMessage waits for the next DATA frame on a stream, which must be a message.
func expectMessage(t *testing.T, c *harness.H2Client, id uint32, want string) {
	t.Helper()
	if f := c.WaitFrame("a message", ofStream(id, http2.FrameData)); string(f.Payload) != want || f.EndStream() {
		t.Fatalf("got %v, want %q", f, want)
	}
}

// TestGRPCDialogue holds that nothing is held back in either direction: neither side sends a message before it has the answer
// to the one before.
func TestGRPCDialogue(t *testing.T) {
	p := h2Setup(harness.NewH2Origin(t, grpcDialogue(t))).Start(t)
	c := p.DialH2()
	id := c.Request(false, grpcCall()...)
	c.WaitFrame("the head of the response", ofStream(id, http2.FrameHeaders))
	for i := range dialogueLength {
		c.Data(id, false, message(i))
		expectMessage(t, c, id, message(i))
	}
	c.Data(id, true, "")
	if r := c.Response(id); r.Body != "" || r.Trailers.Get("grpc-status") != "0" || r.Trailers.Get("x-messages") != "all" {
		t.Errorf("the call ended with %v", r)
	}
	c.ExpectIdle()
	if o := p.Outcome(); o.String() != "200 - via_upstream" || o.BytesReceived != int64(dialogueLength*len(message(0))) || o.BytesReceived != o.BytesSent {
		t.Errorf("outcome %+v", o)
	}
}

// TestGRPCDialogueOverHTTP1 holds the same where a host, or a client, speaks HTTP/1 with chunked bodies both ways at once.
func TestGRPCDialogueOverHTTP1(t *testing.T) {
	t.Run("host", func(t *testing.T) {
		origin := harness.NewOrigin(t, func(p *harness.Peer) {
			if _, ok := p.ReadHead(); !ok {
				return
			}
			p.Write("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n")
			for i := range dialogueLength {
				if got := p.ReadBytes(len(chunk(message(i)))); got != chunk(message(i)) {
					t.Errorf("message %d is %q", i, got)
				}
				p.Write(chunk(message(i)))
			}
			p.ReadBytes(len(lastChunk))
			p.Write("0\r\ngrpc-status: 0\r\n\r\n")
			p.UntilClosed()
		})
		s := harness.NewSetup(origin.Addr())
		s.Clusters[0].EnableTrailers = true
		c := s.Start(t).DialH2()
		id := c.Request(false, grpcCall()...)
		for i := range dialogueLength {
			c.Data(id, false, message(i))
			expectMessage(t, c, id, message(i))
		}
		c.Data(id, true, "")
		if r := c.Response(id); r.Status != 200 || r.Trailers.Get("grpc-status") != "0" || !r.EndStream {
			t.Errorf("got %v", r)
		}
	})
	t.Run("client", func(t *testing.T) {
		s := h2Setup(harness.NewH2Origin(t, grpcDialogue(t)))
		s.HTTP().EnableTrailers = true
		c := s.Start(t).Dial()
		c.Send(harness.Head("POST /s.S/M", "Content-Type: application/grpc", "TE: trailers", "Transfer-Encoding: chunked"))
		c.Send(chunk(message(0)))
		head := c.ReadHead()
		if !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n") {
			t.Fatalf("got %q", head)
		}
		c.Expect(chunk(message(0)))
		for i := 1; i < dialogueLength; i++ {
			c.Send(chunk(message(i)))
			c.Expect(chunk(message(i)))
		}
		c.Send(lastChunk)
		c.Expect("0\r\ngrpc-status: 0\r\nx-messages: all\r\n\r\n")
		c.ExpectOpen()
	})
}

// chunk returns data as a chunk, and lastChunk ends a chunked body without trailers.
func chunk(data string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(data), data) }

const lastChunk = "0\r\n\r\n"

// TestTrailersOnly holds that a call which the host answers with trailers and nothing else arrives so, in one frame.
func TestTrailersOnly(t *testing.T) {
	origin := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		p.Headers(r.StreamID, true, ":status", "200", "content-type", "application/grpc", "grpc-status", "5", "grpc-message", "no%20such")
	}))
	c := h2Setup(origin).Start(t).DialH2()
	id := c.Post("/s.S/M", unary, "content-type", "application/grpc")
	if fields := expectTrailersOnly(t, c, id); fields.Get("grpc-status") != "5" || fields.Get("grpc-message") != "no%20such" {
		t.Errorf("got %q", fields)
	}
	c.ExpectIdle()
}

// TestTrailersAcrossProtocols holds that trailers survive two proxies with HTTP/1 between them, both ways, where trailers are
// enabled in HTTP/1, and do not where they are not.
func TestTrailersAcrossProtocols(t *testing.T) {
	for _, test := range []struct {
		enabled bool
		status  string
		request string
	}{{true, "0", "1"}, {false, "", ""}} {
		t.Run(fmt.Sprint(test.enabled), func(t *testing.T) {
			origin := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
				answer := harness.H2Response{Status: 200, Fields: harness.Fields{{Name: "content-type", Value: "application/grpc"}}, Body: r.Body,
					Trailers: harness.Fields{{Name: "grpc-status", Value: "0"}, {Name: "x-bin", Value: "aGk="}}}
				p.Respond(r.StreamID, answer)
			}))
			second := h2Setup(origin)
			second.HTTP().EnableTrailers = test.enabled
			first := harness.NewSetup(netip.MustParseAddrPort(second.Start(t).Address()))
			first.Clusters[0].EnableTrailers = test.enabled
			c := first.Start(t).DialH2()
			id := c.Request(false, grpcCall()...)
			c.SendBody(id, unary, "x-request-trailer", "1")
			r := c.Response(id)
			if r.Status != 200 || r.Body != unary || !r.EndStream || r.Trailers.Get("grpc-status") != test.status || len(r.Trailers) > 2 {
				t.Errorf("got %v", r)
			}
			got := origin.Requests()[0]
			if got.Body != unary || got.Trailers.Get("x-request-trailer") != test.request || got.Fields.Get("te") != "trailers" {
				t.Errorf("the host got %+v", got)
			}
		})
	}
}

// TestTE holds that a host is told of a client that takes trailers, and of no other transfer coding.
func TestTE(t *testing.T) {
	origin := harness.NewH2Origin(t, harness.H2Echo)
	p := h2Setup(origin).Start(t)
	c := p.DialH2()
	c.Response(c.Get("/", "te", "trailers"))
	c.Response(c.Get("/"))
	one := p.Dial()
	for _, te := range []string{"trailers", "Trailers", "gzip, trailers", "gzip", ""} {
		one.Get("/", "TE: "+te, "Connection: TE")
		one.Get("/", "TE: "+te)
	}
	want := []string{"trailers", "", "trailers", "trailers", "trailers", "trailers", "trailers", "trailers", "", "", "", ""}
	for i, r := range origin.Requests() {
		if got := r.Fields.Get("te"); got != want[i] {
			t.Errorf("request %d has te %q, want %q", i, got, want[i])
		}
	}
}

// TestCallsGivenUp counts the calls that are reset at their host because nobody wants the rest.
func TestCallsGivenUp(t *testing.T) {
	origin := harness.NewH2Origin(t, harness.H2Slow)
	p := h2Setup(origin).Start(t)
	c := p.DialH2()
	for n := range 3 {
		id := c.Request(n == 0, grpcCall()...)
		origin.WaitCounts("the call at the host", func(have harness.H2Counts) bool { return have.Started == n+1 })
		c.Reset(id, http2.ErrCodeCancel)
		origin.WaitCounts("the call reset", func(have harness.H2Counts) bool { return have.Reset == n+1 })
	}
	p.Sync()
	if n := p.ClusterStat("upstream_rq_tx_reset"); n != 3 {
		t.Errorf("upstream_rq_tx_reset is %d, want 3", n)
	}
	if n := p.ClusterStat("upstream_rq_rx_reset"); n != 0 {
		t.Errorf("upstream_rq_rx_reset is %d, want 0", n)
	}
}

// TestResetByHost holds what a client gets when its host resets the call: before the response a status, after its head a
// reset.
func TestResetByHost(t *testing.T) {
	for _, test := range []struct {
		code    http2.ErrCode
		reason  string
		flag    string
		started int // attempts at the host
	}{
		{http2.ErrCodeNo, "remote reset", "UR", 1},
		{http2.ErrCodeCancel, "remote reset", "UR", 1},
		{http2.ErrCodeInternal, "remote reset", "UR", 1},
		{http2.ErrCodeEnhanceYourCalm, "remote reset", "UR", 1},
		{http2.ErrCodeRefusedStream, "remote refused stream reset", "UR", 2},
	} {
		t.Run(test.code.String(), func(t *testing.T) {
			origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
				for {
					head, ok := p.ReadHead()
					if !ok {
						return
					}
					if head.Path == "/begun" {
						p.Headers(head.StreamID, false, ":status", "200", "content-type", "application/grpc")
						p.Data(head.StreamID, false, unary)
					}
					p.Reset(head.StreamID, test.code)
				}
			})
			p := h2Setup(origin).Start(t)
			c := p.DialH2()
			fields := expectTrailersOnly(t, c, c.Request(true, grpcCall()...))
			if fields.Get("grpc-status") != "14" || fields.Get("grpc-message") != resetReason(test.reason) {
				t.Errorf("got %q", fields)
			}
			details := strings.ReplaceAll(test.reason, " ", "_")
			if o := p.Outcome(); o.String() != "200 "+test.flag+" upstream_reset_before_response_started{"+details+"}" {
				t.Errorf("outcome %v", o)
			}
			id := c.Request(true, harness.H2Head("POST", "/begun", "content-type", "application/grpc")...)
			if r := c.Response(id); r.Status != 200 || r.Body != unary || !r.Reset || r.ResetCode != http2.ErrCodeInternal {
				t.Errorf("a call that has begun got %v", r)
			}
			if o := p.Outcome(); o.String() != "200 "+test.flag+" upstream_reset_after_response_started{"+details+"}" {
				t.Errorf("outcome %v", o)
			}
			if n := origin.Counts().Started; n != test.started+1 {
				t.Errorf("%d attempts, want %d and one", n, test.started)
			}
		})
	}
}

// TestHostEndsCallEarly holds that a host may end a call whose client is still sending: the client gets all of the response,
// and is told that the rest is not wanted.
func TestHostEndsCallEarly(t *testing.T) {
	for _, resets := range []bool{false, true} {
		t.Run(fmt.Sprintf("resets %v", resets), func(t *testing.T) {
			origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
				head, _ := p.ReadHead()
				p.Batch(func() {
					p.Headers(head.StreamID, false, ":status", "200", "content-type", "application/grpc")
					p.Data(head.StreamID, false, unary)
					p.Headers(head.StreamID, true, "grpc-status", "8")
					if resets {
						p.Reset(head.StreamID, http2.ErrCodeNo)
					}
				})
				if !resets {
					p.ExpectReset(head.StreamID, http2.ErrCodeNo)
				}
				p.RoundTrip()
				harness.H2Echo(p)
			})
			p := h2Setup(origin).Start(t)
			c := p.DialH2()
			id := c.Request(false, grpcCall()...)
			c.Data(id, false, unary)
			r := c.Response(id)
			if r.Status != 200 || r.Body != unary || r.Trailers.Get("grpc-status") != "8" || r.Reset {
				t.Errorf("got %v", r)
			}
			c.ExpectReset(id, http2.ErrCodeNo)
			if o := p.Outcome(); o.String() != "200 - via_upstream" {
				t.Errorf("outcome %v", o)
			}
			if r := c.Response(c.Get("/next")); r.Body != "GET /next " {
				t.Errorf("the next request got %v", r)
			}
		})
	}
}

// TestManyDialogues holds that calls on one connection do not hold each other up.
func TestManyDialogues(t *testing.T) {
	const calls = 30
	origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
		for {
			f, err := p.TryReadFrame()
			if err != nil {
				return
			}
			switch {
			case f.Type == http2.FrameHeaders:
				p.Headers(f.StreamID, false, ":status", "200")
			case f.EndStream():
				p.Headers(f.StreamID, true, "grpc-status", "0")
			case f.Type == http2.FrameData:
				p.Data(f.StreamID, false, string(f.Payload))
			}
		}
	})
	s := h2Setup(origin)
	s.Clusters[0].HTTP2.MaxStreams = calls
	c := s.Start(t).DialH2()
	var ids []uint32
	for range calls {
		ids = append(ids, c.Request(false, grpcCall()...))
	}
	for i := range dialogueLength / 5 {
		c.Batch(func() {
			for _, id := range ids {
				c.Data(id, false, message(i))
			}
		})
		for k := range ids {
			expectMessage(t, c, ids[len(ids)-1-k], message(i))
		}
	}
	for _, id := range ids {
		c.Data(id, true, "")
		if r := c.Response(id); r.Trailers.Get("grpc-status") != "0" || r.Body != "" {
			t.Errorf("got %v", r)
		}
	}
	if n := origin.Connections(); n != 1 {
		t.Errorf("%d connections to the host, want 1", n)
	}
}
