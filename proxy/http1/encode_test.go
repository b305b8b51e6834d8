package http1

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

func fieldsOf(pairs ...string) (f message.Fields) {
	for i := 0; i < len(pairs); i += 2 {
		f.AddRaw([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	return f
}

// noise is what an encoder leaves out of Fields.
var noise = fieldsOf("content-length", "9", "x-a", "1", "transfer-encoding", "gzip", "host", "evil", "connection", "x",
	"keep-alive", "x", "proxy-connection", "x", "upgrade", "x", "http2-settings", "x", "x-b", "")

func TestAppendRequestHead(t *testing.T) {
	b := func(s string) []byte { return []byte(s) }
	tests := []struct {
		name string
		req  message.Request
		want string
	}{
		{"get", message.Request{Method: b("GET"), Authority: b("a"), Path: b("/x?y"), EndStream: true},
			"GET /x?y HTTP/1.1\r\nhost: a\r\n\r\n"},
		{"get fields", message.Request{Method: b("GET"), Authority: b("a"), Path: b("/"), EndStream: true, Fields: noise},
			"GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\r\nx-b: \r\ncontent-length: 0\r\n\r\n"},
		{"post without body", message.Request{Method: b("POST"), Authority: b("a"), Path: b("/"), EndStream: true},
			"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"},
		{"post", message.Request{Method: b("POST"), Authority: b("a"), Path: b("/"), ContentLength: 1 << 62},
			"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4611686018427387904\r\n\r\n"},
		{"chunked", message.Request{Method: b("GET"), Authority: b("a"), Path: b("/"), ContentLength: message.UnknownLength},
			"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"},
		{"unknown length, ended", message.Request{Method: b("PUT"), Authority: b("a"), Path: b("/"), ContentLength: message.UnknownLength, EndStream: true},
			"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"},
		{"upgrade", message.Request{Method: b("GET"), Authority: b("a"), Path: b("/"), Upgrade: b("websocket"), EndStream: true},
			"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"},
		{"connect", message.Request{Method: b("CONNECT"), Authority: b("a:1")},
			"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"},
		{"no path", message.Request{Method: b("GET"), Authority: b("a"), EndStream: true},
			"GET / HTTP/1.1\r\nhost: a\r\n\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := AppendRequestHead(nil, &test.req, RequestFraming(&test.req)); string(got) != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestAppendResponseHead(t *testing.T) {
	const unknown = message.UnknownLength
	tests := []struct {
		name     string
		resp     message.Response
		toHead   bool
		toHTTP10 bool
		opts     HeadOptions
		want     string
	}{
		{name: "length", resp: message.Response{Status: 200, ContentLength: 5, Fields: noise},
			want: "HTTP/1.1 200 OK\r\nx-a: 1\r\nx-b: \r\ncontent-length: 5\r\n\r\n"},
		{name: "empty", resp: message.Response{Status: 404, EndStream: true},
			want: "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"},
		{name: "ended without a length", resp: message.Response{Status: 500, ContentLength: unknown, EndStream: true},
			want: "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"},
		{name: "chunked, close", resp: message.Response{Status: 299, ContentLength: unknown}, opts: HeadOptions{Close: true},
			want: "HTTP/1.1 299 Unknown\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"},
		{name: "head", toHead: true, resp: message.Response{Status: 200, ContentLength: 5, EndStream: true},
			want: "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"},
		{name: "head of unknown length", toHead: true, resp: message.Response{Status: 200, ContentLength: unknown},
			want: "HTTP/1.1 200 OK\r\n\r\n"},
		{name: "204", resp: message.Response{Status: 204, EndStream: true},
			want: "HTTP/1.1 204 No Content\r\n\r\n"},
		{name: "304", resp: message.Response{Status: 304, ContentLength: 5, EndStream: true},
			want: "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"},
		{name: "304 without length", resp: message.Response{Status: 304, EndStream: true},
			want: "HTTP/1.1 304 Not Modified\r\n\r\n"},
		{name: "103", resp: message.Response{Status: 103, ContentLength: unknown, EndStream: true},
			want: "HTTP/1.1 103 Early Hints\r\n\r\n"},
		{name: "101", resp: message.Response{Status: 101, Upgrade: []byte("websocket"), EndStream: true}, opts: HeadOptions{Close: true},
			want: "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"},
		{name: "http/1.0 until close", toHTTP10: true, resp: message.Response{Status: 200, ContentLength: unknown}, opts: HeadOptions{HTTP10: true, Close: true},
			want: "HTTP/1.0 200 OK\r\nconnection: close\r\n\r\n"},
		{name: "http/1.0 keep-alive", toHTTP10: true, resp: message.Response{Status: 200, ContentLength: 5}, opts: HeadOptions{HTTP10: true, KeepAlive: true},
			want: "HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			version := message.HTTP11
			if test.toHTTP10 {
				version = message.HTTP10
			}
			f := ResponseFraming(&test.resp, test.toHead, version)
			if got := AppendResponseHead(nil, &test.resp, f, test.opts); string(got) != test.want {
				t.Errorf("%v: got\n%s\nwant\n%s", f, got, test.want)
			}
		})
	}
}

func TestAppendChunks(t *testing.T) {
	trailers := fieldsOf("x-a", "1", "content-length", "5", "set-cookie", "x", "grpc-status", "0")
	dst := AppendChunk(nil, []byte("0123456789abcdef"))
	dst = AppendChunk(dst, nil)
	dst = AppendLastChunk(dst, &trailers)
	if want := "10\r\n0123456789abcdef\r\n0\r\nx-a: 1\r\ngrpc-status: 0\r\n\r\n"; string(dst) != want {
		t.Errorf("got %q, want %q", dst, want)
	}
	if got := string(AppendLastChunk(nil, nil)); got != "0\r\n\r\n" {
		t.Errorf("got %q", got)
	}
}

// TestForwardedRequestIsTheSame forwards every request we accept and parses what the origin would get.
func TestForwardedRequestIsTheSame(t *testing.T) {
	for _, test := range acceptedRequests {
		t.Run(test.name, func(t *testing.T) { checkForwardedRequest(t, test.input, test.limits()) })
	}
}

// checkForwardedRequest checks that a request we accept, written and parsed again, is the same message, and its writing
// the same bytes.
func checkForwardedRequest(t *testing.T, input string, lim *Limits) {
	t.Helper()
	var p, again RequestParser
	var req, copied message.Request
	if n, _ := p.Parse([]byte(input), &req, lim); n == 0 {
		return
	}
	wire := AppendRequestHead(nil, &req, RequestFraming(&req))
	if n, err := again.Parse(append([]byte{}, wire...), &copied, &Limits{HeaderBytes: len(wire), FieldCount: DefaultFieldCount + 4}); n != len(wire) {
		if len(req.Path) > 0 && req.Path[0] == '?' {
			return // refused by whoever routes it
		}
		t.Fatalf("%q forwarded as %q: parsed %d bytes, err %v", input, wire, n, err)
	}
	// The origin gets an HTTP/1.1 request, whose connection is its own, in origin form.
	req.Scheme, req.Version, req.Close, req.ExpectContinue = nil, message.HTTP11, false, false
	copied.Close = false
	req.Fields.Del(message.NameContentLength)
	copied.Fields.Del(message.NameContentLength)
	if got, want := describeRequest(0, &copied, again.Framing()), describeRequest(0, &req, p.Framing()); got != want {
		t.Fatalf("%q forwarded as %q:\n got %s\nwant %s", input, wire, got, want)
	}
}

// checkForwardedResponse is checkForwardedRequest for a response to an HTTP/1.1 client.
func checkForwardedResponse(t *testing.T, input string, to responseTo, lim *Limits) {
	t.Helper()
	var p, again ResponseParser
	var resp, copied message.Response
	if n, _ := p.Parse([]byte(input), &resp, to.head, to.connect, lim); n == 0 {
		return
	}
	f := ResponseFraming(&resp, to.head, message.HTTP11)
	if to.connect && resp.Status/100 == 2 {
		f = FramingNone
	}
	wire := AppendResponseHead(nil, &resp, f, HeadOptions{})
	n, err := again.Parse(append([]byte{}, wire...), &copied, to.head, to.connect, &Limits{HeaderBytes: len(wire), FieldCount: DefaultFieldCount + 4})
	if n != len(wire) {
		t.Fatalf("%q forwarded as %q: parsed %d bytes, err %v", input, wire, n, err)
	}
	want := p.Framing()
	if want == FramingClose {
		want = FramingChunked // to be told from a broken connection
	}
	if resp.Status == 204 || resp.Status == 304 || resp.Status < 200 {
		resp.ContentLength, copied.ContentLength = 0, 0 // a length of 0 is not written
	}
	resp.Version, resp.Close, copied.Close = message.HTTP11, false, false
	resp.Fields.Del(message.NameContentLength)
	copied.Fields.Del(message.NameContentLength)
	if got, want := describeResponse(0, &copied, again.Framing()), describeResponse(0, &resp, want); got != want {
		t.Fatalf("%q forwarded as %q:\n got %s\nwant %s", input, wire, got, want)
	}
}

func TestForwardedResponseIsTheSame(t *testing.T) {
	for _, test := range acceptedResponses {
		t.Run(test.name, func(t *testing.T) { checkForwardedResponse(t, test.input, test.to, test.limits()) })
	}
}
