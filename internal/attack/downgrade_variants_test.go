package attack

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// variant is a request of a client that speaks HTTP/2: one that no host may see, or one on the edge of what it may.
type variant struct {
	name string
	head []string // names and values in turn
	// body is what follows the head. Without it the head ends the stream.
	body []step
	// apart has each step taken when the host, which is a slow one then, has what was sent before. Otherwise all is sent in one
	// segment.
	apart bool
	want  string // the answer, as answerOf words it
}

// step sends a part of a request.
type step func(c *harness.H2Client, id uint32)

// Answers.
const (
	refused     = "RST_STREAM PROTOCOL_ERROR"
	forwarded   = "200"
	badRequest  = "400"
	forbidden   = "403"
	noRoute     = "404"
	headTooLong = "431"
)

// get returns the head of a plain request with changes: names and values in turn. A pseudo-header field takes the place of
// the one that is there; others follow.
func get(changes ...string) []string { return changed(harness.H2Head("GET", "/"), changes...) }

// post is get for a request with a body.
func post(changes ...string) []string { return changed(harness.H2Head("POST", "/"), changes...) }

// connect returns the head of an extended CONNECT (RFC 8441) with changes.
func connect(changes ...string) []string {
	head := append([]string{":protocol", "websocket"}, harness.H2Head("CONNECT", "/")...)
	return changed(head, changes...)
}

func changed(head []string, changes ...string) []string {
	for i := 0; i < len(changes); i += 2 {
		at := indexOf(head, changes[i])
		if at < 0 || !strings.HasPrefix(changes[i], ":") {
			head = append(head, changes[i], changes[i+1])
			continue
		}
		head[at+1] = changes[i+1]
	}
	return head
}

// without returns a head without a field.
func without(head []string, name string) []string {
	at := indexOf(head, name)
	return slices.Delete(head, at, at+2)
}

// first returns a head with a field before all others.
func first(head []string, name, value string) []string { return append([]string{name, value}, head...) }

func indexOf(head []string, name string) int {
	for i := 0; i < len(head); i += 2 {
		if head[i] == name {
			return i
		}
	}
	return -1
}

// data sends DATA frames, the last of which ends the stream.
func data(parts ...string) (steps []step) {
	for i, part := range parts {
		steps = append(steps, func(c *harness.H2Client, id uint32) { c.Data(id, i == len(parts)-1, part) })
	}
	return steps
}

// trailers sends a DATA frame and trailers.
func trailers(body string, fields ...string) []step {
	return []step{
		func(c *harness.H2Client, id uint32) { c.Data(id, false, body) },
		func(c *harness.H2Client, id uint32) { c.Headers(id, true, fields...) },
	}
}

// row is what a row of the list of attacks consists of.
type row struct {
	name     string
	variants []variant
}

// downgradeRows are the attacks that abuse what HTTP/2 can say and HTTP/1 cannot.
func downgradeRows() []row {
	return []row{
		{"53 characters", characterVariants()},
		{"54 content-length", lengthVariants()},
		{"55 connection fields", connectionVariants()},
		{"56 pseudo-header fields", pseudoVariants()},
		{"57 scheme", schemeVariants()},
		{"58 method", methodVariants()},
		{"59 white space and case", spaceVariants()},
		{"60 fragment", fragmentVariants()},
		{"62 protocol", protocolVariants()},
	}
}

// characterVariants put each character that means something to HTTP/1 into each place that a client fills.
func characterVariants() []variant {
	characters := []struct{ name, text string }{
		{"CR LF and a field", "\r\nx-evil: 1"}, {"CR LF CR LF and a request", "\r\n\r\nGET /evil HTTP/1.1\r\n"},
		{"LF", "\n"}, {"CR", "\r"}, {"NUL", "\x00"}, {"ESC", "\x1b"}, {"DEL", "\x7f"}, {"SP", " "}, {"HTAB", "\t"}, {"colon", ":"},
	}
	places := []struct {
		name, harmless string // characters that are let pass
		head           func(s string) []string
	}{
		{"name", "", func(s string) []string { return get("x"+s+"y", "1") }},
		{"value", "SP HTAB colon", func(s string) []string { return get("x-a", "a"+s+"b") }},
		{"cookie", "SP HTAB colon", func(s string) []string { return get("cookie", "a=1", "cookie", "b="+s+"2") }},
		{":method", "", func(s string) []string { return get(":method", "GE"+s+"T") }},
		{":scheme", "", func(s string) []string { return get(":scheme", "ht"+s+"tp") }},
		{":authority", "", func(s string) []string { return get(":authority", "a"+s+"b") }},
		{"host", "", func(s string) []string { return without(get("host", "a"+s+"b"), ":authority") }},
		{":path", "colon", func(s string) []string { return get(":path", "/a"+s+"b") }},
		{":protocol", "", func(s string) []string { return connect(":protocol", "web"+s+"socket") }},
	}
	var all []variant
	for _, p := range places {
		for _, c := range characters {
			want := refused
			if slices.Contains(strings.Fields(p.harmless), c.name) {
				want = forwarded
			}
			all = append(all, variant{name: fmt.Sprintf("%s in %s", c.name, p.name), head: p.head(c.text), want: want})
		}
	}
	return all
}

