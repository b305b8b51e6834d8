package hpack

import "testing"

// TestCheckValueIsExact puts every byte at every place of values of many lengths.
func TestCheckValueIsExact(t *testing.T) {
	for n := 1; n <= 25; n++ {
		for place := range n {
			for c := range 256 {
				value := make([]byte, n)
				for i := range value {
					value[i] = '\t' + byte(i%2)*0x57 // HTAB and a letter
				}
				value[0], value[n-1] = 'x', 0x80
				value[place] = byte(c)
				var want Malformed
				if isSpace(value[0]) || isSpace(value[n-1]) {
					want = ValueSpace
				}
				if c < 0x20 && c != '\t' || c == 0x7f {
					want |= ValueCharacter
				}
				if got := checkValue(value); got != want {
					t.Fatalf("%q: %b, want %b", value, got, want)
				}
			}
		}
	}
}
