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
	w.message(m.ProtoReflect(), 0)
	slices.Sort(w.found)
	return w.found
}

// unknownWalk looks for unknown fields. What it goes by is kept as it is found: a path is written only when there is something
// to tell, and most messages have nothing.
type unknownWalk struct {
	found []string
	// at is the way from the outermost message to the one that is looked at.
	at []place
}

// place is a step of a way: a message in a field.
type place struct {
	field protoreflect.FieldDescriptor
	index int                 // of a list
	key   protoreflect.MapKey // of a map
}

func (w *unknownWalk) path() (path string) {
	for _, p := range w.at {
		path = join(path, string(p.field.Name()))
		switch {
		case p.field.IsList():
			path += "[" + strconv.Itoa(p.index) + "]"
		case p.field.IsMap():
			path += "[" + strconv.Quote(p.key.String()) + "]"
		}
	}
	return path
}

// inner looks at the message at p.
func (w *unknownWalk) inner(m protoreflect.Message, p place, depth int) {
	w.at = append(w.at, p)
	w.message(m, depth)
	w.at = w.at[:len(w.at)-1]
}

// message looks at m, which is under depth others; those that Any packs count too.
func (w *unknownWalk) message(m protoreflect.Message, depth int) {
	if len(w.found) >= maxNotes || depth > maxDepth {
		return
	}
	if raw := m.GetUnknown(); len(raw) > 0 {
		w.fields(m, raw, w.path())
	}
	if packed, ok := m.Interface().(*anypb.Any); ok {
		if inner, err := packed.UnmarshalNew(); err == nil {
			w.message(inner.ProtoReflect(), depth+1)
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
				w.inner(v.Message(), place{field: fd, key: key}, depth+1)
				return true
			})
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				w.inner(v.List().Get(i).Message(), place{field: fd, index: i}, depth+1)
			}
		default:
			w.inner(v.Message(), place{field: fd}, depth+1)
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
