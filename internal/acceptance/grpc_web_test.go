package acceptance

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// Content types of gRPC-Web.
const (
	webProto     = "application/grpc-web+proto"
	webTextProto = "application/grpc-web-text+proto"
)

// grpcWebSetup leads browsers to a host of gRPC.
func grpcWebSetup(origin *harness.H2Origin) *harness.Setup {
	s := h2Setup(origin)
	s.HTTP().Filters = []config.HTTPFilter{{Name: "web", Config: config.GRPCWeb{}}}
	return s
}

// webFrame is a frame of a body of gRPC: flags and length come before what is in it.
func webFrame(flags byte, payload string) string {
	n := len(payload)
	return string([]byte{flags, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + payload
}

// trailersFlag marks the frame that ends a body of gRPC-Web.
const trailersFlag = 0x80

// text64 returns pieces in base64, each with its own padding.
func text64(pieces ...string) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(base64.StdEncoding.EncodeToString([]byte(p)))
	}
	return b.String()
}

// read64 is text64 the other way. What is padded ends a piece.
func read64(t *testing.T, text string) string {
	t.Helper()
	var all strings.Builder
	for len(text) > 0 {
		if len(text) < 4 {
			t.Fatalf("%q is no group of base64", text)
		}
		b, err := base64.StdEncoding.DecodeString(text[:4])
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		all.Write(b)
		text = text[4:]
	}
	return all.String()
}

// webAnswer is what a browser gets.
type webAnswer struct {
	status int
	fields harness.Fields
	body   string
	whole  bool
}

// browser sends a call of gRPC-Web and reads the answer.
type browser struct {
	name string
	call func(p *harness.Proxy, body string, fields ...string) webAnswer
}

// browsers speak HTTP/1.1 and HTTP/2.
var browsers = []browser{
	{"HTTP/1", func(p *harness.Proxy, body string, fields ...string) webAnswer {
		lines := []string{fmt.Sprintf("Content-Length: %d", len(body))}
		for i := 0; i+1 < len(fields); i += 2 {
			lines = append(lines, fields[i]+": "+fields[i+1])
		}
		c := p.Dial()
		c.Send(harness.Head("POST /s.S/M", lines...), body)
		r := c.ReadResponse("POST")
		return webAnswer{r.Status, r.Fields, r.Body, r.Trailers == nil && !r.CloseDelimited}
	}},
	{"HTTP/2", func(p *harness.Proxy, body string, fields ...string) webAnswer {
		c := p.DialH2()
		r := c.Response(c.Post("/s.S/M", body, append(fields, "content-length", fmt.Sprint(len(body)))...))
		return webAnswer{r.Status, r.Fields, r.Body, r.Trailers == nil && r.EndStream}
	}},
}

// grpcHost answers every call with the message that it got, and trailers.
func grpcHost(p *harness.H2Peer) {
	harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		p.Respond(r.StreamID, harness.H2Response{
			Status: 200, Fields: harness.Fields{{Name: "content-type", Value: "application/grpc+proto"}, {Name: "x-head", Value: "1"}},
			Body: r.Body, Trailers: harness.Fields{{Name: "grpc-status", Value: "0"}, {Name: "grpc-message", Value: "fine"}, {Name: "x-bin", Value: "aGk="}},
		})
	})(p)
}

// grpcHostTrailers is what becomes of the trailers of grpcHost.
var grpcHostTrailers = webFrame(trailersFlag, "grpc-status:0\r\ngrpc-message:fine\r\nx-bin:aGk=\r\n")

