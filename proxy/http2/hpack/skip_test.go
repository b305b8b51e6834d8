package hpack

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// skipBlock skips a whole block.
func skipBlock(t testing.TB, d *Decoder, block []byte) Error {
	t.Helper()
	d.Begin()
	for {
		n, size, err := d.Skip(block)
		checkTable(t, &d.table)
		if err != noError || n == 0 {
			return err
		}
		if size < entryOverhead {
			t.Fatalf("size %d", size)
		}
		block = block[n:]
	}
}

// TestSkipKeepsStep gives the blocks of each conversation to a decoder that decodes all of them, and to one that skips some
// fields. Both must find the same sizes and have the same tables after each field.
func TestSkipKeepsStep(t *testing.T) {
	for _, c := range conversations {
		for _, tableSize := range []uint32{0, 100, 600, 4096} {
			r := rand.New(rand.NewPCG(9, 9))
			e := newOracleEncoder()
			e.SetMaxDynamicTableSize(tableSize)
			all, some := newDecoder(4096), newDecoder(4096)
			for i := range 30 {
				block := e.encode(t, c.message(i, r))
				all.Begin()
				some.Begin()
				for len(block) > 0 {
					block = block[skipOrDecode(t, all, some, block, r.IntN(2) == 0):]
				}
			}
		}
	}
}

// skipOrDecode takes one field of block with both decoders and returns its length.
func skipOrDecode(t *testing.T, all, some *Decoder, block []byte, skip bool) int {
	t.Helper()
	var f, g Field
	want, _, err := all.Next(block, nil, &f)
	if err != noError {
		t.Fatal(err)
	}
	var n int
	if skip {
		n, g.Size, err = some.Skip(block)
	} else {
		n, _, err = some.Next(block, nil, &g)
		checkField(t, &g)
	}
	if n != want || g.Size != f.Size || err != noError {
		t.Fatalf("%d bytes, size %d, %v; want %d, %d", n, g.Size, err, want, f.Size)
	}
	if got, want := fmt.Sprint(some.table.describe()), fmt.Sprint(all.table.describe()); got != want {
		t.Fatalf("%q, want %q", got, want)
	}
	for age := range all.table.count {
		a, b := *all.table.at(age), *some.table.at(age)
		if a.offset, b.offset = 0, 0; a != b {
			t.Fatalf("entry %d: %+v, want %+v", age, b, a)
		}
	}
	checkTable(t, &some.table)
	return n
}
