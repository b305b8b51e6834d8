package http1

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

const (
	smallRequest   = "GET /x HTTP/1.1\r\nHost: localhost:10000\r\n\r\n"
	browserRequest = "GET /static/app/main.7f3c2d.js?v=20260801 HTTP/1.1\r\n" +
		"Host: www.example.com\r\n" +
		"Connection: keep-alive\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" +
		"Cache-Control: max-age=0\r\n" +
		"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n" +
		"Referer: https://www.example.com/start\r\n" +
		"Sec-Fetch-Dest: script\r\n" +
		"Sec-Fetch-Mode: no-cors\r\n" +
		"Upgrade-Insecure-Requests: 1\r\n\r\n"
	smallResponse = "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Fri, 01 Aug 2026 10:00:00 GMT\r\n" +
		"Content-Type: text/plain\r\nContent-Length: 16\r\n\r\n"
	chunkedBody = "5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nx-checksum: 1234\r\ngrpc-status: 0\r\n\r\n"
)

func BenchmarkParseRequest(b *testing.B) {
	for _, bench := range []struct{ name, head string }{{"small", smallRequest}, {"browser", browserRequest}} {
		b.Run(bench.name, func(b *testing.B) {
			var p RequestParser
			var req message.Request
			lim, original := &Limits{}, []byte(bench.head)
			buf := make([]byte, len(original))
			b.ReportAllocs()
			b.SetBytes(int64(len(original)))
			for b.Loop() {
				copy(buf, original)
				if n, err := p.Parse(buf, &req, lim); n != len(buf) {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkParseResponse(b *testing.B) {
	var p ResponseParser
	var resp message.Response
	lim, original := &Limits{}, []byte(smallResponse)
	buf := make([]byte, len(original))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, original)
		if n, err := p.Parse(buf, &resp, false, false, lim); n != len(buf) {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkDecodeChunked(b *testing.B) {
	var d BodyDecoder
	lim, body := &Limits{EnableTrailers: true}, []byte(chunkedBody)
	b.ReportAllocs()
	for b.Loop() {
		decodeOnce(b, &d, lim, body)
	}
}

// decodeOnce decodes a whole chunked body.
func decodeOnce(tb testing.TB, d *BodyDecoder, lim *Limits, body []byte) {
	d.Init(FramingChunked, 0, lim)
	for {
		_, n, done, err := d.Next(body)
		if err != noError {
			tb.Fatal(err)
		}
		body = body[n:]
		if done {
			return
		}
	}
}

func benchRequest(tb testing.TB, head string) *message.Request {
	var p RequestParser
	req := &message.Request{}
	if _, err := p.Parse([]byte(head), req, &Limits{}); err != noError {
		tb.Fatal(err)
	}
	return req
}

func benchResponse() *message.Response {
	resp := &message.Response{Status: 200, ContentLength: 16}
	for _, field := range [][2]string{
		{"server", "envoy"}, {"date", "Fri, 01 Aug 2026 10:00:00 GMT"}, {"content-type", "text/plain"},
		{"x-envoy-upstream-service-time", "3"}, {"cache-control", "no-store"}, {"vary", "accept-encoding"},
	} {
		resp.Fields.AddRaw([]byte(field[0]), []byte(field[1]))
	}
	return resp
}

func BenchmarkAppendRequestHead(b *testing.B) {
	req := benchRequest(b, browserRequest)
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendRequestHead(dst[:0], req, RequestFraming(req))
	}
}

func BenchmarkAppendResponseHead(b *testing.B) {
	resp := benchResponse()
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendResponseHead(dst[:0], resp, FramingLength, HeadOptions{})
	}
}
