package hpack

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// insertBlock is a block that inserts fields with names spelled out.
func insertBlock(fields ...pair) (block []byte) {
	for _, f := range fields {
		block = appendPlain(appendPlain(append(block, incrementalBits), []byte(f.name)), []byte(f.value))
	}
	return block
}

func TestDecodeErrors(t *testing.T) {
	long := "7f" + strings.Repeat("ff", 5) + "00"
	for _, test := range []struct {
		name, before, block string
		want                Error
	}{
		{"index 0", "", "80", ErrIndex},
		{"index 62 of an empty table", "", "be", ErrIndex},
		{"index beyond the table", "40016101 62", "bf", ErrIndex},
		{"long index beyond the table", "40016101 62", "ff00", ErrIndex},
		{"huge index", "40016101 62", "ffffffffff0f", ErrIndex},
		{"index of many octets", "", "ffffffffffffff7f", ErrInteger},
		{"name index 62 of an empty table", "", "7e0161", ErrIndex},
		{"name index beyond the table, without indexing", "", "0f2f0161", ErrIndex},
		{"name index beyond the table, never indexed", "", "1f2f0161", ErrIndex},
		{"name index of many octets", "", "7fffffffffffff010161", ErrInteger},
		{"index after eviction", "40016101 62 4001630164", "20 be", ErrIndex},
		{"name length of many octets", "", "00" + long + "0161", ErrInteger},
		{"value length of many octets", "", "0001 61" + long, ErrInteger},
		{"name beyond the block", "", "0003 6162", ErrTruncated},
		{"value beyond the block", "", "0001 6103 6162", ErrTruncated},
		{"value of 4 GiB", "", "0001 617f 80ff ffff 0f", ErrTruncated},
		{"nothing after the kind", "", "40", ErrTruncated},
		{"end-of-string in a name", "", "0084 ffff ffff 0161", ErrHuffmanEOS},
		{"end-of-string in a value", "", "0001 6184 ffff ffff", ErrHuffmanEOS},
		{"padding of 8 bits", "", "0001 6181 ff", ErrHuffmanPaddingLength},
		{"padding with a 0", "", "0001 6181 18", ErrHuffmanPadding},
		{"size update above the announced size", "", "3fe21f", ErrSizeUpdate},
		{"size update of many octets", "", "3fffffffffffff01", ErrInteger},
		{"size update of 2^35", "", "3fffffffff7f", ErrSizeUpdate},
		{"size update after a field", "", "82 20", ErrSizeUpdatePlace},
		{"size update after a dynamic field", "40016101 62", "be 20", ErrSizeUpdatePlace},
		{"size update after a literal", "", "0001 6101 61 20", ErrSizeUpdatePlace},
		{"nine size updates", "", strings.Repeat("20", 9), ErrSizeUpdateCount},
		{"half a size update", "", "3f", ErrTruncated},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, skipping := newDecoder(4096), newDecoder(4096)
			before, block := unhex(t, test.before), unhex(t, test.block)
			if _, err := decodeBlock(t, d, before); err != noError {
				t.Fatal(err)
			}
			if _, err := decodeBlock(t, d, block); err != test.want {
				t.Errorf("%v, want %v", err, test.want)
			}
			if err := skipBlock(t, skipping, before); err != noError {
				t.Fatal(err)
			}
			if err := skipBlock(t, skipping, block); err != test.want {
				t.Errorf("skipped: %v, want %v", err, test.want)
			}
		})
	}
}

// TestDecodeTruncations cuts blocks at every place. What is left must fail, unless the cut is between two fields.
func TestDecodeTruncations(t *testing.T) {
	for _, c := range rfcConversations {
		for i, b := range c.blocks {
			block := unhex(t, b.block)
			whole := map[int]bool{}
			d := newDecoder(c.tableSize)
			for _, before := range c.blocks[:i] {
				decodeBlock(t, d, unhex(t, before.block))
			}
			d.Begin()
			for at := 0; at < len(block); {
				whole[at] = true
				n, _, _ := d.Next(block[at:], nil, &Field{})
				at += n
			}
			for cut := range block {
				d := newDecoder(c.tableSize)
				for _, before := range c.blocks[:i] {
					decodeBlock(t, d, unhex(t, before.block))
				}
				_, err := decodeBlock(t, d, block[:cut])
				if whole[cut] != (err == noError) || !whole[cut] && err != ErrTruncated {
					t.Errorf("%s, block %d, cut at %d: %v", c.section, i, cut, err)
				}
			}
		}
	}
}

