package balancer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// hashed returns the picker of a cluster, its tables and its set.
func hashed(c pickCase, old *Hashing) (HashPicker, *Hashing) {
	set := c.set()
	h := NewHashing(set, c.weights, c.policy, old)
	return NewHashPicker(set, h, rand.NewPCG(1, 2)), h
}

// onPorts returns hosts 127.0.0.1:90 and so on, one for each weight.
func onPorts(weights ...uint32) []*Host {
	hosts := withWeights(weights...)
	for i, h := range hosts {
		h.Address = fmt.Sprintf("127.0.0.1:%d", 90+i)
	}
	return hosts
}

// TestRingOfEnvoy compares a ring with the one that Envoy's documentation of the algorithm has as its example: six hosts, a
// minimum ring size of 12.
func TestRingOfEnvoy(t *testing.T) {
	_, h := hashed(pickCase{hosts: onPorts(1, 1, 1, 1, 1, 1), policy: Policy{Kind: RingHash, Hash: HashPolicy{MinRingSize: 12}}}, nil)
	r := &h.tables[0].ring
	wantHashes := []uint64{
		833437586790550860, 928266305478181108, 1033482794131418490, 3551244743356806947, 3851675632748031481,
		5583722120771150861, 6311230543546372928, 7700377290971790572, 13144177310400110813, 13444792449719432967,
		15516499411664133160, 16117243373044804889,
	}
	if !slices.Equal(r.hashes, wantHashes) {
		t.Errorf("hashes are %d, want %d", r.hashes, wantHashes)
	}
	if want := []uint32{4, 2, 0, 5, 3, 1, 1, 3, 5, 2, 4, 0}; !slices.Equal(r.hosts, want) {
		t.Errorf("hosts are %d, want %d", r.hosts, want)
	}
	for _, tc := range []struct {
		hash    uint64
		attempt uint32
		want    uint32
	}{
		{0, 0, 4}, {833437586790550860, 0, 4}, {833437586790550861, 0, 2}, {3551244743356806947, 0, 5},
		{3551244743356806948, 0, 3}, {math.MaxUint64, 0, 4}, {math.MaxUint64, 1, 2}, {0, 1, 2}, {0, 12, 4}, {0, 13, 2},
		{5583722120771150861, 0, 1}, {5583722120771150861, 1, 1}, {5583722120771150861, 2, 3},
	} {
		if got := r.pick(tc.hash, tc.attempt); got != tc.want {
			t.Errorf("hash %d, attempt %d: host %d, want %d", tc.hash, tc.attempt, got, tc.want)
		}
	}
	if got, want := h.Stats(), (HashStats{Size: 12, PerHostMin: 2, PerHostMax: 2}); got != want {
		t.Errorf("stats are %+v, want %+v", got, want)
	}
}

