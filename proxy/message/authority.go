package message

import "bytes"

// maxPortDigits is the length of 65535.
const maxPortDigits = 5

// ValidAuthority reports whether b is host or host:port (RFC 9110 section 7.2): a name, an IPv4 address or a bracketed
// IPv6 address, without user information. A port may be empty, as RFC 3986 section 3.2.3 has it, unless one is required.
func ValidAuthority(b []byte, portRequired bool) bool {
	end := hostLength(b)
	if end <= 0 {
		return false
	}
	if end == len(b) {
		return !portRequired
	}
	port := b[end+1:]
	if b[end] != ':' || len(port) > maxPortDigits || len(port) == 0 && portRequired {
		return false
	}
	n := 0
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}

// AuthorityHost returns the host of a valid authority, without the brackets of an IPv6 address.
func AuthorityHost(b []byte) (host []byte, ok bool) {
	if !ValidAuthority(b, false) {
		return nil, false
	}
	host = b[:hostLength(b)]
	if host[0] == '[' {
		host = host[1 : len(host)-1]
	}
	return host, true
}

// hostLength returns how many bytes of b are a host, 0 when b does not start with one.
func hostLength(b []byte) int {
	if len(b) > 0 && b[0] == '[' {
		return addressLength(b)
	}
	i := 0
	for i < len(b) {
		switch c := b[i]; {
		case hostCharacter[c]:
			i++
		case c == '%' && i+2 < len(b) && isHex(b[i+1]) && isHex(b[i+2]):
			i += 3
		default:
			return i
		}
	}
	return i
}

// addressLength returns the length of the bracketed IPv6 address at the start of b, 0 when it is none. It checks the
// characters, not the address; zone identifiers have no meaning to the other side and are refused.
func addressLength(b []byte) int {
	const shortest = len("[::]")
	end := bytes.IndexByte(b, ']') + 1
	if end < shortest {
		return 0
	}
	for _, c := range b[1 : end-1] {
		if !isHex(c) && c != ':' && c != '.' {
			return 0
		}
	}
	return end
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

// hostCharacter holds the characters of a reg-name (RFC 3986 section 3.2.2) except the comma, which would let two joined
// Host fields pass for one, and the percent sign, which has a rule of its own. It is never written.
var hostCharacter = buildHostCharacter()

func buildHostCharacter() (table [256]bool) {
	for c := range table {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		table[c] = letter || c >= '0' && c <= '9'
	}
	for _, c := range []byte("-._~!$&'()*+;=") {
		table[c] = true
	}
	return table
}
