package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// compiledTCP is a TCP proxy made ready.
type compiledTCP struct {
	config  *config.TCPProxy
	scope   *stats.Scope
	targets []tcpTarget

	accessLogs []compiledLog
}

// tcpTarget is one of the clusters that connections are split over.
type tcpTarget struct {
	index int    // -1 for an unknown cluster
	end   uint64 // sum of the weights up to and with this one
}

func (s *Server) compileTCP(c *compiled, cfg *config.TCPProxy, undo *cleanup) *compiledTCP {
	t := &compiledTCP{config: cfg, scope: s.scope(undo, "tcp."+statName(cfg.StatPrefix)+".", stats.TCP)}
	total := uint64(0)
	for i := range cfg.Clusters {
		total += uint64(cfg.Clusters[i].Weight)
		index, _ := c.clusterIndex(cfg.Clusters[i].Name)
		t.targets = append(t.targets, tcpTarget{index, total})
	}
	return t
}

// pickCluster returns the index of the cluster that random falls on, each in proportion to its weight, and -1 when that is not
// there.
func (t *compiledTCP) pickCluster(random uint64) int {
	value := random % t.targets[len(t.targets)-1].end
	for _, target := range t.targets {
		if value < target.end {
			return target.index
		}
	}
	return -1
}
