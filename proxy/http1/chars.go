package http1

import (
	"encoding/binary"
	"math/bits"
)

// tokenLower maps each token character (RFC 9110 section 5.6.2) to its lower-case form and every other byte to 0. It is
// never written.
var tokenLower = buildTokenLower()

func buildTokenLower() (table [256]byte) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
		table[c] = c
	}
	for c := byte('A'); c <= 'Z'; c++ {
		table[c] = c | 0x20
	}
	return table
}

// notHex is the hexDigit of a byte that is none.
const notHex = 0xff

// hexDigit maps each hexadecimal digit to its value and every other byte to notHex. It is never written.
var hexDigit = buildHexDigit()

func buildHexDigit() (table [256]byte) {
	for c := range table {
		table[c] = notHex
	}
	for c := byte('0'); c <= '9'; c++ {
		table[c] = c - '0'
	}
	for c := byte('a'); c <= 'f'; c++ {
		table[c], table[c-0x20] = c-'a'+10, c-'a'+10
	}
	return table
}

// Eight bytes are looked at as one word: ones times c repeats c in each byte, highs are the top bits. The masks below have
// the top bit set in each byte that was looked for. Sums are taken of the low seven bits, so nothing carries over.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// controlMask finds the bytes less than 0x20, and 0x7f.
func controlMask(w uint64) uint64 {
	low := w &^ highs
	return (^(low + (0x80-0x20)*ones) | (low + ones)) &^ w & highs
}

// indexControl returns the index at or after i of the first control character other than HTAB, len(b) when there is
// none. Everything else may be part of a field value (RFC 9110 section 5.5).
func indexControl(b []byte, i int) int {
	for i+8 <= len(b) {
		mask := controlMask(binary.LittleEndian.Uint64(b[i : i+8]))
		if mask == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(mask) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < 0x20 && c != '\t' || c == 0x7f {
			break
		}
	}
	return i
}

// isSpace reports whether c is optional whitespace (RFC 9110 section 5.6.3).
func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// trimSpace returns b without optional whitespace around it.
func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// nextElement cuts the first element off a comma-separated list (RFC 9110 section 5.6.1) and trims it. rest is nil after
// the last one.
func nextElement(list []byte) (element, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trimSpace(list[:i]), list[i+1:]
		}
	}
	return trimSpace(list), nil
}
