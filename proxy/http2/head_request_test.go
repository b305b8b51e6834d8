package http2

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// requestText returns the head of a request as text.
func requestText(req *message.Request) string {
	text := fmt.Sprintf("%s %s %s %s", req.Method, req.Scheme, req.Authority, req.Path)
	if req.Upgrade != nil {
		text += fmt.Sprintf(" upgrade=%s", req.Upgrade)
	}
	if req.ContentLength != message.UnknownLength {
		text += fmt.Sprintf(" length=%d", req.ContentLength)
	}
	for flag, set := range map[string]bool{" expects": req.ExpectContinue, " closes": req.Close, " version!": req.Version != message.HTTP2} {
		if set {
			text += flag
		}
	}
	if fields := fieldsText(&req.Fields); fields != "" {
		text += " [" + fields + "]"
	}
	return text
}

// verdictText returns what came of a request head: its message, or why it was refused.
func verdictText(v *served) string {
	switch v.why {
	case noError:
		return requestText(&v.req)
	case ErrMalformed:
		return "malformed"
	case ErrMissingHost:
		return "no host"
	case ErrTooLarge:
		return "too large"
	default:
		return v.why.Error()
	}
}

const (
	pseudo3  = ":method GET|:scheme http|:path /|"
	pseudoOK = ":method GET|:scheme http|:authority a|:path /"
)

