package protofile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// maxErrors bounds how many wrong fields of a text are named.
const maxErrors = 32

const (
	typeKey         = "@type"
	typedStructType = "type.googleapis.com/xds.type.v3.TypedStruct"
)

// canonicalizer brings the tree of a message into the form that protojson takes.
type canonicalizer struct {
	allowUnknown bool
	unknown      []string // fields that were left out
	errs         []error
}

func (c *canonicalizer) errorf(path, format string, args ...any) {
	if path != "" {
		path += ": "
	}
	if len(c.errs) < maxErrors {
		c.errs = append(c.errs, errors.New(path+fmt.Sprintf(format, args...)))
	}
}

// object returns the fields of a message.
func (c *canonicalizer) object(o map[string]any, md protoreflect.MessageDescriptor, path string) map[string]any {
	out := make(map[string]any, len(o))
	for _, key := range slices.Sorted(maps.Keys(o)) {
		here := join(path, key)
		fd := md.Fields().ByJSONName(key)
		if fd == nil {
			fd = md.Fields().ByTextName(key)
		}
		if fd == nil {
			c.unknownField(here, md)
			continue
		}
		if o[key] != nil || takesNull(fd) {
			out[key] = c.field(o[key], fd, here)
		}
	}
	return out
}

// unknownField notes or reports a field that does not exist.
func (c *canonicalizer) unknownField(path string, md protoreflect.MessageDescriptor) {
	if c.allowUnknown {
		if len(c.unknown) < maxNotes {
			c.unknown = append(c.unknown, fmt.Sprintf("%s: unknown field of %s", path, md.FullName()))
		}
		return
	}
	c.errorf(path, "unknown field of %s", md.FullName())
}

// takesNull reports whether null is a value of the field, which otherwise it leaves unset.
func takesNull(fd protoreflect.FieldDescriptor) bool {
	if fd.IsList() || fd.IsMap() {
		return false
	}
	return fd.Message() != nil && fd.Message().FullName() == valueMessage ||
		fd.Enum() != nil && fd.Enum().FullName() == "google.protobuf.NullValue"
}

// field returns the value of a field.
func (c *canonicalizer) field(v any, fd protoreflect.FieldDescriptor, path string) any {
	switch {
	case fd.IsMap():
		entries, ok := v.(map[string]any)
		if !ok {
			c.errorf(path, "is not an object, it must have entries")
			return nil
		}
		out := make(map[string]any, len(entries))
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			out[key] = c.element(entries[key], fd.MapValue(), path+"["+strconv.Quote(key)+"]")
		}
		return out
	case fd.IsList():
		return c.list(nil, v, fd, path)
	default:
		return c.single(v, fd, path)
	}
}

// list appends the elements of a repeated field to out. One that stands alone is a list of one, and a list in a list is a
// part of it.
func (c *canonicalizer) list(out []any, v any, fd protoreflect.FieldDescriptor, path string) []any {
	items, ok := v.([]any)
	if !ok {
		return append(out, c.element(v, fd, path))
	}
	if out == nil {
		out = make([]any, 0, len(items))
	}
	for i, item := range items {
		here := path + "[" + strconv.Itoa(i) + "]"
		if _, nested := item.([]any); nested && !holdsLists(fd) {
			out = c.list(out, item, fd, here)
			continue
		}
		out = append(out, c.element(item, fd, here))
	}
	return out
}

// holdsLists reports whether an element of the field may be a list itself.
func holdsLists(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && (fd.Message().FullName() == valueMessage || fd.Message().FullName() == listMessage)
}

// element returns an element of a list or map, in which null stands for the default.
func (c *canonicalizer) element(v any, fd protoreflect.FieldDescriptor, path string) any {
	if v == nil && !(fd.Message() != nil && fd.Message().FullName() == valueMessage) {
		return zero(fd)
	}
	return c.single(v, fd, path)
}

