package stats

import (
	"io"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// WritePrometheus writes sn in the Prometheus text exposition format, version 0.0.4, as /stats/prometheus does: without
// help texts, and numbers without exponents.
func (sn *Snapshot) WritePrometheus(out io.Writer, o WriteOptions) error {
	w := promWriter{errWriter: newErrWriter(out)}
	for _, f := range sn.Families(o) {
		w.family(f)
		if w.err != nil {
			break
		}
	}
	return w.finish()
}

// promWriter writes families as text.
type promWriter struct {
	*errWriter
	labels []byte // of the current metric, without braces
}

// labelEscapes are the escapes of label values in the text format.
var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (w *promWriter) family(f *dto.MetricFamily) {
	name := f.GetName()
	w.string("# TYPE ")
	w.string(name)
	w.string(" ")
	w.string(strings.ToLower(f.GetType().String()))
	w.string("\n")
	for _, m := range f.Metric {
		w.setLabels(m.Label)
		switch {
		case m.Counter != nil:
			w.sample(name, "", m.Counter.GetValue())
		case m.Gauge != nil:
			w.sample(name, "", m.Gauge.GetValue())
		case m.Histogram != nil:
			w.histogram(name, m.Histogram)
		}
	}
}

func (w *promWriter) setLabels(labels []*dto.LabelPair) {
	w.labels = w.labels[:0]
	for i, l := range labels {
		if i > 0 {
			w.labels = append(w.labels, ',')
		}
		w.labels = append(append(w.labels, l.GetName()...), `="`...)
		value := l.GetValue()
		if strings.ContainsAny(value, "\\\"\n") {
			value = labelEscapes.Replace(value)
		}
		w.labels = append(append(w.labels, value...), '"')
	}
}

// sample writes one line.
func (w *promWriter) sample(name, suffix string, v float64) {
	w.string(name)
	w.string(suffix)
	if len(w.labels) > 0 {
		w.string("{")
		w.bytes(w.labels)
		w.string("}")
	}
	w.string(" ")
	w.float(v, "NaN")
	w.string("\n")
}

func (w *promWriter) histogram(name string, h *dto.Histogram) {
	for _, b := range h.Bucket {
		w.bucket(name)
		w.float(b.GetUpperBound(), "NaN")
		w.string(`"} `)
		w.uint(b.GetCumulativeCount())
		w.string("\n")
	}
	w.bucket(name)
	w.string(`+Inf"} `)
	w.uint(h.GetSampleCount())
	w.string("\n")
	w.sample(name, "_sum", h.GetSampleSum())
	w.sample(name, "_count", float64(h.GetSampleCount()))
}

// bucket writes a bucket's line up to its bound.
func (w *promWriter) bucket(name string) {
	w.string(name)
	w.string("_bucket{")
	if len(w.labels) > 0 {
		w.bytes(w.labels)
		w.string(",")
	}
	w.string(`le="`)
}
