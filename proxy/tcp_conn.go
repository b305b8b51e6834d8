package proxy

import (
	"io"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// tcpConn is a connection of a client whose bytes go to a host as they are, and the host's bytes back. It has no coroutine:
// Step does what can be done without waiting.
type tcpConn struct {
	connection

	config   *config.TCPProxy // what it began with
	job      eventloop.Job
	timer    eventloop.Timer
	routed   *upstream.Cluster // nil when there is none
	cluster  *upstream.Cluster // that serves the attempt: routed, or a member of it
	match    *upstream.Match   // nil when any of its hosts will do
	lease    upstream.Lease
	up       *eventloop.Conn // the host's side, once it is connected
	state    tcpState
	attempts uint32
	activeAt int64 // when bytes were passed on last

	log                      *tcpLog // nil without access logs
	transportFailure         string  // why the last connection to a host could not be made
	flags                    Flags
	bytesReceived, bytesSent int64 // from the client and to it

	sent     bool // all that the client has to say has been passed on, and that it is all
	received bool // and all that the host has
}

// tcpState is what becomes of a tcpConn.
//
//	picking ──host asked──▶ connecting ──there──▶ relaying ──both have ended──▶ closed
//	   ▲                        │                     │
//	   └── could not connect ───┘          a reset, a limit on time, or a host that fails its checks
type tcpState uint8

const (
	tcpPicking tcpState = iota
	tcpConnecting
	tcpRelaying
	tcpClosed
)

// newTCPConn passes on the bytes of a connection of the chain.
func newTCPConn(chain *chainState, accepted connection) {
	tcp, w := chain.compiled.tcp, accepted.listener.worker
	c := &tcpConn{connection: accepted, config: tcp.config, activeAt: w.loop.Now()}
	c.spared = w.jitter(tcp.config.MaxConnectionDuration, tcp.config.ConnectionDurationJitter)
	c.open(chain, c)
	chain.tcp.Inc(stats.TCPDownstreamCxTotal)
	c.raw.SetWaker(&c.job)
	c.openLog()
	if target := tcp.pickCluster(w.random.Uint64()); target.index >= 0 {
		c.routed, c.match = w.clusters[target.index], target.match
	}
	c.setTimer()
	c.job.Start(c.raw.Loop(), c)
}

// leave implements connectionServer: nobody can be told that the listener has stopped, so the connection goes on.
func (c *tcpConn) leave() {}

// drain implements connectionServer: nor can anybody be told that it is to end.
func (c *tcpConn) drain() {}

// cut implements connectionServer.
func (c *tcpConn) cut() { c.close((*eventloop.Conn).Close) }

// Step implements eventloop.Stepper.
func (c *tcpConn) Step() {
	whole := false
	defer func() {
		if !whole {
			c.close((*eventloop.Conn).Abort) // it panicked
		}
	}()
	c.advance()
	whole = true
}

// advance goes as far as it gets without waiting.
func (c *tcpConn) advance() {
	if c.raw.WriteErr() != nil || c.state == tcpRelaying && c.lease.Cut() {
		c.close((*eventloop.Conn).Abort)
		return
	}
	for waits := false; !waits; {
		switch c.state {
		case tcpPicking:
			c.askHost()
		case tcpConnecting:
			waits = c.awaitHost()
		case tcpRelaying:
			c.relay()
			return
		case tcpClosed:
			return
		}
	}
}

// askHost picks a host and asks it for a connection. A client that no host can be found for is sent away.
func (c *tcpConn) askHost() {
	if c.routed == nil {
		c.chain.tcp.Inc(stats.TCPDownstreamCxNoRoute)
		c.flags |= FlagNoClusterFound
		c.close((*eventloop.Conn).Close)
		return
	}
	c.cluster = c.routed.Member(c.listener.worker.random.Uint64())
	counts := c.cluster.Stats()
	if c.attempts == c.config.MaxConnectAttempts {
		counts.Inc(stats.ClusterUpstreamCxConnectAttemptsExceeded)
		c.flags |= FlagUpstreamRetryLimitExceeded
		c.close((*eventloop.Conn).Close)
		return
	}
	c.attempts++
	h := c.pickHost()
	if h == nil {
		counts.Inc(stats.ClusterUpstreamCxNoneHealthy)
		c.flags |= FlagNoHealthyUpstream
		c.close((*eventloop.Conn).Close)
		return
	}
	ask := upstream.Ask{TCP: true}
	if h.WantsProxyHeader() {
		ask.Header = h.AppendProxyHeader(nil, c.remoteAddr(), c.localAddr())
	}
	switch c.cluster.Acquire(&c.lease, h, &c.job, ask) {
	case upstream.Overflow:
		c.flags |= FlagUpstreamOverflow
		c.close((*eventloop.Conn).Close)
	case upstream.Failed:
		c.flags |= FlagUpstreamConnectionFailure
		c.lease.Release(upstream.ServerError, false)
	default:
		c.state = tcpConnecting
	}
}

// pickHost picks a host, nil when none is usable.
func (c *tcpConn) pickHost() *upstream.Host {
	if c.cluster.Original() {
		return c.cluster.OriginalHost(c.originalDst())
	}
	return c.cluster.PickOf(c.match)
}

// awaitHost reports whether the connection to the host has to be waited for. When it cannot be had, another is tried.
func (c *tcpConn) awaitHost() (waits bool) {
	if c.lease.Waiting() {
		return true
	}
	if c.lease.Stream != nil && !c.lease.Cut() {
		done, err := c.lease.Stream.Connected()
		if done {
			c.up, c.state = c.lease.TCP(), tcpRelaying
			c.lease.Answered(200) // that it can be reached is all there is to know
			c.activeAt = c.raw.Loop().Now()
			c.connectedLog()
			return false
		}
		if err == nil {
			return true
		}
		if c.log != nil || c.logs != nil {
			c.transportFailure = transportFailure(err)
		}
	}
	c.flags |= FlagUpstreamConnectionFailure
	c.lease.Release(upstream.ServerError, false)
	c.state = tcpPicking
	return false
}

// relay passes bytes on, both ways, at the pace of the slower side of each, until both have ended.
func (c *tcpConn) relay() {
	loop := c.raw.Loop()
	buf := loop.AcquireBuffer(eventloop.LargeBufferSize)
	defer loop.ReleaseBuffer(buf)
	hostLimit, clientLimit := int(c.cluster.Config().BufferLimit), c.chain.compiled.bufferLimit
	for moved := 0; ; {
		n, ok := c.pass(buf, c.raw, c.up, hostLimit, &c.sent)
		m, fine := c.pass(buf, c.up, c.raw, clientLimit, &c.received)
		moved += n + m
		c.bytesReceived += int64(n)
		c.bytesSent += int64(m)
		switch {
		case !ok || !fine:
			c.close((*eventloop.Conn).Abort) // so that the client does not take what it has for the whole
			return
		case c.received && c.over():
			c.close((*eventloop.Conn).Close)
			return
		case n+m > 0 && moved < bytesPerTurn:
			continue
		}
		if moved > 0 {
			c.activeAt = loop.Now()
			c.countBytes()
		}
		if moved >= bytesPerTurn {
			c.job.Wake()
		}
		return
	}
}

// over reports whether nothing is left to be done for a connection whose host has ended: both were given everything, or the
// host wants nothing more.
func (c *tcpConn) over() bool {
	switch {
	case !c.raw.Flushed():
		c.raw.NotifyBelow(1)
		return false
	case c.up.WriteErr() != nil:
		return true
	case !c.sent:
		return false
	}
	if !c.up.Flushed() {
		c.up.NotifyBelow(1)
		return false
	}
	return true
}

// pass passes on some of what is there, as far as fewer than limit bytes wait to be taken. ended is noted when nothing follows.
// ok is false when the connection that is read from was reset.
func (c *tcpConn) pass(buf []byte, from, to *eventloop.Conn, limit int, ended *bool) (n int, ok bool) {
	if *ended || to.WriteErr() != nil {
		return 0, true
	}
	if to.Buffered() >= limit {
		if to == c.up {
			c.chain.tcp.Inc(stats.TCPDownstreamFlowControlPausedReadingTotal)
		}
		to.NotifyBelow(limit/2 + 1)
		return 0, true
	}
	if !from.Readable() {
		return 0, true
	}
	n, err := from.Read(buf)
	switch err {
	case nil:
		to.Write(buf[:n])
	case eventloop.ErrWouldBlock:
	case io.EOF:
		*ended = true
		to.ShutdownWrite()
	default:
		return 0, false
	}
	return n, true
}

// close ends the connection in the way given, and the one to the host.
func (c *tcpConn) close(how func(*eventloop.Conn)) {
	if c.state == tcpClosed {
		return
	}
	outcome := upstream.Success
	if c.state != tcpRelaying {
		outcome = upstream.Cancelled
	}
	c.state = tcpClosed
	c.job.Stop()
	c.raw.Loop().StopTimer(&c.timer)
	c.lease.Release(outcome, false)
	how(c.raw)
	c.countBytes()
	c.closeLog()
	c.closed()
}

// countBytes adds what the connection carried since the last time to the counters.
func (c *tcpConn) countBytes() {
	read, written := c.carried()
	c.chain.tcp.Add(stats.TCPDownstreamCxRxBytesTotal, read)
	c.chain.tcp.Add(stats.TCPDownstreamCxTxBytesTotal, written)
}

// deadline returns when the connection ends if nothing happens, and the statistic that it is counted in then.
func (c *tcpConn) deadline() (at int64, statistic int) {
	if c.config.IdleTimeout > 0 {
		at, statistic = c.activeAt+int64(c.config.IdleTimeout), stats.TCPIdleTimeout
	}
	if limit := c.config.MaxConnectionDuration; limit > 0 {
		if last := c.accepted + int64(limit+c.spared); at == 0 || last <= at {
			at, statistic = last, stats.TCPMaxDownstreamConnectionDuration
		}
	}
	return at, statistic
}

func (c *tcpConn) setTimer() {
	if at, _ := c.deadline(); at > 0 {
		loop := c.raw.Loop()
		loop.SetTimer(&c.timer, time.Duration(at-loop.Now()), c)
	}
}

// Expired implements eventloop.Expirer. What happened meanwhile may have moved the deadline.
func (c *tcpConn) Expired(*eventloop.Timer) {
	at, statistic := c.deadline()
	if c.raw.Loop().Now() < at {
		c.setTimer()
		return
	}
	c.chain.tcp.Inc(statistic)
	if statistic == stats.TCPMaxDownstreamConnectionDuration {
		c.flags |= FlagDurationTimeout
	}
	c.close((*eventloop.Conn).Close)
}