// TestRingSize holds how many points a ring has, and how many of them each host.
func TestRingSize(t *testing.T) {
	tests := map[string]struct {
		weights []uint32
		policy  HashPolicy
		want    HashStats
	}{
		"default":                        {[]uint32{1, 1}, HashPolicy{}, HashStats{1024, 512, 512}},
		"one host":                       {[]uint32{7}, HashPolicy{}, HashStats{1024, 1024, 1024}},
		"one host, a small largest ring": {[]uint32{7}, HashPolicy{MaxRingSize: 100}, HashStats{100, 100, 100}},
		"the least weight counts":        {[]uint32{1, 3}, HashPolicy{MinRingSize: 6}, HashStats{8, 2, 6}},
		"scaled down":                    {[]uint32{1, 1, 1, 1}, HashPolicy{MinRingSize: 1, MaxRingSize: 6}, HashStats{4, 1, 1}},
		"fractions":                      {[]uint32{1, 1, 1, 1}, HashPolicy{MinRingSize: 6, MaxRingSize: 6}, HashStats{6, 1, 2}},
		"no room for everybody":          {[]uint32{1, 1, 1, 1}, HashPolicy{MinRingSize: 2, MaxRingSize: 2}, HashStats{2, 0, 1}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, h := hashed(pickCase{hosts: onPorts(tc.weights...), policy: Policy{Kind: RingHash, Hash: tc.policy}}, nil)
			if got := h.Stats(); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// TestMaglevOfEnvoy compares a table with the one that Envoy lays out for the same hosts.
func TestMaglevOfEnvoy(t *testing.T) {
	p, h := hashed(pickCase{hosts: onPorts(1, 1, 1, 1, 1, 1), policy: Policy{Kind: Maglev, Hash: HashPolicy{TableSize: 7}}}, nil)
	for i, port := range []int{92, 94, 90, 91, 95, 90, 93} {
		for _, hash := range []uint64{uint64(i), uint64(i) + 7, uint64(i) + 7*1e18} {
			if got, _ := p.Pick(hash, 0, 0); got.Address != fmt.Sprintf("127.0.0.1:%d", port) {
				t.Errorf("hash %d: %s, want port %d", hash, got.Address, port)
			}
		}
	}
	if got, want := h.Stats(), (HashStats{Size: 7, PerHostMin: 1, PerHostMax: 2}); got != want {
		t.Errorf("stats are %+v, want %+v", got, want)
	}
	_, h = hashed(pickCase{hosts: onPorts(1, 2), policy: Policy{Kind: Maglev, Hash: HashPolicy{TableSize: 17}}}, nil)
	if got, want := h.Stats(), (HashStats{Size: 17, PerHostMin: 6, PerHostMax: 11}); got != want {
		t.Errorf("with weights 1 and 2 stats are %+v, want %+v", got, want)
	}
}

// TestMaglevByHand compares a table with one that was filled by hand as the paper says: offsets and skips as they are, turns
// in the order of the keys.
func TestMaglevByHand(t *testing.T) {
	hosts := withWeights(1, 1)
	hosts[0].HashKey, hosts[1].HashKey = "b", "a"
	_, h := hashed(pickCase{hosts: hosts, policy: Policy{Kind: Maglev, Hash: HashPolicy{TableSize: 5}}}, nil)
	next := map[string]uint64{}
	table := [5]string{}
	for turn := range 5 {
		key := []string{"a", "b"}[turn%2]
		for {
			entry := (xxHash64(key, 0)%5 + next[key]*(xxHash64(key, 1)%4+1)) % 5
			next[key]++
			if table[entry] == "" {
				table[entry] = key
				break
			}
		}
	}
	for entry, key := range table {
		if i, _ := h.tables[0].pick(uint64(entry), 0); hosts[i].HashKey != key {
			t.Errorf("entry %d is %q, want %q", entry, hosts[i].HashKey, key)
		}
	}
}

// TestMaglevAttempt holds that a further attempt looks where Envoy looks: at the hash with its low bits changed.
func TestMaglevAttempt(t *testing.T) {
	_, h := hashed(pickCase{hosts: onPorts(1, 1, 1, 1, 1, 1), policy: Policy{Kind: Maglev}}, nil)
	m := &h.tables[0].maglev
	for attempt := range uint32(5) {
		const hash = 0x123456789abcdef0
		at := uint64(hash)
		if attempt > 0 {
			at ^= -uint64(attempt)
		}
		if got, want := m.pick(hash, attempt), m.pick(at, 0); got != want {
			t.Errorf("attempt %d: %d, want %d", attempt, got, want)
		}
	}
}

// TestMaglevWidths holds that a table is the same in each of its forms.
func TestMaglevWidths(t *testing.T) {
	for _, n := range []int{2, 256, 257, 1<<16 + 1} {
		hosts := fleet(n)
		for i, h := range hosts {
			h.HashKey = fmt.Sprint(i)
		}
		_, h := hashed(pickCase{hosts: hosts, policy: Policy{Kind: Maglev, Hash: HashPolicy{TableSize: 131071}}}, nil)
		m := &h.tables[0].maglev
		counts := make([]uint64, n)
		for entry := range m.size {
			counts[m.pick(entry, 0)]++
		}
		least, most := slices.Min(counts), slices.Max(counts)
		if got := h.Stats(); got.PerHostMin != least || got.PerHostMax != most || most-least > 1 {
			t.Errorf("%d hosts have %d to %d entries, stats are %+v", n, least, most, got)
		}
	}
}

// TestMurmurHash2 compares with std::hash<std::string> of GCC's C++ library.
func TestMurmurHash2(t *testing.T) {
	for text, want := range map[string]uint64{
		"":                  6142509188972423790,
		"a":                 4993892634952068459,
		"ab":                5498234120169091963,
		"abc":               3663726644998027833,
		"abcdefg":           16063891478991045295,
		"abcdefgh":          8664279048047335611,
		"127.0.0.1:90_0":    5656417760668758976,
		"0123456789abcdef0": 4013166917474506472,
	} {
		if got := murmurHash2([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	_, h := hashed(pickCase{hosts: onPorts(1, 1), policy: Policy{Kind: RingHash, Hash: HashPolicy{MurmurHash2: true}}}, nil)
	if !slices.Contains(h.tables[0].ring.hashes, 5656417760668758976) {
		t.Error("a ring of MurmurHash2 has not the point of 127.0.0.1:90_0")
	}
}

var hashKinds = []Kind{RingHash, Maglev}

// TestHashDisruption holds that when a host leaves or comes, hashes that did not and will not belong to it mostly stay where
// they are: all of them on a ring, nearly all in a table.
func TestHashDisruption(t *testing.T) {
	const samples = 20_000
	for _, kind := range hashKinds {
		t.Run(kind.String(), func(t *testing.T) {
			all := fleet(20)
			policy := Policy{Kind: kind, Hash: HashPolicy{MinRingSize: 19 * 19}} // 19 points each for 20 hosts and for 19
			before, _ := hashed(pickCase{hosts: all, policy: policy}, nil)
			after, _ := hashed(pickCase{hosts: slices.Delete(slices.Clone(all), 7, 8), policy: policy}, nil)
			rnd := rand.NewPCG(3, 4)
			moved, left := 0, 0
			for range samples {
				hash := rnd.Uint64()
				was, _ := before.Pick(hash, 0, 0)
				is, _ := after.Pick(hash, 0, 0)
				switch {
				case was == all[7]:
					left++
				case was != is:
					moved++
				}
			}
			if left < samples/40 || left > samples/10 {
				t.Errorf("%d of %d hashes were the host's, want about %d", left, samples, samples/20)
			}
			limit := 0
			if kind == Maglev {
				limit = samples / 20 // the paper has a few percent for small tables
			}
			if moved > limit {
				t.Errorf("%d of %d other hashes moved, want %d at most", moved, samples-left, limit)
			}
		})
	}
}

// TestHashOrder holds that the order of the hosts in the configuration does not matter.
func TestHashOrder(t *testing.T) {
	for _, kind := range hashKinds {
		hosts := fleet(9)
		reversed := slices.Clone(hosts)
		slices.Reverse(reversed)
		a, _ := hashed(pickCase{hosts: hosts, policy: Policy{Kind: kind}}, nil)
		b, _ := hashed(pickCase{hosts: reversed, policy: Policy{Kind: kind}}, nil)
		for i := range 1000 {
			hash := uint64(i) * 0x9e3779b97f4a7c15
			x, _ := a.Pick(hash, 0, 0)
			if y, _ := b.Pick(hash, 0, 0); x != y {
				t.Fatalf("%v: hash %#x goes to %s or %s", kind, hash, x.Address, y.Address)
			}
		}
	}
}

// TestHashShares holds that weights of hosts and localities are kept in proportion.
func TestHashShares(t *testing.T) {
	down := func(hosts []*Host, i int) []*Host { hosts[i].Health = Unhealthy; return hosts }
	tests := map[string]struct {
		c    pickCase
		want []float64 // by host
	}{
		"equal":      {pickCase{hosts: fleet(4)}, []float64{.25, .25, .25, .25}},
		"weights":    {pickCase{hosts: withWeights(1, 2, 5)}, []float64{.125, .25, .625}},
		"localities": {pickCase{hosts: zones(fleet(4), 2), weights: zoneWeights(1, 3), policy: Policy{LocalityWeighted: true}}, []float64{.125, .375, .125, .375}},
		"both":       {pickCase{hosts: zones(withWeights(1, 1, 3, 1), 2), weights: zoneWeights(1, 1), policy: Policy{LocalityWeighted: true}}, []float64{.125, .25, .375, .25}},
		"a locality without weight": {
			pickCase{hosts: zones(fleet(4), 2), weights: zoneWeights(1), policy: Policy{LocalityWeighted: true}}, []float64{.5, 0, .5, 0}},
		"a host that is down":        {pickCase{hosts: down(fleet(4), 2), policy: Policy{PanicThreshold: 50}}, []float64{1. / 3, 1. / 3, 0, 1. / 3}},
		"panic":                      {pickCase{hosts: down(fleet(2), 0), policy: Policy{PanicThreshold: 60, OverprovisioningFactor: 100}}, []float64{.5, .5}},
		"availability is no concern": {pickCase{hosts: down(zones(fleet(4), 2), 0), weights: zoneWeights(1, 1), policy: Policy{LocalityWeighted: true}}, []float64{0, .25, .5, .25}},
	}
	const samples = 50_000
	for name, tc := range tests {
		for _, kind := range hashKinds {
			t.Run(name+"/"+kind.String(), func(t *testing.T) {
				tc.c.policy.Kind = kind
				tc.c.policy.Hash.MinRingSize = 200_000 // so that chance evens out
				p, _ := hashed(tc.c, nil)
				counts := make(map[*Host]float64)
				rnd := rand.NewPCG(5, 6)
				for range samples {
					h, _ := p.Pick(rnd.Uint64(), 0, 0)
					counts[h] += 1. / samples
				}
				for i, h := range tc.c.hosts {
					if got := counts[h]; math.Abs(got-tc.want[i]) > .015 {
						t.Errorf("host %d has %.3f, want %.3f", i, got, tc.want[i])
					}
				}
			})
		}
	}
}

// TestHashPriorities holds that the hash decides on the priority too: the last two decimal digits, against the percentages.
func TestHashPriorities(t *testing.T) {
	hosts := fleet(4) // 0, 1 at priority 0, of which 1 is down: 70 %
	hosts[1].Health = Unhealthy
	hosts[2].Priority, hosts[3].Priority = 1, 1
	for _, kind := range hashKinds {
		p, _ := hashed(pickCase{hosts: hosts, policy: Policy{Kind: kind, PanicThreshold: 50}}, nil)
		for hash, want := range map[uint64]uint32{0: 0, 69: 0, 70: 1, 99: 1, 100: 0, 1234567869: 0, 1234567870: 1} {
			h, note := p.Pick(hash, 0, 0)
			if h == nil || h.Priority != want || note != 0 {
				t.Errorf("%v: hash %d goes to %+v, note %v, want priority %d", kind, hash, h, note, want)
			}
		}
	}
}

// TestHashNobody holds what happens without usable hosts.
func TestHashNobody(t *testing.T) {
	down := fleet(2)
	down[0].Health, down[1].Health = Unhealthy, Unhealthy
	tests := map[string]struct {
		c    pickCase
		note Note
	}{
		"none":                  {pickCase{policy: Policy{PanicThreshold: 50}}, Panic},
		"none, no panic":        {pickCase{}, 0},
		"all down, no panic":    {pickCase{hosts: down}, 0},
		"no locality has a say": {pickCase{hosts: zones(fleet(2), 2), policy: Policy{LocalityWeighted: true, PanicThreshold: 50}}, 0},
	}
	for name, tc := range tests {
		for _, kind := range hashKinds {
			tc.c.policy.Kind = kind
			p, h := hashed(tc.c, nil)
			if got, note := p.Pick(1, 0, 0); got != nil || note != tc.note {
				t.Errorf("%s, %v: got %v, %v, want nil, %v", name, kind, got, note, tc.note)
			}
			if got := h.Stats(); got != (HashStats{}) {
				t.Errorf("%s, %v: stats %+v", name, kind, got)
			}
		}
	}
	var zero HashPicker
	if h, note := zero.Pick(1, 2, 0); h != nil || note != 0 {
		t.Errorf("the zero value picks %v, %v", h, note)
	}
}

// TestHashKeys holds what a host is known by.
func TestHashKeys(t *testing.T) {
	h := &Host{Address: "192.0.2.1:80", Hostname: "a.test", HashKey: ""}
	for _, tc := range []struct {
		key, name string
		policy    HashPolicy
		want      string
	}{
		{"", "a.test", HashPolicy{}, "192.0.2.1:80"},
		{"", "a.test", HashPolicy{Hostnames: true}, "a.test"},
		{"", "", HashPolicy{Hostnames: true}, "192.0.2.1:80"},
		{"k", "a.test", HashPolicy{Hostnames: true}, "k"},
		{"k", "a.test", HashPolicy{}, "k"},
	} {
		h.HashKey, h.Hostname = tc.key, tc.name
		if got := h.hashKey(tc.policy); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc, got, tc.want)
		}
	}
}

// TestHashingTakesOver holds that a table whose hosts have not changed is not built again, and one whose hosts or layout have is.
func TestHashingTakesOver(t *testing.T) {
	for _, kind := range hashKinds {
		hosts := fleet(4)
		hosts[2].Priority, hosts[3].Priority = 1, 1
		hosts[0].Health = Unhealthy // so that priority 1 has some of the load
		c := pickCase{hosts: hosts, policy: Policy{Kind: kind, PanicThreshold: 10}}
		_, old := hashed(c, nil)
		hosts[3].Weight = 2
		_, h := hashed(c, old)
		if &h.tables[0].members[0] != &old.tables[0].members[0] {
			t.Errorf("%v: the table of priority 0 was built again", kind)
		}
		if &h.tables[1].members[0] == &old.tables[1].members[0] {
			t.Errorf("%v: the table of priority 1 was not built again", kind)
		}
		c.policy.Hash = HashPolicy{MinRingSize: 11, TableSize: 11}
		if _, other := hashed(c, h); &other.tables[1].members[0] == &h.tables[1].members[0] {
			t.Errorf("%v: a table of another size was not built", kind)
		}
	}
}

// TestHashPickAllocates holds that no pick does.
func TestHashPickAllocates(t *testing.T) {
	for i, kind := range append(hashKinds, hashKinds...) {
		hosts := fleet(300)
		hosts[1].Priority = 1
		for i := range 200 {
			hosts[i].Health, hosts[i].Active = Unhealthy, 1
		}
		p, _ := hashed(pickCase{hosts: hosts, policy: Policy{Kind: kind, PanicThreshold: 50, Hash: HashPolicy{BalanceFactor: 100 * uint32(i/2)}}}, nil)
		hash := uint64(1)
		if n := testing.AllocsPerRun(1000, func() {
			hash *= 0x9e3779b97f4a7c15
			p.Pick(hash, 0, 0)
			p.Pick(hash, 1, 0)
			p.PickAny(0)
		}); n != 0 {
			t.Errorf("%v: %v allocations", kind, n)
		}
	}
}

// TestHashKindNames holds the names of lb_policy.
func TestHashKindNames(t *testing.T) {
	var names []string
	for _, k := range hashKinds {
		names = append(names, k.String())
	}
	if got := strings.Join(names, " "); got != "RING_HASH MAGLEV" {
		t.Error(got)
	}
}
