package acceptance

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// statusIs passes answers of one status.
func statusIs(status uint32) *config.LogFilter {
	return &config.LogFilter{Kind: config.LogFilterStatus, Compare: config.LogComparison{Default: status}}
}

// flagged passes answers with one of the response flags.
func flagged(flags ...string) *config.LogFilter {
	return &config.LogFilter{Kind: config.LogFilterFlags, Flags: flags}
}

func textReply(text string) *config.ReplyFormat {
	return &config.ReplyFormat{Body: config.LogFormat{Text: text}, ContentType: "text/plain"}
}

func jsonReply(members map[string]any) *config.ReplyFormat {
	return &config.ReplyFormat{Body: config.LogFormat{JSON: members}, ContentType: "application/json"}
}

// rewritten is an answer of the proxy's own that is not sent as it would be.
type rewritten struct {
	name   string
	config config.LocalReply
	setup  func(*harness.Setup)
	method string // GET unless set
	head   []string
	want   string // without date and server
}

func rewrittenReplies() []rewritten {
	noHost := &config.LogFilter{Kind: config.LogFilterAnd, Filters: []*config.LogFilter{statusIs(503), flagged("UH")}}
	teapot := []config.ReplyMapper{{Filter: noHost, Status: 418, Body: new("I'm a teapot")}}
	everything := map[string]any{
		"status": "%RESPONSE_CODE%", "body": "%LOCAL_REPLY_BODY%", "details": "%RESPONSE_CODE_DETAILS%", "flags": "%RESPONSE_FLAGS%",
		"path": "%REQ(:PATH)%", "added": "%RESP(X-ADDED)%", "route": "%ROUTE_NAME%", "protocol": "%PROTOCOL%", "type": "%ACCESS_LOG_TYPE%",
	}
	return []rewritten{
		{name: "no mapper", want: "503 Service Unavailable\ncontent-type: text/plain\n\nno healthy upstream"},
		{name: "none matches", config: config.LocalReply{Mappers: []config.ReplyMapper{{Filter: statusIs(500), Status: 200}}},
			want: "503 Service Unavailable\ncontent-type: text/plain\n\nno healthy upstream"},
		{name: "status and body", config: config.LocalReply{Mappers: teapot}, want: "418 Unknown\ncontent-type: text/plain\n\nI'm a teapot"},
		{name: "the first that matches", config: config.LocalReply{Mappers: []config.ReplyMapper{
			{Filter: statusIs(500), Body: new("first")}, {Filter: flagged("UH"), Body: new("second")}, {Filter: statusIs(503), Body: new("third")},
		}}, want: "503 Service Unavailable\ncontent-type: text/plain\n\nsecond"},
		{name: "no body", config: config.LocalReply{Mappers: []config.ReplyMapper{{Filter: noHost, Body: new("")}}}, want: "503 Service Unavailable\n\n"},
		{name: "a status without body", config: config.LocalReply{Mappers: []config.ReplyMapper{{Filter: noHost, Status: 204}}},
			want: "204 No Content\ncontent-type: text/plain\n\n"},
		{name: "format of all", config: config.LocalReply{Mappers: teapot, Format: textReply("<%LOCAL_REPLY_BODY% %RESPONSE_CODE% %RESP(:STATUS)% %REQ(X)%>")},
			head: []string{"X: y"}, want: "418 Unknown\ncontent-type: text/plain\n\n<I'm a teapot 418 418 y>"},
		{name: "format of the mapper", config: config.LocalReply{
			Mappers: []config.ReplyMapper{{Filter: noHost, Format: &config.ReplyFormat{Body: config.LogFormat{Text: "<p>%LOCAL_REPLY_BODY%"}, ContentType: "text/html"}}},
			Format:  textReply("not this"),
		}, want: "503 Service Unavailable\ncontent-type: text/html\n\n<p>no healthy upstream"},
		{name: "JSON", config: config.LocalReply{
			Mappers: []config.ReplyMapper{{Filter: noHost, Status: 500, Add: []config.HeaderValue{{Name: "x-added", Value: "%RESPONSE_CODE%"}}}},
			Format:  jsonReply(everything),
		}, head: []string{"X: y"}, want: "500 Internal Server Error\nx-added: 503\ncontent-type: application/json\n\n" +
			`{"added":"503","body":"no healthy upstream","details":"no_healthy_upstream","flags":"UH","path":"/","protocol":"HTTP/1.1",` +
			`"route":"all /","status":500,"type":"NotSet"}` + "\n"},
		{name: "added fields", config: config.LocalReply{Mappers: []config.ReplyMapper{{Filter: noHost, Add: []config.HeaderValue{
			{Name: "x-a", Value: "1"}, {Name: "x-b", Value: "%REQ(X)%"}, {Name: "x-none", Value: "%REQ(Y)%"},
			{Name: "x-route", Value: "of the mapper", Action: config.OverwriteIfExistsOrAdd},
		}}}}, setup: func(s *harness.Setup) {
			s.Route(0).ResponseAdd = []config.HeaderValue{{Name: "x-route", Value: "of the route"}}
		}, head: []string{"X: y"},
			want: "503 Service Unavailable\nx-route: of the mapper\nx-a: 1\nx-b: y\ncontent-type: text/plain\n\nno healthy upstream"},
		{name: "type of the route, and the body as it was", config: config.LocalReply{Format: textReply("%LOCAL_REPLY_BODY%")}, setup: typedByRoute,
			want: "503 Service Unavailable\ncontent-type: text/x\n\nno healthy upstream"},
		{name: "type of the route, and another body", config: config.LocalReply{Format: textReply("<%LOCAL_REPLY_BODY%>")}, setup: typedByRoute,
			want: "503 Service Unavailable\ncontent-type: text/plain\n\n<no healthy upstream>"},
		{name: "type of the mapper, and another body", config: config.LocalReply{Mappers: []config.ReplyMapper{{Filter: noHost, Body: new("x"), Add: []config.HeaderValue{
			{Name: "content-type", Value: "text/y", Action: config.OverwriteIfExistsOrAdd},
		}}}}, setup: typedByRoute, want: "503 Service Unavailable\ncontent-type: text/y\n\nx"},
		{name: "no route", config: config.LocalReply{Mappers: []config.ReplyMapper{{
			Filter: flagged("NR"), Add: []config.HeaderValue{{Name: "x-a", Value: "%ROUTE_NAME%%VIRTUAL_HOST_NAME%%UPSTREAM_CLUSTER%."}},
		}}, Format: textReply("[%LOCAL_REPLY_BODY%] %ROUTE_NAME%")}, setup: func(s *harness.Setup) { s.SetRoutes() },
			want: "404 Not Found\nx-a: .\ncontent-type: text/plain\n\n[] -"},
		{name: "direct response", config: config.LocalReply{Mappers: []config.ReplyMapper{{Filter: statusIs(200), Status: 201, Body: new("x")}}},
			setup: func(s *harness.Setup) { s.SetRoutes(harness.Direct("/", 200, "hello")) }, want: "201 Created\ncontent-type: text/plain\n\nx"},
		{name: "redirect", config: config.LocalReply{Format: textReply("see %RESP(LOCATION)%")}, setup: func(s *harness.Setup) {
			r := harness.Match("/")
			r.Redirect = &config.Redirect{Status: 301, Host: "b"}
			s.SetRoutes(r)
		}, want: "301 Moved Permanently\nlocation: http://b/\ncontent-type: text/plain\n\nsee http://b/"},
		{name: "by a field of the request", config: config.LocalReply{Mappers: []config.ReplyMapper{{Filter: &config.LogFilter{
			Kind: config.LogFilterHeader, Header: config.HeaderMatcher{Name: "accept", Kind: config.HeaderString, String: config.StringMatcher{Value: "text/html"}},
		}, Body: new("for a browser")}}}, head: []string{"Accept: text/html"}, want: "503 Service Unavailable\ncontent-type: text/plain\n\nfor a browser"},
		{name: "HEAD", method: "HEAD", config: config.LocalReply{Mappers: teapot, Format: jsonReply(map[string]any{"b": "%LOCAL_REPLY_BODY%"})},
			want: "418 Unknown\ncontent-type: application/json\n\n" + `{"b":"I'm a teapot"}` + "\n"},
		{name: "gRPC", config: config.LocalReply{
			Mappers: []config.ReplyMapper{{Filter: statusIs(503), Status: 401, Body: new("who?")}}, Format: jsonReply(map[string]any{"b": "%LOCAL_REPLY_BODY%"}),
		}, head: []string{"Content-Type: application/grpc"}, want: "200 OK\ncontent-type: application/grpc\ngrpc-status: 16\n" + `grpc-message: {"b":"who?"}` + "\n\n"},
		{name: "status of gRPC", config: config.LocalReply{Mappers: []config.ReplyMapper{{
			Filter: &config.LogFilter{Kind: config.LogFilterGRPCStatus, GRPC: map[uint32]bool{14: true}}, Add: []config.HeaderValue{{Name: "grpc-status", Value: "8"}},
		}}}, head: []string{"Content-Type: application/grpc"},
			want: "200 OK\ngrpc-status: 8\ncontent-type: application/grpc\ngrpc-message: no healthy upstream\n\n"},
		{name: "why a host is not reached", config: config.LocalReply{Format: textReply("%UPSTREAM_TRANSPORT_FAILURE_REASON%")}, setup: func(s *harness.Setup) {
			s.Clusters[0].Assignment = harness.Cluster("", netip.MustParseAddrPort("127.0.0.1:1")).Assignment
		}, want: "503 Service Unavailable\ncontent-type: text/plain\n\ndelayed_connect_error:_Connection_refused"},
	}
}

