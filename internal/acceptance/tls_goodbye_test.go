package acceptance

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestDownstreamTLSGoodbye holds that a client is told that its certificate is missing, though it has begun to send a request
// before it can know.
func TestDownstreamTLSGoodbye(t *testing.T) {
	a := harness.NewAuthority(t)
	p := secured(harness.NewSetup(echoOrigin(t).Addr()), a, func(c *config.DownstreamTLS) {
		c.RequireClientCertificate = true
		c.Validation = &config.TLSValidation{CA: config.DataSource{Inline: a.CA()}, MaxDepth: -1}
	}).Start(t)
	raw, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(harness.Guard))
	// Hands are shaken for a client of TLS 1.3 before its certificate is looked at (RFC 8446 section 4.4.4).
	c := tls.Client(raw, &tls.Config{RootCAs: a.Pool(), ServerName: "proxy.test"})
	for range 3 {
		if _, err := c.Write(make([]byte, 20_000)); err != nil {
			t.Fatal(err)
		}
		p.Sync()
	}
	_, err = io.ReadAll(c)
	const certificateRequired = tls.AlertError(116) // RFC 8446 section 6.2
	if err == nil || !errors.Is(errors.Unwrap(err), certificateRequired) && err.Error() != "remote error: "+certificateRequired.Error() {
		t.Errorf("the client is told %v", err)
	}
}

// TestDownstreamTLSGoodbyeEnds does not wait for ever for a client that was told and stays.
func TestDownstreamTLSGoodbyeEnds(t *testing.T) {
	a := harness.NewAuthority(t)
	p := secured(harness.NewSetup(echoOrigin(t).Addr()), a, nil).Start(t)
	c := p.Dial()
	c.Send("GET / HTTP/1.1\r\n")
	for p.ListenerStat("ssl.connection_error") == 0 {
		p.Sync()
	}
	if n := p.ListenerStat("downstream_cx_active"); n != 1 {
		t.Errorf("%d connections are open", n)
	}
	p.Advance(time.Second)
	for p.ListenerStat("downstream_cx_active") != 0 {
		p.Sync()
	}
	if n := p.ListenerStat("downstream_cx_transport_socket_connect_timeout"); n != 0 {
		t.Errorf("downstream_cx_transport_socket_connect_timeout is %d", n)
	}
}
