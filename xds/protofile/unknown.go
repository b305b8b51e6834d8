package protofile

import (
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// Unknown returns the fields of a decoded message that the API does not have, also inside of extensions of known types: the
// path to the message that has them, and their numbers, which is all that the wire tells. At most 32 are named.
func Unknown(m proto.Message) []string {
	var w unknownWalk
	w.message(m.ProtoReflect(), nil, 0)
	slices.Sort(w.found)
	return w.found
}

// unknownWalk looks for unknown fields.
type unknownWalk struct{ found []string }

// place is where a message is. Its path is written only when there is something to tell.
type place struct {
	in    *place
	field protoreflect.FieldDescriptor
	index int                 // of a list
	key   protoreflect.MapKey // of a map
}

func (p *place) path() string {
	if p == nil {
		return ""
	}
	path := join(p.in.path(), string(p.field.Name()))
	switch {
	case p.field.IsList():
		return path + "[" + strconv.Itoa(p.index) + "]"
	case p.field.IsMap():
		return path + "[" + strconv.Quote(p.key.String()) + "]"
	}
	return path
}

func (w *unknownWalk) message(m protoreflect.Message, at *place, depth int) {
	if len(w.found) >= maxNotes || depth > maxDepth {
		return
	}
	if raw := m.GetUnknown(); len(raw) > 0 {
		w.fields(m, raw, at.path())
	}
	if packed, ok := m.Interface().(*anypb.Any); ok {
		if inner, err := packed.UnmarshalNew(); err == nil {
			w.message(inner.ProtoReflect(), at, depth+1)
		}
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() == nil {
				break
			}
			v.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
				w.message(v.Message(), &place{in: at, field: fd, key: key}, depth+1)
				return true
			})
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				w.message(v.List().Get(i).Message(), &place{in: at, field: fd, index: i}, depth+1)
			}
		default:
			w.message(v.Message(), &place{in: at, field: fd}, depth+1)
		}
		return true
	})
}

// fields notes the unknown fields of m itself.
func (w *unknownWalk) fields(m protoreflect.Message, raw protoreflect.RawFields, path string) {
	seen := make(map[protowire.Number]bool)
	for len(raw) > 0 && len(w.found) < maxNotes {
		number, _, size := protowire.ConsumeField(raw)
		if size < 0 {
			return
		}
		raw = raw[size:]
		if seen[number] {
			continue
		}
		seen[number] = true
		note := fmt.Sprintf("unknown field %d of %s", number, m.Descriptor().FullName())
		if path != "" {
			note = path + ": " + note
		}
		w.found = append(w.found, note)
	}
}