// typedByRoute has the route say what type all bodies are of.
func typedByRoute(s *harness.Setup) {
	s.Route(0).ResponseAdd = []config.HeaderValue{{Name: "content-type", Value: "text/x", Action: config.OverwriteIfExistsOrAdd}}
}

// TestLocalReplyConfig holds what local_reply_config makes of answers, byte by byte.
func TestLocalReplyConfig(t *testing.T) {
	for _, test := range rewrittenReplies() {
		t.Run(test.name, func(t *testing.T) {
			s := harness.NewSetup()
			s.HTTP().LocalReply = &test.config
			if test.setup != nil {
				test.setup(s)
			}
			p := s.Start(t)
			c := p.Dial()
			method := test.method
			if method == "" {
				method = "GET"
			}
			c.Send(harness.Head(method+" /", test.head...))
			resp := c.ReadResponse(method)
			if want := test.bytes(method == "HEAD"); normal(resp.Raw) != want {
				t.Errorf("got\n%q\nwant\n%q", normal(resp.Raw), want)
			}
			if o := p.Outcome(); o.Status != resp.Status {
				t.Errorf("the outcome has status %d, the answer %d", o.Status, resp.Status)
			}
			c.ExpectOpen()
		})
	}
}

// bytes returns the whole answer.
func (r *rewritten) bytes(head bool) string {
	fields, body, _ := strings.Cut(r.want, "\n\n")
	w := append(strings.Split("HTTP/1.1 "+fields, "\n"), "date: DATE", "server: envoy")
	if !strings.HasPrefix(fields, "204") {
		w = append(w, fmt.Sprintf("content-length: %d", len(body)))
	}
	if head {
		body = ""
	}
	return lines(w...) + body
}

