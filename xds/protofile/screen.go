package protofile

import (
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// maxScreenedNumber is the largest number of a field that the screen has a place for: the API's own end at some hundred, and each
// message has places up to its largest one.
const maxScreenedNumber = 1 << 10

// anyName is the message that packs others.
const anyName = "google.protobuf.Any"

// Screen tells of most messages, by their bytes alone, that they have no unknown fields, for a small part of what it costs Unknown to
// find none. It keeps what it learns of the types it meets, of which there are as many as the process has. Its zero value is ready,
// and its methods may be called from any goroutine.
type Screen struct {
	mu     sync.Mutex
	shapes map[protoreflect.FullName]*shape
	packed sync.Map // *shape, nil for a type that is not known here, by type URL
}

// shape is what the screen knows of a message: its fields by their numbers.
type shape struct {
	fields []slot
	packs  bool // it is Any
}

// slot is a field. One that the message does not have takes no wire type.
type slot struct {
	takes [2]protowire.Type
	inner *shape // of a message or an entry of a map
	once  bool   // a message that is not one of several: if it comes twice, the two are merged
}

// noType is a wire type that nothing has.
const noType protowire.Type = -1

// Clean reports whether value, which is decodable as a message of the type, has no fields that the type has not, nor has anything
// that is packed in it. False may be wrong: Unknown tells.
func (s *Screen) Clean(typ protoreflect.MessageDescriptor, value []byte) bool {
	s.mu.Lock()
	sh := s.of(typ)
	s.mu.Unlock()
	return s.clean(sh, value, 0)
}

func (s *Screen) clean(sh *shape, value []byte, depth int) bool {
	if depth > maxDepth {
		return false
	}
	var url, packed []byte
	var came uint64 // of those that are to come once, by the last bits of their numbers
	for len(value) > 0 {
		number, wire, n := protowire.ConsumeTag(value)
		if n < 0 || int(number) >= len(sh.fields) {
			return false
		}
		field := &sh.fields[number]
		if wire != field.takes[0] && wire != field.takes[1] {
			return false
		}
		value = value[n:]
		n = protowire.ConsumeFieldValue(number, wire, value)
		if n < 0 {
			return false
		}
		var inside []byte
		if wire == protowire.BytesType {
			inside, _ = protowire.ConsumeBytes(value)
		}
		value = value[n:]
		switch bit := uint64(1) << (number % 64); {
		case field.once && came&bit != 0:
			return false
		case field.inner != nil:
			if field.once {
				came |= bit
			}
			if !s.clean(field.inner, inside, depth+1) {
				return false
			}
		case sh.packs && number == 1:
			url = inside
		case sh.packs:
			packed = inside
		}
	}
	if len(packed) == 0 {
		return true
	}
	inner := s.packedShape(string(url))
	return inner == nil || s.clean(inner, packed, depth+1)
}

// packedShape returns the shape of what Any packs under a URL, nil when the type is not known here: nothing can be said of it then.
func (s *Screen) packedShape(url string) *shape {
	if known, ok := s.packed.Load(url); ok {
		return known.(*shape)
	}
	typ, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	if err != nil {
		return nil // not kept: whoever sends could make up any number of them
	}
	s.mu.Lock()
	sh := s.of(typ.Descriptor())
	s.mu.Unlock()
	s.packed.Store(strings.Clone(url), sh)
	return sh
}

// of returns the shape of a type. Types may contain each other in circles, so a shape is known before its fields are.
func (s *Screen) of(typ protoreflect.MessageDescriptor) *shape {
	if sh := s.shapes[typ.FullName()]; sh != nil {
		return sh
	}
	sh := &shape{packs: typ.FullName() == anyName}
	if s.shapes == nil {
		s.shapes = make(map[protoreflect.FullName]*shape)
	}
	s.shapes[typ.FullName()] = sh
	fields := typ.Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		number := int(fd.Number())
		if number > maxScreenedNumber {
			continue
		}
		for len(sh.fields) <= number {
			sh.fields = append(sh.fields, slot{takes: [2]protowire.Type{noType, noType}})
		}
		sh.fields[number].takes = wireTypes(fd)
		if fd.Message() != nil {
			sh.fields[number].inner, sh.fields[number].once = s.of(fd.Message()), !fd.IsList() && !fd.IsMap()
		}
	}
	return sh
}

// wireTypes returns how a field may stand on the wire: numbers in a list also as bytes, which they fill.
func wireTypes(fd protoreflect.FieldDescriptor) [2]protowire.Type {
	var one protowire.Type
	switch fd.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return [2]protowire.Type{protowire.BytesType, noType}
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		one = protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		one = protowire.Fixed64Type
	case protoreflect.GroupKind:
		return [2]protowire.Type{noType, noType} // left to Unknown
	default:
		one = protowire.VarintType
	}
	if fd.IsList() {
		return [2]protowire.Type{one, protowire.BytesType}
	}
	return [2]protowire.Type{one, noType}
}
