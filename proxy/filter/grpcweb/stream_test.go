package grpcweb

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

func request(fields ...string) *message.Request {
	req := &message.Request{ContentLength: 5}
	add(&req.Fields, fields...)
	return req
}

func response(status int, fields ...string) *message.Response {
	resp := &message.Response{Status: status, ContentLength: message.UnknownLength}
	add(&resp.Fields, fields...)
	return resp
}

func add(to *message.Fields, fields ...string) {
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		to.AddRaw([]byte(name), []byte(value))
	}
}

func text(fields *message.Fields) string {
	var b strings.Builder
	for _, f := range fields.All() {
		b.WriteString(string(f.Name) + ": " + string(f.Value) + "\n")
	}
	return b.String()
}

func TestOpen(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/grpc-web": true, "application/grpc-web+proto": true, "application/grpc-web-text": true,
		"application/grpc-web-text+proto": true,
		"application/grpc":                false, "application/grpc-web+json": false, "application/grpc-websocket": false, "": false,
	} {
		if got := Open(request("content-type: "+contentType)) != nil; got != want {
			t.Errorf("%q: %v, want %v", contentType, got, want)
		}
	}
	if Open(request()) != nil {
		t.Error("a request without content-type is one of gRPC-Web")
	}
}

func TestRequestHead(t *testing.T) {
	req := request("content-type: application/grpc-web-text", "content-length: 5", "accept: application/grpc-web-text", "x-a: b")
	s := Open(req)
	s.RequestHead(req)
	const want = "content-type: application/grpc\naccept: application/grpc-web-text\nx-a: b\nte: trailers\ngrpc-accept-encoding: identity,deflate,gzip\n"
	if got := text(&req.Fields); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if req.ContentLength != message.UnknownLength || !s.textRequest || !s.textResponse {
		t.Errorf("length %d, text %v and %v", req.ContentLength, s.textRequest, s.textResponse)
	}
	if got, ok := s.RequestBody([]byte("AAAAAAE"), false); !ok || string(got) != "\x00\x00\x00" {
		t.Errorf("got %q, %v", got, ok)
	}
	if got, ok := s.RequestBody([]byte("h"), true); !ok || string(got) != "\x00\x01\x21" {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, ok := s.RequestBody([]byte("A"), true); ok {
		t.Error("an unfinished group ended the body")
	}
}

// TestBinaryBody is passed on as it is, but for the trailers.
func TestBinaryBody(t *testing.T) {
	req := request("content-type: application/grpc-web")
	s := Open(req)
	s.RequestHead(req)
	if got, ok := s.RequestBody([]byte{0, 1, 2}, true); !ok || string(got) != "\x00\x01\x02" {
		t.Errorf("got %q, %v", got, ok)
	}
	resp := response(200, "content-type: application/grpc", "content-length: 7")
	if s.ResponseHead(resp) {
		t.Fatal("the head of a gRPC response is held")
	}
	if got, want := text(&resp.Fields), "content-type: application/grpc-web+proto\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := string(s.ResponseBody([]byte("body"))); got != "body" {
		t.Errorf("got %q", got)
	}
	var trailers message.Fields
	add(&trailers, "grpc-status: 0", "grpc-message: ok")
	last, rest := s.ResponseEnd(resp, &trailers)
	if want := frame(trailerFlag, "grpc-status:0\r\ngrpc-message:ok\r\n"); string(last) != want || rest != nil {
		t.Errorf("got %q and %v, want %q", last, rest, want)
	}
}

func TestTextBody(t *testing.T) {
	req := request("content-type: application/grpc-web-text+proto", "accept: application/grpc-web-text+proto")
	s := Open(req)
	s.RequestHead(req)
	resp := response(200, "content-type: application/grpc+proto")
	s.ResponseHead(resp)
	if got, want := text(&resp.Fields), "content-type: application/grpc-web-text+proto\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	body := string(s.ResponseBody([]byte(frame(0, "hello"))))
	var trailers message.Fields
	add(&trailers, "grpc-status: 0")
	last, _ := s.ResponseEnd(resp, &trailers)
	if got, want := decodePieces(t, body+string(last)), frame(0, "hello")+frame(trailerFlag, "grpc-status:0\r\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestForeignResponse holds that the body of what is not a gRPC response becomes its message.
func TestForeignResponse(t *testing.T) {
	req := request("content-type: application/grpc-web")
	s := Open(req)
	s.RequestHead(req)
	resp := response(503, "content-type: text/plain")
	if !s.ResponseHead(resp) {
		t.Fatal("the head is not held")
	}
	if got := s.ResponseBody([]byte("no\n")); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	s.ResponseBody([]byte(strings.Repeat("x", 2*maxMessage)))
	if last, _ := s.ResponseEnd(resp, nil); len(last) != 0 {
		t.Errorf("got %q", last)
	}
	message, _ := resp.Fields.GetName([]byte("grpc-message"))
	if want := "no%0A" + strings.Repeat("x", maxMessage-3); string(message) != want {
		t.Errorf("grpc-message has %d bytes, want %d", len(message), len(want))
	}
	if status, _ := resp.Fields.GetName([]byte("grpc-status")); string(status) != "14" || !resp.EndStream || resp.Status != 503 {
		t.Errorf("grpc-status %q, end %v, status %d", status, resp.EndStream, resp.Status)
	}
}

// TestTrailersOnly passes a response on that consists of its head.
func TestTrailersOnly(t *testing.T) {
	req := request("content-type: application/grpc-web")
	s := Open(req)
	s.RequestHead(req)
	resp := response(200, "content-type: application/grpc", "grpc-status: 5")
	resp.EndStream = true
	if s.ResponseHead(resp) {
		t.Error("the head is held")
	}
	if got, want := text(&resp.Fields), "content-type: application/grpc-web+proto\ngrpc-status: 5\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestEveryStatusHasText holds that no HTTP status leads to a gRPC status without a text.
func TestEveryStatusHasText(t *testing.T) {
	for status := 100; status < 600; status++ {
		if n := message.GRPCStatus(status); n >= int64(len(statusText)) || statusText[n] == nil {
			t.Errorf("HTTP status %d is gRPC status %d, for which there is no text", status, n)
		}
	}
}
