package bootstrap

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const (
	// maxRuntimeLayers bounds the layers: there are four kinds, and few have two of one.
	maxRuntimeLayers = 64
	// maxLifetime bounds a lifetime in seconds, so that it is a duration; nobody waits for a year.
	maxLifetime = 365 * 24 * 60 * 60
)

var (
	runtimeFields = map[protoreflect.Name]string{"layers": handled}
	layerFields   = map[protoreflect.Name]string{
		"name": handled, "static_layer": handled, "disk_layer": handled, "admin_layer": handled, "rtds_layer": handled,
	}
	diskFields = map[protoreflect.Name]string{"symlink_root": handled, "subdirectory": handled, "append_service_cluster": handled}
	rtdsFields = map[protoreflect.Name]string{"name": handled, "rtds_config": handled}
)

// runtimeKeys are keys of Envoy's own that have an effect here, with what their values must be.
var runtimeKeys = map[string]func(value float64) error{
	config.KeyMaxPrematureResets: func(value float64) error {
		if value < 1 || value > math.MaxUint32 || value != math.Trunc(value) {
			return fmt.Errorf("must be a whole number from 1 to %d", uint32(math.MaxUint32))
		}
		return nil
	},
	config.KeyMaxConnections: wholeNumber,
	config.KeyPrematureResetAge: func(value float64) error {
		if !(value >= 0 && value <= maxLifetime) { // NaN is not
			return fmt.Errorf("must be a number of seconds from 0 to %d", maxLifetime)
		}
		return nil
	},
}

// wholeNumber checks the value of a key that counts something.
func wholeNumber(value float64) error {
	if value < 0 || value != math.Trunc(value) || value > 1<<53 {
		return errors.New("must be a whole number that is not negative")
	}
	return nil
}

// ownPrefixes begin the keys of Envoy's own that no field of a configuration names. The others are whatever fields name.
var ownPrefixes = []string{"envoy.", "overload.", "re2."}

// runtime decodes the layers of the runtime. A runtime without layers has one for operators, as Envoy's.
func (d *decoder) runtime(r *bootstrapv3.LayeredRuntime, written *bootstrapv3.Bootstrap) {
	if r == nil {
		return
	}
	d.fields("layered_runtime", r, runtimeFields)
	if len(r.GetLayers()) > maxRuntimeLayers {
		d.errorf("layered_runtime.layers", "has %d layers, it may have %d", len(r.GetLayers()), maxRuntimeLayers)
		return
	}
	taken, admin := make(map[string]bool), -1
	for i, l := range r.GetLayers() {
		path := fmt.Sprintf("layered_runtime.layers[%d]", i)
		if taken[l.GetName()] {
			d.errorf(path+".name", "%q is the name of two layers", l.GetName())
		}
		taken[l.GetName()] = true
		if l.GetAdminLayer() != nil {
			if admin >= 0 {
				d.errorf(path+".admin_layer", "at most one layer may be one, layers[%d] is", admin)
			}
			admin = i
		}
		d.out.Runtime = append(d.out.Runtime, d.layer(path, l, written))
	}
	if len(r.GetLayers()) == 0 {
		d.out.Runtime = []config.RuntimeLayer{{Admin: true}}
	}
}

// layer decodes a layer of the runtime.
func (d *decoder) layer(path string, l *bootstrapv3.RuntimeLayer, written *bootstrapv3.Bootstrap) config.RuntimeLayer {
	d.fields(path, l, layerFields)
	out := config.RuntimeLayer{Name: l.GetName()}
	switch kind := l.GetLayerSpecifier().(type) {
	case *bootstrapv3.RuntimeLayer_StaticLayer:
		values, err := resource.RuntimeValues(path+".static_layer", kind.StaticLayer)
		if err != nil {
			d.errs = append(d.errs, err)
		}
		d.staticValues(path+".static_layer", values)
		out.Static = values
	case *bootstrapv3.RuntimeLayer_DiskLayer_:
		d.fields(path+".disk_layer", kind.DiskLayer, diskFields)
		if kind.DiskLayer.GetSymlinkRoot() == "" {
			d.errorf(path+".disk_layer.symlink_root", "must not be empty")
		}
		out.Disk = &config.RuntimeDisk{
			SymlinkRoot: kind.DiskLayer.GetSymlinkRoot(), Subdirectory: kind.DiskLayer.GetSubdirectory(),
			AppendServiceCluster: kind.DiskLayer.GetAppendServiceCluster(),
		}
	case *bootstrapv3.RuntimeLayer_AdminLayer_:
		out.Admin = true
	case *bootstrapv3.RuntimeLayer_RtdsLayer_:
		d.fields(path+".rtds_layer", kind.RtdsLayer, rtdsFields)
		if kind.RtdsLayer.GetName() == "" {
			d.errorf(path+".rtds_layer.name", "must not be empty")
		}
		out.RTDS = &config.RuntimeRTDS{Name: kind.RtdsLayer.GetName()}
		if source := d.discovery(path+".rtds_layer.rtds_config", kind.RtdsLayer.GetRtdsConfig(), written); source != nil {
			out.RTDS.Discovery = *source
		}
	}
	return out
}

// staticValues checks the values of keys that mean something by themselves. A file is the place to say so; of values that come
// later, those that mean nothing leave the default in force.
func (d *decoder) staticValues(path string, values map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		here := path + "." + key
		check, ok := runtimeKeys[key]
		if config.IsListenerLimit(key) {
			check, ok = wholeNumber, true
		}
		if !ok {
			if slices.ContainsFunc(ownPrefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
				d.warnf(here, "has no effect: there is no use for the runtime key %s", key)
			}
			continue
		}
		number, err := strconv.ParseFloat(values[key], 64)
		if err != nil {
			d.errorf(here, "must be a number")
		} else if err := check(number); err != nil {
			d.errorf(here, "%v", err)
		}
	}
}
