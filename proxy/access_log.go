package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/logfilter"
)

// accessLogs are the access logs that are open, each under its configuration. One is closed when no configuration in force has it
// and nothing is under way any more that is to be logged there.
type accessLogs struct {
	mu      sync.Mutex // guards open and what is said so of an openLog; it is held for moments
	open    map[*config.AccessLog]*openLog
	closing sync.WaitGroup
}

// openLog is an access log and who has a use for it.
type openLog struct {
	accesslog.Logger
	config     *config.AccessLog
	configured bool // guarded by accessLogs.mu: the configuration in force, or one that is being compiled, has it
	users      int  // guarded by accessLogs.mu: the logUses that have it
}

// of returns the log that is configured so, which is opened if it is not open. Those of before go on: they are known by their
// configuration.
func (a *accessLogs) of(cfg *config.AccessLog, open func() (accesslog.Logger, error)) (*openLog, error) {
	a.mu.Lock()
	l := a.open[cfg]
	if l != nil {
		l.configured = true
	}
	a.mu.Unlock()
	if l != nil {
		return l, nil
	}
	to, err := open()
	if err != nil {
		return nil, err
	}
	l = &openLog{Logger: to, config: cfg, configured: true}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[cfg] = l
	return l, nil
}

// keep notes that only those in used are configured, and closes those that nobody has a use for.
func (a *accessLogs) keep(used map[*config.AccessLog]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for cfg, l := range a.open {
		l.configured = used[cfg]
		a.closeUnusedLocked(l)
	}
}

// use notes that there is another user of each of the logs.
func (a *accessLogs) use(logs []compiledLog) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range logs {
		logs[i].to.users++
	}
}

// leave notes that a user of each of the logs has gone.
func (a *accessLogs) leave(logs []compiledLog) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range logs {
		logs[i].to.users--
		a.closeUnusedLocked(logs[i].to)
	}
}

// closeUnusedLocked closes a log that nobody has a use for, without waiting for it: what has not been sent is sent first, and its
// server may be slow.
func (a *accessLogs) closeUnusedLocked(l *openLog) {
	if l.configured || l.users > 0 || a.open[l.config] != l {
		return
	}
	delete(a.open, l.config)
	a.closing.Go(l.Close)
}

// closeAll closes all logs, whoever has a use for them, and waits for that.
func (a *accessLogs) closeAll() {
	a.mu.Lock()
	for cfg, l := range a.open {
		delete(a.open, cfg)
		a.closing.Go(l.Close)
	}
	a.mu.Unlock()
	a.closing.Wait()
}

// logUse is what keeps access logs open on one worker: the filter chain or the listener that has them, as long as it has those, and
// each request and connection that began with them.
type logUse struct {
	of    *accessLogs
	logs  []compiledLog
	users int
}

// newLogUse returns the use of logs, with one user; nil for none, which costs nothing.
func newLogUse(of *accessLogs, logs []compiledLog) *logUse {
	if len(logs) == 0 {
		return nil
	}
	of.use(logs)
	return &logUse{of: of, logs: logs, users: 1}
}

// join adds a user.
func (u *logUse) join() *logUse {
	if u != nil {
		u.users++
	}
	return u
}

// leave takes a user away.
func (u *logUse) leave() {
	if u == nil {
		return
	}
	if u.users--; u.users == 0 {
		u.of.leave(u.logs)
	}
}

// tell tells the logs of e, as far as their filters pass it.
func (u *logUse) tell(e *accesslog.Entry) {
	if u == nil {
		return
	}
	for i := range u.logs {
		if u.logs[i].filter.Passes(e) {
			u.logs[i].to.Log(e)
		}
	}
}

// compiledLog is an access log made ready: one that is open, and which entries it is told of.
type compiledLog struct {
	filter *logfilter.Filter // nil: all
	to     *openLog
}

// compileAccessLogs makes access logs ready, which are opened as far as they are not open.
func (s *Server) compileAccessLogs(list []*config.AccessLog, runtime *config.Runtime) (out []compiledLog, err error) {
	if len(list) > 0 && s.options.OpenAccessLog == nil {
		return nil, errors.New("access_log: there is nobody to open one")
	}
	for i, cfg := range list {
		l, err := s.accessLogs.of(cfg, func() (accesslog.Logger, error) {
			return s.options.OpenAccessLog(cfg, func() accesslog.Server { return s.logServer(cfg.GRPC.Cluster) })
		})
		if err != nil {
			return nil, fmt.Errorf("access_log[%d]: %w", i, err)
		}
		filter, err := logfilter.Compile(cfg.Filter, runtime)
		if err != nil {
			return nil, fmt.Errorf("access_log[%d]: filter: %w", i, err)
		}
		out = append(out, compiledLog{filter, l})
	}
	return out, nil
}

// nextLogs returns the use of logs by who has used others so far.
func (w *worker) nextLogs(before *logUse, logs []compiledLog) *logUse {
	u := newLogUse(&w.server.accessLogs, logs) // first: some may be the same
	before.leave()
	return u
}

// accessLogs returns the access logs of the chain's connection manager or TCP proxy.
func (k *compiledChain) accessLogs() []compiledLog {
	if k.tcp != nil {
		return k.tcp.accessLogs
	}
	return k.manager.accessLogs
}

// keepAccessLogs has those go on that c has. Those of chains that drain are kept by their workers.
func (s *Server) keepAccessLogs(c *compiled) {
	used := make(map[*config.AccessLog]bool)
	use := func(logs []compiledLog) {
		for i := range logs {
			used[logs[i].to.config] = true
		}
	}
	for _, l := range c.listeners {
		use(l.accessLogs)
		for chain := range l.all() {
			use(chain.accessLogs())
		}
	}
	s.accessLogs.keep(used)
}

// logServer returns where the hosts of a cluster are.
func (s *Server) logServer(name string) (out accesslog.Server) {
	c := s.serving()
	i, found := c.trafficIndex(name)
	if !found {
		return out
	}
	k := c.clusters[i]
	out.Outbound = s.Outbound(name)
	for _, e := range k.assignment.Endpoints() {
		h := accesslog.Host{Address: e.Address, TLS: k.tls.Of(e.SocketLabels, e.LocalityLabels), Bind: cmp.Or(k.config.Bind, s.options.Bind)}
		if header := k.config.ProxyHeaderOf(e.SocketLabels, e.LocalityLabels); header != nil {
			h.First = header.AppendTo(nil, netip.AddrPort{}, netip.AddrPort{}) // a connection of the proxy itself
		}
		out.Hosts = append(out.Hosts, h)
	}
	return out
}
