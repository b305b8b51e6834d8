package http1

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// TestNoAllocations demands that nothing on the way of a message allocates once its memory has grown.
func TestNoAllocations(t *testing.T) {
	lim := &Limits{EnableTrailers: true, AcceptHTTP10: true, DefaultHostForHTTP10: "fallback"}
	plain := &Limits{}
	var requests RequestParser
	var responses ResponseParser
	var decoder BodyDecoder
	var req message.Request
	var resp message.Response
	buf, dst := make([]byte, 0, 4096), make([]byte, 0, 4096)

	parseRequest := func(head string) func() {
		return func() {
			buf = append(buf[:0], head...)
			if n, _ := requests.Parse(buf[:len(head)/2], &req, lim); n != 0 {
				t.Fatal("half a head is whole")
			}
			if n, err := requests.Parse(buf, &req, lim); n != len(head) {
				t.Fatal(n, err)
			}
		}
	}
	refuse := func() {
		buf = append(buf[:0], "GET / HTTP/1.1\r\nHost: a\r\nx\r\n"...)
		if _, err := requests.Parse(buf, &req, lim); err.Error() == "" || err.Details() == "" || err.Body() == "" {
			t.Fatal("no error")
		}
	}
	sent := benchRequest(t, browserRequest)
	answer := benchResponse()
	trailers := fieldsOf("x-a", "1")
	for name, do := range map[string]func(){
		"small request":    parseRequest(smallRequest),
		"browser request":  parseRequest(browserRequest),
		"connection lists": parseRequest(get("connection: upgrade, x-a", "upgrade: x", "x-a: 1", "te: gzip, trailers")),
		"body request":     parseRequest(get("transfer-encoding: chunked", "expect: 100-continue")),
		"http/1.0 request": parseRequest("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"),
		"refused request":  refuse,
		"append request":   func() { dst = AppendRequestHead(dst[:0], sent, RequestFraming(sent)) },
		"append response":  func() { dst = AppendResponseHead(dst[:0], answer, FramingChunked, HeadOptions{Close: true}) },
		"append chunks":    func() { dst = AppendLastChunk(AppendChunk(dst[:0], buf), &trailers) },
		"chunked body":     func() { buf = append(buf[:0], chunkedBody...); decodeOnce(t, &decoder, lim, buf) },
		"trailers dropped": func() { buf = append(buf[:0], chunkedBody...); decodeOnce(t, &decoder, plain, buf) },
		"response": func() {
			buf = append(buf[:0], smallResponse...)
			if n, err := responses.Parse(buf, &resp, false, false, lim); n != len(buf) {
				t.Fatal(n, err)
			}
		},
	} {
		do() // grows what grows
		if allocs := testing.AllocsPerRun(100, do); allocs != 0 {
			t.Errorf("%s: %v allocations, want 0", name, allocs)
		}
	}
}

// TestWorkIsLinear sends a long line byte by byte: every byte must be looked at when it comes, and not again before the
// line is whole.
func TestWorkIsLinear(t *testing.T) {
	var p RequestParser
	var req message.Request
	input := []byte(get("x: " + strings.Repeat("x", 10_000)))
	for i := 1; i < len(input); i++ {
		before := p.head
		if n, err := p.Parse(input[:i], &req, &Limits{}); n != 0 || err != noError {
			t.Fatal(i, n, err)
		}
		if p.head.scanned != i {
			t.Fatalf("after %d bytes %d are scanned", i, p.head.scanned)
		}
		if i > 1 && input[i-1] != '\n' && p.head.line != before.line {
			t.Fatalf("a line was parsed without its end, at byte %d", i)
		}
	}
}
