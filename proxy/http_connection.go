package proxy

import "github.com/penguintechinc/marchproxy-alb/stats"

// httpConnection is what connections over HTTP have in common: their counts in the connection manager, and when they have to
// end.
type httpConnection struct {
	connection

	protocol    *protocol // nil until the first bytes tell
	endsLocally bool      // it is we who end it
	cutsOff     bool      // it ends with requests that are not answered
	requests    uint32
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

// open counts a connection of a filter chain that has a connection manager.
func (c *httpConnection) open(chain *chainState, server connectionServer) {
	c.connection.open(chain, server)
	m := c.manager().config
	c.spared = c.listener.worker.jitter(m.MaxConnectionDuration, m.ConnectionDurationJitter)
	chain.http.Inc(stats.HTTPDownstreamCxTotal)
	chain.http.Inc(stats.HTTPDownstreamCxActive)
	if c.secure != nil {
		chain.http.Inc(stats.HTTPDownstreamCxSSLTotal)
		chain.http.Inc(stats.HTTPDownstreamCxSSLActive)
	}
}

// manager returns the connection manager as it is configured now.
func (c *httpConnection) manager() *compiledManager { return &c.chain.compiled.manager }

// speaks counts the connection as one of a protocol, the first time that it is told of.
func (c *httpConnection) speaks(p *protocol) {
	if c.protocol == nil {
		c.protocol = p
		c.chain.http.Inc(p.cxTotal)
		c.chain.http.Inc(p.cxActive)
	}
}

// handOver gives the connection to another server.
func (c *httpConnection) handOver(to *httpConnection, server connectionServer) {
	*to = *c
	c.connection.handOver(&to.connection, server)
}

// ends notes who ends the connection, when it is about to be closed.
func (c *httpConnection) ends() { c.endsLocally = c.endsLocally || !c.raw.PeerGone() }

// closed takes a connection that was closed off all counts.
func (c *httpConnection) closed() {
	c.countBytes()
	http := c.chain.http
	micros := c.connection.closed()
	http.Dec(stats.HTTPDownstreamCxActive)
	if c.secure != nil {
		http.Dec(stats.HTTPDownstreamCxSSLActive)
	}
	if c.protocol != nil {
		http.Dec(c.protocol.cxActive)
	}
	http.Record(stats.HTTPDownstreamCxLengthMs, micros)
	http.Inc(stats.HTTPDownstreamCxDestroy)
	by, cutBy := stats.HTTPDownstreamCxDestroyLocal, stats.HTTPDownstreamCxDestroyLocalActiveRq
	if !c.endsLocally {
		by, cutBy = stats.HTTPDownstreamCxDestroyRemote, stats.HTTPDownstreamCxDestroyRemoteActiveRq
	}
	http.Inc(by)
	if c.cutsOff {
		http.Inc(stats.HTTPDownstreamCxDestroyActiveRq)
		http.Inc(cutBy)
	}
}

// countBytes adds what the connection carried since the last time to the counters.
func (c *httpConnection) countBytes() {
	read, written := c.carried()
	c.chain.http.Add(stats.HTTPDownstreamCxRxBytesTotal, read)
	c.chain.http.Add(stats.HTTPDownstreamCxTxBytesTotal, written)
}

// countRequest counts a request of the connection.
func (c *httpConnection) countRequest() {
	c.requests++
	if limit := c.manager().config.MaxRequestsPerConnection; limit > 0 && c.requests == limit {
		c.chain.http.Inc(stats.HTTPDownstreamCxMaxRequestsReached)
	}
}

// exhausted reports whether the connection has served its number of requests or its time.
func (c *httpConnection) exhausted() bool {
	if c.draining() {
		return true
	}
	m := c.manager().config
	if m.MaxRequestsPerConnection > 0 && c.requests >= m.MaxRequestsPerConnection {
		return true
	}
	return m.MaxConnectionDuration > 0 && c.raw.Loop().Now() >= c.lastMoment()
}

// lastMoment returns when the connection has lived for as long as it may, where that is bounded.
func (c *httpConnection) lastMoment() int64 {
	return c.accepted + int64(c.manager().config.MaxConnectionDuration+c.spared)
}

// forwardedText returns what x-forwarded-for says of the client: its address or, for one on this machine, the machine's own,
// which means something to an origin elsewhere.
func (c *httpConnection) forwardedText() []byte {
	if own := c.listener.worker.server.localAddress; own != nil && c.remoteAddr().Addr().IsLoopback() {
		return own
	}
	return c.peerText()
}