func lengthVariants() []variant {
	all := []variant{
		{name: "head ends the stream", head: post("content-length", "5"), want: refused},
		{name: "head of a GET ends the stream", head: get("content-length", "5"), want: refused},
		{name: "0 and no body", head: post("content-length", "0"), want: forwarded},
		{name: "as long as the body", head: post("content-length", "5"), body: data("hel", "lo", ""), want: forwarded},
		{name: "none", head: post(), body: data("hello"), want: forwarded},
		{name: "none and an empty body", head: post(), body: data(""), want: forwarded},
		{name: "0 with a body", head: post("content-length", "0"), body: data("GET /evil HTTP/1.1\r\nhost: a\r\n\r\n"), want: refused},
	}
	for _, v := range []variant{
		{name: "longer than the body", head: post("content-length", "5"), body: data("hell")},
		{name: "longer than two frames", head: post("content-length", "5"), body: data("he", "ll", "")},
		{name: "shorter than the body", head: post("content-length", "5"), body: data("hello!")},
		{name: "shorter than two frames", head: post("content-length", "5"), body: data("hello", "GET /evil HTTP/1.1\r\n\r\n")},
		{name: "longer than a body with trailers", head: post("content-length", "5"), body: trailers("hell", "x-t", "1")},
	} {
		v.want = refused
		all = append(all, v)
		v.name, v.apart = v.name+", step by step", true
		all = append(all, v)
	}
	for _, value := range []string{"", "+5", "-5", "0x5", "5,5", "5, 5", "5;", "005", "5.0", "18446744073709551621", "9223372036854775808"} {
		v := variant{name: fmt.Sprintf("%q", value), head: post("content-length", value), body: data("hello"), want: refused}
		all = append(all, v)
	}
	return append(all,
		variant{name: "twice, equal", head: post("content-length", "5", "content-length", "5"), body: data("hello"), want: refused},
		variant{name: "twice, different", head: post("content-length", "5", "content-length", "6"), body: data("hello"), want: refused},
	)
}

func connectionVariants() []variant {
	var all []variant
	for _, f := range []harness.Field{
		{Name: "connection", Value: "close"}, {Name: "connection", Value: "x-forwarded-for"}, {Name: "connection", Value: ""},
		{Name: "keep-alive", Value: "timeout=5"}, {Name: "proxy-connection", Value: "keep-alive"},
		{Name: "transfer-encoding", Value: "chunked"}, {Name: "transfer-encoding", Value: "identity"},
		{Name: "upgrade", Value: "websocket"}, {Name: "upgrade", Value: "h2c"},
		{Name: "te", Value: "gzip"}, {Name: "te", Value: "trailers, gzip"}, {Name: "te", Value: ""}, {Name: "te", Value: "Trailers"},
		{Name: "expect", Value: "200-ok"},
	} {
		name := fmt.Sprintf("%s: %s", f.Name, f.Value)
		all = append(all,
			variant{name: name, head: get(f.Name, f.Value), want: refused},
			variant{name: name + " before a body", head: post(f.Name, f.Value), body: data("0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n"), want: refused},
		)
	}
	for _, name := range []string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"} {
		all = append(all, variant{name: name + " in trailers", head: post(), body: trailers("hello", name, "chunked"), want: refused})
	}
	return append(all,
		variant{name: "te: trailers", head: get("te", "trailers"), want: forwarded},
		variant{name: "http2-settings", head: get("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"), want: forwarded},
		variant{name: "forbidden trailers", want: forwarded, head: post(),
			body: trailers("hello", "content-length", "9", "host", "b", "authorization", "x", "cookie", "a=1", "te", "trailers", "x-t", "1")},
	)
}

