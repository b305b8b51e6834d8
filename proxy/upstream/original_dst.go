package upstream

import (
	"net/netip"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// maxOriginalHosts bounds the hosts that a worker has of a cluster of type ORIGINAL_DST: requests may name any address, and each costs
// about a kilobyte until it is forgotten.
const maxOriginalHosts = 16384

// originalHosts are the hosts of a cluster of type ORIGINAL_DST on one worker: the addresses that its requests were meant for. They are
// made when first needed, and forgotten when nobody has asked for them and nothing is open to them from one cleanup to the next.
type originalHosts struct {
	cluster *Cluster
	hosts   map[netip.AddrPort]*originalHost
	cleanup eventloop.Timer // runs while there are hosts
}

type originalHost struct {
	*Host
	used bool // since the last cleanup
}

// configureOriginal makes the cluster one of type ORIGINAL_DST, or one that is none.
func (k *Cluster) configureOriginal(cfg *config.Cluster) {
	k.originalField = nil
	if cfg.Type != config.ClusterOriginalDst {
		k.original.forgetAll()
		k.original = nil
		return
	}
	if k.original == nil {
		k.original = &originalHosts{cluster: k, hosts: make(map[netip.AddrPort]*originalHost)}
	}
	if cfg.OriginalDst.Field != "" {
		k.originalField = []byte(cfg.OriginalDst.Field)
	}
}

// Original reports whether the hosts of the cluster are the addresses that requests were meant for.
func (k *Cluster) Original() bool { return k.original != nil }

// OriginalField returns the name of the field in which a request may name its host, nil for none. The slice is the cluster's.
func (k *Cluster) OriginalField() []byte { return k.originalField }

// OriginalHost returns the host at an address, of a cluster that is Original. It returns nil for an address that is none, and when
// there are as many hosts as may be.
func (k *Cluster) OriginalHost(at netip.AddrPort) *Host {
	o, port := k.original, at.Port()
	if k.config.OriginalDst.Port != 0 {
		port = k.config.OriginalDst.Port
	}
	if !at.IsValid() {
		return nil
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), port)
	h := o.hosts[at]
	if h == nil {
		if len(o.hosts) >= maxOriginalHosts {
			return nil
		}
		h = o.add(at)
	}
	h.used = true
	return h.Host
}

func (o *originalHosts) add(at netip.AddrPort) *originalHost {
	k := o.cluster
	h := newHost(k)
	h.locate(config.Address{IP: at.Addr().String(), Port: uint32(at.Port())})
	h.Weight, h.Health, h.HealthySince = 1, balancer.Healthy, k.loop.Now()
	h.secure()
	h.bound(bounds(k.config))
	if len(o.hosts) == 0 {
		k.loop.SetTimer(&o.cleanup, k.config.OriginalDst.Cleanup, o)
	}
	found := &originalHost{Host: h}
	o.hosts[at] = found
	k.hosts = append(k.hosts, &h.Host)
	if k.shared.join(at) {
		k.stats.Inc(stats.ClusterMembershipTotal)
		k.stats.Inc(stats.ClusterMembershipHealthy)
		k.stats.Inc(stats.ClusterMembershipChange)
	}
	return found
}

// Expired implements eventloop.Expirer: hosts are forgotten that are of no use any more.
func (o *originalHosts) Expired(*eventloop.Timer) {
	o.forget(func(h *originalHost) bool {
		kept := h.used || h.inUse()
		h.used = false
		return !kept
	})
	if len(o.hosts) > 0 {
		o.cluster.loop.SetTimer(&o.cleanup, o.cluster.config.OriginalDst.Cleanup, o)
	}
}

// inUse reports whether there is a request or a connection to the host.
func (h *Host) inUse() bool { return h.Stats.CxActive > 0 || h.Active > 0 }

// forget lets go of the hosts that are unwanted.
func (o *originalHosts) forget(unwanted func(*originalHost) bool) {
	k := o.cluster
	left := make(map[*balancer.Host]bool)
	for at, h := range o.hosts {
		if !unwanted(h) {
			continue
		}
		delete(o.hosts, at)
		left[&h.Host.Host] = true
		h.leave()
		if k.shared.part(at) {
			k.stats.Dec(stats.ClusterMembershipTotal)
			k.stats.Dec(stats.ClusterMembershipHealthy)
			k.stats.Inc(stats.ClusterMembershipChange)
		}
	}
	if len(left) > 0 {
		k.hosts = slices.DeleteFunc(k.hosts, func(h *balancer.Host) bool { return left[h] })
	}
}

// forgetAll ends a cluster of this type, or its being of it.
func (o *originalHosts) forgetAll() {
	if o == nil {
		return
	}
	o.cluster.loop.StopTimer(&o.cleanup)
	o.forget(func(*originalHost) bool { return true })
}

// join counts a worker that has a host at an address, and reports whether it is the first. Like part it takes a lock, for a moment: it is
// for hosts that come and go, not for requests.
func (s *Shared) join(at netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members == nil {
		s.members = make(map[netip.AddrPort]int)
	}
	s.members[at]++
	return s.members[at] == 1
}

// part uncounts a worker that has forgotten a host, and reports whether it was the last.
func (s *Shared) part(at netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[at]--
	if s.members[at] > 0 {
		return false
	}
	delete(s.members, at)
	return true
}
