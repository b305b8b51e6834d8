package outbound

import (
	"sync"
	"sync/atomic"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// maxHosts bounds the hosts of a cluster that are told apart: more than any control plane has. Names in DNS may lead to others again
// and again, so hosts without a connection make room.
const maxHosts = 256

// Scopes are where a cluster counts: of stats.Cluster, and of stats.HTTP2Codec and stats.SSL where the cluster has those, else nil.
type Scopes struct {
	Cluster, HTTP2, SSL *stats.Scope
}

// Cluster counts for one cluster. Its methods may be called from any goroutine; those of a nil Cluster count nothing.
type Cluster struct {
	scopes Scopes

	mu    sync.Mutex // guards hosts
	hosts map[string]*host
	// unnamed is the host of requests on connections that nobody knows, and of what is one host too many. It is never shown.
	unnamed host
}

// New returns a Cluster that counts in scopes, which must live as long.
func New(scopes Scopes) *Cluster { return &Cluster{scopes: scopes, hosts: make(map[string]*host)} }

// HostStats are the numbers of a host, as /clusters prints them.
type HostStats struct {
	CxTotal, CxActive, CxConnectFail                 uint64
	RqTotal, RqActive, RqSuccess, RqError, RqTimeout uint64
}

// host has the same numbers while they change.
type host struct {
	cxTotal, cxActive, cxConnectFail                 atomic.Uint64
	rqTotal, rqActive, rqSuccess, rqError, rqTimeout atomic.Uint64
}

// host returns the host at an address, "ip:port" or the path of a Unix domain socket.
func (k *Cluster) host(address string) *host {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.hosts[address]
	if h != nil {
		return h
	}
	if len(k.hosts) >= maxHosts {
		k.forgetIdle()
	}
	if len(k.hosts) >= maxHosts {
		return &k.unnamed
	}
	h = &host{}
	k.hosts[address] = h
	return h
}

// forgetIdle makes room among the hosts. The caller holds mu.
func (k *Cluster) forgetIdle() {
	for address, h := range k.hosts {
		if h.cxActive.Load() == 0 && h.rqActive.Load() == 0 {
			delete(k.hosts, address)
		}
	}
}

// Host returns the numbers of the host at an address, "ip:port" or the path of a Unix domain socket.
func (k *Cluster) Host(address string) HostStats {
	if k == nil {
		return HostStats{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.hosts[address]
	if h == nil {
		return HostStats{}
	}
	return HostStats{
		CxTotal: h.cxTotal.Load(), CxActive: h.cxActive.Load(), CxConnectFail: h.cxConnectFail.Load(),
		RqTotal: h.rqTotal.Load(), RqActive: h.rqActive.Load(),
		RqSuccess: h.rqSuccess.Load(), RqError: h.rqError.Load(), RqTimeout: h.rqTimeout.Load(),
	}
}

// release gives the scopes back. What still counts is shown no more.
func (k *Cluster) release() {
	for _, scope := range []*stats.Scope{k.scopes.Cluster, k.scopes.HTTP2, k.scopes.SSL} {
		if scope != nil {
			scope.Release()
		}
	}
}
