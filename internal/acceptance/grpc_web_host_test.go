package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestGRPCWebToHTTP1 holds that a host which speaks gRPC over HTTP/1 with trailers serves browsers, with one message after the
// other, in text and binary.
func TestGRPCWebToHTTP1(t *testing.T) {
	for _, b := range browsers {
		for _, text := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s text %v", b.name, text), func(t *testing.T) {
				origin := harness.NewOrigin(t, harness.Respond("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n"+
					chunk(unary[:3])+chunk(unary[3:]+unary)+"0\r\ngrpc-status: 0\r\nx-a: b\r\n\r\n"))
				s := harness.NewSetup(origin.Addr())
				s.Clusters[0].EnableTrailers = true
				s.HTTP().Filters = []config.HTTPFilter{{Name: "web", Config: config.GRPCWeb{}}}
				p := s.Start(t)
				body, fields := unary, []string{"content-type", webProto}
				if text {
					body, fields = text64(unary), []string{"content-type", webTextProto, "accept", webTextProto}
				}
				answer := b.call(p, body, fields...)
				if text {
					answer.body = read64(t, answer.body)
				}
				if want := unary + unary + webFrame(trailersFlag, "grpc-status:0\r\nx-a:b\r\n"); answer.status != 200 || !answer.whole || answer.body != want {
					t.Errorf("got %+v, want %q", answer, want)
				}
				got := origin.Requests()[0]
				if got.Body != unary || got.Fields.Get("content-type") != "application/grpc" || got.Fields.Get("te") != "trailers" ||
					got.Fields.Get("transfer-encoding") != "chunked" || got.Fields.Has("content-length") {
					t.Errorf("the host got %q", got.Raw)
				}
			})
		}
	}
}

// TestGRPCWebCancelled holds that a browser which leaves in the middle of a stream ends the call at its host.
func TestGRPCWebCancelled(t *testing.T) {
	host := func(p *harness.H2Peer) {
		head, _ := p.ReadHead()
		p.Headers(head.StreamID, false, ":status", "200", "content-type", "application/grpc")
		p.Data(head.StreamID, false, unary)
		p.Drain()
	}
	t.Run("HTTP/2", func(t *testing.T) {
		origin := harness.NewH2Origin(t, host)
		c := grpcWebSetup(origin).Start(t).DialH2()
		id := c.Post("/s.S/M", unary, "content-type", webProto)
		expectMessage(t, c, id, unary)
		c.Reset(id, http2.ErrCodeCancel)
		origin.WaitCounts("the call reset", func(n harness.H2Counts) bool { return n.Reset == 1 })
		c.RoundTrip()
	})
	t.Run("HTTP/1", func(t *testing.T) {
		origin := harness.NewH2Origin(t, host)
		c := grpcWebSetup(origin).Start(t).Dial()
		c.Send(harness.Head("POST /s.S/M", "Content-Type: "+webProto, fmt.Sprintf("Content-Length: %d", len(unary))), unary)
		c.ReadHead()
		c.Expect(chunk(unary))
		c.Reset()
		origin.WaitCounts("the call reset", func(n harness.H2Counts) bool { return n.Reset == 1 })
	})
}

// TestGRPCWebTextMessagePerFrame holds that what a browser gets of a message in base64 is whole groups at its end, whatever its
// length leaves over, so that it can be read before the next one comes.
func TestGRPCWebTextMessagePerFrame(t *testing.T) {
	origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
		head, _ := p.ReadHead()
		p.Headers(head.StreamID, false, ":status", "200", "content-type", "application/grpc")
		for n := range 7 {
			p.Data(head.StreamID, false, webFrame(0, strings.Repeat("x", n)))
		}
		p.Headers(head.StreamID, true, "grpc-status", "0")
		p.Drain()
	})
	c := grpcWebSetup(origin).Start(t).DialH2()
	var want []string
	for n := range 7 {
		want = append(want, webFrame(0, strings.Repeat("x", n)))
	}
	want = append(want, webFrame(trailersFlag, "grpc-status:0\r\n"))
	if r := c.Response(c.Post("/s.S/M", unary, "content-type", webProto, "accept", webTextProto)); r.Body != text64(want...) {
		t.Errorf("got %q, want %q", r.Body, text64(want...))
	}
}
