package balancer

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// Zones says how much of the traffic stays in the locality of this proxy (zone_aware_lb_config).
type Zones struct {
	// Enabled is the percentage of the picks that go by localities at all, 0..100.
	Enabled uint32
	// MinClusterSize is the number of healthy hosts from which on they do.
	MinClusterSize uint64
	// ForceLocal has everything stay in the locality as soon as it has that many healthy hosts (force_local_zone); 0 is off.
	ForceLocal uint32
	// ByWeight has localities count by the weights of their healthy hosts instead of by the number (locality_basis).
	ByWeight bool
}

// Peers are the proxies that this one is one of (local_cluster_name), as far as zone aware routing goes by them. They are
// immutable, and all workers share them.
type Peers struct {
	local   Locality
	healthy map[Locality]extent
	all     extent // healthy ones of all localities
	usable  int    // healthy and degraded ones
	hosts   int
	// localities is how many of these have peers, healthy or not; here is whether that of this proxy is one.
	localities int
	here       bool
}

// extent is how much there is of a group of hosts.
type extent struct{ hosts, weight uint64 }

func (e *extent) add(h *Host) {
	e.hosts++
	e.weight += uint64(h.weight())
}

// extentOf returns how much there is of hosts.
func extentOf(hosts []*Host) (e extent) {
	for _, h := range hosts {
		e.add(h)
	}
	return e
}

// of returns the number of hosts, or their weight.
func (e extent) of(byWeight bool) uint64 {
	if byWeight {
		return e.weight
	}
	return e.hosts
}

// NewPeers returns what is to be known of the hosts of the local cluster, of which those of priority 0 count. local is where this
// proxy runs, the zero value for nowhere. hosts is not kept.
func NewPeers(hosts []*Host, local Locality) *Peers {
	p := &Peers{local: local, healthy: make(map[Locality]extent)}
	seen := make(map[Locality]bool)
	for _, h := range hosts {
		if h.Priority > 0 {
			continue
		}
		p.hosts++
		seen[h.Locality] = true
		if h.Health != Unhealthy {
			p.usable++
		}
		if h.Health == Healthy {
			of := p.healthy[h.Locality]
			of.add(h)
			p.healthy[h.Locality] = of
			p.all.add(h)
		}
	}
	p.localities, p.here = len(seen), local != Locality{} && seen[local]
	return p
}

// Equal reports whether zone aware routing does the same with p and o, of which o may be nil.
func (p *Peers) Equal(o *Peers) bool {
	return o != nil && p.local == o.local && maps.Equal(p.healthy, o.healthy) && p.usable == o.usable && p.hosts == o.hosts &&
		p.localities == o.localities && p.here == o.here
}

// inPanic reports whether so few of the peers are usable that their localities say nothing.
func (p *Peers) inPanic(threshold uint32) bool {
	return p.hosts == 0 || 100*uint64(p.usable) < uint64(threshold)*uint64(p.hosts)
}

// fullShare is all of something, in the hundredths of a percent that Envoy weighs localities in.
const fullShare = 10000

// zoneRouting is how the picks of priority 0 are spread over its localities.
type zoneRouting struct {
	localities []Locality // that of this proxy first, where local says so
	enabled    uint32     // percent of the picks
	direct     bool       // all of them stay in the first locality
	local      bool
	toLocal    uint32   // how many of fullShare stay in the first
	residual   []uint32 // of the others, what the localities up to each have room for, in parts of fullShare
	peersPanic bool
	failPanic  bool
}

// routeByZone finds out how the traffic of priority 0 is spread over localities, and what is to be counted of that. It follows
// Envoy's "Zone aware routing": as many requests stay in the locality of this proxy as its hosts are for, given that the other
// proxies there do the same, and the rest goes where hosts have fewer proxies than their share.
func (s *Set) routeByZone(p Policy) {
	s.note |= ZoneRecalculated
	pr, peers := &s.priorities[0], p.Peers
	localities := localitiesOf(pr.hosts)
	if len(localities) < 2 || peers.localities < 2 && p.Zones.ForceLocal == 0 {
		return
	}
	if !peers.here {
		s.note |= PeersNotOK
		return
	}
	if uint64(len(pr.classes[Healthy].hosts)) < p.Zones.MinClusterSize {
		s.note |= ZoneTooSmall
		return
	}
	z := &zoneRouting{enabled: p.Zones.Enabled, peersPanic: peers.inPanic(p.panicThreshold()), failPanic: p.FailOnPanic}
	if i := slices.Index(localities, peers.local); i >= 0 {
		z.local = true
		localities = slices.Concat(localities[i:i+1], localities[:i], localities[i+1:])
	}
	z.localities = localities
	z.share(pr.classes[Healthy].hosts, p)
	s.zones = z
}

