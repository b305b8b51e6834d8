package proxy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
)

// compileAccessLogs opens the access logs of a connection manager. Those of before go on: they are known by their configuration.
func (s *Server) compileAccessLogs(m *compiledManager, undo *cleanup) error {
	if len(m.config.AccessLogs) > 0 && s.options.OpenAccessLog == nil {
		return errors.New("access_log: there is nobody to open one")
	}
	for i, cfg := range m.config.AccessLogs {
		l := s.accessLogs[cfg]
		if l == nil {
			var err error
			if l, err = s.options.OpenAccessLog(cfg, func() accesslog.Server { return s.logServer(cfg.GRPC.Cluster) }); err != nil {
				return fmt.Errorf("access_log[%d]: %w", i, err)
			}
			s.accessLogs[cfg] = l
			undo.add(func() { s.closeAccessLog(cfg) })
		}
		m.accessLogs = append(m.accessLogs, l)
	}
	return nil
}

// closeAccessLogs closes those that c has no use for.
func (s *Server) closeAccessLogs(c *compiled) {
	used := make(map[*config.AccessLog]bool)
	use := func(chain *compiledChain) {
		if chain.tcp != nil {
			return
		}
		for _, cfg := range chain.manager.config.AccessLogs {
			used[cfg] = true
		}
	}
	if c != nil {
		for _, l := range c.listeners {
			for chain := range l.all() {
				use(chain)
			}
		}
		for _, chain := range c.drains {
			use(chain)
		}
	}
	for cfg := range s.accessLogs {
		if !used[cfg] {
			s.closeAccessLog(cfg)
		}
	}
}

// closeAccessLog closes a log without waiting for it: what has not been sent is sent first, and its server may be slow.
func (s *Server) closeAccessLog(cfg *config.AccessLog) {
	s.logsClosing.Go(s.accessLogs[cfg].Close)
	delete(s.accessLogs, cfg)
}

// logServer returns where the hosts of a cluster are.
func (s *Server) logServer(name string) (out accesslog.Server) {
	c := s.serving()
	i, found := slices.BinarySearch(c.clusterNames, name)
	if !found {
		return out
	}
	k := c.clusters[i]
	for _, e := range k.assignment.Endpoints() {
		out.Hosts = append(out.Hosts, accesslog.Host{Address: e.Address, TLS: k.tls.Of(e.SocketLabels, e.LocalityLabels)})
	}
	return out
}

// log tells the access logs of the end of the stream. The entry is the worker's, so that the telling costs no allocation.
func (x *exchange) log(status int) {
	w, now := x.worker, x.worker.loop.Now()
	e := &w.logged
	flags := e.Flags[:0]
	*e = accesslog.Entry{
		Request: &x.request, Status: status, Details: x.details, Flags: x.flags.appendNames(flags),
		Route: x.routeName(), Cluster: x.clusterName(), Attempts: x.attempts,
		DownstreamRemote: x.client(), DownstreamDirectRemote: x.conn.raw.RemoteAddr(), DownstreamLocal: x.conn.localAddr(),
		DownstreamPath: x.conn.path(),
		Start:          time.Now().Add(-time.Duration(now - x.started)), Duration: time.Duration(now - x.started), RequestDuration: -1,
		Hostname: w.server.options.Hostname, Worker: w.id,
		BytesReceived: x.bytesReceived, BytesSent: x.bytesSent,
	}
	if status != 0 {
		e.Response = &x.response
	}
	if x.requestDone {
		e.RequestDuration = time.Duration(x.requestEnd - x.started)
	}
	if h := x.lease.Host(); h != nil {
		e.UpstreamRemote, e.UpstreamPath = h.Addr(), h.At().Path
	}
	if s := x.conn.secure; s != nil {
		e.TLSVersion, e.TLSCipher, e.ServerName = s.Version, s.CipherSuite, s.ServerName
	}
	for _, l := range x.manager.accessLogs {
		l.Log(e)
	}
}