func TestDecodeEviction(t *testing.T) {
	// Two entries of 34 bytes fit 68 exactly, and not 67.
	for _, size := range []uint32{68, 67} {
		d := newDecoder(size)
		wantBlock(t, d, insertBlock(pairsOf("a", "1", "b", "2")...), pairsOf("a", "1", "b", "2"))
		if want := size / 34; d.table.count != want {
			t.Errorf("%d entries in %d bytes, want %d", d.table.count, size, want)
		}
		wantBlock(t, d, []byte{0xbe}, pairsOf("b", "2"))
	}
	// An entry as large as the table stays, a larger one empties it (RFC 7541 section 4.4).
	d := newDecoder(100)
	fits, larger := strings.Repeat("v", 67), strings.Repeat("v", 68)
	wantBlock(t, d, insertBlock(pairsOf("a", "1", "b", fits)...), pairsOf("a", "1", "b", fits))
	wantBlock(t, d, []byte{0xbe}, pairsOf("b", fits))
	wantBlock(t, d, insertBlock(pairsOf("b", larger)...), pairsOf("b", larger))
	if d.table.count != 0 || d.table.size != 0 {
		t.Errorf("%d entries of %d bytes after one that is too large", d.table.count, d.table.size)
	}
}

// TestDecodeNameOfEvicted inserts fields whose names are those of entries evicted by it (RFC 7541 section 4.4).
func TestDecodeNameOfEvicted(t *testing.T) {
	value := []byte(strings.Repeat("v", 40))
	for _, skip := range []bool{false, true} {
		d := newDecoder(32 + 4 + 40 + 10)
		decodeBlock(t, d, insertBlock(pairsOf("name", "1")...))
		for range 50 {
			block := appendShorter([]byte{incrementalBits | staticCount + 1}, value)
			if skip {
				if err := skipBlock(t, d, block); err != noError {
					t.Fatal(err)
				}
			} else {
				wantBlock(t, d, block, pairsOf("name", string(value)))
			}
			wantBlock(t, d, []byte{0xbe}, pairsOf("name", string(value)))
			if d.table.count != 1 {
				t.Fatalf("%d entries", d.table.count)
			}
		}
		// The new entry does not fit at all, and the name is still there for the field.
		large := bytes.Repeat(value, 10)
		wantBlock(t, d, appendPlain([]byte{incrementalBits | staticCount + 1}, large), pairsOf("name", string(large)))
		if d.table.count != 0 {
			t.Fatalf("%d entries", d.table.count)
		}
	}
}

func TestDecodeSizeUpdates(t *testing.T) {
	d := newDecoder(4096)
	fields := pairsOf("a", "1", "b", "2", "c", "3")
	wantBlock(t, d, insertBlock(fields...), fields)
	// Down to one entry, and up again: the entry stays.
	wantBlock(t, d, unhex(t, "3f03 3fe11f be"), pairsOf("c", "3"))
	if d.table.count != 1 || d.table.max != 4096 {
		t.Errorf("%d entries in a table of %d", d.table.count, d.table.max)
	}
	// A block of size updates only has no fields, and eight of them are allowed.
	wantBlock(t, d, unhex(t, strings.Repeat("20", 8)), nil)
	if d.table.count != 0 || d.table.max != 0 {
		t.Errorf("%d entries in a table of %d", d.table.count, d.table.max)
	}
	// Without a table every entry is too large.
	wantBlock(t, d, insertBlock(fields...), fields)
	if d.table.count != 0 {
		t.Errorf("%d entries in a table of 0", d.table.count)
	}
}

func TestDecodeTableSizes(t *testing.T) {
	for _, test := range []struct{ announced, allowed, max uint32 }{
		{0, 0, 0}, {100, 100, 100}, {4096, 4096, 4096}, {10_000, 10_000, 4096}, {1 << 31, MaxTableSize, 4096},
	} {
		var d Decoder
		d.Init(test.announced)
		if d.allowed != test.allowed || d.table.max != test.max {
			t.Errorf("%d announced: %d allowed, table of %d; want %d, %d", test.announced, d.allowed, d.table.max, test.allowed, test.max)
		}
	}
	var d Decoder
	d.Init(10_000)
	wantBlock(t, &d, unhex(t, "3ff14d"), nil) // 10000
	value := strings.Repeat("v", 6000)
	wantBlock(t, &d, insertBlock(pairsOf("a", value, "b", "2")...), pairsOf("a", value, "b", "2"))
	d.SetMaxTableSize(50)
	if d.table.count != 1 || d.table.max != 50 {
		t.Errorf("%d entries in a table of %d", d.table.count, d.table.max)
	}
	wantBlock(t, &d, unhex(t, "3f13 be"), pairsOf("b", "2"))
	if _, err := decodeBlock(t, &d, unhex(t, "3f14")); err != ErrSizeUpdate {
		t.Error(err)
	}
	d.SetMaxTableSize(1 << 20)
	if d.allowed != MaxTableSize || d.table.max != 50 {
		t.Errorf("%d allowed, table of %d", d.allowed, d.table.max)
	}
}

func TestDecodeNeverIndexed(t *testing.T) {
	block := insertBlock(pairsOf("a", "1")...)
	block = append(block, "\x10\x01b\x012\x1f\x2f\x013\x00\x01c\x014"...)
	want := []pair{{"a", "1", false}, {"b", "2", true}, {"a", "3", true}, {"c", "4", false}}
	d := newDecoder(4096)
	wantBlock(t, d, block, want)
	if d.table.count != 1 {
		t.Errorf("%d entries, want 1", d.table.count)
	}
}

