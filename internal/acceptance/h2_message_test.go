package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// pairMessage is a request and its response, and what comes of both on the other side of the proxy. Fields and trailers are
// lines of "name: value".
type pairMessage struct {
	name     string
	method   string // GET unless set
	path     string // "/" unless set
	fields   string
	body     string
	open     bool // the head does not end the request, though the body may be empty
	trailers string
	want     string // the request as describe writes it
	// zero says that HTTP/1 states the length of no body (RFC 9110 section 8.6).
	zero bool

	informational string // of a 103 before the response, if there is one
	status        int    // 200 unless set
	respFields    string
	respBody      string
	respTrailers  string
	wantResponse  string
}

func (m pairMessage) request() harness.H2Request {
	r := harness.H2Request{Method: m.method, Authority: "a", Path: m.path, Fields: fieldsOf(m.fields), Body: m.body, Trailers: fieldsOf(m.trailers)}
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Path == "" {
		r.Path = "/"
	}
	r.EndStream = m.body == "" && !m.open
	return r
}

func (m pairMessage) response() harness.H2Response {
	r := harness.H2Response{Status: m.status, Fields: fieldsOf(m.respFields), Body: m.respBody, Trailers: fieldsOf(m.respTrailers)}
	if r.Status == 0 {
		r.Status = 200
	}
	if m.informational != "" {
		r.Informational = []harness.H2Response{{Status: 103, Fields: fieldsOf(m.informational)}}
	}
	return r
}

// plainOK is the response of cases that are about requests.
const plainOK, wantOK = "content-length: 0", "200\ncontent-length: 0"

func pairRequests() []pairMessage {
	list := []pairMessage{
		{name: "path with query", path: "/a/b?c=d&e=%20", want: "GET a /a/b?c=d&e=%20"},
		{name: "asterisk", method: "OPTIONS", path: "/*", want: "OPTIONS a /*", zero: true},
		{name: "length 0", method: "POST", fields: "content-length: 0", want: "POST a /\ncontent-length: 0"},
		{name: "length", method: "POST", fields: "content-length: 5", body: "hello", want: "POST a /\ncontent-length: 5\n\nhello"},
		{name: "length of a GET", fields: "content-length: 5", body: "hello", want: "GET a /\ncontent-length: 5\n\nhello"},
		{name: "no length", method: "POST", body: "hello", want: "POST a /\n\nhello"},
		{name: "no length, nothing", method: "POST", open: true, want: "POST a /"},
		{name: "trailers", method: "POST", body: "hello", trailers: "x-t: 1\nx-u: 2", want: "POST a /\n\nhello\n\nx-t: 1\nx-u: 2"},
		{name: "trailers alone", method: "POST", open: true, trailers: "x-t: 1", want: "POST a /\n\nx-t: 1"},
		{name: "trailers that must not be", method: "POST", body: "hello", trailers: "x-t: 1\nauthorization: x", want: "POST a /\n\nhello\n\nx-t: 1"},
		{name: "te", fields: "te: trailers", want: "GET a /\nte: trailers"},
		{name: "fields in order", fields: "x-a: 1\nx-b: 2\nx-a: 3", want: "GET a /\nx-a: 1\nx-a: 3\nx-b: 2"},
		{name: "empty value", fields: "x-a: ", want: "GET a /\nx-a: "},
		{name: "high bytes", fields: "x-a: \xff\xc3\xa4", want: "GET a /\nx-a: \xff\xc3\xa4"},
		{name: "one cookie", fields: "cookie: a=1; b=2", want: "GET a /\ncookie: a=1; b=2"},
		{name: "host in the place of :authority", fields: "host: b:81", want: "GET b:81 /"},
	}
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "x!"} {
		bodyless := method == "GET" || method == "DELETE"
		list = append(list, pairMessage{name: "method " + method, method: method, want: method + " a /", zero: !bodyless})
	}
	for i := range list {
		list[i].respFields, list[i].wantResponse = plainOK, wantOK
	}
	return list
}

