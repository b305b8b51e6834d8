package message

// tokenCharacter holds the characters of a token (RFC 9110 section 5.6.2). It is never written.
var tokenCharacter = buildTokenCharacter()

func buildTokenCharacter() (table [256]bool) {
	for c := range table {
		table[c] = c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		table[c] = true
	}
	return table
}

// IsToken reports whether b is a token (RFC 9110 section 5.6.2).
func IsToken(b []byte) bool {
	for _, c := range b {
		if !tokenCharacter[c] {
			return false
		}
	}
	return len(b) > 0
}

// EqualFold reports whether b equals lower, which is in lower case, ignoring the case of ASCII letters and nothing else:
// bytes.EqualFold would take the Kelvin sign for a k.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
