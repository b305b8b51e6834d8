package message

import "testing"

// TestTargetMaskIsExact puts every byte at every place of a word, beside bytes at the edges of what is looked for.
func TestTargetMaskIsExact(t *testing.T) {
	for _, beside := range []byte{0, 0x1f, 0x20, 0x21, '#', 0x7e, 0x7f, 0x80, 0xff} {
		for c := range 256 {
			for place := range 8 {
				b := [8]byte{beside, beside, beside, beside, beside, beside, beside, beside}
				b[place] = byte(c)
				var word, notTarget uint64
				for i, c := range b {
					word |= uint64(c) << (8 * i)
					if c < 0x21 || c > 0x7e || c == '#' {
						notTarget |= 0x80 << (8 * i)
					}
				}
				if got := notTargetMask(word); got != notTarget {
					t.Fatalf("notTargetMask(%x) = %x, want %x", word, got, notTarget)
				}
			}
		}
	}
}
