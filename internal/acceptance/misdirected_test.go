package acceptance

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestMisdirected refuses requests for another host than the one that the filter chain was chosen by, where that is asked for,
// in every protocol and however the host is written.
func TestMisdirected(t *testing.T) {
	a := harness.NewAuthority(t)
	s := secured(harness.NewSetup(echoOrigin(t).Addr()), a, nil)
	s.HTTP().HostIsServerName = true
	p := s.Start(t)
	for _, http2 := range []bool{false, true} {
		for _, test := range []struct {
			server, host string // what is asked for under TLS, and over it
			status       int
		}{
			{"proxy.test", "proxy.test", http.StatusOK},
			{"proxy.test", "PROXY.test", http.StatusOK},
			{"Proxy.Test", "proxy.test", http.StatusOK},
			{"proxy.test", "proxy.test:8443", http.StatusOK},
			{"proxy.test", "proxy.test.", http.StatusOK},
			{"proxy.test", "other.test", http.StatusMisdirectedRequest},
			{"proxy.test", "proxy.test.other.test", http.StatusMisdirectedRequest},
			{"proxy.test", "a.proxy.test", http.StatusMisdirectedRequest},
			{"proxy.test", "proxy.test\u212a", http.StatusMisdirectedRequest},
			{"proxy.test", "127.0.0.1", http.StatusMisdirectedRequest},
			{"127.0.0.1", "127.0.0.1", http.StatusMisdirectedRequest}, // addresses are no server names: RFC 6066 section 3
		} {
			client := tlsClient(t, p, a, http2, func(c *tls.Config) { c.ServerName = test.server })
			r, err := http.NewRequest(http.MethodGet, "https://proxy.test/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = test.host
			answer, err := client.Do(r)
			if err != nil {
				t.Fatalf("%+v, HTTP/2: %t: %v", test, http2, err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != test.status {
				t.Errorf("%+v, HTTP/2: %t: %s", test, http2, answer.Status)
			}
		}
	}
}

// TestMisdirectedNotAsked serves any host of a connection where nothing else is asked for, as Envoy does.
func TestMisdirectedNotAsked(t *testing.T) {
	a := harness.NewAuthority(t)
	p := secured(harness.NewSetup(echoOrigin(t).Addr()), a, func(*config.DownstreamTLS) {}).Start(t)
	r, err := http.NewRequest(http.MethodGet, "https://proxy.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "other.test"
	answer, err := tlsClient(t, p, a, false, nil).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
}
