package hpack

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// appendLiteral appends a field as a literal that is not inserted into the table (RFC 7541 sections 6.2.2 and 6.2.3). name is
// the index of a static entry of its name, 0 when there is none.
func appendLiteral(dst []byte, kind byte, name uint8, f *message.Field) []byte {
	if name != 0 {
		dst = appendInteger(dst, kind, literalMask, uint(name))
	} else {
		dst = appendPlain(append(dst, kind), f.Name)
	}
	return appendPlain(dst, f.Value)
}

// appendIncremental appends a field as a literal that is inserted into the table (RFC 7541 section 6.2.1).
func appendIncremental(dst []byte, name uint8, f *message.Field) []byte {
	if name != 0 {
		dst = append(dst, incrementalBits|name) // every static index fits the mask
	} else {
		dst = appendShorter(append(dst, incrementalBits), f.Name)
	}
	return appendShorter(dst, f.Value)
}

// appendPlain appends a string literal without Huffman coding.
func appendPlain(dst, s []byte) []byte {
	return append(appendInteger(dst, 0, stringMask, uint(len(s))), s...)
}

// appendShorter appends a string literal, Huffman-coded if that makes it shorter.
func appendShorter(dst, s []byte) []byte {
	n := huffmanSize(s)
	if n >= len(s) {
		return appendPlain(dst, s)
	}
	return appendHuffman(appendInteger(dst, huffmanBit, stringMask, uint(n)), s)
}
