package resource

import (
	"strings"

	udpav1 "github.com/cncf/xds/go/udpa/type/v1"
	xdsv3 "github.com/cncf/xds/go/xds/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// typedStruct returns the type URL and value of a TypedStruct, which carries the configuration of an extension as JSON,
// and false when packed holds something else.
func typedStruct(packed *anypb.Any) (typeURL string, value *structpb.Struct, ok bool) {
	switch packed.MessageName() {
	case "xds.type.v3.TypedStruct":
		var s xdsv3.TypedStruct
		if proto.Unmarshal(packed.GetValue(), &s) == nil {
			return s.GetTypeUrl(), s.GetValue(), true
		}
	case "udpa.type.v1.TypedStruct":
		var s udpav1.TypedStruct
		if proto.Unmarshal(packed.GetValue(), &s) == nil {
			return s.GetTypeUrl(), s.GetValue(), true
		}
	}
	return "", nil, false
}

// typeOf returns the type URL of an extension's configuration, looking into a TypedStruct.
func typeOf(packed *anypb.Any) string {
	if url, _, ok := typedStruct(packed); ok {
		return url
	}
	return packed.GetTypeUrl()
}

// messageName returns the full name of the message that an extension's configuration holds. Like Envoy it ignores what
// comes before the slash of the type URL.
func messageName(packed *anypb.Any) string {
	url := typeOf(packed)
	return url[strings.LastIndexByte(url, '/')+1:]
}

// unpack decodes the configuration of an extension into m, which must be of its type, and reports whether that went well.
func (a *at) unpack(packed *anypb.Any, m proto.Message) bool {
	err := error(nil)
	if _, value, ok := typedStruct(packed); ok {
		// Fields that the API does not have are accepted, as they are in the resource around it.
		_, err = protofile.FromStruct(value, m, protofile.Options{AllowUnknown: true})
	} else {
		err = proto.Unmarshal(packed.GetValue(), m)
	}
	if err != nil {
		a.errorf("cannot be decoded as %s: %v", m.ProtoReflect().Descriptor().FullName(), err)
		return false
	}
	if v, ok := m.(validated); ok {
		return a.validate(v)
	}
	return true
}

// unregistered refuses an extension of an unknown type in Envoy's words.
func (a *at) unregistered(name string, packed *anypb.Any) {
	a.errorf("Didn't find a registered implementation for '%s' with type URL: '%s'", name, typeOf(packed))
}
