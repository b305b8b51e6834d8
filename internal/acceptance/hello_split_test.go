package acceptance

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// splitConn writes the first bytes, a ClientHello, in two pieces, and has the proxy see the first before the second.
type splitConn struct {
	net.Conn
	at   int
	seen func()
	done bool
}

func (c *splitConn) Write(b []byte) (int, error) {
	if c.done || c.at >= len(b) {
		c.done = true
		return c.Conn.Write(b)
	}
	c.done = true
	if _, err := c.Conn.Write(b[:c.at]); err != nil {
		return 0, err
	}
	c.seen()
	n, err := c.Conn.Write(b[c.at:])
	return c.at + n, err
}

// recordConn puts each byte of the ClientHello into a record of its own.
type recordConn struct {
	net.Conn
	done bool
}

func (c *recordConn) Write(b []byte) (int, error) {
	if c.done {
		return c.Conn.Write(b)
	}
	c.done = true
	var out []byte
	for _, one := range b[5:] {
		out = append(out, b[0], b[1], b[2], 0, 1, one)
	}
	_, err := c.Conn.Write(out)
	return len(b), err
}

// strictSetup is a listener whose chain for strict.test asks for certificates of a, and whose default chain asks for none.
func strictSetup(a *harness.Authority) *harness.Setup {
	cert, key := a.Issue("strict.test", "open.test")
	context := func() *config.DownstreamTLS {
		return &config.DownstreamTLS{TLS: config.TLS{
			Certificates: []config.TLSCertificate{{Chain: config.DataSource{Inline: cert}, Key: config.DataSource{Inline: key}}},
		}}
	}
	strict := answerChain("strict", config.ChainMatch{ServerNames: []string{"strict.test"}}, "strict")
	strict.TLS = context()
	strict.TLS.RequireClientCertificate = true
	strict.TLS.Validation = &config.TLSValidation{CA: config.DataSource{Inline: a.CA()}, MaxDepth: -1}
	s := filterSetup([]any{inspectTLS}, strict)
	s.Listener.Default = answerChain("open", config.ChainMatch{}, "open")
	s.Listener.Default.TLS = context()
	return s
}

