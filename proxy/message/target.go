package message

import (
	"encoding/binary"
	"math/bits"
)

// Eight bytes are looked at as one word: ones times c repeats c in each byte, highs are the top bits. The mask below has the
// top bit set in each byte that was looked for. Sums are taken of the low seven bits, so nothing carries over.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// notTargetMask finds the bytes less than 0x21 or greater than 0x7e, and #.
func notTargetMask(w uint64) uint64 {
	low := w &^ highs
	notHash := (low ^ '#'*ones) + 0x7f*ones
	return (^(low + (0x80-0x21)*ones) | (low + ones) | ^notHash | w) & highs
}

// IndexNotTarget returns the index at or after i of the first byte that cannot be part of a request target, len(b) when
// there is none. Allowed are visible ASCII characters except #. That is more than a URI may hold and what Envoy lets
// pass; bytes above 0x7e have to be percent-encoded.
func IndexNotTarget(b []byte, i int) int {
	for i+8 <= len(b) {
		if mask := notTargetMask(binary.LittleEndian.Uint64(b[i : i+8])); mask != 0 {
			return i + bits.TrailingZeros64(mask)/8
		}
		i += 8
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < 0x21 || c > 0x7e || c == '#' {
			break
		}
	}
	return i
}
