package upstream

import (
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/orca"
)

// Reported takes note of the load that the host reports in the fields of its answer, headers or trailers, where its cluster goes by
// that. Of one answer the first report counts.
func (l *Lease) Reported(fields *message.Fields) {
	k := l.host.cluster
	if k.metrics == nil || l.reported {
		return
	}
	weight, ok := k.metrics.Weight(fields)
	if !ok {
		return
	}
	l.reported = true
	if l.host.load.Last == 0 {
		k.reporting = append(k.reporting, l.host)
	}
	l.host.load.Note(weight, k.loop.Now())
}

// TakeLoads calls f with what each host has reported since the last call.
func (k *Cluster) TakeLoads(f func(host config.Address, load orca.Load)) {
	for i, h := range k.reporting {
		f(h.at, h.load)
		h.load = orca.Load{}
		k.reporting[i] = nil
	}
	k.reporting = k.reporting[:0]
}

// Weigh gives the hosts the weights that were made of their reports. A cluster that does not go by them is left alone.
func (k *Cluster) Weigh(weights *orca.Weights) {
	if k.metrics == nil {
		return
	}
	k.weights = weights
	changed := false
	for _, b := range k.hosts {
		h := b.Data.(*Host)
		if weight := weights.Of(h.at, h.Priority); weight != h.Weight {
			h.Weight, changed = weight, true
		}
	}
	if changed {
		k.rebalance()
	}
}

// configureLoads takes over whether the cluster goes by reports, and by what of them. The configuration before is still in force.
func (k *Cluster) configureLoads(cfg *config.LoadReports) {
	switch {
	case cfg == nil:
		k.metrics, k.weights = nil, nil
		k.TakeLoads(func(config.Address, orca.Load) {})
	case k.config == nil || k.config.LoadReports != cfg:
		k.metrics = orca.NewMetrics(cfg)
	}
}
