package hpack

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// TestStaticTable compares the static table with x/net's, and what we say of it with what its bytes say.
func TestStaticTable(t *testing.T) {
	for i := 1; i <= staticCount; i++ {
		fields, err := newOracleDecoder(4096).decode([]byte{indexedBits | byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		wantBlock(t, newDecoder(4096), []byte{indexedBits | byte(i)}, fields)
	}
	if _, err := newOracleDecoder(4096).decode([]byte{indexedBits | staticCount + 1}); err == nil {
		t.Error("x/net's has more entries")
	}
}

// TestStaticNames looks for every name of the static table the way the encoder does.
func TestStaticNames(t *testing.T) {
	first, hashes := make(map[string]uint8), make(map[uint32]string)
	for i := uint8(1); i <= staticCount; i++ {
		name := staticList[i-1][0]
		if first[name] == 0 {
			first[name] = i
		}
		id, pseudo, malformed := classify([]byte(name))
		if malformed != 0 {
			t.Errorf("%s: %b", name, malformed)
		}
		f := message.Field{Name: []byte(name), ID: id}
		if got := nameOf(&f, pseudo); got != first[name] {
			t.Errorf("%s is found at %d, want %d", name, got, first[name])
		}
		if id != message.NameOther || pseudo != PseudoNone {
			continue
		}
		hash := staticNameHash([]byte(name))
		if other, taken := hashes[hash]; taken && other != name {
			t.Errorf("%s and %s have the same hash: choose other factors", name, other)
		}
		hashes[hash] = name
	}
	for _, name := range []string{"", "x", "x-request-id", "vary2", "ary", ":path", "host"} {
		if got := lookupStatic([]byte(name)); got != 0 {
			t.Errorf("%q is found at %d", name, got)
		}
	}
}
