package hpack

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// TestEncodeStatic encodes what is in the static table with its value: one byte each.
func TestEncodeStatic(t *testing.T) {
	e := newEncoder()
	for i := 1; i <= staticCount; i++ {
		f := pair{name: staticList[i-1][0], value: staticList[i-1][1]}
		if f.value == "" {
			continue
		}
		for range 3 {
			if block := encodeBlock(t, e, []pair{f}); len(block) != 1 || block[0] != indexedBits|byte(i) {
				t.Errorf("%v is %x", f, block)
			}
		}
	}
	if e.table.count != 0 {
		t.Errorf("%d entries", e.table.count)
	}
}

func TestEncodeStatus(t *testing.T) {
	e, d := newEncoder(), newDecoder(4096)
	for status := 100; status < 1000; status++ {
		wantBlock(t, d, e.AppendStatus(nil, status), pairsOf(":status", fmt.Sprint(status)))
	}
}

// TestEncodeInsertsRepeated sends fields again and again: as a literal, as a literal that is inserted, and indexed.
func TestEncodeInsertsRepeated(t *testing.T) {
	for _, f := range pairsOf(":authority", "www.example.com", ":path", "/a?b=c", ":method", "PUT", ":protocol", "websocket", "x-other", "value",
		"user-agent", userAgent, "accept-encoding", "br", "x-empty", "", "via", "", "content-length", "17", "cookie", strings.Repeat("c", 21)) {
		e, d := newEncoder(), newDecoder(4096)
		for i, kind := range []byte{withoutBits, incrementalBits, indexedBits, indexedBits, indexedBits} {
			block := encodeBlock(t, e, []pair{f})
			if got := kindOf(block[0]); got != kind {
				t.Errorf("%v, time %d: kind %x, want %x", f, i, got, kind)
			}
			wantBlock(t, d, block, []pair{f})
		}
	}
}

// kindOf returns the kind of the representation that begins with c.
func kindOf(c byte) byte {
	for _, kind := range []byte{indexedBits, incrementalBits, sizeUpdateBits, neverBits} {
		if c >= kind {
			return kind
		}
	}
	return withoutBits
}

// TestEncodeNeverInserts sends what must not be inserted, or is not worth it, and nothing else with it.
func TestEncodeNeverInserts(t *testing.T) {
	for _, test := range []struct {
		field pair
		kind  byte
	}{
		{pair{name: "x-secret", value: "s", never: true}, neverBits},
		{pair{name: "etag", value: "s", never: true}, neverBits},
		{pair{name: "content-type", value: "s", never: true}, neverBits},
		{pair{name: ":path", value: "/secret", never: true}, neverBits},
		{pair{name: "authorization", value: "Bearer abc"}, neverBits},
		{pair{name: "proxy-authorization", value: "Basic abc"}, neverBits},
		{pair{name: "cookie", value: strings.Repeat("c", 20)}, neverBits},
		{pair{name: "cookie", value: strings.Repeat("c", 1000)}, withoutBits},
		{pair{name: "x-request-id", value: "1"}, withoutBits},
		{pair{name: "x-large", value: strings.Repeat("v", 1024-32-7+1)}, withoutBits},
		{pair{name: ":status", value: "201"}, withoutBits},
	} {
		e, d := newEncoder(), newDecoder(4096)
		want := test.field
		want.never = test.kind == neverBits
		for range 5 {
			block := encodeBlock(t, e, []pair{test.field})
			if got := kindOf(block[0]); got != test.kind {
				t.Errorf("%v: kind %x, want %x", test.field, got, test.kind)
			}
			wantBlock(t, d, block, []pair{want})
		}
	}
	// A field that is in the table is not taken from there for whoever forbade it.
	e, d := newEncoder(), newDecoder(4096)
	f := pair{name: "x-a", value: "1"}
	for range 3 {
		wantBlock(t, d, encodeBlock(t, e, []pair{f}), []pair{f})
	}
	f.never = true
	wantBlock(t, d, encodeBlock(t, e, []pair{f}), []pair{f})
}

// TestEncodeLargestEntry inserts a field that takes just its share of the table.
func TestEncodeLargestEntry(t *testing.T) {
	e, d := newEncoder(), newDecoder(4096)
	f := pair{name: "x-large", value: strings.Repeat("v", 1024-32-7)}
	for range 3 {
		wantBlock(t, d, encodeBlock(t, e, []pair{f}), []pair{f})
	}
	if e.table.count != 1 {
		t.Errorf("%d entries", e.table.count)
	}
}

