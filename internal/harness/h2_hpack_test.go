package harness

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// TestH2Integer has the examples of RFC 7541 appendix C.1, and the ends of the prefix.
func TestH2Integer(t *testing.T) {
	for _, test := range []struct {
		pattern byte
		prefix  int
		n       uint64
		want    string
	}{
		{0, 5, 10, "\x0a"}, {0xe0, 5, 10, "\xea"}, {0, 5, 1337, "\x1f\x9a\x0a"}, {0, 8, 42, "\x2a"},
		{0, 5, 30, "\x1e"}, {0, 5, 31, "\x1f\x00"}, {0, 7, 127 + 128, "\x7f\x80\x01"},
	} {
		if got := string(H2Integer(test.pattern, test.prefix, test.n)); got != test.want {
			t.Errorf("%d with a prefix of %d bits: %q, want %q", test.n, test.prefix, got, test.want)
		}
	}
}

// TestH2Representations has a decoder of others read what is made by hand.
func TestH2Representations(t *testing.T) {
	block := slices.Concat(H2TableSize(100), H2TableSize(200), H2Indexed(2), H2Insert("a", "1"), H2Literal("b", strings.Repeat("2", 200)),
		H2Never("c", "3"), H2Indexed(62), []byte{patternLiteral}, H2Huffman("~"), H2Huffman("value"), H2Literals("d", "4", "X\x00", "\r\n"))
	got, err := hpack.NewDecoder(4096, nil).DecodeFull(block)
	if err != nil {
		t.Fatal(err)
	}
	want := []hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: "a", Value: "1"}, {Name: "b", Value: strings.Repeat("2", 200)},
		{Name: "c", Value: "3", Sensitive: true}, {Name: "a", Value: "1"}, {Name: "~", Value: "value"}, {Name: "d", Value: "4"},
		{Name: "X\x00", Value: "\r\n"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestH2LeadingTableSize(t *testing.T) {
	for _, test := range []struct {
		block []byte
		size  uint64
		found bool
	}{
		{nil, 0, false}, {H2Indexed(2), 0, false}, {slices.Concat(H2Indexed(2), H2TableSize(1)), 0, false},
		{H2TableSize(0), 0, true}, {H2TableSize(30), 30, true}, {H2TableSize(31), 31, true}, {H2TableSize(1 << 31), 1 << 31, true},
		{slices.Concat(H2TableSize(0), H2TableSize(4096), H2Indexed(2)), 4096, true},
	} {
		if size, found := leadingTableSize(test.block); size != test.size || found != test.found {
			t.Errorf("%x: %d and %v, want %d and %v", test.block, size, found, test.size, test.found)
		}
	}
}

// TestH2OddFields holds that a name without a value fails the test.
func TestH2OddFields(t *testing.T) {
	r := &recorder{TB: t}
	H2Bytes(r, func(w *H2Writer) { w.Headers(1, true, ":method") })
	if why := r.failures(); !strings.Contains(why, "not names and values in turn") {
		t.Errorf("failed with %q", why)
	}
}
