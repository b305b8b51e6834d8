package proxy

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// connection is what the connections of clients have in common, whatever is spoken on them: its listener has it in a list,
// and it is counted, from accept to close.
type connection struct {
	listener   *listenerState
	raw        *eventloop.Conn
	server     connectionServer
	protocol   *protocol   // nil until the first bytes tell
	next, prev *connection // in the listener's list

	endsLocally bool // it is we who end it
	cutsOff     bool // it ends with requests that are not answered

	accepted int64
	requests uint32
	counted  struct{ read, written uint64 }
	peer     []byte // text of the client's address without port, made when first needed
}

// connectionServer is who serves a connection: it changes when the protocol turns out to be another, and when all that is
// left to do is to say goodbye.
type connectionServer interface {
	// leave is told that the listener has stopped: a connection with nothing to do ends now, another as soon as it has.
	leave()
}

// protocol holds the statistics that are counted by protocol.
type protocol struct{ cxTotal, cxActive, rqTotal int }

// The protocols of clients. They are never written.
var (
	protocolHTTP1 = protocol{
		cxTotal: stats.HTTPDownstreamCxHTTP1Total, cxActive: stats.HTTPDownstreamCxHTTP1Active, rqTotal: stats.HTTPDownstreamRqHTTP1Total,
	}
	protocolHTTP2 = protocol{
		cxTotal: stats.HTTPDownstreamCxHTTP2Total, cxActive: stats.HTTPDownstreamCxHTTP2Active, rqTotal: stats.HTTPDownstreamRqHTTP2Total,
	}
)

// open counts a connection that was accepted.
func (c *connection) open(l *listenerState, raw *eventloop.Conn, server connectionServer) {
	c.listener, c.raw, c.server, c.accepted = l, raw, server, l.worker.loop.Now()
	l.link(c)
	l.worker.connections++
	l.load.Opened()
	l.stats.Inc(stats.ListenerDownstreamCxTotal)
	l.stats.Inc(stats.ListenerDownstreamCxActive)
	if l.http != nil {
		l.http.Inc(stats.HTTPDownstreamCxTotal)
		l.http.Inc(stats.HTTPDownstreamCxActive)
	}
}

// speaks counts the connection as one of a protocol, the first time that it is told of.
func (c *connection) speaks(p *protocol) {
	if c.protocol == nil {
		c.protocol = p
		c.listener.http.Inc(p.cxTotal)
		c.listener.http.Inc(p.cxActive)
	}
}

// handOver gives the connection to another server.
func (c *connection) handOver(to *connection, server connectionServer) {
	l := c.listener
	l.unlink(c)
	*to = *c
	to.server = server
	l.link(to)
}

// ends notes who ends the connection, when it is about to be closed.
func (c *connection) ends() { c.endsLocally = c.endsLocally || !c.raw.PeerGone() }

// closed takes a connection that was closed off all counts.
func (c *connection) closed() {
	l := c.listener
	c.countBytes()
	l.unlink(c)
	l.worker.connections--
	l.load.Closed()
	micros := uint64(l.worker.loop.Now()-c.accepted) / uint64(time.Microsecond)
	l.stats.Dec(stats.ListenerDownstreamCxActive)
	l.stats.Inc(stats.ListenerDownstreamCxDestroy)
	l.stats.Record(stats.ListenerDownstreamCxLengthMs, micros)
	if l.http != nil {
		c.closedHTTP(micros)
	}
}

// closedHTTP takes a connection of HTTP off the counts of its connection manager, after so many microseconds.
func (c *connection) closedHTTP(micros uint64) {
	l := c.listener
	l.http.Dec(stats.HTTPDownstreamCxActive)
	if c.protocol != nil {
		l.http.Dec(c.protocol.cxActive)
	}
	l.http.Record(stats.HTTPDownstreamCxLengthMs, micros)
	l.http.Inc(stats.HTTPDownstreamCxDestroy)
	by, cutBy := stats.HTTPDownstreamCxDestroyLocal, stats.HTTPDownstreamCxDestroyLocalActiveRq
	if !c.endsLocally {
		by, cutBy = stats.HTTPDownstreamCxDestroyRemote, stats.HTTPDownstreamCxDestroyRemoteActiveRq
	}
	l.http.Inc(by)
	if c.cutsOff {
		l.http.Inc(stats.HTTPDownstreamCxDestroyActiveRq)
		l.http.Inc(cutBy)
	}
}

// countBytes adds what the connection carried since the last time to the counters.
func (c *connection) countBytes() {
	read, written := c.raw.BytesRead(), c.raw.BytesWritten()
	if l := c.listener; l.http != nil {
		l.http.Add(stats.HTTPDownstreamCxRxBytesTotal, read-c.counted.read)
		l.http.Add(stats.HTTPDownstreamCxTxBytesTotal, written-c.counted.written)
	} else {
		l.tcp.Add(stats.TCPDownstreamCxRxBytesTotal, read-c.counted.read)
		l.tcp.Add(stats.TCPDownstreamCxTxBytesTotal, written-c.counted.written)
	}
	c.counted.read, c.counted.written = read, written
}

// countRequest counts a request of the connection.
func (c *connection) countRequest() {
	c.requests++
	if limit := c.listener.compiled.manager.config.MaxRequestsPerConnection; limit > 0 && c.requests == limit {
		c.listener.http.Inc(stats.HTTPDownstreamCxMaxRequestsReached)
	}
}

// exhausted reports whether the connection has served its number of requests or its time.
func (c *connection) exhausted() bool {
	m := c.listener.compiled.manager.config
	if c.listener.stopped {
		return true
	}
	if m.MaxRequestsPerConnection > 0 && c.requests >= m.MaxRequestsPerConnection {
		return true
	}
	return m.MaxConnectionDuration > 0 && c.raw.Loop().Now()-c.accepted >= int64(m.MaxConnectionDuration)
}

// forwardedText returns what x-forwarded-for says of the client: its address or, for one on this machine, the machine's own,
// which means something to an origin elsewhere.
func (c *connection) forwardedText() []byte {
	if own := c.listener.worker.server.localAddress; own != nil && c.raw.RemoteAddr().Addr().IsLoopback() {
		return own
	}
	return c.peerText()
}

// peerText returns the client's address.
func (c *connection) peerText() []byte {
	if c.peer == nil {
		c.peer = c.raw.RemoteAddr().Addr().AppendTo(nil)
	}
	return c.peer
}
