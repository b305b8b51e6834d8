package tls

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// ServerContext is the TLS of a server, from files that may change while it runs. Its methods may be called from any
// goroutine.
type ServerContext struct {
	files    Files
	protocol string // of ALPN
	now      func() time.Time
	current  atomic.Pointer[generation]
}

// NewServerContext reads the files. protocol is what the server speaks, by its name in ALPN. The error names the file, what is
// wrong with it and what would be valid.
func NewServerContext(files Files, protocol string) (*ServerContext, error) {
	s := &ServerContext{files: files, protocol: protocol, now: time.Now}
	if err := files.check(); err != nil {
		return nil, err
	}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Config returns a configuration for connections with the protocol of the context. A client that names none, or of h2's
// servers http/1.1 alone, comes through the handshake of crypto/tls without one; it is for the server to turn it away, as gRPC
// does. The result is the caller's and may be used for as long as the server runs: every handshake takes the files of the last
// reload.
func (s *ServerContext) Config() *tls.Config {
	config := baseConfig()
	config.NextProtos = []string{s.protocol}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load().config, nil }
	return config
}

// Listener returns a listener of connections that are under TLS when they have shaken hands, which they do with the first read
// or write. It takes what l accepts, and closes l.
func (s *ServerContext) Listener(l net.Listener) net.Listener { return tls.NewListener(l, s.Config()) }

// Reload reads the files again. The next handshake sees them; connections that are established go on. When it fails
// nothing has changed.
func (s *ServerContext) Reload() error {
	install, err := s.Stage()
	if err != nil {
		return err
	}
	install()
	return nil
}

// Stage is the first half of [ServerContext.Reload], for those who reload more than this: it reads and checks the files and
// changes nothing until install is called, which cannot fail.
func (s *ServerContext) Stage() (install func(), err error) {
	read, err := s.files.read()
	if err != nil {
		return nil, err
	}
	next, err := s.build(read)
	if err != nil {
		return nil, err
	}
	return func() { s.current.Store(next) }, nil
}
