package http2

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// TestWriteRequestHead compares messages with the fields that go out for them.
func TestWriteRequestHead(t *testing.T) {
	const unknown = message.UnknownLength
	all := fieldsOf("x", "y", "connection", "close", "keep-alive", "1", "proxy-connection", "x", "transfer-encoding", "chunked",
		"upgrade", "h2c", "http2-settings", "AAA", "host", "b", "te", "trailers", "cookie", "a=1; b=2", "z", "")
	for _, c := range []struct {
		name string
		req  message.Request
		want string
	}{
		{"GET", message.Request{Method: []byte("GET"), Path: []byte("/x?y"), Authority: []byte("a"), EndStream: true},
			"HEADERS 1 END_STREAM :method=GET :scheme=http :path=/x?y :authority=a"},
		{"https", message.Request{Method: []byte("GET"), Scheme: []byte("https"), Path: []byte("/"), Authority: []byte("a"), ContentLength: unknown},
			"HEADERS 1 :method=GET :scheme=https :path=/ :authority=a"},
		{"OPTIONS *", message.Request{Method: []byte("OPTIONS"), Path: []byte("*"), Authority: []byte("a"), EndStream: true},
			"HEADERS 1 END_STREAM :method=OPTIONS :scheme=http :path=* :authority=a"},
		{"fields of a connection", message.Request{Method: []byte("GET"), Path: []byte("/"), Authority: []byte("a"), EndStream: true, Fields: all},
			"HEADERS 1 END_STREAM :method=GET :scheme=http :path=/ :authority=a x=y te=trailers cookie=a=1; b=2 z="},
		{"length", message.Request{Method: []byte("PUT"), Path: []byte("/"), Authority: []byte("a"), ContentLength: 5},
			"HEADERS 1 :method=PUT :scheme=http :path=/ :authority=a content-length=5"},
		{"length that is a field", message.Request{Method: []byte("PUT"), Path: []byte("/"), Authority: []byte("a"), ContentLength: 5,
			Fields: fieldsOf("content-length", "7")}, "HEADERS 1 :method=PUT :scheme=http :path=/ :authority=a content-length=5"},
		{"length 0 that was declared", message.Request{Method: []byte("PUT"), Path: []byte("/"), Authority: []byte("a"), EndStream: true,
			Fields: fieldsOf("content-length", "0")}, "HEADERS 1 END_STREAM :method=PUT :scheme=http :path=/ :authority=a content-length=0"},
		{"length that is not known any more", message.Request{Method: []byte("PUT"), Path: []byte("/"), Authority: []byte("a"), ContentLength: unknown,
			Fields: fieldsOf("content-length", "7")}, "HEADERS 1 :method=PUT :scheme=http :path=/ :authority=a"},
		{"CONNECT", message.Request{Method: []byte("CONNECT"), Authority: []byte("a:1"), ContentLength: unknown, EndStream: true},
			"HEADERS 1 :method=CONNECT :authority=a:1"},
		{"upgrade", message.Request{Method: []byte("GET"), Path: []byte("/"), Authority: []byte("a"), Upgrade: []byte("websocket"),
			EndStream: true, Fields: fieldsOf("content-length", "0")},
			"HEADERS 1 :method=CONNECT :protocol=websocket :scheme=http :path=/ :authority=a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, p := newClient(t, testOptions())
			q := k.reserve()
			q.req = c.req
			k.WriteHead(q.ClientStream, &q.req)
			p.r.step()
			p.want(c.want)
			q.end()
		})
	}
}