// localitiesOf returns the localities that hosts are in, each once, in order.
func localitiesOf(hosts []*Host) []Locality {
	seen := make(map[Locality]bool)
	var list []Locality
	for _, h := range hosts {
		if !seen[h.Locality] {
			seen[h.Locality] = true
			list = append(list, h.Locality)
		}
	}
	slices.SortFunc(list, func(a, b Locality) int {
		return cmp.Or(strings.Compare(a.Region, b.Region), strings.Compare(a.Zone, b.Zone), strings.Compare(a.SubZone, b.SubZone))
	})
	return list
}

// share sets what goes where. healthy are the hosts that localities count by.
func (z *zoneRouting) share(healthy []*Host, p Policy) {
	counts, total := make(map[Locality]extent), extent{}
	for _, h := range healthy {
		of := counts[h.Locality]
		of.add(h)
		counts[h.Locality] = of
		total.add(h)
	}
	byWeight := p.Zones.ByWeight
	// hosts and peers are the parts of all hosts, and of all peers, that are in a locality. Where there is no host, it does not
	// matter how many peers there are.
	shares := func(at Locality) (hosts, peers uint64) {
		if counts[at].hosts == 0 {
			return 0, 0
		}
		hosts = fullShare * counts[at].of(byWeight) / total.of(byWeight)
		if all := p.Peers.all.of(byWeight); all > 0 {
			peers = fullShare * p.Peers.healthy[at].of(byWeight) / all
		}
		return hosts, peers
	}
	if z.local {
		at := z.localities[0]
		hosts, peers := shares(at)
		enough := p.Zones.ForceLocal > 0 && counts[at].hosts >= uint64(p.Zones.ForceLocal)
		if z.direct = enough || hosts > 0 && hosts >= peers; z.direct {
			return
		}
		if peers > 0 {
			z.toLocal = uint32(hosts * fullShare / peers)
		}
	}
	sum := uint64(0)
	for i, at := range z.localities {
		if hosts, peers := shares(at); hosts > peers && !(i == 0 && z.local) {
			sum += hosts - peers
		}
		z.residual = append(z.residual, uint32(sum))
	}
}

// Places among the schedules of a level under zone aware routing: those of localities come after these.
const (
	zoneAny  = 0 // all hosts
	zoneNone = -1
)

// choose returns the place of the schedule of the next pick, and what is to be counted of it.
func (z *zoneRouting) choose(rnd *rand.PCG) (place int, note Note) {
	if z.enabled < fullLoad && below(rnd, fullLoad) >= z.enabled {
		return zoneAny, 0
	}
	switch {
	case z.peersPanic && z.failPanic:
		return zoneNone, PeersNotOK
	case z.peersPanic:
		return zoneAny, PeersNotOK
	case z.direct:
		return 1, ZoneDirect
	case z.toLocal > 0 && below(rnd, fullShare) < z.toLocal:
		return 1, ZoneSampled
	}
	last := len(z.residual) - 1
	if z.residual[last] == 0 { // by rounding
		return 1 + int(below(rnd, len(z.residual))), ZoneCross | ZoneFull
	}
	at := below(rnd, int(z.residual[last]))
	i := 0
	for at >= z.residual[i] {
		i++
	}
	return 1 + i, ZoneCross
}

// newZoneLevel returns the level of hosts of priority 0 under zone aware routing. A locality that has none of hosts, which is
// chosen by its healthy ones, shares them with all.
func (p *Picker) newZoneLevel(hosts []*Host, z *zoneRouting, kind Kind) level {
	l := level{zones: z, schedules: []schedule{p.newSchedule(hosts, kind)}}
	byLocality := make(map[Locality][]*Host)
	for _, h := range hosts {
		byLocality[h.Locality] = append(byLocality[h.Locality], h)
	}
	for _, at := range z.localities {
		l.schedules = append(l.schedules, p.newSchedule(byLocality[at], kind))
	}
	return l
}

// pickZone picks in a level under zone aware routing.
func (p *Picker) pickZone(l *level) (*Host, Note) {
	place, note := l.zones.choose(p.rnd)
	if place == zoneNone {
		return nil, note
	}
	s := &l.schedules[place]
	if s.method == noHosts {
		s = &l.schedules[zoneAny]
	}
	return p.take(s), note
}
