package inspect_test

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/listener/inspect"
)

func TestHTTP(t *testing.T) {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for _, tt := range []struct {
		data     string
		want     inspect.Verdict
		protocol inspect.Protocol
		offer    string
	}{
		{"GET / HTTP/1.1\r\n", inspect.Found, inspect.HTTP11, "\x08http/1.1"},
		{"GET / HTTP/1.1\n", inspect.Found, inspect.HTTP11, "\x08http/1.1"},
		{"VERSION-CONTROL * HTTP/1.0\r\nHost: a", inspect.Found, inspect.HTTP10, "\x08http/1.0"},
		{preface, inspect.Found, inspect.HTTP2, "\x03h2c"},
		{preface + "\x00\x00\x00\x04", inspect.Found, inspect.HTTP2, "\x03h2c"},
		{"PRI * HTTP/2.0\r\n\r\nXX", inspect.Other, 0, ""},
		{"PRI / HTTP/1.1\r\n", inspect.Found, inspect.HTTP11, "\x08http/1.1"},
		{"GET /\r\n", inspect.Other, 0, ""},
		{"GET / HTTP/1.2\r\n", inspect.Other, 0, ""},
		{"GET / x HTTP/1.1\r\n", inspect.Other, 0, ""},
		{"\r\n", inspect.Other, 0, ""},
		{" / HTTP/1.1\r\n", inspect.Other, 0, ""},
		{"\x16\x03\x01", inspect.Other, 0, ""},
		{"G(", inspect.Other, 0, ""},
		{"", inspect.More, 0, ""},
		{"GET", inspect.More, 0, ""},
		{"GET /" + strings.Repeat("a", 1000), inspect.More, 0, ""},
		{strings.Repeat("A", 32), inspect.More, 0, ""},
		{strings.Repeat("A", 33), inspect.Other, 0, ""},
		{"GET /" + strings.Repeat("a", 1<<16), inspect.TooLarge, 0, ""},
	} {
		name := tt.data[:min(len(tt.data), 40)]
		var whole, byByte inspect.HTTP
		if got := whole.Inspect([]byte(tt.data)); got != tt.want || whole.Protocol != tt.protocol {
			t.Errorf("%q: got %d, protocol %d, want %d, %d", name, got, whole.Protocol, tt.want, tt.protocol)
		}
		if got := string(whole.Protocol.Offer()); got != tt.offer {
			t.Errorf("%q: offers %q, want %q", name, got, tt.offer)
		}
		verdict := inspect.More
		for n := 0; n <= len(tt.data) && verdict == inspect.More; n += 1 + n/100 {
			verdict = byByte.Inspect([]byte(tt.data[:n]))
		}
		if verdict == inspect.More {
			verdict = byByte.Inspect([]byte(tt.data))
		}
		if verdict != tt.want || byByte.Protocol != tt.protocol {
			t.Errorf("%q, bit by bit: got %d, protocol %d, want %d, %d", name, verdict, byByte.Protocol, tt.want, tt.protocol)
		}
	}
}

func FuzzHTTP(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n"), byte(3))
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), byte(1))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		var whole, parts inspect.HTTP
		want, got := whole.Inspect(data), inspect.More
		for n := 0; got == inspect.More && n < len(data); {
			n = min(len(data), n+max(1, int(step)))
			got = parts.Inspect(data[:n])
		}
		if len(data) < 1<<16 && (got != want || whole.Protocol != parts.Protocol) {
			t.Fatalf("in pieces %d, at once %d", got, want)
		}
	})
}
