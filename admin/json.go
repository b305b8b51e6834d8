package admin

import (
	"bytes"
	"encoding/json"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// jsonDefaults says what becomes of fields with their default value.
type jsonDefaults bool

const (
	omitDefaults  jsonDefaults = false
	printDefaults jsonDefaults = true // scalars and lists; absent messages stay absent
)

// renderJSON returns m as C++ protobuf prints it for people: names as in the .proto file, 64-bit integers as strings, one
// space of indentation. The whitespace of protojson changes from build to build on purpose, so it is set anew.
func renderJSON(m proto.Message, defaults jsonDefaults) ([]byte, error) {
	compact, err := protojson.MarshalOptions{
		UseProtoNames:     true,
		EmitDefaultValues: bool(defaults),
		Resolver:          anyResolver{protoregistry.GlobalTypes},
	}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%s as JSON: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", " "); err != nil {
		return nil, fmt.Errorf("%s as JSON: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// anyResolver finds the message types inside google.protobuf.Any. One that is not part of this program is taken for a
// message without fields, so that of such an Any the "@type" alone is printed.
type anyResolver struct{ *protoregistry.Types }

func (r anyResolver) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	if t, err := r.Types.FindMessageByURL(url); err == nil {
		return t, nil
	}
	return (&corev3.AggregatedConfigSource{}).ProtoReflect().Type(), nil
}

// json answers 200 with m.
func (r *request) json(m proto.Message, defaults jsonDefaults) {
	body, err := renderJSON(m, defaults)
	if err != nil {
		r.failed(err)
		return
	}
	setHeader(r.ctx, 200, jsonText)
	r.ctx.Response.SetBody(body)
}
