package hpack

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// Pseudo identifies a pseudo-header field (RFC 9113 section 8.3).
type Pseudo uint8

// The pseudo-header fields.
const (
	PseudoNone Pseudo = iota // an ordinary field
	PseudoAuthority
	PseudoMethod
	PseudoPath
	PseudoScheme
	PseudoStatus
	PseudoProtocol // RFC 8441 section 4
	PseudoUnknown  // any other name that begins with a colon

	pseudoCount
)

// pseudoNames holds the names by Pseudo. It is never written.
var pseudoNames = [pseudoCount][]byte{
	PseudoAuthority: []byte(":authority"),
	PseudoMethod:    []byte(":method"),
	PseudoPath:      []byte(":path"),
	PseudoScheme:    []byte(":scheme"),
	PseudoStatus:    []byte(":status"),
	PseudoProtocol:  []byte(":protocol"),
}

// lookupPseudo returns the Pseudo of a name that begins with a colon.
func lookupPseudo(name []byte) Pseudo {
	for p := PseudoAuthority; p < PseudoUnknown; p++ {
		if string(pseudoNames[p]) == string(name) {
			return p
		}
	}
	return PseudoUnknown
}

// Malformed tells, bit by bit, why a field must not be in a message. A message with such a field is refused; the
// connection and its tables are not affected.
type Malformed uint8

// What may be wrong: with a name or value that HTTP/2 forbids (RFC 9113 section 8.2.1), where we are a little stricter than
// it is, or that we do not keep.
const (
	// NameEmpty is a name without any character.
	NameEmpty Malformed = 1 << iota
	// NameUppercase is a name with an upper-case letter.
	NameUppercase
	// NameCharacter is a name with something else than token characters (RFC 9110 section 5.6.2) after the colon that a
	// pseudo-header field begins with.
	NameCharacter
	// ValueCharacter is a value with a control character other than HTAB. RFC 9113 names NUL, LF and CR only.
	ValueCharacter
	// ValueSpace is a value that begins or ends with SP or HTAB.
	ValueSpace
	// TooLong is a field with a string longer than MaxString. Nothing but its Size is known: Name and Value are nil.
	TooLong

	malformedName = NameEmpty | NameUppercase | NameCharacter
)

// Field is a field that Decoder.Next found.
//
// Name and Value are static, and must not be changed then, or point into the arena. Those that do are capped, so that
// appending to them changes nobody else's bytes. Name of a pseudo-header field includes the colon. NeverIndexed says that the
// field has to be passed on in the same way (RFC 7541 section 6.2.3).
type Field struct {
	message.Field
	Pseudo    Pseudo
	Malformed Malformed
	Size      uint32 // length of name and value in bytes plus 32 (RFC 7541 section 4.1)
}

// classify returns what is known of a field by the name alone.
func classify(name []byte) (id message.NameID, pseudo Pseudo, malformed Malformed) {
	if len(name) == 0 {
		return message.NameOther, PseudoNone, NameEmpty
	}
	if id = message.LookupName(name); id != message.NameOther {
		return id, PseudoNone, 0
	}
	if name[0] == ':' {
		pseudo = lookupPseudo(name)
		name = name[1:]
	}
	return message.NameOther, pseudo, checkName(name)
}
