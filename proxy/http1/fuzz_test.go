package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// The fuzz targets ask three things of every input. Its outcome must not depend on how it is segmented. What is accepted
// must be the same message after it was forwarded. And where net/http or fasthttp accept it too, they must have understood
// the same: a difference there is a request smuggled past us or past them.

// maxFuzzInput keeps the quadratic number of segmentations quick.
const maxFuzzInput = 1 << 10

// fuzzLimits returns one of the settings worth telling apart.
func fuzzLimits(choice uint8) *Limits {
	return &Limits{
		AcceptHTTP10:   choice&1 != 0,
		EnableTrailers: choice&2 != 0,
		Underscores:    UnderscoreAction(choice >> 2 & 3 % 3),
		HeaderBytes:    int(choice&16) * 8, // 128 or the default
		FieldCount:     int(choice & 32 >> 3),
	}
}

func FuzzRequest(f *testing.F) {
	for _, test := range requestCases() {
		f.Add(test.input, uint8(0))
		f.Add(test.input, uint8(1))
	}
	f.Add(browserRequest, uint8(0))
	f.Fuzz(func(t *testing.T, input string, choice uint8) {
		if len(input) > maxFuzzInput {
			return
		}
		lim := fuzzLimits(choice)
		want := requestOutcome(input, lim)
		eachSegmentation(input, func(how string, cuts ...int) {
			if got := requestOutcome(input, lim, cuts...); got != want {
				t.Fatalf("%q %s:\n got %s\nwant %s", input, how, got, want)
			}
		})
		checkForwardedRequest(t, input, lim)
		compareRequest(t, input, lim)
	})
}

// compareRequest compares our reading of a request with that of the oracles that read it at all.
func compareRequest(t *testing.T, input string, lim *Limits) {
	var p RequestParser
	var req message.Request
	n, _ := p.Parse([]byte(input), &req, lim)
	if n == 0 {
		return
	}
	body, _, complete := bodyOf(input[n:], p.Framing(), req.ContentLength)
	if !complete {
		return
	}
	start := strings.TrimPrefix(input[:n], "\r\n") // net/http reads no empty line
	if std, err := http.ReadRequest(bufio.NewReader(strings.NewReader(start + input[n:]))); err == nil {
		compare(t, input, "net/http method", std.Method, string(req.Method))
		if string(req.Method) != "CONNECT" {
			compare(t, input, "net/http host", std.Host, string(req.Authority))
		}
		if req.Scheme == nil {
			compare(t, input, "net/http target", std.RequestURI, string(req.Path)+connectTarget(&req))
		}
		if got, err := io.ReadAll(std.Body); err == nil {
			compare(t, input, "net/http body", string(got), body)
		}
		compareFields(t, input, &req.Fields, func(name string) []string { return std.Header[http.CanonicalHeaderKey(name)] })
	}
	fast := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(fast)
	if err := fast.Read(bufio.NewReaderSize(strings.NewReader(start+input[n:]), 2*maxFuzzInput)); err == nil {
		compare(t, input, "fasthttp method", string(fast.Header.Method()), string(req.Method))
		if req.Scheme == nil && string(req.Method) != "CONNECT" {
			compare(t, input, "fasthttp target", string(fast.Header.RequestURI()), string(req.Path))
			compare(t, input, "fasthttp host", string(fast.Header.Host()), string(req.Authority))
		}
		if p.Framing() != FramingNone {
			compare(t, input, "fasthttp body", string(fast.Body()), body)
		}
	}
}

func connectTarget(req *message.Request) string {
	if string(req.Method) == "CONNECT" {
		return string(req.Authority)
	}
	return ""
}

// bodyOf decodes the body at the start of input.
func bodyOf(input string, f Framing, length int64) (body string, n int, complete bool) {
	var d BodyDecoder
	d.Init(f, length, &Limits{})
	body, n, err := decodeAll(&d, input)
	return body, n, err == noError && d.EOF()
}

func compare(t *testing.T, input, what, theirs, ours string) {
	t.Helper()
	if theirs != ours {
		t.Fatalf("%q: %s: %q, ours %q", input, what, theirs, ours)
	}
}

// compareFields checks that every field we pass on has the values the oracle sees. It may see more: those we took out.
func compareFields(t *testing.T, input string, fields *message.Fields, theirs func(name string) []string) {
	t.Helper()
	ours := map[string][]string{}
	for _, field := range fields.All() {
		ours[string(field.Name)] = append(ours[string(field.Name)], string(field.Value))
	}
	for name, values := range ours {
		switch name {
		case "te", "trailer", "pragma", "cache-control": // we reduce the first, net/http changes the others
			continue
		}
		compare(t, input, "net/http "+name, strings.Join(theirs(name), "|"), strings.Join(values, "|"))
	}
}