func pairResponses() []pairMessage {
	list := []pairMessage{
		{name: "response with length", respFields: "content-length: 5", respBody: "hello", wantResponse: "200\ncontent-length: 5\n\nhello"},
		{name: "response without length", respBody: "hello", wantResponse: "200\n\nhello"},
		{name: "response trailers", respBody: "hello", respTrailers: "x-t: 1\nx-u: 2", wantResponse: "200\n\nhello\n\nx-t: 1\nx-u: 2"},
		{name: "response trailers alone", respTrailers: "x-t: 1", wantResponse: "200\n\nx-t: 1"},
		{name: "response fields", respFields: "content-length: 0\nx-b: 1\nset-cookie: a=1\nset-cookie: b=2",
			wantResponse: "200\ncontent-length: 0\nset-cookie: a=1\nset-cookie: b=2\nx-b: 1"},
		{name: "early hints", informational: "link: </a>", respFields: "content-length: 2", respBody: "hi",
			wantResponse: "103\nlink: </a>\n200\ncontent-length: 2\n\nhi"},
		{name: "204", status: 204, wantResponse: "204"},
		{name: "304", status: 304, respFields: "content-length: 9", wantResponse: "304\ncontent-length: 9"},
		{name: "304 without length", status: 304, wantResponse: "304"},
		{name: "503", status: 503, respFields: "content-length: 2", respBody: "no", wantResponse: "503\ncontent-length: 2\n\nno"},
		{name: "HEAD", method: "HEAD", respFields: "content-length: 9", wantResponse: "200\ncontent-length: 9"},
		{name: "HEAD without length", method: "HEAD", wantResponse: "200"},
	}
	for i := range list {
		list[i].want = "GET a /"
		if list[i].method != "" {
			list[i].want = list[i].method + " a /"
		}
	}
	return list
}

// TestMessages holds that a request and its response mean the same on both sides of the proxy, whatever is spoken there.
func TestMessages(t *testing.T) {
	for _, pair := range pairs {
		for _, test := range append(pairRequests(), pairResponses()...) {
			t.Run(fmt.Sprint(pair, " ", test.name), func(t *testing.T) {
				origin := pair.origin(t, test.response())
				p := pair.setup(origin).Start(t)
				response := pair.ask(p, test.request())
				if got := describeResponse(t, response); got != test.wantResponse {
					t.Errorf("the client got %q\nwant %q", got, test.wantResponse)
				}
				requests := origin.requests()
				if len(requests) != 1 {
					t.Fatalf("the origin got %d requests, want 1", len(requests))
				}
				want := test.want
				if test.zero && pair.up == 1 {
					want += "\ncontent-length: 0"
				}
				if got := describeRequest(t, requests[0]); got != want {
					t.Errorf("the origin got %q\nwant %q", got, want)
				}
				if o := p.Outcome(); o.Flags != "-" || o.BytesReceived != int64(len(test.body)) || o.BytesSent != int64(len(test.respBody)) {
					t.Errorf("outcome %+v", o)
				}
			})
		}
	}
}

// TestLargeMessages holds that many and long fields pass, which takes several frames in HTTP/2, and bodies of any size.
func TestLargeMessages(t *testing.T) {
	many := make([]string, 80)
	for i := range many {
		many[i] = fmt.Sprintf("x-%02d: %s", i, strings.Repeat("v", 100))
	}
	long := []string{"x-long: " + strings.Repeat("0123456789", 4800)}
	body := strings.Repeat("0123456789abcdef", 1<<20/16)
	for _, pair := range pairs {
		for name, fields := range map[string][]string{"many fields": many, "a long field": long} {
			t.Run(fmt.Sprint(pair, " ", name), func(t *testing.T) {
				lines := strings.Join(fields, "\n")
				message := pairMessage{method: "POST", fields: lines, body: body, respFields: lines, respBody: body}
				origin := pair.origin(t, message.response())
				p := pair.setup(origin).Start(t)
				response := pair.ask(p, message.request())
				if want := "200\n" + lines + "\n\n" + body; describeResponse(t, response) != want {
					t.Errorf("the client got %d bytes of a body and %d fields", len(response.Body), len(response.Fields))
				}
				if got := origin.requests()[0]; describeRequest(t, got) != "POST a /\n"+lines+"\n\n"+body {
					t.Errorf("the origin got %d bytes of a body and %d fields", len(got.Body), len(got.Fields))
				}
			})
		}
	}
}