// TestWriteResponseHead compares messages with the fields that go out for them.
func TestWriteResponseHead(t *testing.T) {
	const unknown = message.UnknownLength
	for _, c := range []struct {
		name   string
		method string
		resp   message.Response
		want   string
	}{
		{"200", "GET", message.Response{Status: 200, ContentLength: unknown}, "HEADERS 1 :status=200"},
		{"without a body", "GET", message.Response{Status: 200, ContentLength: unknown, EndStream: true}, "HEADERS 1 END_STREAM :status=200"},
		{"any status", "GET", message.Response{Status: 299, ContentLength: unknown}, "HEADERS 1 :status=299"},
		{"length", "GET", message.Response{Status: 200, ContentLength: 5}, "HEADERS 1 :status=200 content-length=5"},
		{"length that is a field", "GET", message.Response{Status: 200, ContentLength: 5, Fields: fieldsOf("content-length", "7")},
			"HEADERS 1 :status=200 content-length=5"},
		{"length 0", "GET", message.Response{Status: 200, EndStream: true, Fields: fieldsOf("content-length", "0")},
			"HEADERS 1 END_STREAM :status=200 content-length=0"},
		{"HEAD", "HEAD", message.Response{Status: 200, ContentLength: 5}, "HEADERS 1 END_STREAM :status=200 content-length=5"},
		{"204", "GET", message.Response{Status: 204, ContentLength: 0, Fields: fieldsOf("content-length", "0")},
			"HEADERS 1 END_STREAM :status=204"},
		{"304", "GET", message.Response{Status: 304, ContentLength: 5}, "HEADERS 1 END_STREAM :status=304 content-length=5"},
		{"fields of a connection", "GET", message.Response{Status: 200, ContentLength: unknown, Close: true, Fields: fieldsOf("connection", "close",
			"keep-alive", "1", "transfer-encoding", "chunked", "upgrade", "x", "proxy-connection", "y", "set-cookie", "a", "set-cookie", "b")},
			"HEADERS 1 :status=200 set-cookie=a set-cookie=b"},
		{"informational", "GET", message.Response{Status: 103, ContentLength: unknown, EndStream: true, Fields: fieldsOf("link", "a", "content-length", "3")},
			"HEADERS 1 :status=103 link=a"},
		{"upgrade", "GET", message.Response{Status: 101, Upgrade: []byte("websocket"), ContentLength: unknown, EndStream: true,
			Fields: fieldsOf("upgrade", "websocket", "content-length", "3")}, "HEADERS 1 :status=200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, p := newServer(t, testOptions())
			p.headers(1, 0, with([]string{":method", c.method}, postFields[2:]...)...).send()
			v := s.stream(1)
			v.WriteHead(&c.resp, false)
			p.r.step()
			p.want(c.want)
			v.end(false)
		})
	}
}

// TestWriteHeadOnce writes informational heads and one that is final, and nothing after that.
func TestWriteHeadOnce(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).send()
	v := s.stream(1)
	v.WriteContinue()
	v.head(103)
	v.head(200)
	v.head(500)
	v.WriteContinue()
	p.r.step()
	p.want("HEADERS 1 :status=100", "HEADERS 1 :status=103", "HEADERS 1 :status=200")
	v.end(true)
}

// TestWriteContinue says nothing once some of the body has come.
func TestWriteContinue(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).data(1, 0, "x").send()
	s.stream(1).WriteContinue()
	p.r.step()
	p.want()
}

// TestWriteTrailers drops what trailers must not have, and keeps what may not be indexed so.
func TestWriteTrailers(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).send()
	v := s.stream(1)
	v.head(200)
	trailers := fieldsOf("grpc-status", "0", "content-length", "5", "te", "trailers", "connection", "close", "host", "a", "x", "y")
	v.WriteEnd(&trailers)
	p.r.step()
	p.want("HEADERS 1 :status=200", "HEADERS 1 END_STREAM grpc-status=0 x=y")
	v.WriteBody([]byte("too late"), true)
	v.WriteEnd(nil)
	p.r.step()
	p.want()
}

// TestWriteLongBlocks splits field blocks into HEADERS and CONTINUATION where they exceed a frame.
func TestWriteLongBlocks(t *testing.T) {
	s, p := newServer(t, testOptions())
	for i, n := range []int{minMaxFrameSize - 100, minMaxFrameSize, 3 * minMaxFrameSize, 10 * minMaxFrameSize} {
		id := uint32(2*i + 1)
		p.get(id).send()
		v := s.stream(id)
		long := strings.Repeat("x", n)
		v.WriteHead(&message.Response{Status: 200, ContentLength: message.UnknownLength, Fields: fieldsOf("long", long, "after", "it")}, false)
		v.WriteBody([]byte("body"), true)
		v.end(true)
		p.r.step()
		got := p.take()
		if len(got) != 2 || !strings.HasSuffix(got[0], " :status=200 long="+long+" after=it") || !strings.HasSuffix(got[1], " END_STREAM body") {
			t.Errorf("a field of %d bytes: %d frames, %.100q", n, len(got), got)
		}
	}
}
