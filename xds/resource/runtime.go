package resource

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	// maxRuntimeDepth bounds the nesting of a layer: the longest key of Envoy has four parts.
	maxRuntimeDepth = 16
	// maxRuntimeKeys bounds the keys of a layer; Envoy has some hundred.
	maxRuntimeKeys = 10_000
)

var (
	runtimeFields         = fields{"name": decoded, "layer": decoded}
	runtimeFractionFields = fields{"default_value": decoded, "runtime_key": decoded}
)

// Runtime decodes a resource of RTDS: the texts of the values of a layer, by key.
func Runtime(r *runtimev3.Runtime) (map[string]string, error) {
	root := newReport("runtime", r.GetName())
	if !root.validate(r) {
		return nil, root.err()
	}
	root.only(r, runtimeFields)
	values := root.in("layer").runtimeValues(r.GetLayer())
	if root.failed() {
		return nil, root.err()
	}
	return values, nil
}

// RuntimeValues decodes a static layer, whose place in the bootstrap is path: the texts of its values, by key.
func RuntimeValues(path string, s *structpb.Struct) (map[string]string, error) {
	root := &at{report: &report{resource: path}}
	values := root.runtimeValues(s)
	return values, root.err()
}

// runtimeValues decodes the values of a layer, in which nested objects and dots mean the same.
func (a *at) runtimeValues(s *structpb.Struct) map[string]string {
	values := make(map[string]string)
	a.runtimeObject(values, "", s, 0)
	if len(values) > maxRuntimeKeys {
		a.errorf("has %d keys, it may have %d", len(values), maxRuntimeKeys)
	}
	return values
}

// runtimeObject adds the values of a part of a layer, whose keys begin with prefix.
func (a *at) runtimeObject(values map[string]string, prefix string, s *structpb.Struct, depth int) {
	if depth > maxRuntimeDepth {
		a.errorf("is nested more than %d deep", maxRuntimeDepth)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.GetFields())) {
		here, key, value := a.in(name), prefix+name, s.GetFields()[name]
		if nested := value.GetStructValue(); nested != nil && !isFraction(nested) {
			here.runtimeObject(values, key+".", nested, depth+1)
			continue
		}
		text, ok := runtimeText(value)
		if !ok {
			here.errorf("must be a number, a truth value, a text, an object, or a fraction with numerator and denominator")
			continue
		}
		values[key] = text
	}
}

// isFraction tells a FractionalPercent from an object of keys, as Envoy does. An empty one is 0 %.
func isFraction(s *structpb.Struct) bool {
	_, numerator := s.GetFields()["numerator"]
	_, denominator := s.GetFields()["denominator"]
	return numerator || denominator || len(s.GetFields()) == 0
}

// runtimeText returns a value as text, and false for what is no value.
func runtimeText(v *structpb.Value) (text string, ok bool) {
	switch v := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		return v.StringValue, true
	case *structpb.Value_NumberValue:
		return strconv.FormatFloat(v.NumberValue, 'f', -1, 64), true
	case *structpb.Value_BoolValue:
		return strconv.FormatBool(v.BoolValue), true
	case *structpb.Value_StructValue:
		encoded, err := json.Marshal(v.StructValue.AsMap())
		return string(encoded), err == nil
	default:
		return "", false
	}
}

// runtimeFraction decodes a share that the runtime may set.
func (a *at) runtimeFraction(f *corev3.RuntimeFractionalPercent) config.RuntimeFraction {
	a.only(f, runtimeFractionFields)
	return config.RuntimeFraction{Default: fraction(f.GetDefaultValue()), Key: f.GetRuntimeKey()}
}

// fraction converts a fractional percent into parts of a million, at most all.
func fraction(p *typev3.FractionalPercent) uint32 {
	scale := uint64(10_000)
	switch p.GetDenominator() {
	case typev3.FractionalPercent_TEN_THOUSAND:
		scale = 100
	case typev3.FractionalPercent_MILLION:
		scale = 1
	}
	return uint32(min(uint64(p.GetNumerator())*scale, config.FractionAll))
}
