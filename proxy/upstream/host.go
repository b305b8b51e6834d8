package upstream

import (
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/orca"
	"github.com/penguintechinc/marchproxy-alb/proxy/outlier"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// Host is an endpoint with the connections that one worker has to it.
type Host struct {
	balancer.Host
	Stats HostStats

	EDSHealth    config.HealthStatus // what the control plane gives
	ActiveHealth config.HostHealth   // what health checks find
	// PendingRemoval tells of a host that discovery no longer lists, which stays while it passes its checks.
	PendingRemoval bool
	Canary         bool // of new versions that are on trial, as its metadata say (envoy.lb)

	// Counts are the requests to the host that outlier detection goes by, where there is any.
	Counts outlier.Counts

	load orca.Load // that it has reported since it was last asked for

	poolSet          // of priority DEFAULT
	high    *poolSet // of priority HIGH, nil before there was a request of it

	breaker *hostBreaker // nil where connections to each host are not bounded

	cluster  *Cluster
	zone     *stats.Block          // that responses are counted in by zones, nil for none
	tls      *tls.Upstream         // nil for plaintext
	header   *config.ProxyHeader   // that connections begin with, nil for none
	monitor  *outlier.Monitor      // nil without outlier detection
	at       config.Address        // by which hosts are told apart
	address  netip.AddrPort        // the same, the zero value for a Unix domain socket
	more     *config.MoreAddresses // where it can be reached as well, nil for nowhere
	tcp      []*Lease              // that have a connection of their own, in no order
	logical  bool                  // the address is one of Hostname's, and may change
	gone     bool                  // left the cluster: its connections end with their requests
	reported bool                  // its wish to fail was passed on

	socketLabels, localityLabels *config.Labels // which tls goes by

	subsetLabels *config.SubsetLabels
}

// HostStats are the numbers of a host on one worker, as /clusters prints them.
type HostStats struct {
	CxTotal, CxActive, CxConnectFail                 uint64
	RqTotal, RqActive, RqSuccess, RqError, RqTimeout uint64
}

// Add adds o to s.
func (s *HostStats) Add(o *HostStats) {
	s.CxTotal += o.CxTotal
	s.CxActive += o.CxActive
	s.CxConnectFail += o.CxConnectFail
	s.RqTotal += o.RqTotal
	s.RqActive += o.RqActive
	s.RqSuccess += o.RqSuccess
	s.RqError += o.RqError
	s.RqTimeout += o.RqTimeout
}

// HasAll reports whether the host has all of labels, one or more, in its metadata (envoy.lb).
func (h *Host) HasAll(labels *config.Labels) bool {
	if h.subsetLabels == nil || len(labels.Values) == 0 {
		return false
	}
	for name, value := range labels.Values {
		if !h.subsetLabels.HasAny(name, value, true) {
			return false
		}
	}
	return true
}

// newHost returns a host of k that has yet to be located and described.
func newHost(k *Cluster) *Host {
	h := &Host{cluster: k}
	h.pool.host, h.Data = h, h
	return h
}

// Addr returns the host's IP address and port, the zero value for a Unix domain socket.
func (h *Host) Addr() netip.AddrPort { return h.address }

// At returns the host's address.
func (h *Host) At() config.Address { return h.at }

// WantsProxyHeader reports whether connections to the host begin with a header that tells whose connection they are made for.
func (h *Host) WantsProxyHeader() bool { return h.header != nil }

// AppendProxyHeader appends that header, nothing where the host wants none. source and destination are the ends of the client's connection,
// not valid where it has no addresses.
func (h *Host) AppendProxyHeader(b []byte, source, destination netip.AddrPort) []byte {
	if h.header == nil {
		return b
	}
	return h.header.AppendTo(b, source, destination)
}

// ZoneStats returns the block of stats.Zone that responses of the host are counted in, nil for none.
func (h *Host) ZoneStats() *stats.Block { return h.zone }

// Secure reports whether the host is spoken to in TLS.
func (h *Host) Secure() bool { return h.tls != nil }

// locate sets the host's address.
func (h *Host) locate(at config.Address) {
	h.at, h.Address = at, at.String()
	h.address, _ = at.Socket()
}

// dial begins to connect to the host.
func (h *Host) dial() (*eventloop.Conn, error) {
	k := h.cluster
	if h.at.Path != "" {
		return k.loop.DialPath(h.at.Path, k.dialOptions...)
	}
	if h.more != nil {
		var candidates []eventloop.Candidate
		for _, at := range k.config.HappyEyeballs.Order(h.address, h.more) {
			candidates = append(candidates, eventloop.Candidate{Address: at, From: k.sourceFor(at)})
		}
		return k.loop.DialFirst(candidates, k.dialOptions...)
	}
	return k.loop.DialFrom(k.sourceFor(h.address), h.address, k.dialOptions...)
}

// leave takes the host out of use: idle connections close now, the others when their requests end.
func (h *Host) leave() {
	h.gone = true
	h.bound(false)
	h.outdate()
}

// outdate lets go of the connections to a host: idle ones close now, the others when their requests end. What is to come, and
// what has waited for one of them, is over new ones.
func (h *Host) outdate() { h.pools((*pool).letGo) }

// drain lets go of the connections to a host that fails its health checks. Those of TCP, which may never end, are cut where the
// cluster says so.
func (h *Host) drain() {
	h.outdate()
	if h.cluster.config.CloseOnHealthFailure {
		for _, l := range h.tcp {
			l.cut = true
			l.waker.Wake()
		}
	}
}

// ReportFailure reports whether an answer of the host in which it asks to be taken out, with x-envoy-immediate-health-check-fail, is
// news: its checks can be told, and were not yet.
func (h *Host) ReportFailure() bool {
	if h.gone || h.reported || h.cluster.config.HealthCheck == nil || h.ActiveHealth.Has(config.FailedActiveHC) {
		return false
	}
	h.reported = true
	return true
}
