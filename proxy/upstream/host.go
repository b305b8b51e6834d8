package upstream

import (
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/balancer"
)

// Host is an endpoint with the connections that one worker has to it.
type Host struct {
	balancer.Host
	Stats HostStats

	cluster     *Cluster
	address     netip.AddrPort
	idle        []*Conn       // HTTP/1 connections, the most recently used last
	shared      []*sharedConn // HTTP/2 connections that take streams
	peerStreams uint32        // that the host took at a time on the last connection that told, 0 before
	waiting     []*Lease      // for a connection, in order
	connections int           // open or connecting
	gone        bool          // left the cluster: its connections end with their requests
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

// Addr returns the host's address.
func (h *Host) Addr() netip.AddrPort { return h.address }

// leave takes the host out of use: idle connections close now, the others when their requests end.
func (h *Host) leave() {
	h.gone = true
	h.closeIdle()
	for len(h.shared) > 0 {
		h.shared[len(h.shared)-1].unlist()
	}
}

func (h *Host) closeIdle() {
	for len(h.idle) > 0 {
		h.idle[len(h.idle)-1].close(closedLocally)
	}
}

// removeIdle takes c out of the idle connections.
func (h *Host) removeIdle(c *Conn) {
	for i := len(h.idle) - 1; i >= 0; i-- {
		if h.idle[i] == c {
			copy(h.idle[i:], h.idle[i+1:])
			h.idle[len(h.idle)-1] = nil
			h.idle = h.idle[:len(h.idle)-1]
			return
		}
	}
}
