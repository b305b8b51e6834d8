package hpack

import (
	"encoding/binary"
)

// nameFault maps each byte to what is wrong with it in a field name. It is never written.
var nameFault = buildNameFault()

func buildNameFault() (table [256]Malformed) {
	for c := range table {
		table[c] = NameCharacter
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
		table[c] = 0
	}
	for c := 'A'; c <= 'Z'; c++ {
		table[c] = NameUppercase
	}
	return table
}

// checkName returns what is wrong with the characters of a field name.
func checkName(name []byte) (m Malformed) {
	for _, c := range name {
		m |= nameFault[c]
	}
	return m
}

// checkValue returns what is wrong with a field value.
func checkValue(value []byte) (m Malformed) {
	n := len(value)
	if n == 0 {
		return 0
	}
	if isSpace(value[0]) || isSpace(value[n-1]) {
		m = ValueSpace
	}
	if n < 8 {
		return m | checkBytes(value)
	}
	for i := 0; i < n-8; i += 8 {
		if controlMask(binary.LittleEndian.Uint64(value[i:])) != 0 {
			m |= checkBytes(value[i : i+8])
		}
	}
	// The last word overlaps the one before, so that there is no rest.
	if controlMask(binary.LittleEndian.Uint64(value[n-8:])) != 0 {
		m |= checkBytes(value[n-8:])
	}
	return m
}

// checkBytes is checkValue byte by byte, and without regard to spaces.
func checkBytes(value []byte) Malformed {
	for _, c := range value {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return ValueCharacter
		}
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// Eight bytes are looked at as one word: ones times c repeats c in each byte, highs are the top bits.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// controlMask has the top bit set in each byte less than 0x20 and in each that is 0x7f. Sums are taken of the low seven
// bits, so nothing carries over.
func controlMask(w uint64) uint64 {
	low := w &^ highs
	return (^(low + (0x80-0x20)*ones) | (low + ones)) &^ w & highs
}
