package hpack

import "testing"

// TestIntegers reads and writes the examples of RFC 7541 appendix C.1 and numbers around each limit.
func TestIntegers(t *testing.T) {
	for _, test := range []struct {
		octets string
		mask   byte
		value  uint
	}{
		{"0a", 0x1f, 10},
		{"1f9a0a", 0x1f, 1337},
		{"2a", 0xff, 42},
		{"1e", 0x1f, 30},
		{"1f00", 0x1f, 31},
		{"1f7f", 0x1f, 158},
		{"1f8001", 0x1f, 159},
		{"7f80ffffff0f", 0x7f, 1<<32 - 1},
	} {
		octets := unhex(t, test.octets)
		v, next, err := readInteger(octets, 0, test.mask)
		if v != uint64(test.value) || next != len(octets) || err != noError {
			t.Errorf("%x: %d of %d octets, %v; want %d", octets, v, next, err, test.value)
		}
		if got := appendInteger(nil, 0, test.mask, test.value); string(got) != string(octets) {
			t.Errorf("%d is %x, want %x", test.value, got, octets)
		}
		for i := range octets {
			if _, _, err := readInteger(octets[:i], 0, test.mask); err != ErrTruncated {
				t.Errorf("%x cut at %d: %v, want %v", octets, i, err, ErrTruncated)
			}
		}
	}
	for _, octets := range []string{"7fffffffffff", "7fffffffffff00", "7f808080808000"} {
		if _, _, err := readInteger(unhex(t, octets), 0, 0x7f); err != ErrInteger {
			t.Errorf("%s: %v, want %v", octets, err, ErrInteger)
		}
	}
	if v, _, err := readInteger(unhex(t, "7f8080808000"), 0, 0x7f); v != 127 || err != noError {
		t.Errorf("127 with zeros after it: %d, %v", v, err)
	}
}
