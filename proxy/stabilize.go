package proxy

import (
	"slices"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// stabilize sets the cluster's endpoints to those that were asked for, and with them, unless ignore_health_on_host_removal is
// set, the ones that discovery no longer lists but that pass their health checks: a registry that is wrong for a while must
// not take away hosts that are well. One that fails a check then leaves. old is the cluster as it was before, nil for a new one.
func (k *compiledCluster) stabilize(old *compiledCluster) {
	k.assignment = k.asked
	cfg := k.config
	discovered := cfg.Type == config.ClusterEDS || cfg.Type == config.ClusterStrictDNS
	if old == nil || old.config != cfg || cfg.HealthCheck == nil || cfg.RemoveHealthyHosts || !discovered || k.asked == nil {
		return
	}
	if old.asked == k.asked && old.health == k.health {
		k.assignment = old.assignment
		return
	}
	listed := make(map[config.Address]bool)
	for _, locality := range k.asked.Localities {
		for i := range locality.Endpoints {
			listed[locality.Endpoints[i].Address] = true
		}
	}
	kept, dropped := 0, 0
	next := *k.asked
	next.Localities = slices.Clone(next.Localities)
	for _, locality := range old.assignment.All() {
		for _, e := range locality.Endpoints {
			switch {
			case listed[e.Address]:
			case k.passes(&e):
				e.PendingRemoval = true
				keep(&next, &locality, e)
				kept++
			case e.PendingRemoval:
				dropped++
			}
		}
	}
	switch {
	case old.asked == k.asked && dropped == 0:
		k.assignment = old.assignment
	case kept > 0:
		k.assignment = &next
	}
}

// passes reports whether a host passes its checks and the control plane had nothing against it.
func (k *compiledCluster) passes(e *config.Endpoint) bool {
	if e.HealthCheck.Disabled || k.config.HealthOf(k.health, e).Has(config.FailedActiveHC) {
		return false
	}
	return e.Health == config.HealthUnknown || e.Health == config.HealthHealthy || e.Health == config.HealthDegraded
}

// keep adds e to the locality of a that is like the one it was in.
func keep(a *config.ClusterLoadAssignment, was *config.LocalityEndpoints, e config.Endpoint) {
	i := slices.IndexFunc(a.Localities, func(l config.LocalityEndpoints) bool {
		return l.Priority == was.Priority && l.Region == was.Region && l.Zone == was.Zone && l.SubZone == was.SubZone
	})
	if i < 0 {
		i = len(a.Localities)
		gone := *was
		gone.Endpoints = nil
		a.Localities = append(a.Localities, gone)
	}
	l := &a.Localities[i]
	l.Endpoints = append(slices.Clip(l.Endpoints), e) // the slice is the snapshot's
}
