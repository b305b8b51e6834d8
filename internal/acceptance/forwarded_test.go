package acceptance

import (
	"regexp"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// uuid matches a request id of version 4.
var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// date matches an IMF-fixdate.
var date = regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`)

// normal replaces what differs from run to run.
func normal(raw string) string {
	return date.ReplaceAllString(uuid.ReplaceAllString(raw, "UUID"), "DATE")
}

// lines joins the lines of a head, which ends with an empty line.
func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n\r\n" }

// added are the field lines that the proxy adds to an external request to an edge listener.
const added = "x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-envoy-external-address: 127.0.0.1\r\n" +
	"x-request-id: UUID\r\nx-envoy-expected-rq-timeout-ms: 15000\r\n"

// forwarded are requests that are let through: what the client sends, and the exact bytes that the origin gets.
var forwarded = []struct {
	row   string
	input string
	want  string
	setup func(*harness.Setup)
}{
	{
		row: "7 underscores are names of their own", input: harness.Get("/", "Content_Length: 5", "X_Forwarded_For: 6.6.6.6", "Transfer_Encoding: chunked"),
		want: "GET / HTTP/1.1\r\nhost: a\r\ncontent_length: 5\r\nx_forwarded_for: 6.6.6.6\r\ntransfer_encoding: chunked\r\n" + added + "\r\n",
	},
	{
		row: "7 underscores dropped", input: harness.Get("/", "Content_Length: 5", "X-A: 1"),
		setup: func(s *harness.Setup) { s.HTTP().Underscores = config.UnderscoreDrop },
		want:  "GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\r\n" + added + "\r\n",
	},
	{
		row: "4 chunked in any case", input: harness.Head("POST /", "tRANSFER-eNCODING: cHUNKED") + "5\r\nhello\r\n0\r\n\r\n",
		want: "POST / HTTP/1.1\r\nhost: a\r\n" + added + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	},
	{
		row: "12 extensions are not forwarded", input: chunked("05;a=b;c=\"d\"\r\nhello\r\n000;x\r\n\r\n"),
		want: "POST /x HTTP/1.1\r\nhost: a\r\n" + added + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	},
	{
		row: "13 trailers are dropped", input: chunked("5\r\nhello\r\n0\r\nX-T: 1\r\nContent-Length: 3\r\n\r\n"),
		want: "POST /x HTTP/1.1\r\nhost: a\r\n" + added + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	},
	{
		row: "13 forbidden trailers are dropped from those that are let through",
		input: chunked("5\r\nhello\r\n0\r\nX-T: 1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nHost: b\r\nAuthorization: x\r\nCookie: y\r\n" +
			"X-U:  2 \r\n\r\n"),
		setup: enableTrailers,
		want:  "POST /x HTTP/1.1\r\nhost: a\r\n" + added + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-t: 1\r\nx-u: 2\r\n\r\n",
	},
	{
		row: "13 trailers stay out of a cluster without them", input: chunked("5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"),
		setup: func(s *harness.Setup) { s.HTTP().EnableTrailers = true },
		want:  "POST /x HTTP/1.1\r\nhost: a\r\n" + added + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	},
	{
		row: "17 h2c is stripped", input: harness.Get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
		want: "GET / HTTP/1.1\r\nhost: a\r\n" + added + "\r\n",
	},
	{
		row: "18 connection names the client's own fields",
		input: harness.Get("/", "Connection: X-a, AUTHORIZATION,keep-alive , x-request-id, X-Envoy-External-Address, Cookie", "X-A: 1", "Authorization: x",
			"Cookie: y", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "X-B: 2"),
		want: "GET / HTTP/1.1\r\nhost: a\r\nx-b: 2\r\n" + added + "\r\n",
	},
	{
		row: "18 connection cannot hide the length", input: harness.Head("POST /", "Connection: Content-Length, Host", "Content-Length: 5") + "hello",
		want: "POST / HTTP/1.1\r\nhost: a\r\n" + added + "content-length: 5\r\n\r\nhello",
	},
	{
		row: "19 absolute form goes before host", input: "GET http://b:8080/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
		want: "GET /x?y HTTP/1.1\r\nhost: b:8080\r\n" + added + "\r\n",
	},
	{
		row: "19 host with port and address", input: "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
		want: "GET / HTTP/1.1\r\nhost: [::1]:80\r\n" + added + "\r\n",
	},
	{
		row: "6 values lose the whitespace around them", input: harness.Get("/", "X-A: \t 1 2\t "),
		want: "GET / HTTP/1.1\r\nhost: a\r\nx-a: 1 2\r\n" + added + "\r\n",
	},
	{
		row: "2 length 0", input: harness.Head("POST /", "Content-Length: 0"),
		want: "POST / HTTP/1.1\r\nhost: a\r\n" + added + "content-length: 0\r\n\r\n",
	},
	{
		row: "2 length 0 of a GET", input: harness.Get("/", "Content-Length: 0"),
		want: "GET / HTTP/1.1\r\nhost: a\r\n" + added + "content-length: 0\r\n\r\n",
	},
	{
		row: "2 no length of a POST", input: harness.Head("POST /"),
		want: "POST / HTTP/1.1\r\nhost: a\r\n" + added + "content-length: 0\r\n\r\n",
	},
	{
		row: "5 HTTP/1.0 is forwarded as HTTP/1.1", input: "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
		setup: func(s *harness.Setup) { s.HTTP().AcceptHTTP10 = true },
		want:  "POST / HTTP/1.1\r\nhost: a\r\n" + added + "content-length: 2\r\n\r\nhi",
	},
	{
		row: "55 te other than trailers", input: harness.Get("/", "TE: gzip, trailers;q=0.5", "X-B: 1"),
		want: "GET / HTTP/1.1\r\nhost: a\r\nx-b: 1\r\n" + added + "\r\n",
	},
	{
		row: "an empty line before the request", input: "\r\n" + harness.Get("/"),
		want: "GET / HTTP/1.1\r\nhost: a\r\n" + added + "\r\n",
	},
}

func enableTrailers(s *harness.Setup) {
	s.HTTP().EnableTrailers = true
	s.Clusters[0].EnableTrailers = true
}

// TestForwardedRequests holds the exact bytes that an origin gets, however the client's arrive (oracle O1).
func TestForwardedRequests(t *testing.T) {
	for _, test := range forwarded {
		t.Run(test.row, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Respond(harness.OK("")))
			s := harness.NewSetup(origin.Addr())
			if test.setup != nil {
				test.setup(s)
			}
			p := s.Start(t)
			sent := 0
			p.EachSplit(test.input, 1, func(how string, c *harness.Client) {
				sent++
				if resp := c.ReadResponse("POST"); resp.Status != 200 {
					t.Fatalf("%s: got %q", how, resp.Raw)
				}
			})
			requests := origin.Requests()
			if len(requests) != sent {
				t.Fatalf("the origin got %d requests, want %d", len(requests), sent)
			}
			for i, req := range requests {
				if got := dechunked(normal(req.Raw)); got != test.want {
					t.Fatalf("request %d:\n got %q\nwant %q", i, got, test.want)
				}
			}
			p.Canary(2)
		})
	}
}

// dechunked makes a chunked body of several chunks, as a split body arrives, one chunk.
func dechunked(raw string) string {
	head, body, ok := strings.Cut(raw, "transfer-encoding: chunked\r\n\r\n")
	requests, err := harness.ParseRequests(raw)
	if !ok || err != nil || requests[0].Body != "hello" {
		return raw
	}
	_, end, _ := strings.Cut(body, "\r\n0\r\n")
	return head + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + end
}

// TestConnectIsNotForwarded holds that CONNECT finds no route by default and leaves the next client alone (row 16).
func TestConnectIsNotForwarded(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	p := harness.NewSetup(origin.Addr()).Start(t)
	p.EachSplit("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", 1, func(how string, c *harness.Client) {
		if resp := c.ReadResponse("CONNECT"); resp.Status != 404 {
			t.Fatalf("%s: got %q", how, resp.Raw)
		}
		if o := p.Outcome(); o.String() != "404 NR route_not_found" {
			t.Fatalf("%s: outcome %v", how, o)
		}
		if resp := c.Get("/own"); resp.Body != "GET /own " {
			t.Fatalf("%s: then got %q", how, resp.Raw)
		}
		p.Outcome()
	})
	for _, req := range origin.Requests() {
		if req.Method != "GET" {
			t.Errorf("the origin got %q", req.Raw)
		}
	}
}