// TestLocalReplyToBadRequest holds that the answer to what is no request is changed too, and that what is not known of it has no value.
func TestLocalReplyToBadRequest(t *testing.T) {
	s := harness.NewSetup()
	s.HTTP().LocalReply = &config.LocalReply{Format: textReply("%RESPONSE_CODE_DETAILS%: %LOCAL_REPLY_BODY% %ROUTE_NAME%")}
	c := s.Start(t).Dial()
	c.Send("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp := c.ReadResponse("GET"); resp.Status != 400 || resp.Body != "http1.codec_error: Bad Request -" {
		t.Errorf("got %q", resp.Raw)
	}
	c.ExpectClosed()
}

// TestLocalReplyOverHTTP2 holds the same for a stream.
func TestLocalReplyOverHTTP2(t *testing.T) {
	s := harness.NewSetup()
	s.HTTP().LocalReply = &config.LocalReply{
		Mappers: []config.ReplyMapper{{Filter: flagged("UH"), Status: 500}}, Format: jsonReply(map[string]any{"p": "%PROTOCOL%", "s": "%RESPONSE_CODE%"}),
	}
	h := s.Start(t).DialH2()
	resp := h.Response(h.Get("/"))
	if resp.Status != 500 || resp.Body != `{"p":"HTTP/2","s":500}`+"\n" || resp.Fields.Get("content-type") != "application/json" {
		t.Errorf("got %v", resp)
	}
}

