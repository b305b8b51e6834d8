package resource

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// maxDuration is the longest duration accepted. It leaves room to add durations to each other and to a clock without
// overflow of the 292 years of time.Duration, and nobody waits longer.
const maxDuration = 10 * 365 * 24 * time.Hour

// use tells what a decoder makes of a field.
type use uint8

const (
	decoded   use = iota // read by the decoder
	noEffect             // accepted: it changes nothing that a client, an upstream or an operator could miss
	onlyFalse            // accepted as long as it is false, which is what happens anyway
	onlyTrue             // accepted as long as it is true, which is what happens anyway
)

// fields holds the fields of a message that may be set, by their name in the .proto file.
type fields map[protoreflect.Name]use

// only refuses every field set in m that known does not list.
func (a *at) only(m proto.Message, known fields) {
	r := m.ProtoReflect()
	for _, fd := range unlisted(r, known) {
		a.unsupported(fd, r.Get(fd), known[fd.Name()])
	}
}

// unlisted returns the fields set in m that known does not list, in order of their numbers. It asks for each field whether it is set:
// protoreflect's Range would make an interface value of each that is, which are a good part of the objects that a large push makes.
func unlisted(m protoreflect.Message, known fields) (found []protoreflect.FieldDescriptor) {
	all := m.Descriptor().Fields()
	for i := range all.Len() {
		fd := all.Get(i)
		if !m.Has(fd) {
			continue
		}
		if u, ok := known[fd.Name()]; !ok || u != decoded && !u.allows(fd, m.Get(fd)) {
			found = append(found, fd)
		}
	}
	slices.SortFunc(found, func(x, y protoreflect.FieldDescriptor) int { return int(x.Number()) - int(y.Number()) })
	return found
}

// allows reports whether the value v of a listed field may be set.
func (u use) allows(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	if u != onlyFalse && u != onlyTrue {
		return true
	}
	if fd.Kind() == protoreflect.MessageKind {
		b, ok := v.Message().Interface().(*wrapperspb.BoolValue)
		return ok && b.GetValue() == (u == onlyTrue)
	}
	return v.Bool() == (u == onlyTrue)
}

// unsupported refuses a field, naming the extension in it where there is one.
func (a *at) unsupported(fd protoreflect.FieldDescriptor, v protoreflect.Value, u use) {
	field := string(fd.Name())
	switch {
	case u == onlyFalse:
		a.in(field).errorf("true is not supported, only false")
	case u == onlyTrue:
		a.in(field).errorf("false is not supported, only true")
	case fd.IsMap():
		a.unsupportedMap(fd, v.Map())
	case fd.IsList() && fd.Kind() == protoreflect.MessageKind:
		a.item(field, 0).errorf("%sis not supported", describe(v.List().Get(0).Message()))
	case fd.IsList():
		a.in(field).errorf("is not supported")
	case fd.Kind() == protoreflect.MessageKind:
		a.in(field).errorf("%sis not supported", describe(v.Message()))
	case fd.Kind() == protoreflect.EnumKind:
		a.in(field).errorf("%sis not supported", enumName(fd, v.Enum()))
	default:
		a.in(field).errorf("is not supported")
	}
}

// unsupportedMap refuses a map field by its first key.
func (a *at) unsupportedMap(fd protoreflect.FieldDescriptor, m protoreflect.Map) {
	first := ""
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		if s := k.String(); first == "" || s < first {
			first = s
		}
		return true
	})
	what := ""
	if fd.MapValue().Kind() == protoreflect.MessageKind && fd.MapKey().Kind() == protoreflect.StringKind {
		what = describe(m.Get(protoreflect.ValueOfString(first).MapKey()).Message())
	}
	a.key(string(fd.Name()), first).errorf("%sis not supported", what)
}

// enumName returns the name of an enum value and a space, nothing when it has no name.
func enumName(fd protoreflect.FieldDescriptor, n protoreflect.EnumNumber) string {
	if v := fd.Enum().Values().ByNumber(n); v != nil {
		return string(v.Name()) + " "
	}
	return ""
}

// describe returns "'name' with type URL 'url' " for an extension's configuration, nothing for any other message.
func describe(m protoreflect.Message) string {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		return "type URL '" + typeOf(packed) + "' "
	}
	md := m.Descriptor().Fields()
	config := md.ByName("typed_config")
	if config == nil || config.Message() == nil || !m.Has(config) {
		return ""
	}
	packed, ok := m.Get(config).Message().Interface().(*anypb.Any)
	if !ok {
		return ""
	}
	var b strings.Builder
	if name := md.ByName("name"); name != nil {
		b.WriteString("'" + m.Get(name).String() + "' with ")
	}
	b.WriteString("type URL '" + typeOf(packed) + "' ")
	return b.String()
}

// duration returns the value of a duration field, absent when it is not set.
func (a *at) duration(field string, d *durationpb.Duration, absent time.Duration) time.Duration {
	if d == nil {
		return absent
	}
	if err := d.CheckValid(); err != nil {
		a.in(field).errorf("is not a valid duration, it must be from 0s to %s", maxDuration)
		return absent
	}
	v := d.AsDuration()
	if v < 0 || v > maxDuration {
		a.in(field).errorf("must be from 0s to %s", maxDuration)
		return absent
	}
	return v
}

// optionalDuration is duration for a field that is nil when it is not set.
func (a *at) optionalDuration(field string, d *durationpb.Duration) *time.Duration {
	if d == nil {
		return nil
	}
	return new(a.duration(field, d, 0))
}

// positive is duration for a field that must be longer than 0.
func (a *at) positive(field string, d *durationpb.Duration, absent time.Duration) time.Duration {
	v := a.duration(field, d, absent)
	if d != nil && v == 0 {
		a.in(field).errorf("must be more than 0s")
	}
	return v
}

// orUint32 returns the value of w, absent when it is not set.
func orUint32(w *wrapperspb.UInt32Value, absent uint32) uint32 {
	if w == nil {
		return absent
	}
	return w.GetValue()
}

// optionalBool returns the value of w, nil when it is not set.
func optionalBool(w *wrapperspb.BoolValue) *bool {
	if w == nil {
		return nil
	}
	return new(w.GetValue())
}

// orBool returns the value of w, absent when it is not set.
func orBool(w *wrapperspb.BoolValue, absent bool) bool {
	if w == nil {
		return absent
	}
	return w.GetValue()
}
