package acceptance

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// toHTTP2 has the first cluster speak HTTP/2.
func toHTTP2(s *harness.Setup) *harness.Setup {
	speakHTTP2(s.Clusters[0])
	return s
}

// pair is what is spoken on the two sides of the proxy: 1 or 2.
type pair struct{ down, up int }

// pairs are all there are. What they have in common is shown by one table for all.
var pairs = []pair{{1, 1}, {1, 2}, {2, 1}, {2, 2}}

func (p pair) String() string { return fmt.Sprintf("h%d to h%d", p.down, p.up) }

// pairOrigin is an origin of either protocol that answers every request with the same response.
type pairOrigin struct {
	addr     netip.AddrPort
	requests func() []harness.H2Request
}

// origin starts one for the upper side of the pair.
func (p pair) origin(t *testing.T, r harness.H2Response) pairOrigin {
	t.Helper()
	if p.up == 1 {
		o := harness.NewOrigin(t, harness.Respond(http1Response(r)))
		return pairOrigin{o.Addr(), func() (all []harness.H2Request) {
			for _, req := range o.Requests() {
				all = append(all, ofHTTP1(req))
			}
			return all
		}}
	}
	o := harness.NewH2Origin(t, harness.H2Respond(r))
	return pairOrigin{o.Addr(), o.Requests}
}

// setup returns one that leads to the origin, and lets trailers through on both sides.
func (p pair) setup(o pairOrigin) *harness.Setup {
	s := harness.NewSetup(o.addr)
	enableTrailers(s)
	if p.up == 2 {
		toHTTP2(s)
	}
	return s
}

// ask sends a request on a new connection, and returns the response.
func (p pair) ask(proxy *harness.Proxy, r harness.H2Request) harness.H2Response {
	if p.down == 2 {
		return askHTTP2(proxy.DialH2(), r)
	}
	c := proxy.Dial()
	c.Send(http1Request(r))
	var informational []harness.H2Response
	for {
		resp := c.ReadResponse(r.Method)
		got := harness.H2Response{
			Status: resp.Status, Fields: without(resp.Fields, "transfer-encoding"), Body: resp.Body, Trailers: resp.Trailers, EndStream: true,
		}
		if resp.Status >= 200 {
			got.Informational = informational
			return got
		}
		informational = append(informational, got)
	}
}

// askHTTP2 sends a request with :authority, unless it has a host field, and returns the response.
func askHTTP2(c *harness.H2Client, r harness.H2Request) harness.H2Response {
	head := []string{":method", r.Method, ":scheme", "http", ":path", r.Path}
	if !r.Fields.Has("host") {
		head = append(head, ":authority", r.Authority)
	}
	for _, f := range r.Fields {
		head = append(head, f.Name, f.Value)
	}
	var trailers []string
	for _, f := range r.Trailers {
		trailers = append(trailers, f.Name, f.Value)
	}
	var id uint32
	c.Batch(func() {
		id = c.Request(r.EndStream, head...)
		if !r.EndStream {
			c.SendBody(id, r.Body, trailers...)
		}
	})
	return c.Response(id)
}

// ofHTTP1 returns a request of HTTP/1 as one of HTTP/2.
func ofHTTP1(r harness.Request) harness.H2Request {
	return harness.H2Request{
		Method: r.Method, Scheme: "http", Authority: r.Fields.Get("host"), Path: r.Target, Body: r.Body, Trailers: r.Trailers,
		Fields: without(r.Fields, "host", "transfer-encoding"), EndStream: r.Body == "" && !r.Fields.Has("transfer-encoding"),
	}
}

// http1Request writes a request as HTTP/1 has it: chunked where its length is not declared.
func http1Request(r harness.H2Request) string {
	fields := r.Fields
	if !fields.Has("host") {
		fields = append(harness.Fields{{Name: "host", Value: r.Authority}}, fields...)
	}
	return http1Message(r.Method+" "+r.Path+" HTTP/1.1", fields, r.Body, r.Trailers, r.EndStream)
}

