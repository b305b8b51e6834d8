package hpack

import (
	"math/rand/v2"
	"testing"
)

// TestEncoderIndexAgainstModel puts and removes entries whose hashes crowd together, and looks for each of them.
func TestEncoderIndexAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var x encoderIndex
	type item struct{ hash, number uint32 }
	var live []item
	number := uint32(slotNumber - 500) // wraps on the way
	for range 50_000 {
		if len(live) < maxEncoderEntries && r.IntN(2) == 0 {
			hash := (r.Uint32()%40 + 240) << (32 - indexHomeBits) // around the end of the table
			hash |= r.Uint32() & 0xffff
			if x.put(hash, number) {
				live = append(live, item{hash, number & slotNumber})
			}
			number++
		} else if len(live) > 0 {
			i := r.IntN(len(live))
			x.remove(live[i].hash, live[i].number)
			x.remove(live[i].hash, live[i].number) // is not there any more
			live = append(live[:i], live[i+1:]...)
		}
		for _, it := range live {
			if !found(&x, it.hash, it.number) {
				t.Fatalf("number %d is not found", it.number)
			}
		}
	}
	for _, it := range live {
		x.remove(it.hash, it.number)
	}
	if x != (encoderIndex{}) {
		t.Error("slots are left")
	}
}

// found looks for an entry the way Encoder.find does.
func found(x *encoderIndex, hash, number uint32) bool {
	for i := range uint32(maxProbes) {
		switch x[(home(hash)+i)%indexSlots] {
		case 0:
			return false
		case hash&slotHash | slotUsed | number:
			return true
		}
	}
	return false
}
