package proxy

import (
	"errors"
	"strings"
	"syscall"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// nothingReached is Entry.At of what has reached no point. It is never written.
var nothingReached = func() (at [accesslog.PointCount]time.Duration) {
	for i := range at {
		at[i] = accesslog.Unset
	}
	return at
}()

// entry returns what access logs are told of something on the connection that began at started, as far as the connection knows it.
// It is the worker's, so that the telling costs no allocation.
func (c *connection) entry(t config.LogType, flags Flags, started int64) *accesslog.Entry {
	w := c.listener.worker
	took := time.Duration(w.loop.Now() - started)
	e := &w.logged
	*e = accesslog.Entry{
		Type: t, Request: &w.noRequest, Flags: flags.appendNames(e.Flags[:0]),
		DownstreamRemote: c.remoteAddr(), DownstreamDirectRemote: c.raw.RemoteAddr(), DownstreamLocal: c.localAddr(),
		DownstreamPath: c.path(),
		Start:          time.Now().Add(-took), Duration: took, At: nothingReached, Hostname: w.server.options.Hostname, Worker: w.id,
		ConnectionID: c.id,
	}
	if c.chain != nil {
		e.FilterChain = c.chain.compiled.identity.config.Name
	}
	if s := c.secure; s != nil {
		e.TLS = &s.Peer
	}
	return e
}

// logHost notes the host, which may be nil, in what access logs are told.
func logHost(e *accesslog.Entry, h *upstream.Host) {
	if h != nil {
		e.UpstreamRemote, e.UpstreamPath = h.Addr(), h.At().Path
	}
}

// logEnd tells the access logs of the listener that the connection has ended, unless they have been told.
func (c *connection) logEnd(flags Flags, details, termination string) {
	if c.logs == nil {
		return
	}
	e := c.entry(config.LogNotSet, flags, c.accepted)
	e.Details, e.TerminationDetails = details, termination
	c.tellEnd(e)
}

// tellEnd tells the access logs of the listener of the connection's end.
func (c *connection) tellEnd(e *accesslog.Entry) {
	c.logs.tell(e)
	c.logs.leave()
	c.logs = nil
}

// keepFailure keeps for the access logs, and for what answers are made of, why a connection to a host could not be made.
func (x *exchange) keepFailure(err error) {
	if x.logs != nil || x.manager.localReply != nil {
		x.transportFailure = transportFailure(err)
	}
}

// transportFailure returns why a connection to a host could not be made, as Envoy says it where the kernel has a reason.
func transportFailure(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return "delayed connect error: " + strings.ToUpper(text[:1]) + text[1:]
}

// keepTrailers keeps the trailers of the response for the access logs: they are borrowed for less than the time that the exchange
// may still take.
func (x *exchange) keepTrailers(trailers *message.Fields) {
	for _, f := range trailers.All() {
		f.Value = x.arenaBytes(f.Value)
		if f.ID == message.NameOther {
			f.Name = x.arenaBytes(f.Name)
		}
		x.trailers.Append(f)
	}
}

// log tells the access logs of the end of the stream.
func (x *exchange) log(status int) {
	x.logs.tell(x.entry(config.LogDownstreamEnd, status))
}

// entry returns what access logs are told of the request. It is the worker's, so that the telling costs no allocation.
func (x *exchange) entry(t config.LogType, status int) *accesslog.Entry {
	e := x.conn.entry(t, x.flags, x.started)
	e.Request, e.Status, e.Details, e.DownstreamRemote = &x.request, status, x.details, x.client()
	e.Route, e.Cluster, e.Attempts = x.routeName(), x.clusterName(), x.attempts
	e.VirtualCluster = x.virtualClusterName()
	e.HealthCheck, e.Random = x.healthCheck, x.random
	e.BytesReceived, e.BytesSent = x.bytesReceived, x.bytesSent
	if status != 0 {
		e.Response = &x.response
	}
	if x.trailers.Len() > 0 {
		e.Trailers = &x.trailers
	}
	x.logPoints(e)
	if x.hostAsked {
		e.HasUpstreamVersion, e.UpstreamVersion = true, message.HTTP11
		if x.hostHTTP2 {
			e.UpstreamVersion = message.HTTP2
		}
	}
	e.TransportFailure = x.transportFailure
	if x.route != nil {
		e.VirtualHost = x.route.VirtualHost.Name
	}
	logHost(e, x.lease.Host())
	return e
}

// marks are when parts of an exchange came to pass, for access logs, in nanoseconds on the loop's clock; 0 is unset. What is of the
// host is of the last attempt.
type marks struct{ sendBegan, sendEnded, answerBegan, answerEnded, responseBegan int64 }

// logPoints notes which points the exchange has reached.
func (x *exchange) logPoints(e *accesslog.Entry) {
	mark := func(p accesslog.Point, at int64) {
		if at != 0 {
			e.At[p] = time.Duration(at - x.started)
		}
	}
	e.At[accesslog.RequestBegan] = 0
	if x.requestDone {
		mark(accesslog.RequestEnded, x.requestEnd)
	}
	m := &x.marks
	mark(accesslog.UpstreamSendBegan, m.sendBegan)
	mark(accesslog.UpstreamSendEnded, m.sendEnded)
	mark(accesslog.UpstreamAnswerBegan, m.answerBegan)
	mark(accesslog.UpstreamAnswerEnded, m.answerEnded)
	mark(accesslog.ResponseBegan, m.responseBegan)
	if x.responseDone {
		e.At[accesslog.ResponseEnded] = e.Duration
	}
}
