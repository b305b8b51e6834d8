package attack

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// place is where a client may put any byte, and which it may put there.
type place struct {
	name    string
	head    func(s string) []string
	allowed func(c byte) bool
	// sent returns how a request line or field line of HTTP/1 has it.
	sent func(s string) string
}

const (
	digits  = "0123456789"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	symbols = "!#$%&'*+-.^_`|~" // of a token (RFC 9110 section 5.6.2)
)

func oneOf(list string) func(c byte) bool {
	return func(c byte) bool { return strings.IndexByte(list, c) >= 0 }
}

// places are where a byte of the client ends up in the head of a request in HTTP/1.
var places = []place{
	{
		"method", func(s string) []string { return get(":method", s) }, oneOf(digits + lower + upper + symbols),
		func(s string) string { return s + " / HTTP/1.1\r\n" },
	},
	{
		"scheme", func(s string) []string { return get(":scheme", s) }, oneOf(""), nil,
	},
	{ // RFC 3986 section 3.2.2 without the comma; a percent sign needs digits
		"authority", func(s string) []string { return get(":authority", s) }, oneOf(digits + lower + upper + "-._~!$&'()*+;="),
		func(s string) string { return "\r\nhost: " + s + "\r\n" },
	},
	{
		"path", func(s string) []string { return get(":path", "/"+s) }, func(c byte) bool { return c > ' ' && c < 0x7f && c != '#' },
		func(s string) string { return "GET /" + s + " HTTP/1.1\r\n" },
	},
	{
		"name", func(s string) []string { return get(s, "1") }, oneOf(digits + lower + symbols),
		func(s string) string { return "\r\n" + s + ": 1\r\n" },
	},
	{ // RFC 9110 section 5.5: obs-text is opaque
		"value", func(s string) []string { return get("x-a", s) }, func(c byte) bool { return c >= ' ' && c != 0x7f || c == '\t' },
		func(s string) string { return "\r\nx-a: " + s + "\r\n" },
	},
	{
		"cookie", func(s string) []string { return get("cookie", s, "cookie", "c=2") },
		func(c byte) bool { return c >= ' ' && c != 0x7f || c == '\t' },
		func(s string) string { return "\r\ncookie: " + s + "; c=2\r\n" },
	},
}

// TestDowngradeBytes puts each of the 256 bytes in each place, between others: it arrives as it is, or the request does not.
func TestDowngradeBytes(t *testing.T) {
	// perConnection is how many requests go on one connection: refused ones are counted against it.
	const perConnection = 64
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			p := downgradeSetup(origin.Addr(), 0).Start(t)
			var want []string
			for first := 0; first < 256; first += perConnection {
				c := p.DialH2()
				var ids []uint32
				c.Batch(func() {
					for b := first; b < first+perConnection; b++ {
						ids = append(ids, c.Request(true, place.head("x"+string([]byte{byte(b)})+"y")...))
					}
				})
				for i, id := range ids {
					b := byte(first + i)
					resp := c.Response(id)
					switch {
					case place.allowed(b):
						want = append(want, place.sent("x"+string([]byte{b})+"y"))
						if resp.Status != 200 {
							t.Errorf("%q: got %v", b, resp)
						}
					case resp.Status != 0 || resp.ResetCode != http2.ErrCodeProtocol:
						t.Errorf("%q: got %v, want a reset", b, resp)
					}
				}
				c.Canary(1)
				c.Close()
			}
			checkSent(t, origin, want)
		})
	}
}

// checkSent holds that an origin got a request for each of the parts of heads, and no others.
func checkSent(t *testing.T, origin *harness.Origin, parts []string) {
	t.Helper()
	requests := origin.Requests()
	if len(requests) != len(parts) {
		t.Errorf("the origin got %d requests, want %d", len(requests), len(parts))
	}
	var all strings.Builder
	for _, r := range requests {
		all.WriteString("\r\n" + r.Raw)
	}
	for _, part := range parts {
		if n := strings.Count(all.String(), part); n != 1 {
			t.Errorf("%q came %d times, want once", part, n)
		}
	}
}

// TestFragmentHTTP1 is about fragments in targets of HTTP/1 (row 60), which are refused as those of HTTP/2 are.
func TestFragmentHTTP1(t *testing.T) {
	for _, target := range []string{"/#", "/a#b", "/a?b#c", "#", "http://a/#b", "http://a#b", "/admin#/../public"} {
		t.Run(target, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			p := harness.NewSetup(origin.Addr()).Start(t)
			c := p.Dial()
			c.Send("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
			if resp := c.ReadResponse("GET"); resp.Status != 400 {
				t.Errorf("got %q", resp.Raw)
			}
			if got := origin.Captured(); len(got) > 0 {
				t.Errorf("the origin got %q", got)
			}
		})
	}
}

// TestProtocolUnannounced is row 62 with a proxy that has not said that it understands extended CONNECT: none is served.
func TestProtocolUnannounced(t *testing.T) {
	for _, row := range downgradeRows() {
		if row.name != "62 protocol" {
			continue
		}
		for _, v := range append(row.variants, variant{name: "that would be served", head: connect(), body: []step{}}) {
			t.Run(v.name, func(t *testing.T) {
				origin := harness.NewOrigin(t, harness.Echo)
				s := downgradeSetup(origin.Addr(), 0)
				s.HTTP().HTTP2.AllowConnect = false
				p := s.Start(t)
				c := p.DialH2()
				if got := answerOf(c, v.send(p, c)); got != refused {
					t.Errorf("got %s, want %s", got, refused)
				}
				c.Canary(1)
				if got := origin.Captured(); len(got) > 0 {
					t.Errorf("the origin got %q", got)
				}
			})
		}
	}
}

// TestStrictMessages holds that where the configuration asks for it (override_stream_error_on_invalid_http_message is false) a
// malformed message ends its connection.
func TestStrictMessages(t *testing.T) {
	for _, v := range []variant{
		{name: "head", head: get("connection", "close")},
		{name: "body", head: post("content-length", "1"), body: data("22")},
		{name: "trailers", head: post(), body: trailers("1", ":path", "/")},
	} {
		t.Run(v.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := downgradeSetup(origin.Addr(), 0)
			s.HTTP().HTTP2.StrictMessages = true
			p := s.Start(t)
			c := p.DialH2()
			if got := answerOf(c, v.send(p, c)); got != refused {
				t.Errorf("got %s, want %s", got, refused)
			}
			c.ExpectGoAway(http2.ErrCodeProtocol)
			c.ExpectClosed()
			if n := p.HTTPStat("downstream_cx_protocol_error"); n != 1 {
				t.Errorf("downstream_cx_protocol_error is %d, want 1", n)
			}
			if o := p.Outcome(); o.String() != "0 DPE http2.violation.of.messaging.rule" {
				t.Errorf("outcome %v", o)
			}
			if got := fmt.Sprint(origin.Captured()); got != "[]" {
				t.Errorf("the origin got %s", got)
			}
		})
	}
}
