package proxy

import (
	"net/netip"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// connection is what the connections of clients have in common, whatever is spoken on them: its filter chain has it in a
// list, and it is counted, from accept to close.
type connection struct {
	listener   *listenerState
	via        *acceptor
	chain      *chainState // nil until it is known
	raw        *eventloop.Conn
	server     connectionServer
	next, prev *connection // in the list of the chain

	secure   *secure // what TLS knows of the client, nil in plaintext
	accepted int64
	spared   time.Duration      // how much longer it may live by chance than the configured duration
	id       uint64             // which no other connection of a client has
	asserted *assertedAddresses // nil where the addresses are those of the socket
	counted  struct{ read, written uint64 }
	peer     []byte  // text of the client's address without port, made when first needed
	logs     *logUse // of the listener, to be told of the end; nil without access logs, and when they have been told
}

// assertedAddresses are those that a connection is said to have: by a PROXY header, or by the kernel's address translation.
type assertedAddresses struct {
	remote, local netip.AddrPort
	restored      bool // local is where the client wanted to connect to
}

// secure is what TLS knows of a client.
type secure struct {
	tls.Peer
	text    []byte // of its certificate in x-forwarded-client-cert, made when first needed
	details config.ClientCertDetails
}

// clientCertText returns what x-forwarded-client-cert has of the client's certificate, which must be there.
func (c *connection) clientCertText(details config.ClientCertDetails) []byte {
	if s := c.secure; s.text == nil || s.details != details {
		s.text, s.details = []byte(s.ForwardedClientCert(details)), details
	}
	return c.secure.text
}

// connectionServer is who serves a connection: it changes when the protocol turns out to be another, and when all that is
// left to do is to say goodbye.
type connectionServer interface {
	// leave is told that the listener has stopped: a connection with nothing to do ends now, another as soon as it has.
	leave()
	// drain is told that the filter chain has been changed or removed: a connection on which that can be said without a loss
	// is to end with its next response, others go on.
	drain()
	// cut ends the connection now: it was given the time to drain.
	cut()
}

// connectionList is a doubly linked list.
type connectionList struct{ first *connection }

func (l *connectionList) link(c *connection) {
	c.next = l.first
	if l.first != nil {
		l.first.prev = c
	}
	l.first = c
}

func (l *connectionList) unlink(c *connection) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
}

// each calls f with every connection. f may take that one off the list.
func (l *connectionList) each(f func(*connection)) {
	for c := l.first; c != nil; {
		next := c.next
		f(c)
		c = next
	}
}

// open has server serve a connection from now on, whose filter chain is known. It is counted the first time.
func (c *connection) open(chain *chainState, server connectionServer) {
	first := c.chain == nil
	c.chain, c.server = chain, server
	chain.connections.link(c)
	if !first {
		return
	}
	chain.listenerStats.Inc(stats.ListenerDownstreamCxTotal)
	chain.listenerStats.Inc(stats.ListenerDownstreamCxActive)
	c.listener.own.Inc(stats.ListenerWorkerDownstreamCxTotal)
	c.listener.own.Inc(stats.ListenerWorkerDownstreamCxActive)
}

// handOver gives the connection to another server.
func (c *connection) handOver(to *connection, server connectionServer) {
	c.chain.connections.unlink(c)
	*to = *c
	to.server = server
	c.chain.connections.link(to)
}

// closed takes a connection that was closed off all counts, and returns how many microseconds it lasted.
func (c *connection) closed() (micros uint64) {
	c.logEnd(0, "", "")
	chain := c.chain
	chain.unlink(c)
	c.via.forget(c.listener)
	micros = uint64(c.listener.worker.loop.Now()-c.accepted) / uint64(time.Microsecond)
	chain.listenerStats.Dec(stats.ListenerDownstreamCxActive)
	c.listener.own.Dec(stats.ListenerWorkerDownstreamCxActive)
	chain.listenerStats.Inc(stats.ListenerDownstreamCxDestroy)
	chain.listenerStats.Record(stats.ListenerDownstreamCxLengthMs, micros)
	return micros
}

// carried returns what the connection carried since it was last asked.
func (c *connection) carried() (read, written uint64) {
	r, w := c.raw.BytesRead(), c.raw.BytesWritten()
	read, written = r-c.counted.read, w-c.counted.written
	c.counted.read, c.counted.written = r, w
	return read, written
}

// draining reports whether the connection is to end with what it has begun.
func (c *connection) draining() bool { return c.chain.draining || c.listener.worker.stopped }

// remoteAddr returns the client's address, the zero value on a Unix domain socket.
func (c *connection) remoteAddr() netip.AddrPort {
	if c.asserted != nil {
		return c.asserted.remote
	}
	return c.raw.RemoteAddr()
}

// localAddr returns the address that the client has connected to, the zero value on a Unix domain socket.
func (c *connection) localAddr() netip.AddrPort {
	if c.asserted != nil {
		return c.asserted.local
	}
	return c.raw.LocalAddr()
}

// path returns the Unix domain socket that the client has connected to, "" on TCP. It stands for both ends where they have no addresses:
// what the client's end is bound to, which hardly ever is anything, is not asked.
func (c *connection) path() string { return c.via.path }

// peerText returns the client's address without port, nothing on a Unix domain socket.
func (c *connection) peerText() []byte {
	if c.peer == nil {
		c.peer = c.remoteAddr().Addr().AppendTo(nil)
	}
	return c.peer
}