// zero returns the default of a field.
func zero(fd protoreflect.FieldDescriptor) any {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return zeroMessage(fd.Message())
	case protoreflect.StringKind, protoreflect.BytesKind:
		return ""
	case protoreflect.BoolKind:
		return false
	default:
		return json.Number("0")
	}
}

// single returns one value of a field.
func (c *canonicalizer) single(v any, fd protoreflect.FieldDescriptor, path string) any {
	if p, ok := v.(plain); ok {
		v = p.value
		if fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.BytesKind {
			return p.text
		}
	}
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return c.message(v, fd.Message(), path)
	case protoreflect.EnumKind:
		return c.enum(v, fd.Enum(), path)
	case protoreflect.BoolKind:
		return c.boolean(v, path)
	case protoreflect.StringKind, protoreflect.BytesKind:
		if _, ok := v.(string); !ok {
			c.errorf(path, "%s is not a text", shown(v))
		}
	}
	return v
}

// boolean reads a boolean, which may be in quotes.
func (c *canonicalizer) boolean(v any, path string) any {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		switch strings.ToLower(v) {
		case "true", "t", "yes", "y", "1":
			return true
		case "false", "f", "no", "n", "0":
			return false
		}
	}
	c.errorf(path, "%s is not a boolean, it must be true or false", shown(v))
	return nil
}

// maxNamed bounds how many values of an enum an error names.
const maxNamed = 12

// enum reads a value of an enum: a name in any case, or a number, which may be in quotes.
func (c *canonicalizer) enum(v any, ed protoreflect.EnumDescriptor, path string) any {
	if v == nil { // of google.protobuf.NullValue
		return nil
	}
	text := ""
	switch v := v.(type) {
	case json.Number, float64:
		return v
	case string:
		text = v
	}
	values := ed.Values()
	var known []string
	for i := range values.Len() {
		if name := string(values.Get(i).Name()); strings.EqualFold(name, text) {
			return name
		} else if len(known) < maxNamed {
			known = append(known, name)
		}
	}
	if _, err := strconv.ParseInt(text, 10, 32); err == nil {
		return json.Number(text)
	}
	if values.Len() > maxNamed {
		known = append(known, "...")
	}
	c.errorf(path, "%s is not a value of %s (%s)", shown(v), ed.FullName(), strings.Join(known, ", "))
	return nil
}

// shown is a wrong value as it stands in an error.
func shown(v any) string {
	const most = 64
	var text string
	switch v := v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		text = strconv.Quote(v)
	default:
		text = fmt.Sprint(v)
	}
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// message returns a message.
func (c *canonicalizer) message(v any, md protoreflect.MessageDescriptor, path string) any {
	if wellKnown, ok := c.wellKnown(v, md, path); ok {
		return wellKnown
	}
	o, ok := v.(map[string]any)
	if !ok {
		what := "a text" // not which: it may be the private key that belongs into a field of the object
		if _, ok := v.(string); !ok {
			what = shown(v)
		}
		c.errorf(path, "%s is not an object, it must have fields of %s", what, md.FullName())
		return nil
	}
	return c.object(o, md, path)
}

// packed returns the message in a google.protobuf.Any.
func (c *canonicalizer) packed(o map[string]any, path string) any {
	url, ok := values(o[typeKey]).(string)
	if !ok {
		if len(o) > 0 {
			c.errorf(path, "has no %q, which tells the type of its fields", typeKey)
		}
		return o
	}
	inner := maps.Clone(o)
	delete(inner, typeKey)
	mt, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	if err != nil {
		return map[string]any{typeKey: typedStructType, "type_url": url, "value": values(inner)}
	}
	md := mt.Descriptor()
	if isWellKnown(md) {
		return map[string]any{typeKey: url, "value": c.message(inner["value"], md, join(path, "value"))}
	}
	out := c.object(inner, md, path)
	out[typeKey] = url
	return out
}