// requestHeads are request heads, as "name value|name value", and what they are. A head without END_STREAM begins with "+".
var requestHeads = []struct{ head, want string }{
	// Pseudo-header fields (RFC 9113 section 8.3.1).
	{pseudoOK, "GET http a / length=0"},
	{"+" + pseudoOK, "GET http a /"},
	{":path /x?y|:authority a:80|:scheme https|:method POST", "POST https a:80 /x?y length=0"},
	{":method GET|:scheme HTTP|:authority a|:path /", "GET http a / length=0"},
	{":method GET|:scheme Https|:authority a|:path /", "GET https a / length=0"},
	{":method get|:scheme http|:authority a|:path /", "get http a / length=0"},
	{":method !#$%&'*+-.^_`|~9aZ|:scheme http|:authority a|:path /", "malformed"}, // the bar is our separator
	{":method !#$%&'*+-.^_`~9aZ|:scheme http|:authority a|:path /", "!#$%&'*+-.^_`~9aZ http a / length=0"},
	{":method GET|:scheme http|:authority [::1]:8080|:path /", "GET http [::1]:8080 / length=0"},
	{":method OPTIONS|:scheme http|:authority a|:path *", "OPTIONS http a * length=0"},
	{":scheme http|:authority a|:path /", "malformed"},
	{":method GET|:authority a|:path /", "malformed"},
	{":method GET|:scheme http|:authority a", "malformed"},
	{":method |:scheme http|:authority a|:path /", "malformed"},
	{":method GET|:scheme |:authority a|:path /", "malformed"},
	{":method GET|:scheme http|:authority a|:path ", "malformed"},
	{":method GET|:scheme http|:authority |:path /", "malformed"},
	{":method GET|" + pseudoOK, "malformed"},
	{pseudoOK + "|:method GET", "malformed"},
	{pseudoOK + "|:scheme http", "malformed"},
	{pseudoOK + "|:authority a", "malformed"},
	{pseudoOK + "|:path /", "malformed"},
	{pseudoOK + "|:status 200", "malformed"},
	{pseudoOK + "|:unknown x", "malformed"},
	{pseudoOK + "|: x", "malformed"},
	{pseudo3 + "x y|:authority a", "malformed"},
	{"x y|" + pseudoOK, "malformed"},
	{":method G T|:scheme http|:authority a|:path /", "malformed"},
	{":method G\tT|:scheme http|:authority a|:path /", "malformed"},
	{":method GET / HTTP/1.1\r\nx: y|:scheme http|:authority a|:path /", "malformed"},
	{":method " + strings.Repeat("M", maxMethodLength) + "|:scheme http|:authority a|:path /",
		strings.Repeat("M", maxMethodLength) + " http a / length=0"},
	{":method " + strings.Repeat("M", maxMethodLength+1) + "|:scheme http|:authority a|:path /", "malformed"},
	{":method GET|:scheme ftp|:authority a|:path /", "malformed"},
	{":method GET|:scheme http |:authority a|:path /", "malformed"},
	{":method GET|:scheme http://a|:authority a|:path /", "malformed"},
	{":method GET|:scheme http|:authority a b|:path /", "malformed"},
	{":method GET|:scheme http|:authority user@a|:path /", "malformed"},
	{":method GET|:scheme http|:authority a/b|:path /", "malformed"},
	{":method GET|:scheme http|:authority a:b|:path /", "malformed"},
	{":method GET|:scheme http|:authority a:65536|:path /", "malformed"},
	{":method GET|:scheme http|:authority a\x00|:path /", "malformed"},
	{":method GET|:scheme http|:authority a|:path x", "malformed"},
	{":method GET|:scheme http|:authority a|:path *", "malformed"},
	{":method OPTIONS|:scheme http|:authority a|:path **", "malformed"},
	{":method GET|:scheme http|:authority a|:path http://a/", "malformed"},
	{":method GET|:scheme http|:authority a|:path /a b", "malformed"},
	{":method GET|:scheme http|:authority a|:path /a\r\nb", "malformed"},
	{":method GET|:scheme http|:authority a|:path /#f", "malformed"},
	{":method GET|:scheme http|:authority a|:path /\xe4", "malformed"},
	{":method GET|:scheme http|:authority a|:path /\"<>\\^`{}~", "GET http a /\"<>\\^`{}~ length=0"},

	// Authority and host.
	{pseudo3 + "host a", "GET http a / length=0"},
	{pseudoOK + "|host a", "GET http a / length=0"},
	{pseudoOK + "|host b", "malformed"},
	{pseudoOK + "|host A", "malformed"},
	{pseudoOK + "|host a|host a", "malformed"},
	{pseudo3 + "host a|host a", "malformed"},
	{pseudo3 + "host |host a", "malformed"},
	{pseudo3 + "host ", "malformed"},
	{pseudo3 + "host a b", "malformed"},
	{":method GET|:scheme http|:path /", "no host"},
	{":method GET|:scheme http|:path x", "malformed"},

	// Fields (RFC 9113 section 8.2).
	{pseudoOK + "|x |y z", "GET http a / length=0 [x=, y=z]"},
	{pseudoOK + "|x a|x b", "GET http a / length=0 [x=a, x=b]"},
	{pseudoOK + "|x a\tb", "GET http a / length=0 [x=a\tb]"},
	{pseudoOK + "|x \xff", "GET http a / length=0 [x=\xff]"},
	{pseudoOK + "|X y", "malformed"},
	{pseudoOK + "|x-Y z", "malformed"},
	{pseudoOK + "|\x00 y", "malformed"},
	{pseudoOK + "| y", "malformed"},
	{pseudoOK + "|x: y", "malformed"},
	{pseudoOK + "|a\r\nb y", "malformed"},
	{pseudoOK + "|a\xe4 y", "malformed"},
	{pseudoOK + "|x  y", "malformed"},
	{pseudoOK + "|x y ", "malformed"},
	{pseudoOK + "|x \ty", "malformed"},
	{pseudoOK + "|x y\t", "malformed"},
	{pseudoOK + "|x a\nb", "malformed"},
	{pseudoOK + "|x a\rb", "malformed"},
	{pseudoOK + "|x a\x00b", "malformed"},
	{pseudoOK + "|x a\x7fb", "malformed"},

	// Fields of a connection (RFC 9113 section 8.2.2).
	{pseudoOK + "|connection close", "malformed"},
	{pseudoOK + "|connection ", "malformed"},
	{pseudoOK + "|keep-alive 1", "malformed"},
	{pseudoOK + "|proxy-connection close", "malformed"},
	{pseudoOK + "|transfer-encoding chunked", "malformed"},
	{pseudoOK + "|upgrade h2c", "malformed"},
	{pseudoOK + "|http2-settings AAA", "GET http a / length=0"},
	{pseudoOK + "|te trailers", "GET http a / length=0 [te=trailers]"},
	{pseudoOK + "|te gzip", "malformed"},
	{pseudoOK + "|te trailers, gzip", "malformed"},
	{pseudoOK + "|te ", "malformed"},

	// content-length and expect.
	{"+" + pseudoOK + "|content-length 0", "GET http a / length=0 [content-length=0]"},
	{"+" + pseudoOK + "|content-length 5", "GET http a / length=5 [content-length=5]"},
	{pseudoOK + "|content-length 0", "GET http a / length=0 [content-length=0]"},
	{pseudoOK + "|content-length 5", "malformed"},
	{"+" + pseudoOK + "|content-length 5|content-length 5", "malformed"},
	{"+" + pseudoOK + "|content-length 5, 5", "malformed"},
	{"+" + pseudoOK + "|content-length +5", "malformed"},
	{"+" + pseudoOK + "|content-length -5", "malformed"},
	{"+" + pseudoOK + "|content-length 0x5", "malformed"},
	{"+" + pseudoOK + "|content-length ", "malformed"},
	{"+" + pseudoOK + "|content-length 9223372036854775807", "GET http a / length=9223372036854775807 [content-length=9223372036854775807]"},
	{"+" + pseudoOK + "|content-length 9223372036854775808", "malformed"},
	{"+" + pseudoOK + "|expect 100-continue", "GET http a / expects"},
	{pseudoOK + "|expect 100-continue", "GET http a / length=0"},
	{"+" + pseudoOK + "|expect something", "malformed"},

	// Cookies (RFC 9113 section 8.2.3).
	{pseudoOK + "|cookie a=1; b=2", "GET http a / length=0 [cookie=a=1; b=2]"},
	{pseudoOK + "|cookie a=1|x y|cookie b=2|cookie c=3", "GET http a / length=0 [cookie=a=1; b=2; c=3, x=y]"},

	// CONNECT (RFC 9113 section 8.5).
	{"+:method CONNECT|:authority a:443", "CONNECT  a:443 "},
	{":method CONNECT|:authority a:443", "CONNECT  a:443  length=0"},
	{"+:method CONNECT|:authority a", "malformed"},
	{"+:method CONNECT|:authority a:", "malformed"},
	{"+:method CONNECT", "malformed"},
	{"+:method CONNECT|host a:443", "malformed"},
	{"+:method CONNECT|:authority a:443|:path /", "malformed"},
	{"+:method CONNECT|:authority a:443|:scheme http", "malformed"},
	{"+:method CONNECT|:authority a:443|content-length 3", "malformed"},

	// Extended CONNECT (RFC 8441 section 4), which the test allows.
	{"+:method CONNECT|:protocol websocket|:scheme https|:authority a|:path /chat", "GET https a /chat upgrade=websocket"},
	{":method CONNECT|:protocol websocket|:scheme https|:authority a|:path /chat", "malformed"},
	{"+:method CONNECT|:protocol |:scheme https|:authority a|:path /chat", "malformed"},
	{"+:method CONNECT|:protocol websocket|:authority a|:path /chat", "malformed"},
	{"+:method CONNECT|:protocol websocket|:scheme https|:authority a", "malformed"},
	{"+:method CONNECT|:protocol websocket|:scheme https|:path /chat", "no host"},
	{"+:method GET|:protocol websocket|:scheme https|:authority a|:path /chat", "malformed"},
	{"+:method CONNECT|:protocol websocket|:scheme https|:authority a|:path /chat|content-length 1", "malformed"},
	{"+:method CONNECT|:protocol w|:protocol w|:scheme https|:authority a|:path /", "malformed"},
}