// TestDecodeKeepsNoName sees that well-known and static names are not copied, however they came.
func TestDecodeKeepsNoName(t *testing.T) {
	d := newDecoder(4096)
	blocks := [][]byte{
		insertBlock(pairsOf("x-request-id", "1")...),
		{0xbe},
		appendShorter(appendShorter([]byte{incrementalBits}, []byte("content-type")), nil),
		appendPlain([]byte{incrementalBits | staticAcceptEncoding}, []byte("br")),
		{0xbe},
		appendPlain([]byte{withoutBits | literalMask, staticCount + 1 - literalMask}, []byte("gzip")),
	}
	for i, block := range blocks {
		d.Begin()
		var f Field
		_, arena, err := d.Next(block, nil, &f)
		if err != noError || len(arena) != len(f.Value) || len(f.Name) == 0 {
			t.Errorf("block %d: %q: %q, arena %q, %v", i, f.Name, f.Value, arena, err)
		}
		known := f.ID.Bytes()
		if f.ID == message.NameOther {
			known = staticFields[staticAcceptEncoding].Name
		}
		if &f.Name[0] != &known[0] {
			t.Errorf("block %d: %q is a copy", i, f.Name)
		}
	}
}

// TestDecodeTooLong decodes strings at and above the limit, plain and Huffman-coded, as name and as value.
func TestDecodeTooLong(t *testing.T) {
	for _, length := range []int{MaxString, MaxString + 1} {
		for _, huffman := range []bool{false, true} {
			for _, where := range []string{"name", "value"} {
				text := bytes.Repeat([]byte("&"), length) // 8 bits, as many as it is
				literal := appendPlain(nil, text)
				if huffman {
					literal = appendHuffman(appendInteger(nil, huffmanBit, stringMask, uint(length)), text)
				}
				block := []byte{withoutBits}
				if where == "name" {
					block = append(append(block, literal...), 1, 'v')
				} else {
					block = append(append(block, 1, 'n'), literal...)
				}
				checkTooLong(t, fmt.Sprintf("%d %v %s", length, huffman, where), block, length > MaxString, length+1+32)
			}
		}
	}
}

// checkTooLong decodes a literal, alone and inserting it.
func checkTooLong(t *testing.T, name string, block []byte, tooLong bool, size int) {
	t.Helper()
	for _, kind := range []byte{withoutBits, incrementalBits} {
		block[0] = kind
		d := newDecoder(MaxTableSize)
		decodeBlock(t, d, insertBlock(pairsOf("a", "1")...))
		d.Begin()
		var f Field
		n, arena, err := d.Next(block, nil, &f)
		if n != len(block) || err != noError || (f.Malformed&TooLong != 0) != tooLong || int(f.Size) != size {
			t.Fatalf("%s: %d %v %b %d", name, n, err, f.Malformed, f.Size)
		}
		checkField(t, &f)
		if tooLong && (arena != nil || f.Name != nil || f.Value != nil) {
			t.Fatalf("%s: it was decoded", name)
		}
		if want := uint32(1); kind == incrementalBits && d.table.count != 0 || kind == withoutBits && d.table.count != want {
			t.Fatalf("%s: %d entries", name, d.table.count)
		}
	}
}

// TestDecodeTooLongThatFits decodes a string that is too long in the block and short enough for the table when it is decoded:
// later fields may refer to it.
func TestDecodeTooLongThatFits(t *testing.T) {
	text := bytes.Repeat([]byte{'\n', '\r'}, 9000) // 30 bits each
	coded := appendHuffman(nil, text)
	if len(coded) <= MaxString {
		t.Fatal(len(coded))
	}
	block := append(appendInteger(append(insertBlock(pairsOf("a", "1")...), incrementalBits|staticCount+1), huffmanBit, stringMask, uint(len(coded))), coded...)
	d := newDecoder(MaxTableSize)
	d.Begin()
	arena := []byte{}
	var f Field
	for len(block) > 0 {
		n, longer, err := d.Next(block, arena, &f)
		if err != noError || n == 0 {
			t.Fatal(n, err)
		}
		block, arena = block[n:], longer
	}
	if f.Malformed != TooLong || int(f.Size) != 1+len(text)+32 || len(arena) != 2 {
		t.Errorf("%b, size %d, arena %q", f.Malformed, f.Size, arena)
	}
	wantBlock(t, d, []byte{0xbe, 0xbf}, pairsOf("a", string(text), "a", "1"))
}

// TestArenaIsShared decodes into an arena that has contents and has to grow again and again: what it had and the fields
// before stay as they are.
func TestArenaIsShared(t *testing.T) {
	var want []pair
	for i := range 200 {
		want = append(want, pair{name: fmt.Sprint("name-", i%7), value: strings.Repeat("v", i)})
	}
	block := newOracleEncoder().encode(t, want)
	d := newDecoder(4096)
	arena := []byte("contents")
	var fields []Field
	for len(block) > 0 {
		var f Field
		n, longer, err := d.Next(block, arena, &f)
		if err != noError {
			t.Fatal(err)
		}
		block, arena = block[n:], longer
		fields = append(fields, f)
	}
	if got := textOf(t, fields); !samePairs(got, want) || !bytes.HasPrefix(arena, []byte("contents")) {
		t.Errorf("got %v", got)
	}
}
