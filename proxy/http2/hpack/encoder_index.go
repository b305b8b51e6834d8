package hpack

// An encoderIndex finds the live entries of an encoder's table by hash. It is an open-addressing table with linear probing
// that is at most half full.
//
// A slot is 0 when it is free. Otherwise its upper half is that of the entry's hash, whose first bits are also the slot where
// the search begins, and its lower half is the entry's number, modulo 2^15, and a bit that makes it differ from 0.
type encoderIndex [indexSlots]uint32

const (
	indexSlots    = 256 // more than twice maxEncoderEntries
	indexHomeBits = 8   // of the hash: 256 slots

	slotUsed   = 1 << 15
	slotNumber = slotUsed - 1
	slotHash   = 0xffff << 16

	// maxProbes bounds a search. With this many slots between an entry and where its search begins it is not inserted: a peer
	// can make hashes collide, and must not make us search all of the table.
	maxProbes = 8
)

// home returns the slot where the search for a hash begins.
func home(hash uint32) uint32 { return hash >> (32 - indexHomeBits) }

// put enters the entry of the given number and reports whether there was room for it.
func (x *encoderIndex) put(hash, number uint32) bool {
	i := home(hash)
	for range maxProbes {
		if x[i] == 0 {
			x[i] = hash&slotHash | slotUsed | number&slotNumber
			return true
		}
		i = (i + 1) % indexSlots
	}
	return false
}

// remove takes the entry of the given number out, if it is there.
func (x *encoderIndex) remove(hash, number uint32) {
	slot := hash&slotHash | slotUsed | number&slotNumber
	i := home(hash)
	for range maxProbes {
		if x[i] == slot {
			x.free(i)
			return
		}
		i = (i + 1) % indexSlots
	}
}

// free makes slot i free. Those after it move up, as far as that brings them closer to where their search begins: a search
// ends at the first free slot.
func (x *encoderIndex) free(i uint32) {
	x[i] = 0
	for j := (i + 1) % indexSlots; x[j] != 0; j = (j + 1) % indexSlots {
		if (j-home(x[j]))%indexSlots >= (j-i)%indexSlots {
			x[i], x[j] = x[j], 0
			i = j
		}
	}
}
