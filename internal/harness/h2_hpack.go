package harness

import (
	"golang.org/x/net/http2/hpack"
)

// The functions below make field blocks by hand, representation by representation, for what an encoder would never write.
// Their results are joined with slices.Concat and sent with HeadersBlock. An encoder knows nothing of what is inserted into
// the peer's table this way: a connection that uses H2Insert makes all its blocks by hand from then on.

// Patterns of the first byte and lengths of the prefix (RFC 7541 section 6).
const (
	patternIndexed, prefixIndexed     = 0x80, 7
	patternInsert, prefixInsert       = 0x40, 6
	patternTableSize, prefixTableSize = 0x20, 5
	patternNever, prefixNever         = 0x10, 4
	patternLiteral, prefixLiteral     = 0x00, 4
	patternHuffman, prefixString      = 0x80, 7
)

// H2Integer is an integer with a prefix of so many bits, the other bits of its first byte as in pattern (RFC 7541 section 5.1).
func H2Integer(pattern byte, prefix int, n uint64) []byte {
	limit := uint64(1)<<prefix - 1
	if n < limit {
		return []byte{pattern | byte(n)}
	}
	b := []byte{pattern | byte(limit)}
	for n -= limit; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// H2String is a string literal without Huffman coding (RFC 7541 section 5.2).
func H2String(s string) []byte {
	return append(H2Integer(0, prefixString, uint64(len(s))), s...)
}

// H2Huffman is a string literal with Huffman coding, also where that makes it longer.
func H2Huffman(s string) []byte {
	return hpack.AppendHuffmanString(H2Integer(patternHuffman, prefixString, hpack.HuffmanEncodeLength(s)), s)
}

// H2Indexed is a field that is in a table as a whole: 1 to 61 in the static one, from 62 on what was inserted last.
func H2Indexed(i uint64) []byte { return H2Integer(patternIndexed, prefixIndexed, i) }

// H2Literal is a field that is not inserted.
func H2Literal(name, value string) []byte { return literal(patternLiteral, prefixLiteral, name, value) }

// H2Insert is a field that is inserted into the dynamic table.
func H2Insert(name, value string) []byte { return literal(patternInsert, prefixInsert, name, value) }

// H2Never is a field that nobody on its way may insert.
func H2Never(name, value string) []byte { return literal(patternNever, prefixNever, name, value) }

func literal(pattern byte, prefix int, name, value string) []byte {
	b := append(H2Integer(pattern, prefix, 0), H2String(name)...)
	return append(b, H2String(value)...)
}

// H2TableSize is a change of the dynamic table's size.
func H2TableSize(n uint64) []byte { return H2Integer(patternTableSize, prefixTableSize, n) }

// H2Literals is a field block of literals that nobody inserts, from names and values in turn. Such a block may stand between
// those of an encoder.
func H2Literals(fields ...string) []byte {
	var b []byte
	for i := 0; i+1 < len(fields); i += 2 {
		b = append(b, H2Literal(fields[i], fields[i+1])...)
	}
	return b
}

// leadingTableSize returns the last change of the table's size that a field block begins with.
func leadingTableSize(block []byte) (size uint64, found bool) {
	for len(block) > 0 && block[0]&0xe0 == patternTableSize {
		n := uint64(block[0] & 0x1f)
		more := n == 0x1f
		block = block[1:]
		for shift := 0; more && len(block) > 0 && shift < 56; shift += 7 {
			n += uint64(block[0]&0x7f) << shift
			more = block[0]&0x80 != 0
			block = block[1:]
		}
		size, found = n, true
	}
	return size, found
}
