package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// refusal is a request that must be answered without an origin hearing of it, and the connection closed.
type refusal struct {
	row    string
	input  string
	status int  // 400 when 0
	whole  bool // send it in one piece only
}

// chunked is a request with the chunked body.
func chunked(body string) string {
	return harness.Head("POST /x", "Transfer-Encoding: chunked") + body
}

// smuggled is what follows many of the inputs: a request that must never reach an origin.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

func framingRefusals() []refusal {
	list := []refusal{
		{row: "1 length and chunked", input: harness.Head("POST /", "Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\nG"},
		{row: "1 chunked and length", input: harness.Head("POST /", "Transfer-Encoding: chunked", "Content-Length: 5") + "0\r\n\r\nG"},
		{row: "5 chunked in HTTP/1.0", input: "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 426},
		{row: "6 space before colon", input: harness.Get("/", "X : y")},
		{row: "6 tab before colon", input: harness.Get("/", "Content-Length\t: 5")},
		{row: "6 space before the first field", input: "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
		{row: "6 tab before the first field", input: "GET / HTTP/1.1\r\n\tX: y\r\nHost: a\r\n\r\n"},
		{row: "6 folded with a space", input: harness.Get("/", "X: y", " z")},
		{row: "6 folded with a tab", input: harness.Get("/", "X: y", "\tz")},
		{row: "6 folded length", input: harness.Get("/", "Content-Length:", " 5")},
		{row: "6 folded encoding", input: harness.Get("/", "Transfer-Encoding:", "\tchunked"), status: 501},
		{row: "8 bare LF after the request line", input: "GET / HTTP/1.1\nHost: a\r\n\r\n"},
		{row: "8 bare CR after the request line", input: "GET / HTTP/1.1\rHost: a\r\n\r\n"},
		{row: "8 bare CR in the target", input: "GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n"},
		{row: "8 bare LF after a field", input: harness.Get("/", "X: y\nY: z")},
		{row: "8 bare CR in a field", input: harness.Get("/", "X: y\rY: z")},
		{row: "8 bare LF ends the head", input: "GET / HTTP/1.1\r\nHost: a\r\n\n"},
		{row: "8 CR CR LF", input: harness.Get("/", "X: y\r")},
		{row: "10 empty name", input: harness.Get("/", ": x", "Content-Length: 5")},
		{row: "10 no colon", input: harness.Get("/", "xyz", "Content-Length: 5")},
		{row: "10 name over two lines", input: harness.Get("/", "Content-", "Length: 5")},
		{row: "14 other expectation", input: harness.Head("POST /", "Expect: 100-continuing", "Content-Length: 5") + "hello", status: 417},
		{row: "14 empty expectation", input: harness.Head("POST /", "Expect:", "Content-Length: 5") + "hello", status: 417},
		{row: "16 CONNECT with length", input: "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 34\r\n\r\n" + smuggled},
		{row: "16 CONNECT chunked", input: "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled},
		{row: "18 ten connection options", input: harness.Get("/", "Connection: a,b,c,d,e,f,g,h,i,j")},
		{row: "18 connection names x-forwarded-for", input: harness.Get("/", "Connection: close, X-Forwarded-For")},
		{row: "18 connection names x-forwarded-host", input: harness.Get("/", "Connection: x-forwarded-host")},
		{row: "18 connection names x-forwarded-proto", input: harness.Get("/", "Connection: X-FORWARDED-PROTO")},
		{row: "18 connection names a pseudo-header", input: harness.Get("/", "Connection: :path")},
		{row: "19 no host", input: "GET / HTTP/1.1\r\n\r\n"},
		{row: "19 two hosts", input: harness.Get("/", "Host: b")},
		{row: "19 two equal hosts", input: harness.Get("/", "Host: a")},
		{row: "19 absolute without host", input: "GET http://a/ HTTP/1.1\r\n\r\n"},
		{row: "19 absolute with user information", input: "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{row: "19 absolute https in plaintext", input: "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", status: 403},
		{row: "60 fragment", input: harness.Get("/x#y")},
		{row: "60 fragment in an absolute target", input: harness.Get("http://a/x#y")},
	}
	add := func(row string, status int, field string, values ...string) {
		for _, v := range values {
			head := harness.Head("POST /", field+": "+v)
			if field == "Host" {
				head = "POST / HTTP/1.1\r\nHost: " + v + "\r\n\r\n"
			}
			list = append(list, refusal{row: fmt.Sprintf("%s %q", row, v), input: head + smuggled, status: status})
		}
	}
	add("2 two lengths", 400, "Content-Length", "5, 5", "5, 6", "5\r\nContent-Length: 5", "5\r\nContent-Length: 6", "5\r\nX: y\r\ncontent-length: 6", "0\r\nContent-Length: 34")
	add("3 length", 400, "Content-Length", "+5", "-1", "0x5", "1_0", "010", "5 5", "", "9223372036854775808", "18446744073709551621", "5,", "5;", "\u0665")
	add("4 encoding", 501, "Transfer-Encoding", "xchunked", ",chunked", "chunked,", "identity", "chunked, identity", "identity, chunked",
		`"chunked"`, "chunked;q=1", "gzip, chunked", "chunked, chunked", "chunked\r\nTransfer-Encoding: chunked", "chunked\r\nTransfer-Encoding: x", "", "cow")
	add("4 encoding", 400, "Transfer-Encoding", "\vchunked", "chunked\x00")
	add("19 host", 400, "Host", "", "u@a", "u:p@a", "a/b", "a,b", "a b", "a?b", "a:80:80", "a:99999", "http://a")
	return list
}

// controlRefusals are the control characters in names, values and targets.
func controlRefusals() []refusal {
	var list []refusal
	for c := range 0x80 {
		if c >= 0x20 && c != 0x7f {
			continue
		}
		b := string([]byte{byte(c)})
		list = append(list, refusal{row: fmt.Sprintf("9 %#02x in a name", c), input: harness.Get("/", "x"+b+"y: z"), whole: true})
		list = append(list, refusal{row: fmt.Sprintf("9 %#02x in the target", c), input: harness.Get("/x" + b + "y"), whole: true})
		if c != '\t' {
			list = append(list, refusal{row: fmt.Sprintf("9 %#02x in a value", c), input: harness.Get("/", "x: y"+b+"z"), whole: true})
		}
	}
	return list
}

// TestRefusedHeads sends heads that must be refused. The answer comes at once, whatever body they announce, the connection
// is closed, and no origin hears of it.
func TestRefusedHeads(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	p := harness.NewSetup(origin.Addr()).Start(t)
	for _, test := range append(framingRefusals(), controlRefusals()...) {
		t.Run(test.row, func(t *testing.T) {
			p.For(t)
			status := test.status
			if status == 0 {
				status = 400
			}
			check := func(how string, c *harness.Client) {
				resp := c.ReadResponse("POST")
				if resp.Status != status || resp.Fields.Get("connection") != "close" {
					t.Fatalf("%s: got %q, want %d and connection: close", how, resp.Raw, status)
				}
				c.ExpectClosed()
				if o := p.Outcome(); o.Status != status || o.Flags != "DPE" || o.BytesReceived != 0 {
					t.Fatalf("%s: outcome %+v", how, o)
				}
			}
			if test.whole {
				c := p.Dial()
				c.Send(test.input)
				check("in one piece", c)
			} else {
				p.EachSplit(test.input, 1, check)
			}
			p.Canary(2)
		})
	}
	if n := origin.Connections(); n != 0 {
		t.Errorf("%d connections came to the origin: %q", n, origin.Captured())
	}
}

// TestRefusedUnderscores holds that names with underscores are refused where the listener says so (row 7, edge).
func TestRefusedUnderscores(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	s.HTTP().Underscores = config.UnderscoreReject
	p := s.Start(t)
	c := p.Dial()
	if resp := c.Get("/", "X_Forwarded_For: 1.2.3.4"); resp.Status != 400 {
		t.Errorf("got %q", resp.Raw)
	}
	c.ExpectClosed()
	if o := p.Outcome(); o.String() != "400 DPE http1.unexpected_underscore" {
		t.Errorf("outcome %v", o)
	}
	if origin.Connections() != 0 {
		t.Error("the origin heard of it")
	}
}

// chunkRefusals are bodies whose head is fine: they are found when the request has been forwarded already.
var chunkRefusals = []refusal{
	{row: "11 size 0x5", input: "0x5\r\nhello\r\n0\r\n\r\n"},
	{row: "11 size +5", input: "+5\r\nhello\r\n0\r\n\r\n"},
	{row: "11 size -0", input: "-0\r\n\r\n"},
	{row: "11 space before the size", input: " 5\r\nhello\r\n0\r\n\r\n"},
	{row: "11 space after the size", input: "5 \r\nhello\r\n0\r\n\r\n"},
	{row: "11 underscore in the size", input: "5_0\r\nhello\r\n0\r\n\r\n"},
	{row: "11 no size", input: "\r\nhello\r\n0\r\n\r\n"},
	{row: "11 size of 65 bits", input: "ffffffffffffffff1\r\nhello\r\n0\r\n\r\n"},
	{row: "11 size of 64 bits", input: "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
	{row: "11 letter g", input: "g\r\nhello\r\n0\r\n\r\n"},
	{row: "11 second chunk", input: "1\r\nx\r\n0x1\r\nx\r\n0\r\n\r\n"},
	{row: "8 bare LF after the size", input: "5\nhello\r\n0\r\n\r\n"},
	{row: "8 bare CR after the size", input: "5\rhello\r\n0\r\n\r\n"},
	{row: "8 bare LF after the data", input: "5\r\nhello\n0\r\n\r\n"},
	{row: "8 bare LF after the last chunk", input: "5\r\nhello\r\n0\n\r\n"},
	{row: "8 bare LF in the trailers", input: "5\r\nhello\r\n0\r\nx: y\n\r\n"},
	{row: "8 bare CR in the trailers", input: "5\r\nhello\r\n0\r\nx: y\rz\r\n\r\n"},
	{row: "8 bare LF ends the trailers", input: "5\r\nhello\r\n0\r\nx: y\r\n\n"},
	{row: "12 extension with LF", input: "5;x\ny\r\nhello\r\n0\r\n\r\n"},
	{row: "12 extension with CR", input: "5;x\ry\r\nhello\r\n0\r\n\r\n"},
	{row: "12 extension that is a LF", input: "5;\nhello\r\n0\r\n\r\n"},
	{row: "12 extension with NUL", input: "5;x=\x00\r\nhello\r\n0\r\n\r\n"},
	{row: "12 extension of 64 KiB", input: "5;" + strings.Repeat("x", 64<<10) + "\r\nhello\r\n0\r\n\r\n"},
	{row: "12 extensions of 8 KiB in all", input: strings.Repeat("1;"+strings.Repeat("x", 1<<10)+"\r\ny\r\n", 8) + "0\r\n\r\n"},
	{row: "12 no CRLF after the data", input: "5\r\nhello0\r\n\r\n" + smuggled},
	{row: "12 two stray bytes after the data", input: "5\r\nhelloXX0\r\n\r\n" + smuggled},
	{row: "12 stray byte before CRLF", input: "5\r\nhelloX\r\n0\r\n\r\n"},
	{row: "13 trailer without colon", input: "5\r\nhello\r\n0\r\nxyz\r\n\r\n"},
	{row: "13 folded trailer", input: "5\r\nhello\r\n0\r\nx: y\r\n z\r\n\r\n"},
	{row: "13 10,000 trailers", input: "5\r\nhello\r\n0\r\n" + strings.Repeat("x: y\r\n", 10000) + "\r\n", status: 431},
	{row: "13 trailers of 64 KiB", input: "5\r\nhello\r\n0\r\nx: " + strings.Repeat("y", 64<<10) + "\r\n\r\n", status: 431},
}

// TestRefusedBodies sends bodies that turn out to be malformed after the request was forwarded: the client is told, both
// connections are closed, and the origin never sees the end of the body, so that it cannot take the request for whole.
func TestRefusedBodies(t *testing.T) {
	for _, test := range chunkRefusals {
		t.Run(test.row, func(t *testing.T) {
			status := test.status
			if status == 0 {
				status = 400
			}
			origin := harness.NewOrigin(t, harness.Echo)
			p := harness.NewSetup(origin.Addr()).Start(t)
			input := chunked(test.input)
			head := len(input) - len(test.input)
			p.EachSplit(input, head, func(how string, c *harness.Client) {
				resp := c.ReadResponse("POST")
				if resp.Status != status || resp.Fields.Get("connection") != "close" {
					t.Fatalf("%s: got %q, want %d and connection: close", how, resp.Raw, status)
				}
				c.ExpectClosed()
				if o := p.Outcome(); o.Status != status || o.Flags != "DPE" {
					t.Fatalf("%s: outcome %+v", how, o)
				}
			})
			p.Canary(2)
			for i := range origin.Connections() {
				origin.WaitEnded(i)
			}
			for _, got := range origin.Captured() {
				if requests, err := harness.ParseRequests(got); len(requests) > 0 || got != "" && err == nil {
					t.Fatalf("the origin took %q for %d requests", got, len(requests))
				}
			}
		})
	}
}
