package tls

import (
	"context"
	"crypto/elliptic"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// accept serves one connection to the returned address, and returns what it read of it.
func accept(t *testing.T, serve func(net.Conn) net.Conn) (address string, read <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	out := make(chan string, 1)
	go func() {
		raw, err := l.Accept()
		if err != nil {
			return
		}
		defer raw.Close()
		text, _ := io.ReadAll(serve(raw))
		out <- string(text)
	}()
	return l.Addr().String(), out
}

// TestDial opens a connection under TLS, in plaintext without a context, and none to a host that is not who it should be.
func TestDial(t *testing.T) {
	a := newAuthority(t, "ca")
	shown := a.issue(ecKey(t, elliptic.P256()))
	server := func(raw net.Conn) net.Conn {
		return tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{{
			Certificate: [][]byte{shown.cert.Raw}, PrivateKey: shown.key,
		}}})
	}
	plain := func(raw net.Conn) net.Conn { return raw }
	trusting := func(ca *authority) *Upstream {
		u, err := NewUpstream(&config.UpstreamTLS{TLS: config.TLS{
			Validation: &config.TLSValidation{CA: config.DataSource{Inline: certPEM(ca.cert)}, MaxDepth: -1},
		}}, nil, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for name, test := range map[string]struct {
		u     *Upstream
		serve func(net.Conn) net.Conn
	}{"TLS": {trusting(a), server}, "plaintext": {nil, plain}} {
		address, read := accept(t, test.serve)
		c, err := test.u.Dial(t.Context(), &net.Dialer{}, "tcp", address, "", nil, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_ = c.Close()
		if got := <-read; got != "hello" {
			t.Errorf("%s: the host read %q", name, got)
		}
	}
	address, read := accept(t, server)
	if c, err := trusting(newAuthority(t, "other")).Dial(t.Context(), &net.Dialer{}, "tcp", address, "", nil, nil, nil); c != nil || RefusalOf(err) != NotVerified {
		t.Errorf("another authority: %v", err)
	}
	if got := <-read; got != "" { // it comes to an end, for the connection is closed
		t.Errorf("another authority: the host read %q", got)
	}
}

// TestDialEnds ends a handshake that its context does not wait for, and closes the connection.
func TestDialEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	address, read := accept(t, func(raw net.Conn) net.Conn {
		if _, err := io.ReadFull(raw, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		cancel()
		return raw
	})
	u, err := NewUpstream(&config.UpstreamTLS{}, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := u.Dial(ctx, &net.Dialer{}, "tcp", address, "", nil, nil, nil); c != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-read
}
