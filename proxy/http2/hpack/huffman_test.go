package hpack

import (
	"bytes"
	"math/rand/v2"
	"testing"

	oracle "golang.org/x/net/http2/hpack"
)

// bitString gathers bits for tests of what no encoder writes.
type bitString struct {
	bytes []byte
	n     int
}

func (b *bitString) add(code uint32, bits uint8) {
	for i := int(bits) - 1; i >= 0; i-- {
		if b.n%8 == 0 {
			b.bytes = append(b.bytes, 0)
		}
		b.bytes[b.n/8] |= byte(code>>i&1) << (7 - b.n%8)
		b.n++
	}
}

func (b *bitString) addText(s string) {
	for i := range len(s) {
		b.add(huffmanCodes[s[i]].code, huffmanCodes[s[i]].bits)
	}
}

const (
	eosCode = 1<<30 - 1
	eosBits = 30
)

// checkHuffman carries s both ways, with more capacity than needed, just enough, and none.
func checkHuffman(t *testing.T, s string) {
	t.Helper()
	coded := appendHuffman([]byte("before"), []byte(s))[len("before"):]
	if want := oracle.AppendHuffmanString(nil, s); !bytes.Equal(coded, want) {
		t.Fatalf("%q is %x, want %x", s, coded, want)
	}
	if huffmanSize([]byte(s)) != len(coded) {
		t.Fatalf("%q: size %d, want %d", s, huffmanSize([]byte(s)), len(coded))
	}
	if n, err := huffmanLen(coded); n != len(s) || err != noError {
		t.Fatalf("%q: length %d, %v", s, n, err)
	}
	for _, capacity := range []int{huffmanRoom(len(coded)), len(s), len(s) / 2, 0} {
		dst := append(make([]byte, 0, 6+capacity), "before"...)
		got, err := decodeHuffman(dst, coded)
		if err != noError || string(got) != "before"+s {
			t.Fatalf("%x with capacity %d: %q, %v; want %q", coded, capacity, got, err, s)
		}
		if capacity >= len(s) && &got[0] != &dst[0] {
			t.Fatalf("%q: there was room for it, and it moved", s)
		}
	}
}

func TestHuffmanCode(t *testing.T) {
	last := uint32(0)
	count := 0
	for _, length := range huffmanLengths {
		for i := range len(length.symbols) {
			count++
			c := huffmanCodes[length.symbols[i]]
			if c.bits != length.bits || count > 1 && c.code<<(32-c.bits) <= last {
				t.Errorf("symbol %#x: %d bits, code %#x", length.symbols[i], c.bits, c.code)
			}
			last = c.code << (32 - c.bits)
		}
	}
	// What is left for the end-of-string symbol is all 1.
	if count != 256 || last>>2+1 != eosCode {
		t.Errorf("%d symbols, last code %#x", count, last>>2)
	}
}

func TestHuffmanSymbols(t *testing.T) {
	all := ""
	for c := range 256 {
		s := string([]byte{byte(c)})
		all += s
		for n := range 20 {
			checkHuffman(t, string(bytes.Repeat([]byte{'a'}, n))+s)
			checkHuffman(t, string(bytes.Repeat([]byte(s), n)))
		}
	}
	checkHuffman(t, all)
}

func TestHuffmanRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		s := make([]byte, r.IntN(60))
		for i := range s {
			s[i] = byte(r.Uint32())
			if r.IntN(3) > 0 {
				s[i] = "012aceiost -./3456789=A_bdfghlmnpru:BCDE&*,;XZ"[r.IntN(46)]
			}
		}
		checkHuffman(t, string(s))
	}
}

// TestHuffmanPadding pads texts of every length in bits with every number of bits, all 1 and with one of them 0.
func TestHuffmanPadding(t *testing.T) {
	for n := range 40 {
		text := string(bytes.Repeat([]byte{'0'}, n))
		for padding := range uint8(40) {
			for zero := -1; zero < int(padding); zero++ {
				var b bitString
				b.addText(text)
				before := b.n
				for range padding {
					b.add(1, 1)
				}
				if zero >= 0 {
					b.bytes[(before+zero)/8] &^= 0x80 >> ((before + zero) % 8)
				}
				if b.n%8 != 0 {
					continue
				}
				checkPadded(t, text, b.bytes, int(padding), zero)
			}
		}
	}
}

// checkPadded decodes text with so many bits of padding, of which one may be 0.
func checkPadded(t *testing.T, text string, coded []byte, padding, zero int) {
	t.Helper()
	got, err := decodeHuffman(nil, coded)
	_, oracleErr := oracle.HuffmanDecodeToString(coded)
	if (err == noError) != (oracleErr == nil) {
		t.Fatalf("%q and %d bits, the one at %d 0: %v, x/net: %v", text, padding, zero, err, oracleErr)
	}
	var want Error
	switch {
	case zero < 0 && padding >= eosBits:
		want = ErrHuffmanEOS
	case zero < 0 && padding > 7:
		want = ErrHuffmanPaddingLength
	case zero >= 0 && padding < minHuffmanBits:
		want = ErrHuffmanPadding
	case zero >= 0:
		return // may have become symbols
	}
	if err != want || want == noError && string(got) != text {
		t.Fatalf("%q and %d bits, the one at %d 0: %q, %v; want %v", text, padding, zero, got, err, want)
	}
	if _, err := huffmanLen(coded); err != want {
		t.Fatalf("%q and %d bits, the one at %d 0: huffmanLen says %v", text, padding, zero, err)
	}
}

// TestHuffmanEOS puts the end-of-string symbol after and before texts of many lengths.
func TestHuffmanEOS(t *testing.T) {
	for before := range 24 {
		for after := range 24 {
			var b bitString
			b.addText(string(bytes.Repeat([]byte{'a'}, before)))
			b.add(eosCode, eosBits)
			b.addText(string(bytes.Repeat([]byte{'a'}, after)))
			b.add(0x7f, uint8(-b.n&7))
			for _, capacity := range []int{0, 1000} {
				if got, err := decodeHuffman(make([]byte, 0, capacity), b.bytes); err != ErrHuffmanEOS {
					t.Fatalf("%d before, %d after: %q, %v", before, after, got, err)
				}
			}
			if _, err := huffmanLen(b.bytes); err != ErrHuffmanEOS {
				t.Fatalf("%d before, %d after: %v", before, after, err)
			}
		}
	}
}