func pseudoVariants() []variant {
	var all []variant
	for _, name := range []string{":method", ":scheme", ":authority", ":path"} {
		head := get()
		value := head[indexOf(head, name)+1]
		all = append(all,
			variant{name: name + " twice", head: first(get(), name, value), want: refused},
			variant{name: name + " twice, different", head: first(get(), name, value+"x"), want: refused},
			variant{name: name + " after other fields", head: append(without(get("x-a", "1"), name), name, value), want: refused},
			variant{name: name + " in trailers", head: post(), body: trailers("hello", name, value), want: refused},
		)
		if name != ":authority" {
			all = append(all, variant{name: "no " + name, head: without(get(), name), want: refused})
		}
		all = append(all, variant{name: name + " empty", head: get(name, ""), want: refused})
	}
	return append(all,
		variant{name: "unknown", head: first(get(), ":evil", "1"), want: refused},
		variant{name: "of a response", head: first(get(), ":status", "200"), want: refused},
		variant{name: "a colon alone", head: first(get(), ":", "1"), want: refused},
		variant{name: "none at all", head: []string{"x-a", "1"}, want: refused},
		variant{name: "empty head", want: refused},
		variant{name: ":path without slash", head: get(":path", "evil"), want: refused},
		variant{name: ":path is a query", head: get(":path", "?a"), want: refused},
		variant{name: ":path is absolute", head: get(":path", "http://b/"), want: refused},
		variant{name: ":path is an authority", head: get(":path", "b:80"), want: refused},
		variant{name: ":path of two slashes", head: get(":path", "//b/evil"), want: forwarded},
		variant{name: "asterisk with GET", head: get(":path", "*"), want: refused},
		variant{name: "asterisk with OPTIONS", head: get(":method", "OPTIONS", ":path", "*"), want: noRoute},
		variant{name: "neither :authority nor host", head: without(get(), ":authority"), want: badRequest},
		variant{name: "host for :authority", head: without(get("host", "b"), ":authority"), want: forwarded},
		variant{name: "host like :authority", head: get("host", "a"), want: forwarded},
		variant{name: "host unlike :authority", head: get("host", "b"), want: refused},
		variant{name: "host twice", head: get("host", "a", "host", "a"), want: refused},
		variant{name: "host empty", head: without(get("host", ""), ":authority"), want: refused},
		variant{name: ":authority with user", head: get(":authority", "u@a"), want: refused},
		variant{name: ":authority with path", head: get(":authority", "a/evil"), want: refused},
		variant{name: ":authority is a list", head: get(":authority", "a,b"), want: refused},
		variant{name: ":authority with a port too high", head: get(":authority", "a:65536"), want: refused},
		variant{name: "CONNECT", head: []string{":method", "CONNECT", ":authority", "a:80"}, want: noRoute},
		variant{name: "CONNECT with :path", head: []string{":method", "CONNECT", ":authority", "a:80", ":path", "/"}, want: refused},
		variant{name: "CONNECT with :scheme", head: []string{":method", "CONNECT", ":authority", "a:80", ":scheme", "http"}, want: refused},
		variant{name: "CONNECT without :authority", head: []string{":method", "CONNECT"}, want: refused},
		variant{name: "CONNECT without a port", head: []string{":method", "CONNECT", ":authority", "a"}, want: refused},
		variant{name: "gRPC-Web without :path", want: refused,
			head: without(post("content-type", "application/grpc-web-text"), ":path"), body: data("AAAAAAA=")},
		variant{name: "gRPC-Web with :path empty", want: refused,
			head: post(":path", "", "content-type", "application/grpc-web+proto"), body: data("\x00\x00\x00\x00\x00")},
		variant{name: "gRPC with :path empty", want: refused,
			head: post(":path", "", "content-type", "application/grpc", "te", "trailers"), body: data("\x00\x00\x00\x00\x00")},
	)
}

func schemeVariants() []variant {
	var all []variant
	for _, s := range []string{"ftp", "javascript", "h2c", "httpss", "http:", "http://b/evil?", "http\x00", "ht tp", "ws"} {
		all = append(all, variant{name: fmt.Sprintf("%q", s), head: get(":scheme", s), want: refused})
	}
	return append(all,
		variant{name: "upper case", head: get(":scheme", "HTTP"), want: forwarded},
		// Over cleartext: who is not believed cannot say that it was encrypted.
		variant{name: "https over cleartext", head: get(":scheme", "https"), want: forwarded},
		variant{name: "mixed case over cleartext", head: get(":scheme", "hTTpS"), want: forwarded},
	)
}

