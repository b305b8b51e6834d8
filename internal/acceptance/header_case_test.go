package acceptance

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// anyCase is the script of an origin that takes names in any case, and answers each request whose body has the length.
func anyCase(bodyLengths []int, answer string) func(*harness.Peer) {
	return func(p *harness.Peer) {
		for _, length := range bodyLengths {
			head := ""
			for !strings.HasSuffix(head, "\r\n\r\n") {
				next := p.ReadBytes(1)
				if next == "" {
					return
				}
				head += next
			}
			p.ReadBytes(length)
			if !p.Write(answer) {
				return
			}
		}
	}
}

// TestHeaderCase holds how names are spelled in both directions, by what is configured for clients and for hosts. Names that the proxy
// adds or writes itself are spelled as the configuration has it, and those that came as they came, where that is asked for.
func TestHeaderCase(t *testing.T) {
	const (
		asked    = "GET / HTTP/1.1\r\nHOST: h\r\nX-CUSTOM: A: b\r\nx-Second-Name: 2\r\n\r\n"
		answered = "HTTP/1.1 200 Very Well\r\nX-ANSWER: 1\r\nCONTENT-Length: 2\r\n\r\nhi"
	)
	preserve := config.HeaderCase{Preserve: true}
	for _, test := range []struct {
		name                 string
		clients, hosts       config.HeaderCase
		request, response    []string // lines that are to be there
		inRequest, inReponse string   // what is not to be there
	}{
		{"as usual", config.HeaderCase{}, config.HeaderCase{}, []string{"host: h", "x-custom: A: b", "x-second-name: 2"},
			[]string{"HTTP/1.1 200 OK", "x-answer: 1", "content-length: 2", "server: envoy"}, "X-", "X-"},
		{"proper", config.HeaderCase{Proper: true}, config.HeaderCase{Proper: true}, []string{"Host: h", "X-Custom: A: b", "X-Second-Name: 2", "X-Forwarded-Proto: http"},
			[]string{"HTTP/1.1 200 OK", "X-Answer: 1", "Content-Length: 2", "Server: envoy"}, "\nx-", "\nx-"},
		{"proper for hosts only", config.HeaderCase{}, config.HeaderCase{Proper: true}, []string{"Host: h", "X-Custom: A: b"},
			[]string{"x-answer: 1", "content-length: 2"}, "\nx-", "X-"},
		{"preserved", preserve, preserve, []string{"HOST: h", "X-CUSTOM: A: b", "x-Second-Name: 2", "x-forwarded-proto: http"},
			[]string{"HTTP/1.1 200 OK", "X-ANSWER: 1", "CONTENT-Length: 2", "server: envoy"}, "x-custom", "x-answer"},
		{"preserved from clients", preserve, config.HeaderCase{}, []string{"HOST: h", "X-CUSTOM: A: b"}, []string{"x-answer: 1", "content-length: 2"}, "x-custom", "X-"},
		{"preserved, others proper", config.HeaderCase{Preserve: true, ProperOthers: true}, config.HeaderCase{Preserve: true, ProperOthers: true, ForwardReason: true},
			[]string{"HOST: h", "x-Second-Name: 2", "X-Forwarded-Proto: http"}, []string{"HTTP/1.1 200 Very Well", "X-ANSWER: 1", "Server: envoy"}, "\nx-f", "\ns"},
	} {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, anyCase(make([]int, 1000), answered))
			s := harness.NewSetup(origin.Addr())
			s.HTTP().HeaderCase, s.Clusters[0].HeaderCase = test.clients, test.hosts
			p := s.Start(t)
			check := func(what, got string, lines []string, not string) {
				t.Helper()
				for _, line := range lines {
					if !strings.Contains("\r\n"+got, "\r\n"+line+"\r\n") {
						t.Errorf("%s %q has no %q", what, got, line)
					}
				}
				if strings.Contains(got, not) {
					t.Errorf("%s %q has %q", what, got, not)
				}
			}
			p.EachSplit(asked, 1, func(how string, c *harness.Client) {
				head := c.ReadHead()
				check(how+": response", head, test.response, test.inReponse)
				c.Expect("hi")
			})
			for _, captured := range origin.Captured() {
				check("request", captured, test.request, test.inRequest)
			}
		})
	}
}

// TestHeaderCasePipelined holds that each request has its own spelling, also where they come together.
func TestHeaderCasePipelined(t *testing.T) {
	origin := harness.NewOrigin(t, anyCase([]int{3, 0}, harness.OK("x")))
	s := harness.NewSetup(origin.Addr())
	s.HTTP().HeaderCase = config.HeaderCase{Preserve: true}
	p := s.Start(t)
	c := p.Dial()
	c.Send("POST /1 HTTP/1.1\r\nhost: h\r\nX-ONE: 1\r\nContent-LENGTH: 3\r\n\r\nA-BGET /2 HTTP/1.1\r\nHOST: h\r\nx-ONE: 1\r\n\r\n")
	c.ReadResponse("POST")
	c.ReadResponse("GET")
	captured := strings.Join(origin.Captured(), "")
	for _, want := range []string{"host: h\r\nX-ONE: 1", "Content-LENGTH: 3\r\n", "\r\n\r\nA-B", "HOST: h\r\nx-ONE: 1"} {
		if !strings.Contains(captured, want) {
			t.Errorf("%q has no %q", captured, want)
		}
	}
}

// TestHeaderCaseTrailers holds that trailers have proper names as well.
func TestHeaderCaseTrailers(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Respond("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-trailer: 1\r\n\r\n"))
	s := harness.NewSetup(origin.Addr())
	s.HTTP().HeaderCase, s.HTTP().EnableTrailers, s.Clusters[0].EnableTrailers = config.HeaderCase{Proper: true}, true, true
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	if head := c.ReadHead(); !strings.Contains(head, "Transfer-Encoding: chunked\r\n") {
		t.Errorf("got %q", head)
	}
	c.Expect("1\r\nx\r\n0\r\nX-Trailer: 1\r\n\r\n")
}
