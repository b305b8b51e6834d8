package hpack

import "encoding/binary"

// huffmanSize returns the length of s in bytes when it is Huffman-coded.
func huffmanSize(s []byte) int {
	n := 0
	for _, c := range s {
		n += int(huffmanCodes[c].bits)
	}
	return (n + 7) / 8
}

// appendHuffman appends s, Huffman-coded and padded (RFC 7541 section 5.2), to dst.
func appendHuffman(dst, s []byte) []byte {
	var acc uint64 // the low n bits are still to be written
	var n uint
	for _, c := range s {
		code := &huffmanCodes[c]
		acc = acc<<(code.bits&63) | uint64(code.code)
		n += uint(code.bits)
		if n >= 32 {
			n -= 32
			dst = binary.BigEndian.AppendUint32(dst, uint32(acc>>(n&63)))
		}
	}
	// Fewer than 32 bits are left. The padding is the first bits of the end-of-string symbol, which are all 1.
	for ; n >= 8; n -= 8 {
		dst = append(dst, byte(acc>>((n-8)&63)))
	}
	if n > 0 {
		dst = append(dst, byte(acc<<(8-n)|0xff>>n))
	}
	return dst
}
