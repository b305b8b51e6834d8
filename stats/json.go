package stats

import (
	"encoding/json"
	"io"
)

// WriteJSON writes sn as Envoy's /stats?format=json: one list, "stats", of text readouts, counters and gauges, with all
// histograms together as its last element.
func (sn *Snapshot) WriteJSON(out io.Writer, o WriteOptions) error {
	w := newErrWriter(out)
	sel := &selection{WriteOptions: o}
	j := jsonWriter{errWriter: w, store: sn.store, mode: o.HistogramBuckets}
	w.string(`{"stats":[`)
	sel.texts(sn, func(s *Sample) {
		j.comma()
		w.string(`{"name":`)
		j.quoted([]byte(s.Name))
		w.string(`,"value":`)
		j.quoted([]byte(s.Text))
		w.string("}")
	})
	sel.rows(sn, w, false, func(r *row) {
		j.comma()
		w.string(`{"name":`)
		j.quoted(sel.name)
		w.string(`,"value":`)
		w.uint(r.value)
		w.string("}")
	})
	some := false
	sel.rows(sn, w, true, func(r *row) {
		if !some {
			j.openHistograms()
			some = true
		}
		j.histogram(r, sel.name)
	})
	if some {
		j.closeHistograms()
	}
	w.string("]}")
	return w.finish()
}

// jsonWriter writes JSON in Envoy's shape.
type jsonWriter struct {
	*errWriter
	store   *Store
	mode    BucketMode
	buckets buckets
	more    bool // an element of the current list was written
}

func (j *jsonWriter) comma() {
	if j.more {
		j.string(",")
	}
	j.more = true
}

// quoted writes s as a JSON string.
func (j *jsonWriter) quoted(s []byte) {
	for _, c := range s {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			b, err := json.Marshal(string(s))
			if err == nil { // it never fails for a string
				j.bytes(b)
			}
			return
		}
	}
	j.string(`"`)
	j.bytes(s)
	j.string(`"`)
}

func (j *jsonWriter) openHistograms() {
	j.comma()
	j.more = false
	switch j.mode {
	case Cumulative, Disjoint:
		j.string(`{"histograms":[`)
	case Detailed:
		j.string(`{"histograms":{"supported_percentiles":`)
		j.supported()
		j.string(`,"details":[`)
	default:
		j.string(`{"histograms":{"supported_quantiles":`)
		j.supported()
		j.string(`,"computed_quantiles":[`)
	}
}

func (j *jsonWriter) closeHistograms() {
	if j.mode == Cumulative || j.mode == Disjoint {
		j.string("]}")
		return
	}
	j.string("]}}")
}

func (j *jsonWriter) supported() {
	for i, percent := range supportedQuantiles {
		j.string(opening(i))
		j.float(percent, "")
	}
	j.string("]")
}

// opening returns what precedes element i of a list.
func opening(i int) string {
	if i == 0 {
		return "["
	}
	return ","
}

func (j *jsonWriter) histogram(r *row, name []byte) {
	j.comma()
	j.string(`{"name":`)
	j.quoted(name)
	switch j.mode {
	case Cumulative, Disjoint:
		j.string(`,"buckets":`)
		j.writeBuckets(r, string(name))
	case Detailed:
		j.string(`,"totals":[`)
		j.bins(r.total)
		j.string(`],"intervals":[`)
		j.bins(r.interval)
		j.string(`],"percentiles":`)
		j.quantiles(r)
	default:
		j.string(`,"values":`)
		j.quantiles(r)
	}
	j.string("}")
}

func (j *jsonWriter) quantiles(r *row) {
	for i, percent := range supportedQuantiles {
		j.string(opening(i))
		j.string(`{"cumulative":`)
		j.float(r.total.Quantile(percent/100), "null")
		j.string(`,"interval":`)
		j.float(r.interval.Quantile(percent/100), "null")
		j.string("}")
	}
	j.string("]")
}

func (j *jsonWriter) writeBuckets(r *row, name string) {
	j.buckets.fill(r, j.store.bounds(name), j.mode)
	j.string("[")
	for i, bound := range j.buckets.bounds {
		if i > 0 {
			j.string(",")
		}
		j.string(`{"upper_bound":`)
		j.float(bound, "null")
		j.string(`,"interval":`)
		j.uint(j.buckets.interval[i])
		j.string(`,"cumulative":`)
		j.uint(j.buckets.total[i])
		j.string("}")
	}
	j.string("]")
}

func (j *jsonWriter) bins(d Distribution) {
	first := true
	d.bins(func(lower, width float64, n uint64) {
		if !first {
			j.string(",")
		}
		first = false
		j.string(`{"lower_bound":`)
		j.float(lower, "null")
		j.string(`,"width":`)
		j.float(width, "null")
		j.string(`,"count":`)
		j.uint(n)
		j.string("}")
	})
}
