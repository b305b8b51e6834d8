package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// tcpLog is what one connection of a TCP proxy needs for the access logs of that.
type tcpLog struct {
	conn  *tcpConn
	use   *logUse
	timer eventloop.Timer // of LogInterval
}

// openLog readies the access logs of the connection, if there are any, and tells them that it has begun.
func (c *tcpConn) openLog() {
	use := c.chain.logs.join()
	if use == nil {
		return
	}
	c.raw.LocalAddr() // which nobody can ask for any more when it has ended
	c.log = &tcpLog{conn: c, use: use}
	c.log.setTimer()
	if c.config.LogOnStart {
		use.tell(c.tcpEntry(config.LogTCPConnectionStart))
	}
}

// connectedLog tells the access logs that there is a host.
func (c *tcpConn) connectedLog() {
	if c.log != nil && c.config.LogOnConnected {
		c.log.use.tell(c.tcpEntry(config.LogTCPUpstreamConnected))
	}
}

// closeLog tells the access logs of the proxy, and those of its listener, that the connection has ended.
func (c *tcpConn) closeLog() {
	if c.log == nil && c.logs == nil {
		return
	}
	e := c.tcpEntry(config.LogTCPConnectionEnd)
	if l := c.log; l != nil {
		c.raw.Loop().StopTimer(&l.timer)
		l.use.tell(e)
		l.use.leave()
		c.log = nil
	}
	if c.logs != nil {
		e.Type = config.LogNotSet
		c.tellEnd(e)
	}
}

// tcpEntry returns what access logs are told of the connection.
func (c *tcpConn) tcpEntry(t config.LogType) *accesslog.Entry {
	e := c.entry(t, c.flags, c.accepted)
	e.BytesReceived, e.BytesSent, e.Attempts = c.bytesReceived, c.bytesSent, int(c.attempts)
	if c.cluster != nil {
		e.Cluster = c.cluster.Config().Name
	}
	logHost(e, c.lease.Host())
	e.TransportFailure = c.transportFailure
	return e
}

func (l *tcpLog) setTimer() {
	if every := l.conn.config.LogInterval; every > 0 {
		l.conn.raw.Loop().SetTimer(&l.timer, every, l)
	}
}

// Expired implements eventloop.Expirer: the connection goes on, and is told of.
func (l *tcpLog) Expired(*eventloop.Timer) {
	l.use.tell(l.conn.tcpEntry(config.LogTCPPeriodic))
	l.setTimer()
}
