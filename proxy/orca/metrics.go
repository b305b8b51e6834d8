package orca

import (
	"bytes"
	"math"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Fields that a report comes in.
var (
	fieldReport       = []byte("endpoint-load-metrics")
	fieldReportBinary = []byte("endpoint-load-metrics-bin")
)

// scalar is a number of xds.data.orca.v3.OrcaLoadReport that has a field of its own.
type scalar uint8

const (
	cpuUtilization scalar = iota
	memUtilization
	applicationUtilization
	eps           // errors per second
	rpsFractional // requests per second
	scalarCount

	noScalar = scalarCount
)

// scalarNames are the names of the scalars in the .proto file. It is never written.
var scalarNames = [scalarCount]string{"cpu_utilization", "mem_utilization", "application_utilization", "eps", "rps_fractional"}

// group is a map of numbers in a report.
type group uint8

const (
	requestCost group = iota
	utilization
	namedMetrics
	groupCount

	noGroup = groupCount
)

// groupNames are the names of the groups in the .proto file. It is never written.
var groupNames = [groupCount]string{"request_cost", "utilization", "named_metrics"}

// Metrics says what of a report makes the weight of its host. It is immutable.
type Metrics struct {
	penalty float64              // of errors
	scalars [scalarCount]bool    // that may be the utilization
	names   [groupCount][][]byte // of those in groups
}

// NewMetrics returns what cfg asks for. A name of a metric that a report cannot have is never found, as in Envoy.
func NewMetrics(cfg *config.LoadReports) *Metrics {
	m := &Metrics{penalty: cfg.ErrorPenalty}
	for _, name := range cfg.Metrics {
		if s := scalarNamed([]byte(name)); s != noScalar {
			m.scalars[s] = true
			continue
		}
		for g, prefix := range groupNames {
			if key, ok := strings.CutPrefix(name, prefix+"."); ok {
				m.names[g] = append(m.names[g], []byte(key))
			}
		}
	}
	return m
}

func scalarNamed(name []byte) scalar {
	for s := range scalarNames {
		if scalarNames[s] == string(name) {
			return scalar(s)
		}
	}
	return noScalar
}

func groupNamed(name []byte) group {
	for g := range groupNames {
		if groupNames[g] == string(name) {
			return group(g)
		}
	}
	return noGroup
}

// Weight returns the weight of the host whose answer has fields, headers or trailers, with a report in them. ok is false when there
// is none, or none of use: one that is malformed, or has no rate of requests or no utilization.
func (m *Metrics) Weight(fields *message.Fields) (weight uint32, ok bool) {
	r := report{metrics: m}
	if value, found := fields.GetName(fieldReportBinary); found {
		return r.weight(r.binary(value))
	}
	value, found := fields.GetName(fieldReport)
	switch {
	case !found:
		return 0, false
	case bytes.HasPrefix(value, []byte("TEXT")):
		return r.weight(r.text(value[len("TEXT"):]))
	case bytes.HasPrefix(value, []byte("JSON")):
		return r.weight(r.json(value[len("JSON"):]))
	case bytes.HasPrefix(value, []byte("BIN")):
		return r.weight(r.binary(value[len("BIN"):]))
	}
	return 0, false
}

// report is what a report says, as far as it makes the weight.
type report struct {
	metrics *Metrics
	scalars [scalarCount]float64
	most    float64 // of the entries of groups that may be the utilization
}

// set takes a scalar. It reports whether the value is a number.
func (r *report) set(s scalar, value float64) (ok bool) {
	r.scalars[s] = value
	return finite(value)
}

// add takes an entry of a group. It reports whether the value is a number.
func (r *report) add(g group, key []byte, value float64) (ok bool) {
	for _, name := range r.metrics.names[g] {
		if bytes.Equal(name, key) {
			r.most = max(r.most, value)
		}
	}
	return finite(value)
}

// weight is requests per second by utilization, to which errors add. The utilization is the largest of the metrics that were asked
// for, and where these say nothing that of the application, then that of the CPU.
func (r *report) weight(parsed bool) (weight uint32, ok bool) {
	rate := r.scalars[rpsFractional]
	if !parsed || rate <= 0 {
		return 0, false
	}
	used := r.most
	for s, asked := range r.metrics.scalars {
		if asked {
			used = max(used, r.scalars[s])
		}
	}
	if used <= 0 {
		used = r.scalars[applicationUtilization]
	}
	if used <= 0 {
		used = r.scalars[cpuUtilization]
	}
	used += r.metrics.penalty * r.scalars[eps] / rate
	if !(used > 0) {
		return 0, false
	}
	return uint32(min(rate/used, math.MaxUint32)), true
}

func finite(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }
