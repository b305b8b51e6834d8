package admin

import (
	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"

	"github.com/cncf/xds/go/udpa/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// redaction stands for a secret.
const redaction = "[redacted]"

// maxRedactDepth bounds the nesting of messages that is looked into. What is deeper is left out: protobuf refuses to decode
// messages of such depth, but each Any starts anew.
const maxRedactDepth = 100

// redacted replaces the values of all fields that Envoy's protos mark as sensitive (udpa.annotations.sensitive), as private
// keys and passwords, also inside every Any: texts and bytes by "[redacted]", others by nothing. What cannot be decoded is
// left out, for it could hold secrets. It changes dump and returns it.
func redacted(dump *adminv3.ConfigDump) *adminv3.ConfigDump {
	redact(dump.ProtoReflect(), false, 0)
	return dump
}

// redact redacts m, all of it when secret.
func redact(m protoreflect.Message, secret bool, depth int) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		redactPacked(packed, secret, depth)
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		secret := secret || isSensitive(field)
		switch {
		case depth >= maxRedactDepth && holdsMessages(field):
			m.Clear(field)
		case field.IsMap():
			redactMap(field, value.Map(), secret, depth)
		case field.IsList():
			redactList(m, field, value.List(), secret, depth)
		case field.Message() != nil:
			redact(value.Message(), secret, depth+1)
		case secret:
			redactScalar(m, field)
		}
		return true
	})
	m.SetUnknown(nil) // not printed anyway
}

func redactPacked(packed *anypb.Any, secret bool, depth int) {
	inner, err := packed.UnmarshalNew()
	if err != nil {
		packed.Value = nil
		return
	}
	redact(inner.ProtoReflect(), secret, depth+1)
	if packed.Value, err = proto.Marshal(inner); err != nil {
		packed.Value = nil
	}
}

func redactScalar(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	if v, ok := redactedValue(field); ok {
		m.Set(field, v)
		return
	}
	m.Clear(field)
}

// redactedValue returns what stands for a secret of the kind of field, if anything does.
func redactedValue(field protoreflect.FieldDescriptor) (v protoreflect.Value, ok bool) {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(redaction), true
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(redaction)), true
	default:
		return protoreflect.Value{}, false
	}
}

func redactList(m protoreflect.Message, field protoreflect.FieldDescriptor, list protoreflect.List, secret bool, depth int) {
	if field.Message() != nil {
		for i := range list.Len() {
			redact(list.Get(i).Message(), secret, depth+1)
		}
		return
	}
	if !secret {
		return
	}
	v, ok := redactedValue(field)
	if !ok {
		m.Clear(field)
		return
	}
	for i := range list.Len() {
		list.Set(i, v)
	}
}

// redactMap redacts the values of a map and leaves its keys.
func redactMap(field protoreflect.FieldDescriptor, entries protoreflect.Map, secret bool, depth int) {
	entries.Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		if field.MapValue().Message() != nil {
			redact(value.Message(), secret, depth+1)
			return true
		}
		if !secret {
			return true
		}
		if v, ok := redactedValue(field.MapValue()); ok {
			entries.Set(key, v)
			return true
		}
		entries.Clear(key)
		return true
	})
}

// holdsMessages reports whether values of field are or contain messages.
func holdsMessages(field protoreflect.FieldDescriptor) bool {
	if field.IsMap() {
		return field.MapValue().Message() != nil
	}
	return field.Message() != nil
}

func isSensitive(field protoreflect.FieldDescriptor) bool {
	sensitive, _ := proto.GetExtension(field.Options(), annotations.E_Sensitive).(bool)
	return sensitive
}
