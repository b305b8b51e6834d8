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
	w.field = w.visit
	w.message(m.ProtoReflect())
	slices.Sort(w.found)
	return w.found
}

// unknownWalk looks for unknown fields. What it goes by is kept as it is found: a path is written only when there is something
// to tell, and most messages have nothing.
type unknownWalk struct {
	found []string
	// at is the way from the outermost message to the one that is looked at, which is under depth others: those that Any packs
	// count too.
	at    []place
	depth int
	// field is visit, made a value once instead of for each of many messages.
	field func(protoreflect.FieldDescriptor, protoreflect.Value) bool
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

// message looks at m.
func (w *unknownWalk) message(m protoreflect.Message) {
	if len(w.found) >= maxNotes || w.depth > maxDepth {
		return
	}
	if raw := m.GetUnknown(); len(raw) > 0 {
		w.fields(m, raw, w.path())
	}
	w.depth++
	defer func() { w.depth-- }()
	packed, ok := m.Interface().(*anypb.Any)
	if !ok {
		m.Range(w.field)
		return
	}
	if inner, err := packed.UnmarshalNew(); err == nil {
		w.message(inner.ProtoReflect())
	}
}

// visit looks at the messages in a field.
func (w *unknownWalk) visit(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	switch {
	case fd.IsMap():
		if fd.MapValue().Message() == nil {
			break
		}
		v.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
			w.inner(v.Message(), place{field: fd, key: key})
			return true
		})
	case fd.Message() == nil:
	case fd.IsList():
		for list, i := v.List(), 0; i < list.Len(); i++ {
			w.inner(list.Get(i).Message(), place{field: fd, index: i})
		}
	default:
		w.inner(v.Message(), place{field: fd})
	}
	return true
}

// inner looks at the message at p.
func (w *unknownWalk) inner(m protoreflect.Message, p place) {
	w.at = append(w.at, p)
	w.message(m)
	w.at = w.at[:len(w.at)-1]
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