func methodVariants() []variant {
	all := []variant{
		{name: "a request line", head: get(":method", "GET /admin HTTP/1.1\r\nhost: b\r\n\r\nGET"), want: refused},
		{name: "a path behind it", head: get(":method", "GET /admin"), want: refused},
		{name: "too long", head: get(":method", strings.Repeat("M", 65)), want: refused},
		{name: "as long as may be", head: get(":method", strings.Repeat("M", 64)), want: forwarded},
		{name: "lower case", head: get(":method", "get"), want: forwarded},
		{name: "unknown", head: get(":method", "FETCH"), want: forwarded},
		{name: "all characters of a token", head: get(":method", "!#$%&'*+-.^_`|~0Aa"), want: forwarded},
		{name: "that of the preface", head: get(":method", "PRI"), want: forwarded},
	}
	for _, c := range `"(),/;<=>?@[\]{}` {
		all = append(all, variant{name: fmt.Sprintf("with %c", c), head: get(":method", "GE"+string(c)+"T"), want: refused})
	}
	return all
}

func spaceVariants() []variant {
	var all []variant
	for _, space := range []string{" ", "\t", " \t "} {
		for _, place := range []struct {
			name string
			head []string
		}{
			{"before a value", get("x-a", space+"a")}, {"behind a value", get("x-a", "a"+space)}, {"as a value", get("x-a", space)},
			{"before a name", get(space+"x-a", "a")}, {"behind a name", get("x-a"+space, "a")},
			{"before content-length", get("content-length", space+"0")}, {"behind content-length", get("content-length", "0"+space)},
			{"before :path", get(":path", space+"/")}, {"behind :path", get(":path", "/"+space)},
			{"behind :authority", get(":authority", "a"+space)}, {"behind :method", get(":method", "GET"+space)},
			{"behind :scheme", get(":scheme", "http"+space)},
		} {
			all = append(all, variant{name: fmt.Sprintf("%q %s", space, place.name), head: place.head, want: refused})
		}
	}
	for _, name := range []string{"X-A", "x-A", "Host", "Content-Length", "Transfer-Encoding", ":Path"} {
		all = append(all, variant{name: name, head: get(name, "0"), want: refused})
	}
	return append(all,
		variant{name: "empty value", head: get("x-a", ""), want: forwarded},
		variant{name: "empty name", head: get("", "a"), want: refused},
	)
}

func fragmentVariants() []variant {
	var all []variant
	for _, path := range []string{"/#", "/a#b", "/a?b#c", "#", "#/", "/admin#/../public", "*#"} {
		all = append(all, variant{name: path, head: get(":path", path), want: refused})
	}
	return append(all, variant{name: "/a%23b", head: get(":path", "/a%23b"), want: forwarded})
}

// protocolVariants are for a proxy that has said that it understands extended CONNECT. One that has not refuses them all.
func protocolVariants() []variant {
	ended := func(v variant) variant { v.body = nil; return v }
	open := func(name string, head []string, want string) variant {
		return variant{name: name, head: head, want: want, body: []step{}}
	}
	return []variant{
		open("with GET", get(":protocol", "websocket"), refused),
		open("with POST", post(":protocol", "websocket"), refused),
		open("empty", connect(":protocol", ""), refused),
		open("twice", first(connect(), ":protocol", "websocket"), refused),
		open("after other fields", append(without(connect("x-a", "1"), ":protocol"), ":protocol", "websocket"), refused),
		open("with content-length", connect("content-length", "5"), refused),
		open("with content-length 0", connect("content-length", "0"), refused),
		open("without :path", without(connect(), ":path"), refused),
		open("without :scheme", without(connect(), ":scheme"), refused),
		open("without :authority", without(connect(), ":authority"), badRequest),
		open("with transfer-encoding", connect("transfer-encoding", "chunked"), refused),
		ended(open("head ends the stream", connect(), refused)),
		open("that no route allows", connect(":protocol", "evil"), forbidden),
		open("CR LF", connect(":protocol", "websocket\r\nx-evil: 1"), refused),
		{name: "in trailers", head: post(), body: trailers("hello", ":protocol", "websocket"), want: refused},
	}
}

// answerOf reads what a stream is answered with, as a test names it.
func answerOf(c *harness.H2Client, id uint32) string {
	resp, err := c.TryResponse(id)
	switch {
	case err != nil:
		f, goneErr := c.TryWaitFrame(func(f *harness.H2Frame) bool { return f.Type == http2.FrameGoAway })
		if goneErr != nil {
			return fmt.Sprintf("%v", err)
		}
		return fmt.Sprintf("GOAWAY %v %q", f.Code, f.Payload)
	case resp.Status == 0:
		return fmt.Sprintf("RST_STREAM %v", resp.ResetCode)
	case resp.Reset && resp.ResetCode != http2.ErrCodeNo:
		return fmt.Sprintf("%d, then RST_STREAM %v", resp.Status, resp.ResetCode)
	default:
		return fmt.Sprint(resp.Status)
	}
}
