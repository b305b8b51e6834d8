package proxy

import (
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// compilePeers takes what zone aware routing goes by from the cluster that this proxy is one of, which comes before the others: what
// they make of it stays in force as long as it is the same. old is that cluster as it was before.
func (s *Server) compilePeers(c, prev *compiled, local, old *compiledCluster) error {
	if local == old {
		c.peers = prev.peers
		return nil
	}
	for locality := range local.assignment.Endpoints() {
		if locality.Priority > 0 {
			return fmt.Errorf("has endpoints of priority %d, all must be of priority 0 as it is local_cluster_name", locality.Priority)
		}
	}
	c.peers = upstream.NewPeers(local.state(), s.options.Locality)
	if c.peers.Equal(prev.peers) {
		c.peers = prev.peers
	}
	return nil
}

// peersOf returns what the cluster at an index balances by zones with: nothing for one that does not, which the proxies' own does not
// either.
func (c *compiled) peersOf(i int) *balancer.Peers {
	if c.peers == nil {
		return nil
	}
	switch k := c.snapshot.ClusterList()[i]; {
	case k.LB == config.RingHash, k.LB == config.Maglev, k.Type == config.ClusterAggregate, k.Type == config.ClusterOriginalDst,
		c.clusterNames[i] == c.localCluster:
		return nil
	}
	return c.peers
}