// splitHead returns the fields of a head in a table.
func splitHead(head string) (fields []string, more bool) {
	head, more = strings.CutPrefix(head, "+")
	for _, line := range strings.Split(head, "|") {
		name, value, _ := strings.Cut(line, " ")
		fields = append(fields, name, value)
	}
	return fields, more
}

// TestRequestHeads reads every head on a connection of its own.
func TestRequestHeads(t *testing.T) {
	r := newRig(t)
	o := testOptions()
	o.AllowConnect = true
	for _, c := range requestHeads {
		t.Run(c.head, func(t *testing.T) {
			s, p := r.server(o)
			fields, more := splitHead(c.head)
			flags := endStream
			if more {
				flags = 0
			}
			p.begin().headers(1, flags, fields...).turn()
			v := s.stream(1)
			if got := verdictText(v); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if got := p.take(); (c.want == "malformed") != (got[len(got)-1] == "RST_STREAM 1 PROTOCOL_ERROR") {
				t.Errorf("frames %q", got)
			}
			v.end(false)
		})
	}
}

// TestRequestHeadWithoutExtendedConnect refuses what we have not said that we understand (RFC 8441 section 3).
func TestRequestHeadWithoutExtendedConnect(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.headers(1, 0, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a", ":path", "/").turn()
	p.want("RST_STREAM 1 PROTOCOL_ERROR")
	if got := s.stream(1).why; got != ErrMalformed {
		t.Errorf("refused for %v", got)
	}
}

// TestMalformedRequestEndsStrictConnection closes the connection where stream errors are not wanted.
func TestMalformedRequestEndsStrictConnection(t *testing.T) {
	o := testOptions()
	o.StrictMessages = true
	s, p := newServer(t, o)
	p.get(1).headers(3, endStream, with(getFields, "connection", "close")...).turn()
	p.want("RST_STREAM 3 PROTOCOL_ERROR", "GOAWAY 3 PROTOCOL_ERROR malformed message")
	wantEnded(t, s.ends, ErrMalformed)
	p.r.wantStat("rx_messaging_error", 1)
	s.stream(1).end(false)
}

// TestUnderscores does what headers_with_underscores_action says.
func TestUnderscores(t *testing.T) {
	for _, c := range []struct {
		action   UnderscoreAction
		want     string
		dropped  int
		rejected int
	}{
		{UnderscoreAllow, "GET http a / length=0 [x_y=1, x-y=2]", 0, 0},
		{UnderscoreDrop, "GET http a / length=0 [x-y=2]", 1, 0},
		{UnderscoreReject, "malformed", 0, 1},
	} {
		o := testOptions()
		o.Underscores = c.action
		s, p := newServer(t, o)
		p.headers(1, endStream, with(getFields, "x_y", "1", "x-y", "2")...).turn()
		if got := verdictText(s.stream(1)); got != c.want {
			t.Errorf("action %d: %q, want %q", c.action, got, c.want)
		}
		p.r.wantStat("dropped_headers_with_underscores", c.dropped)
		p.r.wantStat("requests_rejected_with_underscores_in_headers", c.rejected)
	}
}

// TestHeadLimits reads heads and trailers just below, at and above the limits on their size and count.
func TestHeadLimits(t *testing.T) {
	const size = 4*32 + len(":methodPOST:schemehttp:authoritya:path/") // of postFields
	for _, c := range []struct {
		name  string
		limit func(o *Options, n int)
		base  int // what postFields use of the limit
		more  func(n int) []string
	}{
		{
			name: "bytes", base: size + 32 + 1,
			limit: func(o *Options, n int) { o.HeaderBytes = n },
			more:  func(n int) []string { return []string{"x", strings.Repeat("y", n)} },
		}, {
			name: "fields", base: 4,
			limit: func(o *Options, n int) { o.FieldCount = n },
			more: func(n int) (fields []string) {
				for range n {
					fields = append(fields, "x", "y")
				}
				return fields
			},
		},
	} {
		for over := -1; over <= 1; over++ {
			t.Run(fmt.Sprintf("%s/%+d", c.name, over), func(t *testing.T) {
				const room = 100
				o := testOptions()
				c.limit(o, c.base+room)
				s, p := newServer(t, o)
				p.headers(1, endStream, with(postFields, c.more(room+over)...)...).turn()
				v := s.stream(1)
				if want := map[bool]Error{true: ErrTooLarge}[over > 0]; v.why != want {
					t.Errorf("refused for %v, want %v", v.why, want)
				}
				p.r.wantStat("header_overflow", max(0, over))
				// The table has followed what was refused.
				p.headers(3, endStream, with(postFields, c.more(room/2)...)...).turn()
				if got := s.stream(3).why; got != noError {
					t.Errorf("the next one is refused for %v", got)
				}
			})
			t.Run(fmt.Sprintf("%s of trailers/%+d", c.name, over), func(t *testing.T) {
				const room = 300
				o := testOptions()
				c.limit(o, room)
				s, p := newServer(t, o)
				used := 0
				if c.name == "bytes" {
					used = 32 + 1
				}
				p.post(1).headers(1, endStream, c.more(room-used+over)...).turn()
				got := s.stream(1).Err()
				if want := map[bool]Error{true: ErrTooLarge}[over > 0]; got != want {
					t.Errorf("the stream ended with %v, want %v", got, want)
				}
				if over > 0 {
					p.want("RST_STREAM 1 ENHANCE_YOUR_CALM")
				}
			})
		}
	}
}

// TestNeverIndexedFields passes on that a field must not be indexed (RFC 7541 section 6.2.3), also where cookies are joined.
func TestNeverIndexedFields(t *testing.T) {
	s, p := newServer(t, testOptions())
	block := string(p.encode(getFields...))
	never := func(name, value string) string {
		return "\x10" + string(rune(len(name))) + name + string(rune(len(value))) + value
	}
	block += never("x", "y") + never("cookie", "a=1") + string(p.encode("cookie", "b=2"))
	p.raw(1, endHeaders|endStream, 1, block).turn()
	want := "GET http a / length=0 [x=y (never indexed), cookie=a=1; b=2 (never indexed)]"
	if got := verdictText(s.stream(1)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
