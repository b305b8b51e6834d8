package hpack

import "encoding/binary"

// Decoding looks at the next huffmanStep bits at once. Most of what is in fields has codes of 5 to 8 bits, so that one step
// mostly yields two symbols. 12 bits are a table of 16 KiB; 11 were a fifth slower, and 13 a twentieth faster for twice the
// table.
const (
	huffmanStep  = 12
	huffmanSteps = 4 // for which 56 bits are enough
)

// huffmanEntry is one step: the number of bits in all, the number of symbols, the number of bits of the first, and one or
// two symbols. It is 0 where a longer code begins.
type huffmanEntry uint32

func newHuffmanEntry(bits uint8, count int, firstBits, first, second uint8) huffmanEntry {
	e := huffmanEntry(bits) | huffmanEntry(count)<<6 | huffmanEntry(firstBits)<<8
	return e | huffmanEntry(first)<<16 | huffmanEntry(second)<<24
}

func (e huffmanEntry) bits() uint      { return uint(e & 63) } // a shift takes these bits without a mask
func (e huffmanEntry) count() int      { return int(e >> 6 & 3) }
func (e huffmanEntry) firstBits() uint { return uint(e >> 8 & 15) }
func (e huffmanEntry) symbols() uint16 { return uint16(e >> 16) }

// huffmanTable holds the step for each value of huffmanStep bits. It is never written.
var huffmanTable = buildHuffmanTable()

func buildHuffmanTable() (table [1 << huffmanStep]huffmanEntry) {
	for first := range huffmanCodes {
		c := huffmanCodes[first]
		if c.bits > huffmanStep {
			continue
		}
		fillHuffman(&table, c.code, c.bits, newHuffmanEntry(c.bits, 1, c.bits, uint8(first), 0))
		for second := range huffmanCodes {
			d := huffmanCodes[second]
			if bits := c.bits + d.bits; bits <= huffmanStep {
				e := newHuffmanEntry(bits, 2, c.bits, uint8(first), uint8(second))
				fillHuffman(&table, c.code<<d.bits|d.code, bits, e)
			}
		}
	}
	return table
}

// fillHuffman sets the entries of all values that begin with the given code.
func fillHuffman(table *[1 << huffmanStep]huffmanEntry, code uint32, bits uint8, e huffmanEntry) {
	rest := huffmanStep - bits
	for i := range uint32(1) << rest {
		table[code<<rest|i] = e
	}
}

// huffmanRange is the codes of one length: those less than end when a code is shifted to the top of 32 bits.
type huffmanRange struct {
	end     uint64
	first   uint32 // the first code, shifted
	bits    uint8
	symbols string
}

// huffmanRanges holds the codes that are longer than a step, shortest first. It is never written.
var huffmanRanges = buildHuffmanRanges()

func buildHuffmanRanges() (ranges []huffmanRange) {
	for _, length := range huffmanLengths {
		if length.bits > huffmanStep {
			first := huffmanCodes[length.symbols[0]].code << (32 - length.bits)
			end := uint64(first) + uint64(len(length.symbols))<<(32-length.bits)
			ranges = append(ranges, huffmanRange{end, first, length.bits, length.symbols})
		}
	}
	return ranges
}

// longHuffman returns the symbol of a code longer than a step which begins at the top of window, and its number of bits,
// 0 for the end-of-string symbol.
func longHuffman(window uint32) (symbol uint8, bits uint) {
	for i := range huffmanRanges {
		if r := &huffmanRanges[i]; uint64(window) < r.end {
			return r.symbols[(window-r.first)>>(32-r.bits)], uint(r.bits)
		}
	}
	return 0, 0
}

// huffmanRoom is the capacity that decodeHuffman needs beyond dst to be fast, for n bytes of input: what they decode to at
// most, and the second symbol of a step that has but one.
func huffmanRoom(n int) int { return n*8/minHuffmanBits + 1 }

// decodeHuffman appends what src decodes to to dst.
func decodeHuffman(dst, src []byte) ([]byte, Error) {
	r := huffmanReader{rest: src}
	dst = r.appendWords(dst)
	dst = r.appendRest(dst)
	for {
		symbol, ok, err := r.next()
		if !ok {
			return dst, err
		}
		dst = append(dst, symbol)
	}
}

