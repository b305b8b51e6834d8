package balancer

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// perZone returns as many hosts in each zone, counted from 0.
func perZone(counts ...int) []*Host {
	total := 0
	for _, n := range counts {
		total += n
	}
	hosts, next := fleet(total), 0
	for i, n := range counts {
		for range n {
			hosts[next].Locality = zone(i)
			next++
		}
	}
	return hosts
}

// aware is a cluster under zone aware routing by a proxy in zone 0, one of peers.
func aware(hosts, peers []*Host, z Zones) pickCase {
	if z.Enabled == 0 {
		z.Enabled = 100
	}
	return pickCase{hosts: hosts, policy: Policy{PanicThreshold: DefaultPanicThreshold, Zones: z, Peers: NewPeers(peers, zone(0))}}
}

// pickNotes returns in which zones n picks are, and what is to be counted of them.
func pickNotes(p *Picker, n int) (zones map[Locality]int, notes map[Note]int) {
	zones, notes = make(map[Locality]int), make(map[Note]int)
	for range n {
		h, note := p.Pick()
		if h != nil {
			zones[h.Locality]++
		}
		notes[note]++
	}
	return zones, notes
}

func TestZoneAware(t *testing.T) {
	const picks = 20000
	down := func(hosts []*Host, which ...int) []*Host {
		for _, i := range which {
			hosts[i].Health = Unhealthy
		}
		return hosts
	}
	nowhere := aware(perZone(5, 5), perZone(1, 1), Zones{})
	nowhere.policy.Peers = NewPeers(perZone(1, 1), Locality{})
	heavy := weigh(perZone(2, 2)) // of weights 3 and 7
	for _, tc := range []struct {
		name   string
		c      pickCase
		set    Note
		shares []float64 // of the zones
		notes  []Note
	}{
		{"as many hosts as peers", aware(perZone(4, 4), perZone(1, 1), Zones{}), 0, []float64{1, 0}, []Note{ZoneDirect}},
		{"more hosts than peers", aware(perZone(6, 2), perZone(1, 1), Zones{}), 0, []float64{1, 0}, []Note{ZoneDirect}},
		{"fewer hosts than peers", aware(perZone(2, 6), perZone(1, 1), Zones{}), 0, []float64{0.5, 0.5}, []Note{ZoneSampled, ZoneCross}},
		// Peers have 40, 40 and 20 percent, hosts 25, 50 and 25: what is left goes by 10 : 5.
		{"residual capacity", aware(perZone(5, 10, 5), perZone(2, 2, 1), Zones{}), 0,
			[]float64{0.625, 0.375 * 2 / 3, 0.375 / 3}, []Note{ZoneSampled, ZoneCross}},
		{"no host here", aware(perZone(0, 4, 4), perZone(2, 1, 1), Zones{}), 0, []float64{0, 0.5, 0.5}, []Note{ZoneCross}},
		{"unhealthy hosts here", aware(down(perZone(4, 6), 0, 1, 2, 3), perZone(1, 1), Zones{}), 0, []float64{0, 1}, []Note{ZoneCross}},
		{"half of the picks", aware(perZone(4, 4), perZone(1, 1), Zones{Enabled: 50}), 0, []float64{0.75, 0.25}, []Note{0, ZoneDirect}},
		{"too small", aware(perZone(2, 2), perZone(1, 1), Zones{MinClusterSize: 5}), ZoneTooSmall, []float64{0.5, 0.5}, []Note{0}},
		{"too small for its health", aware(down(perZone(3, 3), 0), perZone(1, 1), Zones{MinClusterSize: 6}), ZoneTooSmall, []float64{0.4, 0.6}, []Note{0}},
		{"one zone of hosts", aware(perZone(4), perZone(1, 1), Zones{}), 0, []float64{1}, []Note{0}},
		{"one zone of peers", aware(perZone(4, 4), perZone(2), Zones{}), 0, []float64{0.5, 0.5}, []Note{0}},
		{"one zone of peers, forced", aware(perZone(1, 3), perZone(2), Zones{ForceLocal: 1}), 0, []float64{1, 0}, []Note{ZoneDirect}},
		{"forced", aware(perZone(1, 7), perZone(9, 1), Zones{ForceLocal: 1}), 0, []float64{1, 0}, []Note{ZoneDirect}},
		{"too few to be forced", aware(perZone(2, 6), perZone(1, 1), Zones{ForceLocal: 3}), 0, []float64{0.5, 0.5}, []Note{ZoneSampled, ZoneCross}},
		{"no peer here", aware(perZone(4, 4), perZone(0, 1, 1), Zones{}), PeersNotOK, []float64{0.5, 0.5}, []Note{0}},
		{"no peers", aware(perZone(4, 4), nil, Zones{ForceLocal: 1}), PeersNotOK, []float64{0.5, 0.5}, []Note{0}},
		{"this proxy is nowhere", nowhere, PeersNotOK, []float64{0.5, 0.5}, []Note{0}},
		{"peers in panic", aware(perZone(4, 4), down(perZone(2, 2), 0, 1, 2), Zones{}), 0, []float64{0.5, 0.5}, []Note{PeersNotOK}},
		{"by number", aware(heavy, perZone(1, 1), Zones{}), 0, []float64{1, 0}, []Note{ZoneDirect}},
		{"by weight", aware(heavy, perZone(1, 1), Zones{ByWeight: true}), 0, []float64{0.6, 0.4}, []Note{ZoneSampled, ZoneCross}},
		{"rounding leaves nothing", aware(perZone(1, 1, 1), perZone(3334, 3333, 3333), Zones{}), 0,
			nil, []Note{ZoneSampled, ZoneCross | ZoneFull}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.c.set()
			if got, want := s.Note(), tc.set|ZoneRecalculated; got != want {
				t.Errorf("the set notes %b, want %b", got, want)
			}
			p := tc.c.picker(3)
			zones, notes := pickNotes(&p, picks)
			for i, share := range tc.shares {
				want, deviation := picks*share, math.Sqrt(picks*share*(1-share))
				if n := float64(zones[zone(i)]); math.Abs(n-want) > 5*deviation+1 { // +1 for what goes in turn
					t.Errorf("zone %d has %v of %d picks, want %v +- %v", i, n, picks, want, deviation)
				}
			}
			if got := slices.Sorted(maps.Keys(notes)); !slices.Equal(got, tc.notes) {
				t.Errorf("picks note %v, want %v", notes, tc.notes)
			}
		})
	}
}