// TestGRPCWeb holds both ways of unary calls in every content type, from clients of both protocols.
func TestGRPCWeb(t *testing.T) {
	for _, b := range browsers {
		for _, test := range []struct {
			contentType, accept string
			text, textAnswer    bool
		}{
			{contentType: "application/grpc-web"},
			{contentType: webProto},
			{contentType: webProto, accept: webProto},
			{contentType: webProto, accept: "*/*"},
			{contentType: webProto, accept: "application/grpc-web-text", textAnswer: true},
			{contentType: "application/grpc-web-text", text: true},
			{contentType: webTextProto, text: true},
			{contentType: webTextProto, accept: webProto, text: true},
			{contentType: webTextProto, accept: webTextProto, text: true, textAnswer: true},
		} {
			t.Run(b.name+" "+test.contentType+" "+test.accept, func(t *testing.T) {
				origin := harness.NewH2Origin(t, grpcHost)
				p := grpcWebSetup(origin).Start(t)
				body, fields := unary, []string{"content-type", test.contentType, "x-grpc-web", "1"}
				if test.text {
					body = text64(unary)
				}
				if test.accept != "" {
					fields = append(fields, "accept", test.accept)
				}
				answer := b.call(p, body, fields...)
				wantType := webProto
				if test.textAnswer {
					wantType = webTextProto
					answer.body = read64(t, answer.body)
				}
				if answer.status != 200 || !answer.whole || answer.body != unary+grpcHostTrailers ||
					answer.fields.Get("content-type") != wantType || answer.fields.Get("x-head") != "1" {
					t.Errorf("got %+v", answer)
				}
				got := origin.Requests()[0]
				if got.Body != unary || got.Fields.Get("content-type") != "application/grpc" || got.Fields.Get("te") != "trailers" ||
					got.Fields.Has("content-length") || got.Fields.Get("grpc-accept-encoding") != "identity,deflate,gzip" || got.Fields.Get("x-grpc-web") != "1" {
					t.Errorf("the host got %+v", got)
				}
			})
		}
	}
}

// TestNotGRPCWeb holds that other content types pass untouched, and gRPC-Web too where the filter is not.
func TestNotGRPCWeb(t *testing.T) {
	for _, test := range []struct {
		contentType string
		filter      bool
	}{
		{"application/grpc", true}, {"application/grpc-web+json", true}, {"application/grpc-web;charset=utf-8", true},
		{"application/grpc-web-text+thrift", true}, {"text/plain", true}, {"Application/grpc-web", true}, {webProto, false},
	} {
		t.Run(fmt.Sprintf("%s %v", test.contentType, test.filter), func(t *testing.T) {
			origin := harness.NewH2Origin(t, grpcHost)
			s := grpcWebSetup(origin)
			if !test.filter {
				s.HTTP().Filters = nil
			}
			p := s.Start(t)
			c := p.DialH2()
			r := c.Response(c.Post("/s.S/M", unary, "content-type", test.contentType))
			if r.Body != unary || r.Trailers.Get("grpc-status") != "0" || r.Fields.Get("content-type") != "application/grpc+proto" {
				t.Errorf("got %v", r)
			}
			if got := origin.Requests()[0]; got.Fields.Get("content-type") != test.contentType || got.Fields.Has("grpc-accept-encoding") || got.Fields.Has("te") {
				t.Errorf("the host got %+v", got)
			}
		})
	}
}

// TestGRPCWebTextSplit holds that a call in base64 may be cut into pieces of any size: segments of TCP, and frames.
func TestGRPCWebTextSplit(t *testing.T) {
	for _, pieces := range [][]string{{unary}, {unary[:1], unary[1:6], unary[6:]}, {unary[:2], unary[2:]}} {
		body := text64(pieces...)
		t.Run(body, func(t *testing.T) {
			origin := harness.NewH2Origin(t, grpcHost)
			p := grpcWebSetup(origin).Start(t)
			head := harness.Head("POST /", "Content-Type: "+webTextProto, "Accept: "+webTextProto, fmt.Sprintf("Content-Length: %d", len(body)))
			p.EachSplit(head+body, len(head), func(how string, c *harness.Client) {
				if r := c.ReadResponse("POST"); read64(t, r.Body) != unary+grpcHostTrailers {
					t.Fatalf("%s: got %q", how, r.Raw)
				}
			})
			c := p.DialH2()
			for at := range len(body) + 1 {
				id := c.Request(false, harness.H2Head("POST", "/", "content-type", webTextProto, "accept", webTextProto)...)
				c.Data(id, false, body[:at])
				c.RoundTrip()
				c.Data(id, true, body[at:])
				if r := c.Response(id); read64(t, r.Body) != unary+grpcHostTrailers {
					t.Fatalf("frame of %d bytes: got %v", at, r)
				}
			}
			for _, r := range origin.Requests() {
				if r.Body != unary {
					t.Errorf("the host got %q", r.Body)
				}
			}
		})
	}
}

