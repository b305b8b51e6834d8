package tls

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// guard bounds every wait of the tests. It is reached only by a test that has failed.
const guard = 30 * time.Second

// inline is a data source with its bytes in the configuration.
func inline(b []byte) config.DataSource { return config.DataSource{Inline: b} }

// tlsCertificate is a certificate to show, with what is between it and a root.
func tlsCertificate(t *testing.T, one issued, chain ...*x509.Certificate) config.TLSCertificate {
	t.Helper()
	return config.TLSCertificate{Chain: inline(append(certPEM(one.cert), certPEM(chain...)...)), Key: inline(keyPEM(t, one.key))}
}

// trusting is a validation context without anything but a CA.
func trusting(cas ...*x509.Certificate) *config.TLSValidation {
	v := &config.TLSValidation{MaxDepth: -1}
	if len(cas) > 0 {
		v.CA = inline(certPEM(cas...))
	}
	return v
}

// downstreamOf makes the context of c, which must be good.
func downstreamOf(t *testing.T, c *config.DownstreamTLS) *Downstream {
	t.Helper()
	d, err := NewDownstream(c, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func upstreamOf(t *testing.T, c *config.UpstreamTLS) *Upstream {
	t.Helper()
	u, err := NewUpstream(c, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// sharedRSA is one RSA key for all tests: making one takes long.
var sharedRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, minRSABits) })

// sharedSlow is one that is so large that signing with it is waited for.
var sharedSlow = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, maxSignedHere+8) })

func slowKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := sharedSlow()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := sharedRSA()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// wires are the two ends of a connection that the kernel buffers: both sides of a handshake may write at once.
func wires(t *testing.T) (client, server net.Conn) {
	t.Helper()
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]net.Conn
	for i, fd := range ends {
		file := os.NewFile(uintptr(fd), "end")
		conns[i], err = net.FileConn(file)
		_ = file.Close()
		if err != nil {
			t.Fatal(err)
		}
		_ = conns[i].SetDeadline(time.Now().Add(guard))
		t.Cleanup(func() { _ = conns[i].Close() })
	}
	return conns[0], conns[1]
}

// end is what became of a handshake on one side.
type end struct {
	state tls.ConnectionState
	err   error
}

// meet shakes hands. Both sides have heard whether the other has taken them in when it returns: the server sends a byte, and
// the client waits for it.
func meet(t *testing.T, client, server func(wire net.Conn) (*tls.Conn, error)) (c, s end) {
	t.Helper()
	clientWire, serverWire := wires(t)
	done := make(chan end, 1)
	go func() {
		conn, err := server(serverWire)
		if err != nil {
			_ = serverWire.Close()
			done <- end{err: err}
			return
		}
		if err = conn.Handshake(); err == nil {
			_, err = conn.Write([]byte{'x'})
		}
		done <- end{conn.ConnectionState(), err}
	}()
	conn, err := client(clientWire)
	if err != nil {
		t.Fatal(err)
	}
	if err = conn.Handshake(); err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	c = end{conn.ConnectionState(), err}
	s = <-done
	return c, s
}

// visit has a client of crypto/tls come to a Downstream.
func visit(t *testing.T, d *Downstream, client *tls.Config) (c, s end) {
	t.Helper()
	return meet(t,
		func(wire net.Conn) (*tls.Conn, error) { return tls.Client(wire, client), nil },
		func(wire net.Conn) (*tls.Conn, error) {
			conn, err := d.Server(wire)
			return conn.Conn, err
		})
}

// reach has an Upstream go to a server of crypto/tls. host is the host name of the endpoint.
func reach(t *testing.T, u *Upstream, host string, server *tls.Config) (c, s end) {
	t.Helper()
	return reachBy(t, u, Names{Host: host}, server)
}

// reachBy is reach by more than the host's name.
func reachBy(t *testing.T, u *Upstream, names Names, server *tls.Config) (c, s end) {
	t.Helper()
	return meet(t,
		func(wire net.Conn) (*tls.Conn, error) {
			conn, err := u.Client(wire, names, nil)
			return conn.Conn, err
		},
		func(wire net.Conn) (*tls.Conn, error) { return tls.Server(wire, server), nil })
}

// signsLists lets an authority sign revocation lists.
func signsLists(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign }

// under returns an authority whose certificate a has issued.
func (a *authority) under(name string, change ...func(*x509.Certificate)) *authority {
	a.t.Helper()
	next := newAuthority(a.t, name, change...)
	template := *next.cert
	next.cert = sign(a.t, &template, a.cert, next.key.Public(), a.key)
	next.serials = a.serials
	return next
}

// revokes returns the authority's revocation list, in PEM.
func (a *authority) revokes(change func(*x509.RevocationList), revoked ...*x509.Certificate) []byte {
	a.t.Helper()
	list := &x509.RevocationList{Number: a.serials.next(), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, c := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: c.SerialNumber, RevocationTime: time.Now().Add(-time.Hour),
		})
	}
	if change != nil {
		change(list)
	}
	raw, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: raw})
}

// vouches returns the authority's OCSP response for a certificate, good for some time; 0 is for ever.
func (a *authority) vouches(c *x509.Certificate, from time.Time, until time.Duration) []byte {
	a.t.Helper()
	template := ocsp.Response{Status: ocsp.Good, SerialNumber: c.SerialNumber, ThisUpdate: from}
	if until > 0 {
		template.NextUpdate = from.Add(until)
	}
	response, err := ocsp.CreateResponse(a.cert, a.cert, template, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return response
}
