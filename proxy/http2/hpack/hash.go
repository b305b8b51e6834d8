package hpack

import (
	"encoding/binary"
	"math/bits"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Odd constants with well-mixed bits: the fractional parts of the golden ratio and of the square roots of 2, 3 and 5.
const (
	mix0 = 0x9e3779b97f4a7c15
	mix1 = 0x6a09e667f3bcc909
	mix2 = 0xbb67ae8584caa73b
	mix3 = 0x3c6ef372fe94f82b
)

// nameSeed is a number that is different for most names: what hashes of values begin with.
func nameSeed(f *message.Field, p Pseudo) uint64 {
	if f.ID != message.NameOther || p != PseudoNone || len(f.Name) == 0 {
		return uint64(f.ID)<<8 | uint64(p)
	}
	n := len(f.Name)
	return uint64(n)<<40 | uint64(f.Name[0])<<32 | uint64(f.Name[n/2])<<24 | uint64(f.Name[n-1])<<16
}

// sampleHash is a hash of the length of b and of at most 32 of its bytes: all of a short string, and enough of a long one to
// look for it. What it finds is compared; the caller must be able to live with strings that differ elsewhere.
func sampleHash(b []byte, seed uint64) uint32 {
	n := len(b)
	seed ^= mix0 ^ uint64(n)<<48
	var h uint64
	switch {
	case n > 16:
		h = mix(load64(b[n/2-8:])^mix2, load64(b[n/2:])^mix3)
		fallthrough
	case n >= 8:
		h ^= mix(load64(b)^mix1, load64(b[n-8:])^seed)
	case n >= 4:
		h = mix((uint64(binary.LittleEndian.Uint32(b))|uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32)^mix1, seed)
	case n > 0:
		h = mix((uint64(b[0])|uint64(b[n/2])<<8|uint64(b[n-1])<<16)^mix1, seed)
	default:
		h = seed * mix1
	}
	return uint32(h ^ h>>32)
}

// mix multiplies two numbers and folds the product.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// fullHash is a hash of all bytes of b.
func fullHash(b []byte, seed uint64) uint32 {
	h := seed ^ uint64(len(b))<<48
	for ; len(b) >= 8; b = b[8:] {
		h = bits.RotateLeft64((h^load64(b))*mix0, 32)
	}
	var last uint64
	for _, c := range b {
		last = last<<8 | uint64(c)
	}
	return finish((h ^ last) * mix1)
}

// finish spreads what a hash is of over its bits.
func finish(h uint64) uint32 { return uint32(((h ^ h>>32) * mix0) >> 32) }

func load64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
