package bootstrap

import (
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
	durationMessage = "google.protobuf.Duration"
	anyMessage      = "google.protobuf.Any"
	typeKey         = "@type"
	typedStructType = "type.googleapis.com/xds.type.v3.TypedStruct"
)

// fieldChecker finds the fields of a tree that its message does not have, and durations without a unit, which protojson
// would call a syntax error.
type fieldChecker struct {
	allowUnknown bool
	errs         []error
}

// object checks the fields of a message and returns them with extensions of unknown types replaced.
func (c *fieldChecker) object(o map[string]any, md protoreflect.MessageDescriptor, path string) map[string]any {
	out := make(map[string]any, len(o))
	for _, key := range slices.Sorted(maps.Keys(o)) {
		here := key
		if path != "" {
			here = path + "." + key
		}
		fd := md.Fields().ByJSONName(key)
		if fd == nil {
			fd = md.Fields().ByTextName(key)
		}
		if fd == nil {
			c.unknown(here, md)
			out[key] = o[key]
			continue
		}
		out[key] = c.field(o[key], fd, here)
	}
	return out
}

// unknown reports a field that does not exist.
func (c *fieldChecker) unknown(path string, md protoreflect.MessageDescriptor) {
	if !c.allowUnknown {
		c.errorf("%s: unknown field of %s", path, md.FullName())
	}
}

func (c *fieldChecker) errorf(format string, args ...any) {
	if len(c.errs) < maxErrors {
		c.errs = append(c.errs, fmt.Errorf(format, args...))
	}
}

// field checks the value of a field. A value of the wrong kind is left to protojson to refuse.
func (c *fieldChecker) field(v any, fd protoreflect.FieldDescriptor, path string) any {
	switch {
	case fd.IsMap():
		entries, ok := v.(map[string]any)
		if !ok || fd.MapValue().Message() == nil {
			return v
		}
		out := make(map[string]any, len(entries))
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			out[key] = c.message(entries[key], fd.MapValue().Message(), path+"["+strconv.Quote(key)+"]")
		}
		return out
	case fd.Message() == nil:
		return v
	case fd.IsList():
		items, ok := v.([]any)
		if !ok {
			return v
		}
		out := make([]any, len(items))
		for i, item := range items {
			out[i] = c.message(item, fd.Message(), path+"["+strconv.Itoa(i)+"]")
		}
		return out
	default:
		return c.message(v, fd.Message(), path)
	}
}

// message checks a message. The well-known types have a JSON form of their own.
func (c *fieldChecker) message(v any, md protoreflect.MessageDescriptor, path string) any {
	o, ok := v.(map[string]any)
	switch {
	case md.FullName() == durationMessage:
		if _, text := v.(string); !text && v != nil {
			c.errorf("%s: %v is not a duration, it must be like 5s", path, v)
		}
		return v
	case !ok:
		return v
	case md.FullName() == anyMessage:
		return c.packed(o, path)
	case strings.HasPrefix(string(md.FullName()), "google.protobuf."):
		return v
	default:
		return c.object(o, md, path)
	}
}

// packed checks the message in a google.protobuf.Any.
func (c *fieldChecker) packed(o map[string]any, path string) any {
	url, ok := o[typeKey].(string)
	if !ok {
		return o
	}
	inner := maps.Clone(o)
	delete(inner, typeKey)
	mt, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	if err != nil {
		return map[string]any{typeKey: typedStructType, "type_url": url, "value": inner}
	}
	md := mt.Descriptor()
	if strings.HasPrefix(string(md.FullName()), "google.protobuf.") {
		return o
	}
	out := c.object(inner, md, path)
	out[typeKey] = url
	return out
}
