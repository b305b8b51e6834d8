package proxy

import (
	"slices"
	"sync"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/orca"
)

// loadTargets returns the clusters of c whose hosts are weighed by what they report.
func (c *compiled) loadTargets() map[string]orca.Target {
	targets := make(map[string]orca.Target)
	for _, k := range c.clusters {
		if k.config.LoadReports != nil {
			targets[k.config.Name] = orca.Target{Config: k.config.LoadReports, Assignment: k.assignment}
		}
	}
	return targets
}

// sampleLoads returns what the hosts of clusters have reported to all workers since it was last called, and the latest of the
// workers' times.
func (s *Server) sampleLoads(clusters []string) (now int64, loads map[string]map[config.Address]orca.Load) {
	var mu sync.Mutex
	loads = make(map[string]map[config.Address]orca.Load)
	for batch := range slices.Chunk(clusters, clustersPerTurn) {
		s.onEveryWorker(func(w *worker) {
			mu.Lock()
			defer mu.Unlock()
			now = max(now, w.loop.Now())
			for _, name := range batch {
				k := w.byName[name]
				if k == nil {
					continue
				}
				k.TakeLoads(func(host config.Address, load orca.Load) {
					if loads[name] == nil {
						loads[name] = make(map[config.Address]orca.Load)
					}
					sum := loads[name][host]
					sum.Add(load)
					loads[name][host] = sum
				})
			}
		})
	}
	return now, loads
}

// publishWeights gives the workers what came of the reports. It is not a change of what was asked for: the configuration that is in
// force stays as it is.
func (s *Server) publishWeights(weights map[string]*orca.Weights) {
	s.onEveryWorker(func(w *worker) {
		for name, of := range weights {
			if k := w.byName[name]; k != nil {
				k.Weigh(of)
			}
		}
	})
}
