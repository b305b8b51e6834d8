package conformance

import (
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

const (
	h2specdPackage = "github.com/summerwind/h2spec/cmd/h2specd"
	// h2specdCases is how many cases h2specd has. Each has a port of its own, one after the other.
	h2specdCases = 57
	// h2specdTimeout is how many seconds h2specd waits for a frame. As with h2spec, a case that passes waits for none.
	h2specdTimeout = "5"
	// h2specdHost is a loopback address that no other test uses, so that nobody takes a port between the look at it and its use.
	h2specdHost = "127.0.0.2"
	// findTries bounds the search for a row of free ports.
	findTries = 100
)

var update = flag.Bool("update", false, "write the golden files")

// TestH2specd has h2specd, a server that breaks each rule in turn, for an origin: each case gets a request, and tells whether
// the proxy has done what the rule demands. None is left out. What the client gets is in a golden file. Clients of another
// origin, on the same connection, get their answers all along.
//
// Cases that break nothing do not answer either, but end with a GOAWAY by which the request was not processed. It is sent once
// more, to the same case, and then refused.
func TestH2specd(t *testing.T) {
	server := startH2specd(t)
	s := process.NewSetup(harness.NewOrigin(t, harness.Echo).Addr())
	s.Listeners[0].Routes = nil
	for i := range h2specdCases {
		host := netip.AddrPortFrom(server.cases.Addr(), server.cases.Port()+uint16(i))
		name := fmt.Sprint("case", i)
		s.Clusters = append(s.Clusters, process.HTTP2Cluster(name, nil, host))
		s.Listeners[0].Routes = append(s.Listeners[0].Routes, process.Route("/"+name+"/", name))
	}
	s.Listeners[0].Routes = append(s.Listeners[0].Routes, process.Route("/", harness.ClusterName))
	p := s.Start(t)
	c := harness.DialH2Address(t, p.Address())
	answers := make([]harness.H2Response, h2specdCases)
	for i := range answers {
		answers[i] = c.Response(c.Get(fmt.Sprint("/case", i, "/")))
		if r := c.Response(c.Get("/well")); r.Status != 200 || r.Body != "GET /well " {
			t.Fatalf("after case %d, a healthy origin's answer is %v", i, r)
		}
	}
	cases := server.report()
	passed := 0
	var got strings.Builder
	for i, test := range cases {
		if test.passed {
			passed++
		} else {
			t.Errorf("%s: %s", test.title, test.detail)
		}
		fmt.Fprintf(&got, "%s: %s\n", test.title, outcome(answers[i]))
	}
	compareGolden(t, "h2specd.golden", got.String())
	t.Logf("h2specd: %d of %d passed", passed, len(cases))
}

// outcome describes what a client got.
func outcome(r harness.H2Response) string {
	switch {
	case r.Reset:
		return fmt.Sprintf("%d, reset with %v", r.Status, r.ResetCode)
	case r.Status >= 500:
		return fmt.Sprintf("%d, %s", r.Status, r.Body)
	default:
		return fmt.Sprintf("%d, %d bytes", r.Status, len(r.Body))
	}
}

// h2specd is a running h2specd.
type h2specd struct {
	t      *testing.T
	child  *process.Child
	web    string         // address of the report
	cases  netip.AddrPort // of the first case
	client http.Client
}

// startH2specd starts h2specd in the mode in which it waits for requests, and reports over HTTP what became of them.
func startH2specd(t *testing.T) *h2specd {
	t.Helper()
	first := freeRow(t, h2specdCases+1)
	d := &h2specd{t: t, cases: netip.AddrPortFrom(first.Addr(), first.Port()+1), web: first.String()}
	d.client = http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: harness.Guard}
	d.child = process.Run(t, process.Command{Path: tool(t, h2specdPackage), Args: []string{
		"-h", h2specdHost, "-p", fmt.Sprint(first.Port()), "-f", fmt.Sprint(d.cases.Port()), "-o", h2specdTimeout,
	}})
	// The report's port is the last that it listens on.
	d.child.WaitListening(d.web)
	return d
}

// freeRow returns the first address of n with successive ports that are free.
func freeRow(t *testing.T, n int) netip.AddrPort {
	t.Helper()
	host := netip.MustParseAddr(h2specdHost)
	for range findTries {
		first, err := net.Listen("tcp", netip.AddrPortFrom(host, 0).String())
		if err != nil {
			t.Fatal(err)
		}
		at := first.Addr().(*net.TCPAddr).AddrPort()
		taken := []net.Listener{first}
		for i := 1; i < n && int(at.Port())+i < 1<<16; i++ {
			l, err := net.Listen("tcp", netip.AddrPortFrom(host, at.Port()+uint16(i)).String())
			if err != nil {
				if !errors.Is(err, syscall.EADDRINUSE) {
					t.Fatal(err)
				}
				break
			}
			taken = append(taken, l)
		}
		for _, l := range taken {
			_ = l.Close()
		}
		if len(taken) == n {
			return at
		}
	}
	t.Fatalf("%s has no %d successive free ports", h2specdHost, n)
	return netip.AddrPort{}
}

// h2specdCase is a case in the report of h2specd.
type h2specdCase struct {
	title  string
	passed bool
	detail string // what was expected, and what was, of a case that failed
}

// report waits until all cases have a result, and returns them in the order of their ports.
func (d *h2specd) report() []h2specdCase {
	d.t.Helper()
	var cases []h2specdCase
	d.child.Eventually(fmt.Sprint(h2specdCases, " results"), func() bool {
		resp, err := d.client.Get("http://" + d.web + "/report")
		if err != nil {
			d.t.Fatal(err)
		}
		defer resp.Body.Close()
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			d.t.Fatal(err)
		}
		cases = parseH2specd(string(page))
		return len(cases) == h2specdCases
	})
	return cases
}

var (
	h2specdSection = regexp.MustCompile(`^[0-9.]+\. `)
	// h2specdResult is a case: its mark, which is a space until it has run, and its title.
	h2specdResult = regexp.MustCompile(`^<span[^>]*>(✔|✖)</span><a[^>]*>[^<]*</a>([^<]*)</div>`)
	tags          = regexp.MustCompile(`<[^>]*>`)
)

// parseH2specd returns the cases of a report that have run.
func parseH2specd(page string) (cases []h2specdCase) {
	section := ""
	for part := range strings.SplitSeq(page, "<div") {
		_, part, _ = strings.Cut(part, ">")
		text := strings.TrimSpace(html.UnescapeString(tags.ReplaceAllString(part, "")))
		switch m := h2specdResult.FindStringSubmatch(part); {
		case m != nil:
			cases = append(cases, h2specdCase{title: section + m[2], passed: m[1] == "✔"})
		case h2specdSection.MatchString(text):
			number, _, _ := strings.Cut(text, " ")
			section = number + " "
		case len(cases) > 0 && !cases[len(cases)-1].passed:
			cases[len(cases)-1].detail += " " + text
		}
	}
	return cases
}

// compareGolden compares with a file of testdata, or writes it with -update.
func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: -update writes it", err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was; got:\n%s", path, got)
	}
}