// TestLocalReplyLeavesResponses holds that responses of hosts, and those that a filter gives in their place, are not changed.
func TestLocalReplyLeavesResponses(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Then(harness.OK("from the host"), hang))
	s := harness.NewSetup(origin.Addr())
	corsOnRoute(s)
	s.HTTP().LocalReply = &config.LocalReply{
		Mappers: []config.ReplyMapper{{Filter: statusIs(200), Status: 500, Body: new("changed")}}, Format: textReply("changed too"),
	}
	c := s.Start(t).Dial()
	if resp := c.Get("/"); resp.Status != 200 || resp.Body != "from the host" {
		t.Errorf("got %q", resp.Raw)
	}
	c.Send(harness.Head("OPTIONS /", "Origin: http://a.test", "Access-Control-Request-Method: PUT"))
	if resp := c.ReadResponse("OPTIONS"); resp.Status != 200 || resp.Body != "" {
		t.Errorf("a preflight: got %q", resp.Raw)
	}
}

// TestLocalReplyRuntime holds that filters go by the runtime as it is when the answer is made.
func TestLocalReplyRuntime(t *testing.T) {
	s := harness.NewSetup()
	changed := statusIs(500)
	changed.Compare.Key = "changed"
	s.HTTP().LocalReply = &config.LocalReply{Mappers: []config.ReplyMapper{{Filter: changed, Status: 418}}}
	p := s.Start(t)
	c := p.Dial()
	if resp := c.Get("/"); resp.Status != 503 {
		t.Errorf("got %q", resp.Raw)
	}
	setRuntime(p, map[string]uint64{"changed": 503})
	if resp := c.Get("/"); resp.Status != 418 {
		t.Errorf("got %q", resp.Raw)
	}
}

// TestLocalReplyTooLong holds that a body which its format makes too long stays what it was.
func TestLocalReplyTooLong(t *testing.T) {
	s := harness.NewSetup()
	s.HTTP().LocalReply = &config.LocalReply{Format: textReply(strings.Repeat("%REQ(X)%", 60))}
	c := s.Start(t).Dial()
	long := strings.Repeat("x", 18<<10)
	if resp := c.Get("/", "X: "+long); resp.Status != 503 || resp.Body != "no healthy upstream" {
		t.Errorf("got %d with a body of %d bytes", resp.Status, len(resp.Body))
	}
	if resp := c.Get("/", "X: "+long[:10<<10]); resp.Status != 503 || resp.Body != strings.Repeat(long[:10<<10], 60) {
		t.Errorf("got %d with a body of %d bytes", resp.Status, len(resp.Body))
	}
}
