package balancer

import "encoding/binary"

// murmurHash2 is the 64-bit MurmurHash2 (Austin Appleby, public domain) with the seed that the C++ standard library of GCC
// hashes strings with, which is what Envoy's MURMUR_HASH_2 stands for.
func murmurHash2(data []byte) uint64 {
	const (
		factor = 0xc6a4a7935bd1e995
		seed   = 0xc70f6907
	)
	mix := func(v uint64) uint64 { return v ^ v>>47 }
	hash := seed ^ uint64(len(data))*factor
	for ; len(data) >= 8; data = data[8:] {
		hash = (hash ^ mix(binary.LittleEndian.Uint64(data)*factor)*factor) * factor
	}
	if len(data) > 0 {
		last := uint64(0)
		for _, b := range data {
			last = last>>8 | uint64(b)<<56
		}
		hash = (hash ^ last>>(64-8*len(data))) * factor
	}
	return mix(mix(hash) * factor)
}
