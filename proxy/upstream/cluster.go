package upstream

import (
	"math/rand/v2"
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http1"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Cluster is a cluster on one worker.
type Cluster struct {
	config     *config.Cluster
	assignment *config.ClusterLoadAssignment
	shared     *Shared
	loop       *eventloop.Loop
	random     *rand.PCG
	stats      *stats.Block
	limits     http1.Limits

	hosts   map[string]*Host // by address
	set     *balancer.Set
	picker  balancer.Picker
	permits requestPermits
	retired bool
}

// Env is what the clusters of a worker have in common.
type Env struct {
	Loop   *eventloop.Loop
	Random *rand.PCG
}

// New returns a cluster without hosts. block counts for it on this worker.
func New(cfg *config.Cluster, shared *Shared, block *stats.Block, env Env) *Cluster {
	k := &Cluster{shared: shared, loop: env.Loop, random: env.Random, stats: block}
	k.configure(cfg)
	k.rebalance()
	return k
}

// Update gives the cluster a new configuration and assignment. Hosts that stay keep their connections and numbers. A nil
// assignment means that none is known yet.
func (k *Cluster) Update(cfg *config.Cluster, assignment *config.ClusterLoadAssignment) {
	if cfg == k.config && assignment == k.assignment {
		return
	}
	k.configure(cfg)
	k.permits.returnUnused(k.shared) // they may be of a limit that was higher
	if assignment != k.assignment {
		k.assignment = assignment
		k.setHosts(assignment)
	}
	k.rebalance()
}

func (k *Cluster) configure(cfg *config.Cluster) {
	k.config = cfg
	k.limits = http1.Limits{
		HeaderBytes:    int(cfg.MaxHeaderKB) << 10,
		BufferBytes:    int(cfg.BufferLimit),
		FieldCount:     int(cfg.MaxHeaderCount),
		EnableTrailers: cfg.EnableTrailers,
	}
}

// setHosts makes the assignment's endpoints the hosts. An endpoint that is listed twice is one host: the first counts.
func (k *Cluster) setHosts(assignment *config.ClusterLoadAssignment) {
	before := k.hosts
	k.hosts = make(map[string]*Host)
	localities := assignment.All()
	for i := range localities {
		k.addLocality(&localities[i], before)
	}
	for address, h := range before {
		if k.hosts[address] != h {
			h.leave()
		}
	}
}

func (k *Cluster) addLocality(locality *config.LocalityEndpoints, before map[string]*Host) {
	for i := range locality.Endpoints {
		e := &locality.Endpoints[i]
		key := e.Address.String()
		ip, err := netip.ParseAddr(e.Address.IP)
		if err != nil || e.Health == config.HealthDraining || k.hosts[key] != nil {
			continue
		}
		h := before[key]
		if h == nil {
			h = &Host{cluster: k, address: netip.AddrPortFrom(ip.Unmap(), uint16(e.Address.Port))}
			h.Address, h.Data = key, h
		}
		h.Hostname = e.Hostname
		h.Weight = e.Weight
		h.Priority = locality.Priority
		h.Locality = balancer.Locality{Region: locality.Region, Zone: locality.Zone, SubZone: locality.SubZone}
		h.Health = healthOf(e.Health)
		k.hosts[key] = h
	}
}

func healthOf(s config.HealthStatus) balancer.Health {
	switch s {
	case config.HealthUnhealthy, config.HealthTimeout:
		return balancer.Unhealthy
	case config.HealthDegraded:
		return balancer.Degraded
	default:
		return balancer.Healthy
	}
}

// rebalance builds a picker over the hosts as they are.
func (k *Cluster) rebalance() {
	policy := balancer.Policy{
		Kind:                   balancer.Kind(k.config.LB),
		LocalityWeighted:       k.config.LocalityWeighted,
		ChoiceCount:            k.config.ChoiceCount,
		ActiveRequestBias:      k.config.ActiveRequestBias,
		PanicThreshold:         k.config.PanicThreshold,
		OverprovisioningFactor: config.DefaultOverprovision,
	}
	var weights []balancer.LocalityWeight
	hosts := make([]*balancer.Host, 0, len(k.hosts))
	if k.assignment != nil {
		policy.OverprovisioningFactor = k.assignment.Overprovision
		weights = localityWeights(k.assignment)
		hosts = k.inOrder(hosts)
	}
	k.set = balancer.NewSet(hosts, weights, policy)
	k.picker = balancer.New(k.set, policy, k.random)
}

// inOrder appends the hosts in the order of the assignment, so that all workers and restarts agree on it.
func (k *Cluster) inOrder(hosts []*balancer.Host) []*balancer.Host {
	seen := make(map[*Host]bool, len(k.hosts))
	for i := range k.assignment.Localities {
		for j := range k.assignment.Localities[i].Endpoints {
			h := k.hosts[k.assignment.Localities[i].Endpoints[j].Address.String()]
			if h != nil && !seen[h] {
				seen[h] = true
				hosts = append(hosts, &h.Host)
			}
		}
	}
	return hosts
}

func localityWeights(a *config.ClusterLoadAssignment) []balancer.LocalityWeight {
	weights := make([]balancer.LocalityWeight, len(a.Localities))
	for i := range a.Localities {
		l := &a.Localities[i]
		weights[i] = balancer.LocalityWeight{
			Priority: l.Priority,
			Locality: balancer.Locality{Region: l.Region, Zone: l.Zone, SubZone: l.SubZone},
			Weight:   l.Weight,
		}
	}
	return weights
}

// Pick chooses a host, nil when none is usable.
func (k *Cluster) Pick() *Host {
	h, panicked := k.picker.Pick()
	if panicked {
		k.stats.Inc(stats.ClusterLBHealthyPanic)
	}
	if h == nil {
		return nil
	}
	return h.Data.(*Host)
}

// Retire ends a cluster that is no longer configured: idle connections close, requests in flight finish.
func (k *Cluster) Retire() {
	k.retired = true
	for _, h := range k.hosts {
		h.leave()
	}
	k.permits.returnUnused(k.shared)
}

// Config returns the configuration in force.
func (k *Cluster) Config() *config.Cluster { return k.config }

// Stats returns the cluster's counters on this worker.
func (k *Cluster) Stats() *stats.Block { return k.stats }

// Set returns the hosts as the picker sees them.
func (k *Cluster) Set() *balancer.Set { return k.set }

// Hosts calls f for every host.
func (k *Cluster) Hosts(f func(*Host)) {
	for _, h := range k.set.Hosts() {
		f(h.Data.(*Host))
	}
}
