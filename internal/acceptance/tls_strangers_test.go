package acceptance

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestTLSToPlaintext answers who speaks TLS where none is spoken with 400, and closes the connection: nothing of a hello is a request,
// in whatever pieces it comes.
func TestTLSToPlaintext(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	p := harness.NewSetup(origin.Addr()).Start(t)
	for _, hello := range []string{clientHello(t, "a.test"), clientHello(t, "a.test", "h2", "http/1.1")} {
		p.EachSplit(hello, 1, func(how string, c *harness.Client) {
			if got := c.ReadHead(); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("%s: %q, want 400", how, got)
			}
			c.ReadAll() // to the end
			p.Outcome()
		})
	}
	if n := origin.Connections(); n != 0 {
		t.Errorf("the origin got %d connections", n)
	}
}

// TestStrangeProtocols shakes hands with clients that speak protocols nobody knows, without one, and goes on with HTTP/1.1: a name is
// never taken for another, nor for a line.
func TestStrangeProtocols(t *testing.T) {
	a := harness.NewAuthority(t)
	origin := harness.NewOrigin(t, harness.Echo)
	p := secured(harness.NewSetup(origin.Addr()), a, nil).Start(t)
	for name, protocols := range map[string][]string{
		"none":                nil,
		"unknown":             {"x"},
		"of ACME":             {"acme-tls/1"},
		"with a line end":     {"h2\r\nx-evil: 1", "http/1.1\r\n"},
		"with NUL":            {"h2\x00", "\x00"},
		"in upper case":       {"H2", "HTTP/1.1"},
		"several in one":      {"h2,http/1.1"},
		"as long as they get": {strings.Repeat("h2", 127) + "x"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := tls.DialWithDialer(&net.Dialer{Timeout: harness.Guard}, "tcp", p.Address(), &tls.Config{RootCAs: a.Pool(), ServerName: "proxy.test", NextProtos: protocols})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got := c.ConnectionState().NegotiatedProtocol; got != "" {
				t.Errorf("agreed on %q", got)
			}
			if _, err := io.WriteString(c, "GET /a HTTP/1.1\r\nHost: proxy.test\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") || !strings.HasSuffix(string(answer), "GET /a ") {
				t.Errorf("%q, %v", answer, err)
			}
			p.Outcome()
		})
	}
	for _, r := range origin.Requests() {
		if strings.Contains(r.Raw, "x-evil") {
			t.Errorf("the origin got %q", r.Raw)
		}
	}
}