// http1Response writes a response as HTTP/1 has it, with informational ones before it.
func http1Response(r harness.H2Response) string {
	var b strings.Builder
	for _, i := range r.Informational {
		b.WriteString(http1Message(fmt.Sprintf("HTTP/1.1 %d I", i.Status), i.Fields, "", nil, true))
	}
	bodyless := r.Body == "" && len(r.Trailers) == 0
	b.WriteString(http1Message(fmt.Sprintf("HTTP/1.1 %d X", r.Status), r.Fields, r.Body, r.Trailers, bodyless))
	return b.String()
}

func http1Message(start string, fields harness.Fields, body string, trailers harness.Fields, bodyless bool) string {
	chunked := !bodyless && !fields.Has("content-length")
	if chunked {
		fields = append(slices.Clone(fields), harness.Field{Name: "transfer-encoding", Value: "chunked"})
	}
	head := start + "\r\n" + http1Fields(fields) + "\r\n"
	if !chunked {
		return head + body
	}
	if body != "" {
		body = strconv.FormatInt(int64(len(body)), 16) + "\r\n" + body + "\r\n"
	}
	return head + body + "0\r\n" + http1Fields(trailers) + "\r\n"
}

func http1Fields(fields harness.Fields) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	return b.String()
}

// without returns the fields but for those of some names.
func without(fields harness.Fields, names ...string) harness.Fields {
	return slices.DeleteFunc(slices.Clone(fields), func(f harness.Field) bool { return slices.Contains(names, f.Name) })
}

// What the proxy adds to messages.
var (
	addedToRequest  = []string{"x-forwarded-for", "x-forwarded-proto", "x-envoy-external-address", "x-request-id", "x-envoy-expected-rq-timeout-ms"}
	addedToResponse = []string{"date", "server", "x-envoy-upstream-service-time"}
)

// fieldLines writes fields that a test has given as "name: value" lines.
func fieldLines(fields harness.Fields) string {
	var lines []string
	for _, f := range fields {
		lines = append(lines, f.Name+": "+f.Value)
	}
	return strings.Join(lines, "\n")
}

// fieldsOf is the opposite of fieldLines.
func fieldsOf(lines string) (fields harness.Fields) {
	for line := range strings.SplitSeq(lines, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			fields = append(fields, harness.Field{Name: name, Value: value})
		}
	}
	return fields
}

// describeRequest writes what an origin got, but for what the proxy adds, which must be there.
func describeRequest(t *testing.T, r harness.H2Request) string {
	t.Helper()
	for _, name := range addedToRequest {
		if !r.Fields.Has(name) {
			t.Errorf("the request is without %s: %q", name, r.Fields)
		}
	}
	return describe(fmt.Sprintf("%s %s %s", r.Method, r.Authority, r.Path), without(r.Fields, addedToRequest...), r.Body, r.Trailers)
}

// describeResponse is describeRequest for what a client got.
func describeResponse(t *testing.T, r harness.H2Response) string {
	t.Helper()
	if !r.EndStream {
		t.Errorf("the response has no end: %v", r)
	}
	start := ""
	for _, i := range r.Informational {
		start += describe(strconv.Itoa(i.Status), i.Fields, "", nil) + "\n"
	}
	for _, name := range addedToResponse {
		if !r.Fields.Has(name) {
			t.Errorf("the response is without %s: %q", name, r.Fields)
		}
	}
	return describe(start+strconv.Itoa(r.Status), without(r.Fields, addedToResponse...), r.Body, r.Trailers)
}

// describe writes a message as lines. Fields are in no order, because a codec writes content-length where it likes.
func describe(start string, fields harness.Fields, body string, trailers harness.Fields) string {
	fields = slices.Clone(fields)
	slices.SortStableFunc(fields, func(a, b harness.Field) int { return strings.Compare(a.Name, b.Name) })
	all := start
	if len(fields) > 0 {
		all += "\n" + fieldLines(fields)
	}
	if body != "" {
		all += "\n\n" + body
	}
	if len(trailers) > 0 {
		all += "\n\n" + fieldLines(trailers)
	}
	return all
}
