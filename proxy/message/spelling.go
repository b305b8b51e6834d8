package message

import (
	"encoding/binary"
	"math"
)

// Spelling is how the names of a message's fields were spelled where it came from, before they were put in lower case, and the
// reason phrase of a response. It belongs to the connection that the message was read on, and is good as long as the message.
type Spelling struct {
	names []byte // each after its length in two bytes
	// Reason is the reason phrase that is to be passed on, empty for the usual one.
	Reason []byte
	// ProperOthers has names that did not come with the message begin their words with capitals.
	ProperOthers bool
}

// nameLength is the size in bytes of the length before a name.
const nameLength = 2

// Begin begins anew, with the names to be kept in room, of which nothing is used yet.
func (s *Spelling) Begin(room []byte) { s.names, s.Reason = room[:0], nil }

// Add adds a name for which there must be room. It may overlap with the room behind what is used. One that is too long to be of use
// is left out, and stays in lower case.
func (s *Spelling) Add(name []byte) {
	if len(name) > math.MaxUint16 {
		return
	}
	n := len(s.names)
	s.names = s.names[:n+nameLength+len(name)]
	copy(s.names[n+nameLength:], name)
	binary.NativeEndian.PutUint16(s.names[n:], uint16(len(name)))
}

// Apply puts a name, which is in lower case, into the spelling that it came with. The first of several spellings counts.
func (s *Spelling) Apply(name []byte) {
	for rest := s.names; len(rest) > 0; {
		length := int(binary.NativeEndian.Uint16(rest))
		spelled := rest[nameLength : nameLength+length]
		if isLowerOf(name, spelled) {
			copy(name, spelled)
			return
		}
		rest = rest[nameLength+length:]
	}
	if s.ProperOthers {
		ProperCase(name)
	}
}

// isLowerOf reports whether lower is what spelled is in lower case.
func isLowerOf(lower, spelled []byte) bool {
	if len(lower) != len(spelled) {
		return false
	}
	for i, c := range spelled {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// ProperCase has the words of a name, which is in lower case, begin with capitals, as Envoy's proper_case_words does.
func ProperCase(name []byte) {
	begins := true
	for i, c := range name {
		letter := 'a' <= c && c <= 'z'
		if letter && begins {
			name[i] = c &^ 0x20
		}
		begins = !letter && !('0' <= c && c <= '9')
	}
}

// Spelling returns how the names were spelled, nil where nobody asked for that.
func (f *Fields) Spelling() *Spelling { return f.spelling }

// SetSpelling says how the names were spelled.
func (f *Fields) SetSpelling(s *Spelling) { f.spelling = s }
