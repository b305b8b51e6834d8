package acceptance

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestGRPCWebAnswers holds what a browser gets of answers that are not the usual one.
func TestGRPCWebAnswers(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 2048)
	plain := func(status int, body string) harness.H2Response {
		return harness.H2Response{Status: status, Fields: harness.Fields{{Name: "content-type", Value: "text/plain"}}, Body: body}
	}
	for _, test := range []struct {
		name    string
		answer  harness.H2Response
		status  int
		fields  harness.Fields // those of gRPC
		body    string
		foreign bool
	}{
		{name: "trailers-only", answer: harness.H2Response{Status: 200, Fields: harness.Fields{{Name: "content-type", Value: "application/grpc"},
			{Name: "grpc-status", Value: "7"}, {Name: "grpc-message", Value: "no"}}}, status: 200,
			fields: harness.Fields{{Name: "grpc-status", Value: "7"}, {Name: "grpc-message", Value: "no"}}},
		{name: "without trailers", answer: harness.H2Response{Status: 200, Fields: harness.Fields{{Name: "content-type", Value: "application/grpc"},
			{Name: "content-length", Value: fmt.Sprint(len(unary))}}, Body: unary}, status: 200, body: unary},
		{name: "gRPC-Web already", answer: harness.H2Response{Status: 200, Fields: harness.Fields{{Name: "content-type", Value: webProto}},
			Body: unary + grpcHostTrailers}, status: 200, body: unary + grpcHostTrailers},
		{name: "not gRPC", answer: plain(200, "hello"), status: 200, fields: harness.Fields{{Name: "grpc-status", Value: "2"}, {Name: "grpc-message", Value: "hello"}}},
		{name: "an error page", answer: plain(503, "<p>100%</p>\n"), status: 503,
			fields: harness.Fields{{Name: "grpc-status", Value: "14"}, {Name: "grpc-message", Value: "<p>100%25</p>%0A"}}},
		{name: "an error page with trailers", answer: harness.H2Response{Status: 404, Body: "none", Trailers: harness.Fields{{Name: "x", Value: "y"}}}, status: 404,
			fields: harness.Fields{{Name: "grpc-status", Value: "12"}, {Name: "grpc-message", Value: "none"}}},
		{name: "a long page", answer: plain(403, long), status: 403,
			fields: harness.Fields{{Name: "grpc-status", Value: "7"}, {Name: "grpc-message", Value: long[:16<<10]}}},
	} {
		for _, b := range browsers {
			t.Run(test.name+" "+b.name, func(t *testing.T) {
				p := grpcWebSetup(harness.NewH2Origin(t, harness.H2Respond(test.answer))).Start(t)
				got := b.call(p, unary, "content-type", webProto)
				if got.status != test.status || got.body != test.body || !got.whole || got.fields.Get("content-type") != webProto {
					t.Errorf("got %+v", got)
				}
				for _, name := range []string{"grpc-status", "grpc-message"} {
					if got.fields.Get(name) != test.fields.Get(name) {
						t.Errorf("%s is %.100q, want %.100q", name, got.fields.Get(name), test.fields.Get(name))
					}
				}
			})
		}
	}
}

// TestGRPCWebLocalReplies holds that answers of the proxy's own reach browsers in their content type and with their HTTP
// status: those with a body as gRPC statuses.
func TestGRPCWebLocalReplies(t *testing.T) {
	for _, test := range localReplies() {
		method, rest, _ := strings.Cut(test.request, " ")
		path, _, _ := strings.Cut(rest, " ")
		if method != "GET" || path != "/" || test.status < 400 || strings.HasPrefix(test.outcome, "DPE") || strings.Contains(test.name, "upgrade") {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			test.setup = withHTTP(test.setup, func(m *config.HTTPConnectionManager) {
				m.Filters = []config.HTTPFilter{{Name: "web", Config: config.GRPCWeb{}}}
			})
			p, _ := test.start(t)
			c := p.DialH2()
			id := c.Post(path, unary, "content-type", webProto)
			if test.advance > 0 {
				c.RoundTrip()
				p.Advance(test.advance)
			}
			r := c.Response(id)
			status := ""
			if test.body != "" {
				status = fmt.Sprint(cmp.Or(grpcStatus[test.status], 2))
			}
			if r.Status != test.status || r.Body != "" || !r.EndStream || r.Fields.Get("content-type") != webProto ||
				r.Fields.Get("grpc-status") != status || r.Fields.Get("grpc-message") != test.body || r.Fields.Has("grpc-message") != (status != "") {
				t.Errorf("got %v, want grpc-status %q", r, status)
			}
			if o := p.Outcome(); o.Flags+" "+o.Details != test.outcome {
				t.Errorf("outcome %v, want %s", o, test.outcome)
			}
		})
	}
}