// TestHelloSplit holds that the filter chain of a client does not depend on how its ClientHello comes: split at every byte, or
// with every byte in a record of its own. Who has no certificate is not served by the chain that asks for one, nor by another.
func TestHelloSplit(t *testing.T) {
	a := harness.NewAuthority(t)
	p := strictSetup(a).Start(t)
	answer := func(wire net.Conn, server string, shows bool) string {
		defer wire.Close()
		_ = wire.SetDeadline(time.Now().Add(harness.Guard))
		c := &tls.Config{RootCAs: a.Pool(), ServerName: server, CurvePreferences: []tls.CurveID{tls.X25519}}
		if shows {
			show(t, c, a, "client.test")
		}
		conn := tls.Client(wire, c)
		r, err := http.NewRequest(http.MethodGet, "https://"+server+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Write(conn); err != nil {
			return "refused"
		}
		got, err := http.ReadResponse(bufio.NewReader(conn), r)
		if err != nil {
			return "refused"
		}
		defer got.Body.Close()
		var text [16]byte
		n, _ := got.Body.Read(text[:])
		return string(text[:n])
	}
	dial := func() net.Conn {
		raw, err := net.Dial("tcp", p.Address())
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	length := len(clientHello(t, "strict.test"))
	if length < 100 {
		t.Fatalf("a hello of %d bytes", length)
	}
	for at := 1; at < length; at++ {
		if got := answer(&splitConn{Conn: dial(), at: at, seen: p.Sync}, "strict.test", true); got != "strict" {
			t.Errorf("split at %d: %s", at, got)
		}
		if at%8 != 0 { // refusals take the longer path, and are the same at each byte
			continue
		}
		if got := answer(&splitConn{Conn: dial(), at: at, seen: p.Sync}, "strict.test", false); got != "refused" {
			t.Errorf("split at %d, without a certificate: %s", at, got)
		}
	}
	for _, test := range []struct {
		server string
		shows  bool
		want   string
	}{{"strict.test", true, "strict"}, {"STRICT.test", true, "strict"}, {"strict.test", false, "refused"}, {"open.test", false, "open"}} {
		if got := answer(&recordConn{Conn: dial()}, test.server, test.shows); got != test.want {
			t.Errorf("%+v in records of one byte: %s", test, got)
		}
	}
}

// extended returns a ClientHello with further extensions before its own, in records of at most 16 KiB.
func extended(hello string, extensions ...string) string {
	const extensionsAt = 5 + 4 + 2 + 32 // headers of record and message, version, random
	b := []byte(hello)
	at := extensionsAt
	at += 1 + int(b[at])                               // session id
	at += 2 + int(binary.BigEndian.Uint16(b[at:]))     // suites
	at += 1 + int(b[at])                               // compression
	all := strings.Join(extensions, "") + hello[at+2:] // after the length
	message := append([]byte(nil), b[9:at]...)
	message = binary.BigEndian.AppendUint16(message, uint16(len(all)))
	message = append(message, all...)
	length := len(message)
	message = append([]byte{1, byte(length >> 16), byte(length >> 8), byte(length)}, message...)
	var out []byte
	for len(message) > 0 {
		n := min(len(message), 1<<14)
		out = append(append(out, 22, 3, 1, byte(n>>8), byte(n)), message[:n]...)
		message = message[n:]
	}
	return string(out)
}

func extension(kind uint16, length int) string {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	return string(b) + strings.Repeat("\x00", length)
}

// TestHelloExtended finds the name behind GREASE, padding and large extensions, however that comes, and refuses what is too large
// instead of taking it for a client without a name.
func TestHelloExtended(t *testing.T) {
	named, other := harness.NewOrigin(t, echo), harness.NewOrigin(t, echo)
	s := filterSetup([]any{inspectTLS}, tcpChain("named", config.ChainMatch{ServerNames: []string{"strict.test"}}))
	s.Listener.Default = tcpChain("other", config.ChainMatch{})
	s.Clusters = []*config.Cluster{harness.Cluster("named", named.Addr()), harness.Cluster("other", other.Addr())}
	p := s.Start(t)
	const grease, padding, unknown = 0x0a0a, 21, 0xfd00
	hello := clientHello(t, "strict.test")
	for name, bytes := range map[string]string{
		"GREASE":         extended(hello, extension(grease, 0), extension(0xfafa, 1)),
		"padding":        extended(hello, extension(padding, 300)),
		"large":          extended(hello, extension(unknown, 12<<10)),
		"many, all kept": extended(hello, strings.Repeat(extension(unknown, 0), 2000)),
	} {
		opened := p.Stat("cluster.named.upstream_cx_total")
		p.EachSplit(bytes, 1, func(how string, c *harness.Client) {
			c.Expect(bytes)
			opened++
		})
		if got := p.Stat("cluster.named.upstream_cx_total"); got != opened {
			t.Errorf("%s: %d connections to the chain of the name, want %d", name, got, opened)
		}
	}
	huge := extended(hello, extension(unknown, 30<<10))
	for _, pieces := range []int{1, 100, 5000} {
		c := p.Dial()
		for i := 0; i < len(huge); i += (len(huge) + pieces - 1) / pieces {
			_ = c.Write(huge[i:min(len(huge), i+(len(huge)+pieces-1)/pieces)]) // it may be closed before the last
		}
		if r, err := c.TryResponse(http.MethodGet); err == nil {
			t.Errorf("in %d pieces: answered %d", pieces, r.Status)
		}
	}
	p.Sync()
	if n := p.Stat("cluster.other.upstream_cx_total"); n != 0 {
		t.Errorf("%d connections to the default chain", n)
	}
	if n := p.Stat("tls_inspector.client_hello_too_large"); n != 3 {
		t.Errorf("client_hello_too_large is %d", n)
	}
}
