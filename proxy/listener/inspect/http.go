package inspect

import "bytes"

// preface is what a client of HTTP/2 sends first (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// maxRequestLine is how long a request line may be before it counts as none, in bytes. RFC 9112 section 3 wants 8000 to be
// possible.
const maxRequestLine = 64 << 10

// Protocol is a version of HTTP as HTTP's inspection tells it.
type Protocol uint8

// The protocols.
const (
	NoHTTP Protocol = iota
	HTTP10
	HTTP11
	HTTP2
)

// HTTP looks for a request of HTTP/1 or the preface of HTTP/2. The zero value is ready.
type HTTP struct {
	Protocol Protocol // when the verdict is Found

	seen int // bytes without the end of a line
}

// Inspect looks at all bytes so far.
func (h *HTTP) Inspect(data []byte) Verdict {
	if n := min(len(data), len(preface)); string(data[:n]) == preface[:n] {
		if n < len(preface) {
			return More
		}
		h.Protocol = HTTP2
		return Found
	}
	if !beginsWithMethod(data) {
		return Other
	}
	end := bytes.IndexByte(data[h.seen:], '\n')
	if end < 0 {
		if h.seen = len(data); h.seen >= maxRequestLine {
			return TooLarge
		}
		return More
	}
	line := bytes.TrimSuffix(data[:h.seen+end], []byte("\r"))
	switch {
	case bytes.Count(line, []byte(" ")) != 2:
		return Other
	case bytes.HasSuffix(line, []byte(" HTTP/1.1")):
		h.Protocol = HTTP11
	case bytes.HasSuffix(line, []byte(" HTTP/1.0")):
		h.Protocol = HTTP10
	default:
		return Other
	}
	return Found
}

// maxMethod is the longest method that is looked for, in bytes; the longest one registered with IANA has 17.
const maxMethod = 32

// beginsWithMethod reports whether data is a method, or begins with one and a space. Only letters and the hyphen occur in
// methods that are registered.
func beginsWithMethod(data []byte) bool {
	for i, c := range data[:min(len(data), maxMethod+1)] {
		switch {
		case c == ' ':
			return i > 0
		case 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '-':
		default:
			return false
		}
	}
	return len(data) <= maxMethod
}

// offers are what a chain's application_protocols are held against, in the form of match.Connection. They are never written.
var offers = [...][]byte{HTTP10: []byte("\x08http/1.0"), HTTP11: []byte("\x08http/1.1"), HTTP2: []byte("\x03h2c")}

// Offer returns the protocol as a list of one, with its length in front, as Hello.Protocols is. It must not be changed.
func (p Protocol) Offer() []byte { return offers[p] }
