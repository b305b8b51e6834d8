package proxy

import (
	"cmp"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
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
	index int             // -1 for an unknown cluster
	end   uint64          // sum of the weights up to and with this one
	match *upstream.Match // nil when any hosts will do
}

func (s *Server) compileTCP(c, prev *compiled, cfg *config.TCPProxy, undo *cleanup) *compiledTCP {
	t := &compiledTCP{config: cfg, scope: s.scope(undo, "tcp."+statName(cfg.StatPrefix)+".", stats.TCP)}
	total := uint64(0)
	for i := range cfg.Clusters {
		total += uint64(cfg.Clusters[i].Weight)
		index, _ := c.trafficIndex(cfg.Clusters[i].Name)
		target := tcpTarget{index: index, end: total}
		if match := cmp.Or(cfg.Clusters[i].Match, cfg.Match); match != nil && index >= 0 {
			target.match = s.match(c, prev, index, match)
		}
		t.targets = append(t.targets, target)
	}
	return t
}

// pickCluster returns the cluster that random falls on, each in proportion to its weight.
func (t *compiledTCP) pickCluster(random uint64) *tcpTarget {
	value := random % t.targets[len(t.targets)-1].end
	for i := range t.targets {
		if value < t.targets[i].end {
			return &t.targets[i]
		}
	}
	return &t.targets[len(t.targets)-1]
}
