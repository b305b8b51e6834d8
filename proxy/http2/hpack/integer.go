package hpack

// readInteger reads the integer (RFC 7541 section 5.1) at b[i], whose first octet has it in the bits of mask, and returns
// the index of what follows.
func readInteger(b []byte, i int, mask byte) (v uint64, next int, err Error) {
	if i < len(b) && b[i]&mask != mask {
		return uint64(b[i] & mask), i + 1, noError
	}
	return readLongInteger(b, i, mask)
}

// readLongInteger is readInteger for an integer of more than one octet.
func readLongInteger(b []byte, i int, mask byte) (uint64, int, Error) {
	v := uint64(mask)
	for shift := 0; shift < 7*maxIntegerOctets; shift += 7 {
		i++
		if i >= len(b) {
			return 0, i, ErrTruncated
		}
		v += uint64(b[i]&0x7f) << shift
		if b[i] < 0x80 {
			return v, i + 1, noError
		}
	}
	return 0, i, ErrInteger
}

// appendInteger appends v to dst, its first octet in the bits of mask, beside the bits of kind.
func appendInteger(dst []byte, kind, mask byte, v uint) []byte {
	if v < uint(mask) {
		return append(dst, kind|byte(v))
	}
	dst = append(dst, kind|mask)
	for v -= uint(mask); v >= 0x80; v >>= 7 {
		dst = append(dst, 0x80|byte(v))
	}
	return append(dst, byte(v))
}
