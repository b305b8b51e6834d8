package balancer

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// ring is a ketama ring: points on a circle, each of which stands for a host that the hashes up to it, from the point
// before, belong to.
type ring struct {
	hashes []uint64 // ascending
	hosts  []uint32 // by the index of hashes: the host's place in its level
}

// newRing returns the ring of members, of which there are at least two, as Envoy lays it out: each has points in proportion
// to its share, the least of them a whole number, so many that there are MinRingSize altogether but at most MaxRingSize.
func newRing(members []member, p HashPolicy) ring {
	smallest, largest := p.ringSize()
	least := 1.0
	for _, m := range members {
		least = min(least, m.share)
	}
	scale := min(math.Ceil(least*float64(smallest))/least, float64(largest))
	type point struct {
		hash uint64
		host uint32
	}
	points := make([]point, 0, int(math.Ceil(scale)))
	// Shares of points are fractions: the sums of what is and of what should be run over all hosts, so that none is lost.
	current, target := 0.0, 0.0
	var name []byte
	for _, m := range members {
		name = append(append(name[:0], m.key...), '_')
		prefix := len(name)
		target += scale * m.share
		for i := uint64(0); current < target; i++ {
			name = strconv.AppendUint(name[:prefix], i, 10)
			hash := xxhash.Sum64(name)
			if p.MurmurHash2 {
				hash = murmurHash2(name)
			}
			points = append(points, point{hash, m.index})
			current++
		}
	}
	slices.SortFunc(points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.host, b.host))
	})
	r := ring{hashes: make([]uint64, len(points)), hosts: make([]uint32, len(points))}
	for i := range points {
		r.hashes[i], r.hosts[i] = points[i].hash, points[i].host
	}
	return r
}

// pick returns the place of the host of the first point that is not below hash, the first of all past the last. Each further
// attempt goes one point on, which may belong to the same host.
func (r *ring) pick(hash uint64, attempt uint32) uint32 {
	low, high := 0, len(r.hashes)
	for low < high {
		if middle := int(uint(low+high) >> 1); r.hashes[middle] < hash {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return r.hosts[(uint64(low)+uint64(attempt))%uint64(len(r.hosts))]
}

// perHost counts the entries of each of the members of a level.
func perHost(entries []uint32, members int, list []member) HashStats {
	counts := make(map[uint32]uint64, members)
	for _, host := range entries {
		counts[host]++
	}
	s := HashStats{Size: uint64(len(entries)), PerHostMin: uint64(len(entries))}
	for _, m := range list {
		s.PerHostMin, s.PerHostMax = min(s.PerHostMin, counts[m.index]), max(s.PerHostMax, counts[m.index])
	}
	return s
}
