package message

// ParseLength parses a Content-Length value: digits only, no leading zero, at most 2^63-1. RFC 9110 section 8.6 allows
// leading zeros; they are refused because others read them as octal.
func ParseLength(b []byte) (n int64, ok bool) {
	const maxDigits = 19 // of 2^63-1
	if len(b) == 0 || len(b) > maxDigits || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		v = v*10 + uint64(d) // 19 digits fit 64 bits
	}
	return int64(v), v <= 1<<63-1
}