// TestEncodeSizeUpdates changes the table's size between blocks (RFC 7541 section 4.2).
func TestEncodeSizeUpdates(t *testing.T) {
	for _, test := range []struct {
		sizes []uint32
		want  string
	}{
		{nil, ""},
		{[]uint32{4096}, ""},
		{[]uint32{65536}, ""},
		{[]uint32{0}, "20"},
		{[]uint32{100}, "3f45"},
		{[]uint32{0, 4096}, "20 3fe11f"},
		{[]uint32{1000, 100, 200}, "20 3fa901"},
		{[]uint32{3000, 4096, 3000}, "20 3f9917"},
		{[]uint32{3000, 4096, 0}, "20"},
		{[]uint32{3000, 2000}, "3fb10f"},
		{[]uint32{100, 0}, "20"},
		{[]uint32{100, 1 << 30}, "20 3fe11f"},
	} {
		e := newEncoder()
		for _, size := range test.sizes {
			e.SetMaxTableSize(size)
		}
		if got := e.Begin([]byte{}); !bytes.Equal(got, unhex(t, test.want)) {
			t.Errorf("%v: %x, want %s", test.sizes, got, test.want)
		}
		if got := e.Begin(nil); got != nil {
			t.Errorf("%v: %x in the second block", test.sizes, got)
		}
	}
	// Larger again, in a later block.
	e := newEncoder()
	e.SetMaxTableSize(0)
	e.Begin(nil)
	e.SetMaxTableSize(200)
	if got := e.Begin(nil); !bytes.Equal(got, unhex(t, "3fa901")) {
		t.Errorf("%x", got)
	}
}

// TestEncodeWithoutTable encodes for a peer that allows no table: everything stays a literal.
func TestEncodeWithoutTable(t *testing.T) {
	e, d := newEncoder(), newDecoder(4096)
	e.SetMaxTableSize(0)
	for range 5 {
		wantBlock(t, d, encodeBlock(t, e, benchRequest), benchRequest)
	}
	if e.table.inserted != 0 || e.index != nil {
		t.Error("something was inserted")
	}
}

// TestEncodeReusesNoEvicted lets entries be evicted by others and by smaller tables, and refers to what is left.
func TestEncodeReusesNoEvicted(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	e, d, o := newEncoder(), newDecoder(4096), newOracleDecoder(4096)
	for range 3000 {
		if r.IntN(50) == 0 {
			e.SetMaxTableSize(uint32(r.IntN(5000)))
		}
		var fields []pair
		for range 5 {
			fields = append(fields, pair{name: fmt.Sprint("name-", r.IntN(5)), value: strings.Repeat("v", r.IntN(60))})
		}
		block := encodeBlock(t, e, fields)
		wantBlock(t, d, block, fields)
		if got, err := o.decode(block); err != nil || !samePairs(got, fields) {
			t.Fatalf("x/net: %v %v, want %v", got, err, fields)
		}
	}
}

// TestEncodeCollisions sends fields whose hashes are the same, as a peer may who knows the hash: they differ where it does not
// look. Nothing is confused, and searching stays bounded.
func TestEncodeCollisions(t *testing.T) {
	e, d := newEncoder(), newDecoder(4096)
	for i := range 200 {
		value := []byte(strings.Repeat("v", 100))
		copy(value[20:], fmt.Sprintf("%08d", i%30))
		if sampleHash(value, 0) != sampleHash([]byte(strings.Repeat("v", 100)), 0) {
			t.Fatal("the hash looks there")
		}
		f := pair{name: "x-collision", value: string(value)}
		wantBlock(t, d, encodeBlock(t, e, []pair{f, f, f}), []pair{f, f, f})
	}
	if e.table.count > maxProbes {
		t.Errorf("%d entries with the same hash", e.table.count)
	}
}

func TestEncodeAppends(t *testing.T) {
	e := newEncoder()
	f := message.Field{Name: []byte("x-a"), Value: []byte("1")}
	for range 3 {
		dst := make([]byte, 3, 64)
		got := e.AppendStatus(e.AppendPseudo(e.AppendField(dst, &f), PseudoPath, []byte("/")), 404)
		if &got[0] != &dst[0] || len(got) < 6 {
			t.Errorf("%x", got)
		}
	}
}
