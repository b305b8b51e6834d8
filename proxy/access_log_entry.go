package proxy

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

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
		Start:          time.Now().Add(-took), Duration: took, RequestDuration: -1, Hostname: w.server.options.Hostname, Worker: w.id,
	}
	if s := c.secure; s != nil {
		e.TLSVersion, e.TLSCipher, e.ServerName = s.Version, s.CipherSuite, s.ServerName
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
func (c *connection) logEnd(flags Flags, details string) {
	if c.logs == nil {
		return
	}
	e := c.entry(config.LogNotSet, flags, c.accepted)
	e.Details = details
	c.tellEnd(e)
}

// tellEnd tells the access logs of the listener of the connection's end.
func (c *connection) tellEnd(e *accesslog.Entry) {
	c.logs.tell(e)
	c.logs.leave()
	c.logs = nil
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

// log tells the access logs of the end of the stream. The entry is the worker's, so that the telling costs no allocation.
func (x *exchange) log(status int) {
	e := x.conn.entry(config.LogDownstreamEnd, x.flags, x.started)
	e.Request, e.Status, e.Details, e.DownstreamRemote = &x.request, status, x.details, x.client()
	e.Route, e.Cluster, e.Attempts = x.routeName(), x.clusterName(), x.attempts
	e.HealthCheck, e.Random = x.healthCheck, x.random
	e.BytesReceived, e.BytesSent = x.bytesReceived, x.bytesSent
	if status != 0 {
		e.Response = &x.response
	}
	if x.trailers.Len() > 0 {
		e.Trailers = &x.trailers
	}
	if x.requestDone {
		e.RequestDuration = time.Duration(x.requestEnd - x.started)
	}
	logHost(e, x.lease.Host())
	x.logs.tell(e)
}