// TestGRPCWebBadText holds that what is not base64 is refused, as soon as that is known, and never reaches a host as a whole
// call.
func TestGRPCWebBadText(t *testing.T) {
	whole := text64(unary)
	for _, b := range browsers {
		for _, body := range []string{whole[:len(whole)-1], whole + "A", "====", "AAA!", whole + "\n", "AA=A", "\r\n\r\n", "A", whole[:4] + "-_-_"} {
			t.Run(fmt.Sprintf("%s %q", b.name, body), func(t *testing.T) {
				origin := harness.NewH2Origin(t, grpcHost)
				p := grpcWebSetup(origin).Start(t)
				answer := b.call(p, body, "content-type", webTextProto, "accept", webTextProto)
				if answer.status != 400 || answer.body != "" || answer.fields.Get("content-type") != webTextProto || answer.fields.Get("grpc-status") != "13" ||
					answer.fields.Get("grpc-message") != "Bad gRPC-web request, invalid base64 data." {
					t.Errorf("got %+v", answer)
				}
				if o := p.Outcome(); o.String() != "400 - grpc_base_64_decode_failed" {
					t.Errorf("outcome %v", o)
				}
				if got := origin.Requests(); len(got) > 0 {
					t.Errorf("the host got %+v", got)
				}
			})
		}
	}
}

// TestGRPCWebEmptyText holds that a call without a message is one.
func TestGRPCWebEmptyText(t *testing.T) {
	for _, b := range browsers {
		origin := harness.NewH2Origin(t, grpcHost)
		p := grpcWebSetup(origin).Start(t)
		if answer := b.call(p, "", "content-type", webTextProto); answer.status != 200 || answer.body != grpcHostTrailers {
			t.Errorf("%s: got %+v", b.name, answer)
		}
		if got := origin.Requests()[0]; got.Body != "" {
			t.Errorf("%s: the host got %+v", b.name, got)
		}
	}
}

// TestGRPCWebStreaming holds that each message of a host is passed on when it comes, as whole groups of base64 where that is
// asked for, and the trailers after the last one.
func TestGRPCWebStreaming(t *testing.T) {
	for _, text := range []bool{false, true} {
		t.Run(fmt.Sprintf("text %v", text), func(t *testing.T) {
			next := make(chan struct{})
			origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
				head, _ := p.ReadHead()
				p.Headers(head.StreamID, false, ":status", "200", "content-type", "application/grpc")
				for i := range dialogueLength {
					if !p.Wait(next) {
						return
					}
					p.Data(head.StreamID, false, webFrame(0, strings.Repeat("x", i)))
				}
				p.Headers(head.StreamID, true, "grpc-status", "0")
				p.Drain()
			})
			p := grpcWebSetup(origin).Start(t)
			encode, fields := func(s string) string { return s }, []string{"content-type", webProto}
			if text {
				encode, fields = func(s string) string { return text64(s) }, append(fields, "accept", webTextProto)
			}
			c := p.DialH2()
			id := c.Post("/s.S/M", unary, fields...)
			for i := range dialogueLength {
				next <- struct{}{}
				got := ""
				for want := encode(webFrame(0, strings.Repeat("x", i))); len(got) < len(want); {
					got += string(c.WaitFrame("a message", ofStream(id, http2.FrameData)).Payload)
					if !strings.HasPrefix(want, got) {
						t.Fatalf("message %d is %q, want %q", i, got, want)
					}
				}
			}
			if r := c.Response(id); r.Body != encode(webFrame(trailersFlag, "grpc-status:0\r\n")) || r.Trailers != nil || !r.EndStream {
				t.Errorf("the call ended with %v", r)
			}
		})
	}
}

// TestGRPCWebAnswerSplit holds that a host may cut its messages into frames as it likes.
func TestGRPCWebAnswerSplit(t *testing.T) {
	whole := unary + webFrame(0, "") + webFrame(1, "compressed")
	origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
		for {
			r, ok := p.ReadRequest()
			if !ok {
				return
			}
			var at int
			_, _ = fmt.Sscanf(r.Path, "/%d", &at)
			p.Headers(r.StreamID, false, ":status", "200", "content-type", "application/grpc")
			p.Data(r.StreamID, false, whole[:at])
			p.RoundTrip()
			p.Data(r.StreamID, false, whole[at:])
			p.Headers(r.StreamID, true, "grpc-status", "0")
		}
	})
	c := grpcWebSetup(origin).Start(t).DialH2()
	for at := range len(whole) + 1 {
		r := c.Response(c.Post(fmt.Sprintf("/%d", at), unary, "content-type", webProto, "accept", webTextProto))
		if got := read64(t, r.Body); got != whole+webFrame(trailersFlag, "grpc-status:0\r\n") {
			t.Errorf("split at %d: got %q", at, got)
		}
	}
}