// Panic mode and the weights of localities come before zones.
func TestZoneAwareComesLast(t *testing.T) {
	c := aware(allOf(perZone(4, 4), Unhealthy), perZone(1, 1), Zones{})
	p := c.picker(1)
	if zones, notes := pickNotes(&p, 800); zones[zone(0)] != 400 || notes[Panic] != 800 {
		t.Errorf("in panic: %v, %v", zones, notes)
	}
	c = aware(perZone(4, 4), perZone(1, 1), Zones{})
	c.policy.LocalityWeighted, c.weights = true, zoneWeights(1, 3)
	p = c.picker(1)
	if zones, notes := pickNotes(&p, 800); zones[zone(0)] != 200 || notes[0] != 800 {
		t.Errorf("with weights: %v, %v", zones, notes)
	}
	c.weights = nil // no locality has a weight: they are not gone by
	p = c.picker(1)
	if zones, notes := pickNotes(&p, 800); zones[zone(0)] != 800 || notes[ZoneDirect] != 800 {
		t.Errorf("without weights: %v, %v", zones, notes)
	}
}

// Only priority 0 goes by zones, and its degraded hosts where their zone has some.
func TestZoneAwareOfClasses(t *testing.T) {
	hosts := append(perZone(4, 4), allOf(perZone(4, 4), Unhealthy)...)
	for i, h := range append(hosts, perZone(8, 8)...) {
		if i >= 16 {
			h.Priority = 1
			hosts = append(hosts, h)
		}
	}
	c := aware(hosts, perZone(1, 1), Zones{})
	p := c.picker(5)
	counts, first := make(map[group]int), make(map[Locality]int)
	for range 10000 {
		h, _ := p.Pick()
		counts[group{priority: h.Priority}]++
		if h.Priority == 0 {
			first[h.Locality]++
		}
	}
	if first[zone(1)] != 0 || first[zone(0)] < 6500 || counts[group{priority: 1}] < 2500 {
		t.Errorf("got %v, of the first priority %v", counts, first)
	}

	hosts = perZone(4, 4)
	for i, h := range hosts {
		if h.Health = Unhealthy; i == 0 || i == 4 {
			h.Health = Healthy
		} else if i > 5 {
			h.Health = Degraded
		}
	}
	c = aware(hosts, perZone(1, 1), Zones{})
	p = c.picker(5)
	degraded := 0
	for range 10000 {
		switch h, _ := p.Pick(); {
		case h == nil:
			t.Fatal("no host, though the other zone has degraded ones")
		case h.Health == Degraded:
			degraded++
		case h != hosts[0]:
			t.Fatalf("picked %+v of the other zone", h)
		}
	}
	if degraded < 4700 || degraded > 5300 { // either class could take 35 %
		t.Errorf("%d of 10000 picks are degraded hosts", degraded)
	}
}

func TestFailOnPanic(t *testing.T) {
	policy := Policy{PanicThreshold: 50, FailOnPanic: true}
	levels := allOf(levelled(fleet(8), 2), Unhealthy)
	for name, hosts := range map[string][]*Host{"one priority": allOf(fleet(4), Unhealthy), "two priorities": levels} {
		p := pickCase{hosts: hosts, policy: policy}.picker(1)
		for range 20 {
			if h, note := p.Pick(); h != nil || note != Panic {
				t.Fatalf("%s: got %v, %v, want no host, in panic", name, h, note)
			}
		}
	}
	c := aware(perZone(4, 4), allOf(perZone(1, 1), Unhealthy), Zones{})
	c.policy.FailOnPanic = true
	p := c.picker(1)
	if h, note := p.Pick(); h != nil || note != PeersNotOK {
		t.Errorf("peers in panic: got %v, %v, want no host", h, note)
	}
}

func TestPeersOfFirstPriority(t *testing.T) {
	hosts := perZone(1, 1)
	hosts[1].Priority = 1
	if p := NewPeers(hosts, zone(0)); p.hosts != 1 || p.localities != 1 || !p.here {
		t.Errorf("got %+v", p)
	}
}

func TestZoneAwareDoesNotAllocate(t *testing.T) {
	for _, hosts := range [][]*Host{perZone(4, 4), perZone(5, 10, 5), weigh(perZone(2, 6))} {
		for kind := range RingHash {
			c := aware(hosts, perZone(2, 2, 1), Zones{Enabled: 90})
			c.policy.Kind = kind
			p := c.picker(1)
			if n := testing.AllocsPerRun(200, func() { p.Pick() }); n != 0 {
				t.Errorf("%v: %v allocations per pick", kind, n)
			}
		}
	}
}

func BenchmarkPickZoneAware(b *testing.B) {
	p := New(aware(perZone(5, 10, 5), perZone(2, 2, 1), Zones{}).set(), Policy{}, rand.NewPCG(1, 1))
	for b.Loop() {
		p.Pick()
	}
}
