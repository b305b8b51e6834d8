package conformance

import (
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

const (
	h2specPackage = "github.com/summerwind/h2spec/cmd/h2spec"
	// h2specCases is how many cases h2spec has, with the strict ones.
	h2specCases = 146
	// h2specTimeout is how many seconds h2spec waits for a frame. A case that passes waits for none, so it only has to be long
	// enough for a busy machine.
	h2specTimeout = "5"
	// h2specBody is what the origins answer: h2spec has cases that need a response of at least 5 bytes.
	h2specBody = "0123456789abcdef"
)

// leftOutOfAUTO are the cases that a listener of codec_type AUTO fails, and why. What does not begin as HTTP/2's preface is
// HTTP/1 there: a 400, and the end of the connection. The case takes the first bytes of that for a frame.
var leftOutOfAUTO = map[string]string{"http2/3.5/2": "an invalid preface is answered as HTTP/1"}

// TestH2spec sets h2spec, a client that breaks each rule in turn, against the proxy. The origins are strict: whatever the
// proxy sends them has to be right. They answer whole requests only. After an early answer the rest of a request is not wanted,
// its stream is reset with NO_ERROR (RFC 9113 section 8.1), and what h2spec does wrong on it then is ignored.
func TestH2spec(t *testing.T) {
	one := harness.NewOrigin(t, harness.Respond(harness.OK(h2specBody)))
	two := harness.NewH2Origin(t, harness.H2Respond(harness.H2OK(h2specBody)))
	s := process.NewSetup(one.Addr())
	s.Clusters = append(s.Clusters, process.HTTP2Cluster("two", nil, two.Addr()))
	s.HTTP()["codec_type"] = "HTTP2"
	auto := process.NewListener("auto")
	// Where a malformed message ends its connection, as by Envoy's default.
	ends := process.NewListener("ends")
	ends.HTTP["codec_type"] = "HTTP2"
	ends.HTTP["http2_protocol_options"] = process.Fields{"override_stream_error_on_invalid_http_message": false}
	authority := harness.NewAuthority(t)
	secure := process.NewListener("secure")
	secure.Chain = process.Fields{"transport_socket": process.DownstreamTLS(authority.Issue("127.0.0.1"))}
	s.Listeners = append(s.Listeners, auto, ends, secure)
	for _, l := range s.Listeners {
		l.Routes = []process.Fields{process.Route("/two", "two"), process.Route("/", harness.ClusterName)}
	}
	p := s.Start(t)
	program := tool(t, h2specPackage)
	for name, test := range map[string]struct {
		address, path string
		leftOut       map[string]string // cases and why
		tls           bool
	}{
		"HTTP2 to HTTP/1":                        {p.Address(), "/one", nil, false},
		"HTTP2 to HTTP/2":                        {p.Address(), "/two", nil, false},
		"HTTP2 that ends on a malformed message": {p.ListenerAddress("ends"), "/two", nil, false},
		"AUTO to HTTP/1":                         {p.ListenerAddress("auto"), "/one", leftOutOfAUTO, false},
		"AUTO to HTTP/2":                         {p.ListenerAddress("auto"), "/two", leftOutOfAUTO, false},
		// By ALPN it is known what the preface has to be.
		"AUTO over TLS to HTTP/1": {p.ListenerAddress("secure"), "/one", nil, true},
		"AUTO over TLS to HTTP/2": {p.ListenerAddress("secure"), "/two", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			host, port, err := net.SplitHostPort(test.address)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"http2", "hpack", "generic", "-h", host, "-p", port, "-P", test.path, "--strict", "-o", h2specTimeout}
			if test.tls {
				args = append(args, "-t", "-k")
			}
			out, err := output(t, program, args...)
			checkH2spec(t, out, err, test.leftOut)
			if test.tls {
				return
			}
			c := harness.DialH2Address(t, test.address)
			if r := c.Response(c.Get(test.path)); r.Status != 200 || r.Body != h2specBody {
				t.Errorf("after h2spec, the proxy answers %v", r)
			}
		})
	}
}

// checkH2spec compares a report of h2spec, and how it ended, with what should be.
func checkH2spec(t *testing.T, report string, end error, leftOut map[string]string) {
	t.Helper()
	cases := parseH2spec(report)
	passed := 0
	for id, c := range cases {
		reason, left := leftOut[id]
		switch {
		case c.passed && left:
			t.Errorf("%s passes, and is left out: %s", id, reason)
		case c.passed:
			passed++
		case left:
			t.Logf("left out: %s %s: %s", id, c.title, reason)
		default:
			t.Errorf("%s %s: failed", id, c.title)
		}
	}
	if len(cases) != h2specCases {
		t.Errorf("h2spec has run %d cases, want %d", len(cases), h2specCases)
	}
	if failed := end != nil; failed != (passed < len(cases)) {
		t.Errorf("h2spec ended with %v", end)
	}
	if t.Failed() {
		t.Logf("h2spec wrote: %s", report)
	}
	t.Logf("h2spec: %d of %d passed", passed, len(cases))
}

// h2specCase is a case in a report of h2spec.
type h2specCase struct {
	title  string
	passed bool
}

var (
	// h2specRoots are the headings of h2spec's parts, and what the ids of their cases begin with.
	h2specRoots = map[string]string{
		"Generic tests for HTTP/2 server":                "generic",
		"Hypertext Transfer Protocol Version 2 (HTTP/2)": "http2",
		"HPACK: Header Compression for HTTP/2":           "hpack",
	}
	h2specSection = regexp.MustCompile(`^([0-9.]+)\. `)
	// h2specResult is a line of a case that has run, or, without a mark, was skipped.
	h2specResult = regexp.MustCompile(`^(✔ |× |)([0-9]+): (.*)$`)
)

// parseH2spec returns the cases of a report by id, such as http2/5.1/3.
func parseH2spec(report string) map[string]h2specCase {
	cases := make(map[string]h2specCase)
	root, section := "", ""
	report, _, _ = strings.Cut(report, "Failures: ")
	for line := range strings.Lines(report) {
		// A case that is running is named before its result overwrites that.
		line = strings.TrimSpace(line[strings.LastIndex(line, "\r")+1:])
		if part, ok := h2specRoots[line]; ok {
			root = part
		} else if m := h2specResult.FindStringSubmatch(line); m != nil {
			cases[root+"/"+section+"/"+m[2]] = h2specCase{m[3], m[1] == "✔ "}
		} else if m := h2specSection.FindStringSubmatch(line); m != nil {
			section = m[1]
		}
	}
	return cases
}
