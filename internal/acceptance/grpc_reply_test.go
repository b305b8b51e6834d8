package acceptance

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// expectTrailersOnly reads an answer that is one HEADERS frame, which ends the stream, and returns its fields.
func expectTrailersOnly(t *testing.T, c *harness.H2Client, id uint32) harness.Fields {
	t.Helper()
	f := c.WaitFrame("an answer", func(f *harness.H2Frame) bool { return f.StreamID == id })
	if f.Type != http2.FrameHeaders || !f.EndStream() || f.Fields.Get(":status") != "200" || f.Fields.Get("content-type") != "application/grpc" {
		t.Errorf("got %v, want HEADERS of gRPC that end the stream", f)
	}
	if f.Fields.Has("content-length") {
		t.Errorf("got %v with a length, of what would be a message", f)
	}
	return f.Fields
}

// TestH2LocalRepliesToGRPC holds that every answer of the proxy's own is trailers-only for a call, with the same fields, flags
// and details as for others.
func TestH2LocalRepliesToGRPC(t *testing.T) {
	for _, test := range localReplies() {
		method, rest, _ := strings.Cut(test.request, " ")
		path, _, _ := strings.Cut(rest, " ")
		if method != "GET" || path == "" || test.status < 400 || strings.HasPrefix(test.outcome, "DPE") || strings.Contains(test.name, "upgrade") {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			p, _ := test.start(t)
			c := p.DialH2()
			id := c.Request(true, harness.H2Head("POST", path, "content-type", "application/grpc+proto", "te", "trailers")...)
			if test.advance > 0 {
				c.RoundTrip()
				p.Advance(test.advance)
			}
			fields := expectTrailersOnly(t, c, id)
			status := fmt.Sprint(cmp.Or(test.grpc, grpcStatus[test.status], 2))
			if fields.Get("grpc-status") != status || fields.Get("grpc-message") != test.body || fields.Has("grpc-message") != (test.body != "") {
				t.Errorf("got %q, want grpc-status %s and grpc-message %q", fields, status, test.body)
			}
			if name, value, ok := strings.Cut(test.fields, ": "); ok && fields.Get(name) != value {
				t.Errorf("got %q, want %s", fields, test.fields)
			}
			if o := p.Outcome(); o.Flags+" "+o.Details != test.outcome || o.Status != 200 {
				t.Errorf("outcome %v, want 200 %s", o, test.outcome)
			}
			c.ExpectIdle()
		})
	}
}

// TestGRPCStatusOfHTTPStatus holds the gRPC status that stands for each HTTP status.
func TestGRPCStatusOfHTTPStatus(t *testing.T) {
	s := harness.NewSetup()
	var routes []*config.Route
	for status := 200; status < 600; status++ {
		r := harness.Direct(fmt.Sprintf("/%d", status), status, "")
		routes = append(routes, r)
	}
	s.SetRoutes(routes...)
	c := s.Start(t).DialH2()
	for status := 200; status < 600; status++ {
		id := c.Request(true, harness.H2Head("POST", fmt.Sprintf("/%d", status), "content-type", "application/grpc")...)
		want := fmt.Sprint(cmp.Or(grpcStatus[status], 2))
		if got := expectTrailersOnly(t, c, id).Get("grpc-status"); got != want {
			t.Errorf("%d is grpc-status %s, want %s", status, got, want)
		}
	}
}

// TestGRPCMessageEncoding holds how the bytes of a message are written (gRPC over HTTP2, Responses): visible ASCII and spaces
// as they are, but for the percent sign.
func TestGRPCMessageEncoding(t *testing.T) {
	var body, want strings.Builder
	for b := range 256 {
		body.WriteByte(byte(b))
		if b < ' ' || b > '~' || b == '%' {
			fmt.Fprintf(&want, "%%%02X", b)
		} else {
			want.WriteByte(byte(b))
		}
	}
	// A field value has no white space at its ends.
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/all", 500, body.String()), harness.Direct("/blank", 500, " a b "), harness.Direct("/empty", 500, ""))
	c := s.Start(t).DialH2()
	for path, want := range map[string]string{"/all": want.String(), "/blank": "%20a b%20"} {
		id := c.Request(true, harness.H2Head("POST", path, "content-type", "application/grpc")...)
		if got := expectTrailersOnly(t, c, id).Get("grpc-message"); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	id := c.Request(true, harness.H2Head("POST", "/empty", "content-type", "application/grpc")...)
	if fields := expectTrailersOnly(t, c, id); fields.Has("grpc-message") {
		t.Errorf("got %q, want no grpc-message", fields)
	}
}

// TestGRPCReplyToUnfinishedCall holds that a call which is answered before it has ended is told to stop, and no more.
func TestGRPCReplyToUnfinishedCall(t *testing.T) {
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/", 503, "not now"))
	p := s.Start(t)
	c := p.DialH2()
	id := c.Request(false, grpcCall()...)
	if fields := expectTrailersOnly(t, c, id); fields.Get("grpc-message") != "not now" {
		t.Errorf("got %q", fields)
	}
	c.ExpectReset(id, http2.ErrCodeNo)
	c.ExpectIdle()
	c.Batch(func() { c.Data(id, true, unary) }) // which it has sent before it knew
	c.ExpectIdle()
}

// TestWhatIsGRPC holds which content types are gRPC's.
func TestWhatIsGRPC(t *testing.T) {
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/", 503, "x"))
	c := s.Start(t).DialH2()
	for contentType, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "application/grpc+json": true, "application/grpc;charset=utf-8": true,
		"": false, "application/grpc-web": false, "application/grpcx": false, "application/grp": false, "text/plain": false, "Application/gRPC": false,
	} {
		head := harness.H2Head("POST", "/")
		if contentType != "" {
			head = append(head, "content-type", contentType)
		}
		r := c.Response(c.Request(true, head...))
		if got := r.Fields.Has("grpc-status"); got != want || (r.Status == 200) != want {
			t.Errorf("%q: got %v, want gRPC %v", contentType, r, want)
		}
	}
}
