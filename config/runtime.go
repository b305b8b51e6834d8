package config

import (
	"math"
	"strings"
	"time"
)

// RuntimeLayer is envoy.config.bootstrap.v3.RuntimeLayer: where some values of the runtime come from. Of Static, Disk, Admin
// and RTDS exactly one is set.
type RuntimeLayer struct {
	Name string
	// Static holds the texts of the values by key, not nil with static_layer.
	Static map[string]string
	Disk   *RuntimeDisk
	Admin  bool // values that operators set (/runtime_modify)
	RTDS   *RuntimeRTDS
}

// RuntimeDisk is RuntimeLayer.DiskLayer: a directory whose files are the values.
type RuntimeDisk struct {
	SymlinkRoot string // what is replaced when the values change
	// Subdirectory is where the values are below SymlinkRoot, in the directory of the service cluster where that is appended.
	Subdirectory         string
	AppendServiceCluster bool
}

// RuntimeRTDS is RuntimeLayer.RtdsLayer: the values are in the Runtime resource of that name.
type RuntimeRTDS struct {
	Name string
	Discovery
}

// RuntimeValue is the value of a key in a layer: its text and what it means as each type. A type that it has no meaning as
// leaves the default in force.
type RuntimeValue struct {
	Text string

	Number   *float64
	Whole    *uint64 // Number without its fraction, where that is from 0 on
	Bool     *bool
	Fraction *uint32 // FractionalPercent, in parts of a million, at most FractionAll
}

// RuntimeValues are the values of one layer, by key.
type RuntimeValues struct {
	Layer  string
	Values map[string]RuntimeValue
}

// RuntimeFraction is envoy.config.core.v3.RuntimeFractionalPercent: a share that the runtime may set.
type RuntimeFraction struct {
	Default uint32 // in parts of a million, FractionAll for all
	Key     string // of the runtime, empty for none
}

// Runtime is the values of the layered runtime at one time. It is immutable. The nil Runtime has no values: everything is as
// its default.
type Runtime struct {
	layers []RuntimeValues
	values map[string]RuntimeValue // of each key the one of the last layer that has it
}

// NewRuntime returns the Runtime of layers, of which later ones go over earlier ones. It keeps layers.
func NewRuntime(layers []RuntimeValues) *Runtime {
	r := &Runtime{layers: layers, values: make(map[string]RuntimeValue)}
	for _, l := range layers {
		for key, value := range l.Values {
			r.values[key] = value
		}
	}
	return r
}

// Layers returns the layers in order. They must not be changed.
func (r *Runtime) Layers() []RuntimeValues {
	if r == nil {
		return nil
	}
	return r.layers
}

// Keys returns how many keys have a value.
func (r *Runtime) Keys() int {
	if r == nil {
		return 0
	}
	return len(r.values)
}

func (r *Runtime) value(key string) RuntimeValue {
	if r == nil || key == "" {
		return RuntimeValue{}
	}
	return r.values[key]
}

// Integer returns the whole number that a key has, byDefault where it has none.
func (r *Runtime) Integer(key string, byDefault uint64) uint64 {
	if v := r.value(key); v.Whole != nil {
		return *v.Whole
	}
	return byDefault
}

// Double returns the number that a key has, byDefault where it has none.
func (r *Runtime) Double(key string, byDefault float64) float64 {
	if v := r.value(key); v.Number != nil {
		return *v.Number
	}
	return byDefault
}

// Boolean returns the truth value that a key has, byDefault where it has none.
func (r *Runtime) Boolean(key string, byDefault bool) bool {
	if v := r.value(key); v.Bool != nil {
		return *v.Bool
	}
	return byDefault
}

// partsPerPercent are the parts of a million in a hundredth.
const partsPerPercent = FractionAll / 100

// Fraction returns the share that f stands for now, in parts of a million: a whole number in the runtime is a percentage, and
// one above 100 means all.
func (r *Runtime) Fraction(f RuntimeFraction) uint32 {
	v := r.value(f.Key)
	switch {
	case v.Fraction != nil:
		return *v.Fraction
	case v.Whole != nil:
		return uint32(min(*v.Whole, 100)) * partsPerPercent
	}
	return f.Default
}

// Keys of the runtime that Envoy has no field for.
const (
	KeyMaxPrematureResets = "overload.premature_reset_total_stream_count"
	KeyPrematureResetAge  = "overload.premature_reset_min_stream_lifetime_seconds"
	KeyMaxConnections     = "overload.global_downstream_max_connections"

	listenerLimitPrefix, listenerLimitSuffix = "envoy.resource_limits.listener.", ".connection_limit"
)

// Their defaults: a reset before the answer costs its sender nothing and us a request (CVE-2023-44487, CVE-2025-8671).
const (
	DefaultPrematureResets   = 500
	DefaultPrematureResetAge = time.Second
)

// maxLifetime bounds a lifetime in seconds, so that it is a duration; nobody waits for a year.
const maxLifetime = 365 * 24 * 60 * 60

// MaxPrematureResets returns after how many streams of one connection it is closed if half of them were reset early.
func (r *Runtime) MaxPrematureResets() int {
	n := r.Integer(KeyMaxPrematureResets, DefaultPrematureResets)
	if n < 1 || n > math.MaxUint32 {
		return DefaultPrematureResets
	}
	return int(n)
}

// NoConnectionLimit stands for no limit on connections, which is Envoy's default.
const NoConnectionLimit = math.MaxUint64

// MaxConnections returns how many connections of clients there may be at a time.
func (r *Runtime) MaxConnections() uint64 { return r.Integer(KeyMaxConnections, NoConnectionLimit) }

// ListenerMaxConnections returns how many connections of clients a listener may have at a time.
func (r *Runtime) ListenerMaxConnections(listener string) uint64 {
	return r.Integer(listenerLimitPrefix+listener+listenerLimitSuffix, NoConnectionLimit)
}

// IsListenerLimit reports whether a key is that of ListenerMaxConnections for some listener.
func IsListenerLimit(key string) bool {
	return strings.HasPrefix(key, listenerLimitPrefix) && strings.HasSuffix(key, listenerLimitSuffix) &&
		len(key) > len(listenerLimitPrefix)+len(listenerLimitSuffix)
}

// PrematureResetAge returns how long a stream must have lived not to count as reset early.
func (r *Runtime) PrematureResetAge() time.Duration {
	seconds := r.Double(KeyPrematureResetAge, DefaultPrematureResetAge.Seconds())
	if !(seconds >= 0 && seconds <= maxLifetime) { // NaN is not
		return DefaultPrematureResetAge
	}
	return time.Duration(seconds * float64(time.Second))
}
