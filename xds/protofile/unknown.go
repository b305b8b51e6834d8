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
	w.message(m.ProtoReflect(), "", 0)
	slices.Sort(w.found)
	return w.found
}

// unknownWalk looks for unknown fields.
type unknownWalk struct{ found []string }

func (w *unknownWalk) message(m protoreflect.Message, path string, depth int) {
	if len(w.found) >= maxNotes || depth > maxDepth {
		return
	}
	w.fields(m, path)
	if packed, ok := m.Interface().(*anypb.Any); ok {
		if inner, err := packed.UnmarshalNew(); err == nil {
			w.message(inner.ProtoReflect(), path, depth+1)
		}
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		here := join(path, string(fd.Name()))
		switch {
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
				w.message(v.Message(), here+"["+strconv.Quote(key.String())+"]", depth+1)
				return true
			})
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				w.message(v.List().Get(i).Message(), here+"["+strconv.Itoa(i)+"]", depth+1)
			}
		case !fd.IsMap() && fd.Message() != nil:
			w.message(v.Message(), here, depth+1)
		}
		return true
	})
}

// fields notes the unknown fields of m itself.
func (w *unknownWalk) fields(m protoreflect.Message, path string) {
	raw := m.GetUnknown()
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
