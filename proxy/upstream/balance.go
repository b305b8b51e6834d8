package upstream

import (
	"slices"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// rebalance builds a picker over the hosts as they are.
func (k *Cluster) rebalance() {
	policy, weights := k.balancing()
	k.withouts = nil
	hosts := k.hosts
	if k.Original() {
		hosts = nil // nobody chooses among them
	}
	k.set = balancer.NewSet(counted(hosts, func(i int) config.HostHealth {
		return hosts[i].Data.(*Host).ActiveHealth
	}), weights, policy)
	k.count(k.set.Note())
	k.divide(policy, weights)
	if k.state.Hashing != nil {
		k.hashes = balancer.NewHashPicker(k.set, k.state.Hashing, k.random)
		return
	}
	k.picker = balancer.New(k.set, policy, k.random)
}

// balancing returns how the hosts are balanced.
func (k *Cluster) balancing() (balancer.Policy, []balancer.LocalityWeight) {
	policy, weights := policyOf(&k.state)
	if policy.SlowStart.Window > 0 {
		policy.SlowStart.Now = k.loop.Now
	}
	return policy, weights
}

// policyOf returns what the balancer is told of a cluster.
func policyOf(s *State) (balancer.Policy, []balancer.LocalityWeight) {
	cfg := s.Config
	policy := balancer.Policy{
		Kind:              balancer.Kind(cfg.LB),
		LocalityWeighted:  cfg.LocalityWeighted,
		ChoiceCount:       cfg.ChoiceCount,
		ActiveRequestBias: cfg.ActiveRequestBias,
		PanicThreshold:    cfg.PanicThreshold,
		FailOnPanic:       cfg.ZoneAware.FailOnPanic,
		Peers:             s.Peers,
		Zones: balancer.Zones{
			Enabled: cfg.ZoneAware.Enabled, MinClusterSize: cfg.ZoneAware.MinClusterSize,
			ForceLocal: cfg.ZoneAware.ForceLocal, ByWeight: cfg.ZoneAware.ByWeight,
		},
		OverprovisioningFactor: config.DefaultOverprovision,
		SlowStart: balancer.SlowStart{
			Window:     cfg.SlowStart.Window,
			Aggression: cfg.SlowStart.Aggression,
			MinWeight:  cfg.SlowStart.MinWeight,
		},
		Hash: balancer.HashPolicy{
			MinRingSize: cfg.Hashing.MinRingSize,
			MaxRingSize: cfg.Hashing.MaxRingSize,
			TableSize:   cfg.Hashing.TableSize,
			Hostnames:   cfg.Hashing.Hostnames,
			MurmurHash2: cfg.Hashing.MurmurHash2,

			BalanceFactor: cfg.Hashing.BalanceFactor,
		},
	}
	if s.Assignment == nil {
		return policy, nil
	}
	policy.OverprovisioningFactor, policy.WeightedHealth = s.Assignment.Overprovision, s.Assignment.WeightedHealth
	if !policy.LocalityWeighted {
		return policy, nil
	}
	return policy, localityWeights(s.Assignment)
}

// counted returns the hosts that take part in balancing, and in what decides on panic. activeHealth returns what health checks
// find of the host at an index.
func counted(hosts []*balancer.Host, activeHealth func(i int) config.HostHealth) []*balancer.Host {
	for i := range hosts {
		if !activeHealth(i).Excluded() {
			continue
		}
		some := slices.Clone(hosts[:i])
		for j := i + 1; j < len(hosts); j++ {
			if !activeHealth(j).Excluded() {
				some = append(some, hosts[j])
			}
		}
		return some
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

// usable returns the address of an endpoint that is to be used.
func usable(e *config.Endpoint) (address config.Address, ok bool) {
	if e.Health == config.HealthDraining {
		return address, false
	}
	return e.Address.Unmapped()
}

// NewHashing returns what the workers look hosts up in by the hash of a request, nil for a cluster that does not balance by
// consistent hashing. It is made once for all of them, beside traffic, as it takes a while. old is what there was before, nil
// for nothing. Hashing of s is not looked at.
func NewHashing(s State, old *balancer.Hashing) *balancer.Hashing {
	policy, weights := policyOf(&s)
	if !policy.Kind.Hashes() {
		return nil
	}
	return balancer.NewHashing(balancer.NewSet(balancedHosts(&s), weights, policy), weights, policy, old)
}

// NewPeers returns what zone aware routing knows of the cluster s that this proxy, which runs in local, is one of.
func NewPeers(s State, local config.Locality) *balancer.Peers {
	return balancer.NewPeers(balancedHosts(&s), balancer.Locality(local))
}

// balancedHosts returns the hosts of a cluster that take part in balancing, for tables that all workers share.
func balancedHosts(s *State) []*balancer.Host {
	var hosts []*balancer.Host
	var health []config.HostHealth
	seen := make(map[config.Address]bool)
	for locality, e := range s.Assignment.Endpoints() {
		address, ok := usable(e)
		if !ok || seen[address] {
			continue
		}
		seen[address] = true
		h := &balancer.Host{Address: address.String()}
		active := s.Config.HealthOf(s.Health, e)
		describe(h, locality, e, active)
		hosts, health = append(hosts, h), append(health, active)
	}
	return counted(hosts, func(i int) config.HostHealth { return health[i] })
}

// Hashes reports whether the cluster balances by a hash of the request.
func (k *Cluster) Hashes() bool { return k.state.Hashing != nil }

// Pick chooses a host, nil when none is usable.
func (k *Cluster) Pick() *Host {
	if k.subsets != nil {
		return k.PickOf(nil)
	}
	if k.Hashes() {
		return k.picked(k.hashes.PickAny(k.inFlight()))
	}
	return k.picked(k.picker.Pick())
}

// PickHash chooses the host for the hash of a request, in a cluster that Hashes. attempt is 0, and counts up when the host of
// the attempt before will not do.
func (k *Cluster) PickHash(hash uint64, attempt uint32) *Host {
	return k.picked(k.hashes.Pick(hash, attempt, k.inFlight()))
}

func (k *Cluster) picked(h *balancer.Host, note balancer.Note) *Host {
	if note != 0 {
		k.count(note)
	}
	if h == nil {
		return nil
	}
	return h.Data.(*Host)
}

// noteCounters are the counters of the balancer's notes, by their bits. It is never written.
var noteCounters = [8]struct {
	note    balancer.Note
	counter int
}{
	{balancer.Panic, stats.ClusterLBHealthyPanic},
	{balancer.ZoneDirect, stats.ClusterLBZoneRoutingAllDirectly},
	{balancer.ZoneSampled, stats.ClusterLBZoneRoutingSampled},
	{balancer.ZoneCross, stats.ClusterLBZoneRoutingCrossZone},
	{balancer.ZoneFull, stats.ClusterLBZoneNoCapacityLeft},
	{balancer.ZoneTooSmall, stats.ClusterLBZoneClusterTooSmall},
	{balancer.ZoneRecalculated, stats.ClusterLBRecalculateZoneStructures},
	{balancer.PeersNotOK, stats.ClusterLBLocalClusterNotOk},
}

func (k *Cluster) count(note balancer.Note) {
	for i := range noteCounters {
		if c := &noteCounters[i]; note&c.note != 0 {
			k.stats.Inc(c.counter)
		}
	}
}
