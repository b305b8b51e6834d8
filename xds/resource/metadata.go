package resource

import (
	"encoding/base64"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// maxMetadata bounds the entries of initial_metadata: each is sent whenever a stream begins.
const maxMetadata = 64

// Metadata decodes initial_metadata of a control plane, whose GrpcService stands at the field path.
func Metadata(path string, list []*corev3.HeaderValue) ([]config.Metadata, error) {
	root := &at{report: &report{resource: path}}
	out := root.initialMetadata(list)
	return out, root.err()
}

// initialMetadata decodes what is sent when a stream to a gRPC service begins.
func (a *at) initialMetadata(list []*corev3.HeaderValue) (out []config.Metadata) {
	if len(list) > maxMetadata {
		a.in("initial_metadata").errorf("has %d entries, must have at most %d", len(list), maxMetadata)
		return nil
	}
	for i, m := range list {
		out = append(out, a.item("initial_metadata", i).metadata(m))
	}
	return out
}

// metadata decodes an entry of initial_metadata. What it says is sent as it is. gRPC encodes the values of keys that end in -bin, so
// those are decoded here.
func (a *at) metadata(m *corev3.HeaderValue) config.Metadata {
	out := config.Metadata{Key: strings.ToLower(m.GetKey()), Value: m.GetValue()}
	if raw := m.GetRawValue(); len(raw) > 0 {
		if out.Value != "" {
			a.errorf("must have one of value and raw_value")
		}
		out.Value = string(raw)
	} else if unescaped := strings.ReplaceAll(out.Value, "%%", ""); strings.Contains(unescaped, "%") {
		a.in("value").errorf("%q has a command operator, which is not supported here; write %%%% for a percent sign", out.Value)
	} else {
		out.Value = strings.ReplaceAll(out.Value, "%%", "%")
	}
	switch {
	case out.Key == "" || strings.HasPrefix(out.Key, ":") || strings.HasPrefix(out.Key, "grpc-") || !IsMetadataKey(out.Key):
		a.in("key").errorf("%q must be a name of letters, digits, '_', '-' and '.', and not begin with grpc-, which are gRPC's own", m.GetKey())
	case strings.HasSuffix(out.Key, "-bin"):
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(out.Value, "="))
		if err != nil {
			a.errorf("the value of %q must be base64, as the name ends in -bin: %v", m.GetKey(), err)
		}
		out.Value = string(decoded)
	case !IsMetadataValue(out.Value):
		a.errorf("the value of %q must be of printable ASCII; other values need a name that ends in -bin", m.GetKey())
	}
	return out
}

// IsMetadataKey reports whether a key, in lower case, is one that gRPC can send: Header-Name of "Requests" in
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
func IsMetadataKey(key string) bool {
	return !strings.ContainsFunc(key, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
	})
}

// IsMetadataValue reports whether a value is one that gRPC can send for a key that does not end in -bin: ASCII-Value of the same.
func IsMetadataValue(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r > 0x7e })
}
