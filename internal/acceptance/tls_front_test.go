package acceptance

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// tlsFront is a host under TLS in front of scripted origins: it shakes hands, and passes the bytes on to the origin of the
// protocol that was agreed on.
type tlsFront struct {
	*harness.Authority
	address   netip.AddrPort
	one, two  netip.AddrPort // the origins of HTTP/1 and HTTP/2
	wg        sync.WaitGroup
	mu        sync.Mutex
	protocols []string // that it knows, guarded by mu as the rest
	pair      tls.Certificate
	ready     <-chan struct{} // hands are shaken from then on; nil: at once
	names     []string        // asked for, of each connection
	conns     map[net.Conn]bool
}

// newTLSFront returns a front with a certificate for names.
func newTLSFront(t *testing.T, one, two netip.AddrPort, names ...string) *tlsFront {
	t.Helper()
	f := &tlsFront{Authority: harness.NewAuthority(t), one: one, two: two, conns: make(map[net.Conn]bool)}
	f.knows("h2", "http/1.1")
	f.certify(t, append(names, "origin.test")...)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = netip.MustParseAddrPort(listener.Addr().String())
	f.wg.Go(func() {
		for {
			raw, err := listener.Accept()
			if err != nil {
				return
			}
			f.wg.Go(func() { f.serve(raw) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		f.closeAll()
		f.wg.Wait()
	})
	return f
}

// certify has the front show a certificate for names from now on.
func (f *tlsFront) certify(t *testing.T, names ...string) {
	t.Helper()
	cert, key := f.Issue(names...)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pair = pair
}

// knows has the front know these protocols on new connections.
func (f *tlsFront) knows(protocols ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.protocols = protocols
}

// hold has new connections shake hands once ready is closed.
func (f *tlsFront) hold(ready <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = ready
}

// seen returns the names that were asked for, by connection.
func (f *tlsFront) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.names)
}

// closeAll closes all connections.
func (f *tlsFront) closeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
	}
}

// keep reports a connection that closeAll is to close, and what closes it before.
func (f *tlsFront) keep(c net.Conn) (end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[c] = true
	return func() {
		_ = c.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.conns, c)
	}
}

func (f *tlsFront) config(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = append(f.names, hello.ServerName)
	return &tls.Config{Certificates: []tls.Certificate{f.pair}, NextProtos: f.protocols}, nil
}

func (f *tlsFront) serve(raw net.Conn) {
	defer f.keep(raw)()
	f.mu.Lock()
	ready := f.ready
	f.mu.Unlock()
	if ready != nil {
		<-ready
	}
	c := tls.Server(raw, &tls.Config{GetConfigForClient: f.config})
	if c.Handshake() != nil {
		return
	}
	at := f.one
	if c.ConnectionState().NegotiatedProtocol == "h2" {
		at = f.two
	}
	origin, err := net.Dial("tcp", at.String())
	if err != nil {
		return
	}
	defer f.keep(origin)()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(origin, c)
		_ = origin.(*net.TCPConn).CloseWrite()
	})
	_, err = io.Copy(c, origin)
	if err == nil {
		err = c.CloseWrite()
	}
	if err != nil {
		_ = raw.Close() // a reset is passed on as the end without close_notify
	}
	both.Wait()
}

// secure has the only cluster of s lead to the front, which is trusted.
func (f *tlsFront) secure(s *harness.Setup) *config.Cluster {
	k := s.Clusters[0]
	k.Assignment = harness.Cluster("c", f.address).Assignment
	k.TLS = &config.UpstreamTLS{SNI: "origin.test", MaxSessionKeys: 1, TLS: config.TLS{
		Validation: &config.TLSValidation{CA: config.DataSource{Inline: f.CA()}, MaxDepth: -1}, MaxVersion: config.TLS13,
	}}
	return k
}