// huffmanLen returns the length that src decodes to.
func huffmanLen(src []byte) (n int, err Error) {
	r := huffmanReader{rest: src}
	for {
		_, ok, err := r.next()
		if !ok {
			return n, err
		}
		n++
	}
}

// huffmanReader is what is left of a Huffman-coded string: the top n bits of acc, and then rest. The bits of acc below are
// those that rest begins with, as far as they are not 0.
type huffmanReader struct {
	acc  uint64
	n    uint // at most 63
	rest []byte
}

// next returns the next symbol. There are no more when ok is false, and then err tells whether what is left is valid
// padding (RFC 7541 section 5.2).
func (r *huffmanReader) next() (symbol uint8, ok bool, err Error) {
	r.fill()
	acc := r.acc | (1<<(64-r.n) - 1) // as if padding went on
	if acc == 1<<64-1 && r.n < 8 {
		return 0, false, noError // no code is that short and all 1
	}
	var bits uint
	if e := huffmanTable[acc>>(64-huffmanStep)]; e != 0 {
		symbol, bits = uint8(e.symbols()), e.firstBits()
	} else {
		symbol, bits = longHuffman(uint32(acc >> 32))
	}
	switch {
	case bits == 0 && r.n >= maxHuffmanBits:
		return 0, false, ErrHuffmanEOS
	case bits != 0 && bits <= r.n:
		r.acc <<= bits & 63
		r.n -= bits
		return symbol, true, noError
	case r.n < 8:
		return 0, false, ErrHuffmanPadding
	}
	return 0, false, ErrHuffmanPaddingLength
}

// fill moves bytes from rest to acc, until it has 56 bits or more.
func (r *huffmanReader) fill() {
	if r.n <= 32 && len(r.rest) >= 4 {
		r.acc |= uint64(binary.BigEndian.Uint32(r.rest)) << (32 - r.n)
		r.rest = r.rest[4:]
		r.n += 32
	}
	for r.n < 56 && len(r.rest) > 0 {
		r.acc |= uint64(r.rest[0]) << (56 - r.n)
		r.rest = r.rest[1:]
		r.n += 8
	}
}

// appendWords decodes as long as 8 bytes can be read at once and dst has capacity. It leaves an end-of-string symbol to next.
func (r *huffmanReader) appendWords(dst []byte) []byte {
	acc, n, src := r.acc, r.n, r.rest
	out, o := dst[:cap(dst)], len(dst)
	for len(src) >= 8 && o+2*huffmanSteps <= len(out) {
		// 56 bits or more are there after this.
		acc |= binary.BigEndian.Uint64(src) >> (n & 63)
		src = src[(63-n)>>3:]
		n |= 56
		before := o
		for range huffmanSteps {
			e := huffmanTable[acc>>(64-huffmanStep)]
			if e == 0 {
				break
			}
			binary.LittleEndian.PutUint16(out[o:], e.symbols())
			o += e.count()
			acc <<= e.bits() & 63
			n -= e.bits()
		}
		if o > before {
			continue
		}
		symbol, bits := longHuffman(uint32(acc >> 32))
		if bits == 0 {
			break
		}
		out[o] = symbol
		o++
		acc <<= bits & 63
		n -= bits
	}
	r.acc, r.n, r.rest = acc, n, src
	return out[:o]
}

// appendRest decodes less than 8 bytes up to the last symbol or two, which need to be told from padding, or to a long code.
func (r *huffmanReader) appendRest(dst []byte) []byte {
	out, o := dst[:cap(dst)], len(dst)
	for before := -1; o > before; {
		before = o
		r.fill()
		acc, n := r.acc, r.n
		for o+2 <= len(out) {
			e := huffmanTable[acc>>(64-huffmanStep)]
			if e == 0 || e.bits() > n {
				break
			}
			binary.LittleEndian.PutUint16(out[o:], e.symbols())
			o += e.count()
			acc <<= e.bits() & 63
			n -= e.bits()
		}
		r.acc, r.n = acc, n
	}
	return out[:o]
}