func FuzzResponse(f *testing.F) {
	for _, test := range append(append([]responseCase{}, acceptedResponses...), refusedResponses...) {
		var choice uint8
		if test.to.head {
			choice |= 64
		}
		if test.to.connect {
			choice |= 128
		}
		f.Add(test.input, choice)
		f.Add(test.input+"5\r\nhello\r\n0\r\n\r\n", choice)
	}
	f.Fuzz(func(t *testing.T, input string, choice uint8) {
		if len(input) > maxFuzzInput {
			return
		}
		lim, to := fuzzLimits(choice), responseTo{head: choice&64 != 0, connect: choice&128 != 0}
		want := responseOutcome(input, to, lim)
		eachSegmentation(input, func(how string, cuts ...int) {
			if got := responseOutcome(input, to, lim, cuts...); got != want {
				t.Fatalf("%q %s:\n got %s\nwant %s", input, how, got, want)
			}
		})
		checkForwardedResponse(t, input, to, lim)
		compareResponse(t, input, to, lim)
	})
}

// compareResponse compares our reading of a response with those of the oracles that read it at all.
func compareResponse(t *testing.T, input string, to responseTo, lim *Limits) {
	var p ResponseParser
	var resp message.Response
	n, _ := p.Parse([]byte(input), &resp, to.head, to.connect, lim)
	if n == 0 || to.connect {
		return
	}
	request := &http.Request{Method: "GET"}
	if to.head {
		request.Method = "HEAD"
	}
	compareFastResponse(t, input, to, n, &p, &resp)
	std, err := http.ReadResponse(bufio.NewReader(strings.NewReader(input)), request)
	if err != nil {
		return
	}
	if std.StatusCode != resp.Status {
		t.Fatalf("%q: net/http status %d, ours %d", input, std.StatusCode, resp.Status)
	}
	compareFields(t, input, &resp.Fields, func(name string) []string { return std.Header[http.CanonicalHeaderKey(name)] })
	body, _, complete := bodyOf(input[n:], p.Framing(), resp.ContentLength)
	if got, err := io.ReadAll(std.Body); err == nil && complete && resp.Status != 101 {
		compare(t, input, "net/http body", string(got), body)
	}
}

// compareFastResponse is compareResponse for fasthttp, which skips 1xx responses by itself. Where we find a whole body, it
// must find the same.
func compareFastResponse(t *testing.T, input string, to responseTo, n int, p *ResponseParser, resp *message.Response) {
	fast := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(fast)
	fast.SkipBody = to.head
	if resp.Status < 200 || fast.Read(bufio.NewReaderSize(strings.NewReader(input), 2*maxFuzzInput)) != nil {
		return
	}
	compare(t, input, "fasthttp status", strconv.Itoa(fast.StatusCode()), strconv.Itoa(resp.Status))
	body, _, complete := bodyOf(input[n:], p.Framing(), resp.ContentLength)
	if f := p.Framing(); complete && (f == FramingLength || f == FramingChunked) {
		compare(t, input, "fasthttp body", string(fast.Body()), body)
	}
}

func FuzzChunked(f *testing.F) {
	for _, test := range append(append([]chunkedCase{}, acceptedChunked...), refusedChunked...) {
		f.Add(test.input+test.rest, uint8(0))
		f.Add(test.input+test.rest, uint8(2))
	}
	f.Fuzz(func(t *testing.T, input string, choice uint8) {
		if len(input) > maxFuzzInput {
			return
		}
		lim := fuzzLimits(choice)
		want := chunkedOutcome(input, lim)
		eachSegmentation(input, func(how string, cuts ...int) {
			if got := chunkedOutcome(input, lim, cuts...); got != want {
				t.Fatalf("%q %s:\n got %s\nwant %s", input, how, got, want)
			}
		})
		compareChunked(t, input, lim)
	})
}

// compareChunked compares our reading of a chunked body with what we write for it and with that of net/http.
func compareChunked(t *testing.T, input string, lim *Limits) {
	var d BodyDecoder
	d.Init(FramingChunked, 0, lim)
	body, n, err := decodeAll(&d, input)
	if err != noError || !d.Done() {
		return
	}
	wire := AppendLastChunk(AppendChunk(nil, []byte(body)), d.Trailers())
	var again BodyDecoder
	again.Init(FramingChunked, 0, &Limits{EnableTrailers: true})
	copied, m, err := decodeAll(&again, string(wire))
	if copied != body || m != len(wire) || err != noError || !again.Done() {
		t.Fatalf("%q forwarded as %q: %q, %d, %v", input, wire, copied, m, err)
	}
	fast := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(fast)
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	if fast.Read(bufio.NewReaderSize(strings.NewReader(head+input), 4*maxFuzzInput)) == nil {
		compare(t, input, "fasthttp body", string(fast.Body()), body)
	}
	if d.Trailers() != nil {
		var ours, theirs strings.Builder
		describeFields(&ours, d.Trailers())
		describeFields(&theirs, again.Trailers())
		compare(t, input, "trailers forwarded", theirs.String(), ours.String())
	}
	// The oracle stops before the trailer section.
	reader := httputil.NewChunkedReader(bytes.NewReader([]byte(input[:n])))
	if got, err := io.ReadAll(reader); err == nil {
		compare(t, input, "net/http body", string(got), body)
	}
}