// TestGRPCWebLarge holds that messages of many frames pass whole both ways, at the pace of a client that gives little window.
func TestGRPCWebLarge(t *testing.T) {
	var payload strings.Builder
	for i := range 1 << 18 {
		fmt.Fprintf(&payload, "%08x", i*2654435761)
	}
	large := webFrame(0, payload.String()) + webFrame(1, payload.String()[:12345])
	for _, text := range []bool{false, true} {
		t.Run(fmt.Sprintf("text %v", text), func(t *testing.T) {
			origin := harness.NewH2Origin(t, grpcHost)
			s := grpcWebSetup(origin)
			s.Listener.BufferLimit, s.Clusters[0].BufferLimit = 32<<10, 32<<10
			p := s.Start(t)
			for _, b := range browsers {
				body, fields := large, []string{"content-type", webProto}
				if text {
					body, fields = text64(large), []string{"content-type", webTextProto, "accept", webTextProto}
				}
				answer := b.call(p, body, fields...)
				if text {
					answer.body = read64(t, answer.body)
				}
				if answer.status != 200 || !answer.whole || answer.body != large+grpcHostTrailers {
					t.Errorf("%s: got %d bytes with status %d, want %d", b.name, len(answer.body), answer.status, len(large+grpcHostTrailers))
				}
			}
			for _, r := range origin.Requests() {
				if r.Body != large {
					t.Errorf("the host got %d bytes, want %d", len(r.Body), len(large))
				}
			}
		})
	}
}

// TestGRPCWebReset holds that an answer whose host fails in the middle is not made whole.
func TestGRPCWebReset(t *testing.T) {
	origin := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		p.Headers(r.StreamID, false, ":status", "200", "content-type", "application/grpc")
		p.Data(r.StreamID, false, unary)
		p.Reset(r.StreamID, http2.ErrCodeInternal)
	}))
	p := grpcWebSetup(origin).Start(t)
	c := p.DialH2()
	if r := c.Response(c.Post("/s.S/M", unary, "content-type", webProto)); !r.Reset || r.Body != unary {
		t.Errorf("got %v", r)
	}
	one := p.Dial()
	one.Send(harness.Head("POST /s.S/M", "Content-Type: "+webProto, "Content-Length: 0"))
	if r, err := one.TryResponse("POST"); err == nil || r.Body != unary {
		t.Errorf("got %q, %v, want an answer that is cut off", r.Raw, err)
	}
}

// TestGRPCWebForeignCutOff holds that an answer which is not gRPC's, and whose end never comes, is replaced by one that says why:
// nothing of it was sent before.
func TestGRPCWebForeignCutOff(t *testing.T) {
	for name, test := range map[string]struct {
		last    func(*harness.H2Peer, uint32)
		advance time.Duration
		status  int
		message string
		flag    string
	}{
		"reset": {last: func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeInternal) }, status: 503,
			message: resetReason("remote reset"), flag: "UR"},
		"connection lost": {last: func(p *harness.H2Peer, _ uint32) { p.Close() }, status: 503,
			message: resetReason("connection termination"), flag: "UC"},
		"stalled": {last: func(*harness.H2Peer, uint32) {}, advance: config.DefaultRouteTimeout, status: 504,
			message: "upstream request timeout", flag: "UT"},
	} {
		for _, b := range browsers {
			t.Run(name+" "+b.name, func(t *testing.T) {
				there := make(chan struct{})
				origin := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
					p.Headers(r.StreamID, false, ":status", "500", "content-type", "text/html", "x-secret", "1")
					p.Data(r.StreamID, false, "<p>half a page")
					p.RoundTrip()
					close(there)
					test.last(p, r.StreamID)
				}))
				p := grpcWebSetup(origin).Start(t)
				var advancing sync.WaitGroup
				advancing.Go(func() {
					select {
					case <-there:
						p.Advance(test.advance)
					case <-t.Context().Done():
					}
				})
				a := b.call(p, unary, "content-type", webProto)
				advancing.Wait()
				if a.status != test.status || a.body != "" || !a.whole || a.fields.Get("grpc-status") != "14" || a.fields.Get("grpc-message") != test.message ||
					a.fields.Has("x-secret") || a.fields.Get("content-type") != webProto {
					t.Errorf("got %+v", a)
				}
				if o := p.Outcome(); o.Flags != test.flag || o.Status != test.status {
					t.Errorf("outcome %v", o)
				}
			})
		}
	}
}
