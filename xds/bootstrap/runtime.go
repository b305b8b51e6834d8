package bootstrap

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	// maxRuntimeDepth bounds the nesting of a layer: the longest key of Envoy has four parts.
	maxRuntimeDepth = 16
	// maxLifetime bounds a lifetime in seconds, so that it is a duration; nobody waits for a year.
	maxLifetime = 365 * 24 * 60 * 60
)

var (
	runtimeFields = map[protoreflect.Name]string{"layers": handled}
	layerFields   = map[protoreflect.Name]string{
		"name": handled, "static_layer": handled,
		"disk_layer": noLayer, "admin_layer": noLayer, "rtds_layer": noLayer,
	}
)

// runtimeKeys are the keys that have an effect.
var runtimeKeys = map[string]func(r *config.Runtime, value float64) error{
	"overload.premature_reset_total_stream_count": func(r *config.Runtime, value float64) error {
		if value < 1 || value > math.MaxUint32 || value != math.Trunc(value) {
			return fmt.Errorf("must be a whole number from 1 to %d", uint32(math.MaxUint32))
		}
		r.MaxPrematureResets = uint32(value)
		return nil
	},
	"overload.premature_reset_min_stream_lifetime_seconds": func(r *config.Runtime, value float64) error {
		if !(value >= 0 && value <= maxLifetime) { // NaN is not
			return fmt.Errorf("must be a number of seconds from 0 to %d", maxLifetime)
		}
		r.PrematureResetAge = time.Duration(value * float64(time.Second))
		return nil
	},
}

// runtime decodes the layers of the runtime: of the static ones that have a key, the last counts.
func (d *decoder) runtime(r *bootstrapv3.LayeredRuntime) {
	if r == nil {
		return
	}
	d.fields("layered_runtime", r, runtimeFields)
	for i, l := range r.GetLayers() {
		path := fmt.Sprintf("layered_runtime.layers[%d]", i)
		d.fields(path, l, layerFields)
		d.layer(path+".static_layer", "", l.GetStaticLayer(), 0)
	}
}

// layer decodes a part of a layer, whose keys begin with prefix: nested objects and dots mean the same.
func (d *decoder) layer(path, prefix string, s *structpb.Struct, depth int) {
	if depth > maxRuntimeDepth {
		d.errorf(path, "is nested more than %d deep", maxRuntimeDepth)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.GetFields())) {
		value := s.GetFields()[name]
		here, key := path+"."+name, prefix+name
		if nested := value.GetStructValue(); nested != nil && runtimeKeys[key] == nil {
			d.layer(here, key+".", nested, depth+1)
			continue
		}
		set, ok := runtimeKeys[key]
		if !ok {
			d.warnf(here, "has no effect: there is no use for the runtime key %s", key)
			continue
		}
		number, err := runtimeNumber(value)
		if err == nil {
			err = set(d.out.Runtime, number)
		}
		if err != nil {
			d.errorf(here, "%v", err)
		}
	}
}

// runtimeNumber returns a value that is a number, or a text of one.
func runtimeNumber(v *structpb.Value) (float64, error) {
	switch v := v.GetKind().(type) {
	case *structpb.Value_NumberValue:
		return v.NumberValue, nil
	case *structpb.Value_StringValue:
		if n, err := strconv.ParseFloat(v.StringValue, 64); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("must be a number")
}
