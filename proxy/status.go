package proxy

import (
	"slices"
	"strings"
	"sync"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// ClusterStatus is what is happening in one cluster, over all workers.
type ClusterStatus struct {
	Config *config.Cluster
	Hosts  []HostStatus // by address
}

// HostStatus is what is happening at one host of a cluster, over all workers.
type HostStatus struct {
	Address  string // "ip:port", or the path of a Unix domain socket
	Hostname string
	Locality balancer.Locality
	Priority uint32
	Weight   uint32
	Stats    upstream.HostStats

	EDSHealth      config.HealthStatus
	ActiveHealth   config.HostHealth
	PendingRemoval bool
	Canary         bool
}

// ListenerStatus is a listener that accepts connections, or gets those that others have accepted.
type ListenerStatus struct {
	Name       string
	Address    config.Address   // with the port that was bound
	Additional []config.Address // additional_addresses
}

// Clusters returns the clusters by name. Each worker copies its numbers between two turns of its loop.
func (s *Server) Clusters() []ClusterStatus {
	var mu sync.Mutex
	found := make(map[string]map[string]*HostStatus)
	configs := make(map[string]*config.Cluster)
	s.onEveryWorker(func(w *worker) {
		mu.Lock()
		defer mu.Unlock()
		for name, k := range w.byName {
			configs[name] = k.Config()
			hosts := found[name]
			if hosts == nil {
				hosts = make(map[string]*HostStatus)
				found[name] = hosts
			}
			k.Hosts(func(h *upstream.Host) { addHost(hosts, h) })
		}
	})
	var all []ClusterStatus
	for name, hosts := range found {
		k := ClusterStatus{Config: configs[name]}
		beside := s.outbound.Known(name)
		for _, h := range hosts {
			counts := upstream.HostStats(beside.Host(h.Address))
			h.Stats.Add(&counts)
			k.Hosts = append(k.Hosts, *h)
		}
		slices.SortFunc(k.Hosts, func(a, b HostStatus) int { return strings.Compare(a.Address, b.Address) })
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b ClusterStatus) int { return strings.Compare(a.Config.Name, b.Config.Name) })
	return all
}

// Outbound returns what counts for a cluster that the process itself connects to, which it is not told of otherwise; nil while there is
// no such cluster.
func (s *Server) Outbound(name string) *outbound.Cluster {
	c := s.serving()
	i, found := c.clusterIndex(name)
	if !found {
		return nil
	}
	scopes := &c.clusters[i].scopes
	return s.outbound.Of(name, s.stats, outbound.Scopes{Cluster: scopes.cluster, HTTP2: scopes.http2, SSL: scopes.ssl})
}

func addHost(hosts map[string]*HostStatus, h *upstream.Host) {
	status := hosts[h.Address]
	if status == nil {
		status = &HostStatus{
			Address: h.Address, Hostname: h.Hostname, Locality: h.Locality,
			Priority: h.Priority, Weight: h.Weight,
			EDSHealth: h.EDSHealth, ActiveHealth: h.ActiveHealth, PendingRemoval: h.PendingRemoval, Canary: h.Canary,
		}
		hosts[h.Address] = status
	}
	status.Stats.Add(&h.Stats)
}

// Listeners returns the listeners by name.
func (s *Server) Listeners() []ListenerStatus {
	c := s.serving()
	var all []ListenerStatus
	for _, name := range c.snapshot.ListenerNames() {
		l := c.listeners[name]
		status := ListenerStatus{Name: name, Address: l.where(0)}
		for i := range l.config.Additional {
			status.Additional = append(status.Additional, l.where(i+1))
		}
		all = append(all, status)
	}
	return all
}

// Draining returns the listeners, as the store had them, that were changed as a whole or removed and have connections left. What
// goes of a listener that is updated in place are chains: it is not among them. The map is the caller's.
func (s *Server) Draining() map[*config.Listener]bool {
	listeners := make(map[*config.Listener]bool)
	for _, chain := range s.serving().drains {
		if d := chain.identity.drain; d.whole != nil && !d.over() {
			listeners[d.whole] = true
		}
	}
	return listeners
}
