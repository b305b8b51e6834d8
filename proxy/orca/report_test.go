//lint:file-ignore SA1019 hosts still send the deprecated field

package orca

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"

	orcav3 "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

func metricsOf(names ...string) *Metrics {
	return NewMetrics(&config.LoadReports{ErrorPenalty: 1, Metrics: names})
}

// fieldsOf returns fields of names and values in turn.
func fieldsOf(pairs ...string) *message.Fields {
	f := new(message.Fields)
	for i := 0; i < len(pairs); i += 2 {
		f.AddRaw([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	return f
}

// packed returns a report as a message in base64.
func packed(t testing.TB, m *orcav3.OrcaLoadReport) string {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func TestWeightOfFormats(t *testing.T) {
	report := &orcav3.OrcaLoadReport{
		CpuUtilization: .5, MemUtilization: .9, Rps: 7, RpsFractional: 1000, Eps: 0, RequestCost: map[string]float64{"a": 3},
		Utilization: map[string]float64{"disk": .25}, NamedMetrics: map[string]float64{"queue": .125, "": 2},
	}
	binary := packed(t, report)
	const json = `{"cpu_utilization":0.5, "memUtilization" : "0.9","rps":"7","rpsFractional":1e3,"eps":null,` +
		`"request_cost":{"a":3},"utilization":{"disk":0.25},"namedMetrics":{"queue":.125,"a\"b":2}}`
	tests := map[string]struct {
		fields []string
		names  []string
		want   uint32
	}{
		"text":                       {[]string{"endpoint-load-metrics", "TEXT cpu_utilization:0.5, rps_fractional: 1e3,eps:0,,"}, nil, 2000},
		"text, named":                {[]string{"endpoint-load-metrics", "TEXT rps_fractional:10,named_metrics.a.b:0.1,named_metrics.c:0.2"}, []string{"named_metrics.a.b"}, 100},
		"JSON":                       {[]string{"endpoint-load-metrics", "JSON " + json}, nil, 2000},
		"JSON, named":                {[]string{"endpoint-load-metrics", "JSON " + json}, []string{"named_metrics.queue"}, 8000},
		"JSON, utilization":          {[]string{"endpoint-load-metrics", "JSON " + json}, []string{"utilization.disk", "named_metrics.queue"}, 4000},
		"JSON, cost":                 {[]string{"endpoint-load-metrics", "JSON " + json}, []string{"request_cost.a"}, 333},
		"binary":                     {[]string{"endpoint-load-metrics", "BIN " + binary}, nil, 2000},
		"binary, named":              {[]string{"endpoint-load-metrics", "BIN " + binary}, []string{"named_metrics.queue", "cpu_utilization"}, 2000},
		"binary, the empty name":     {[]string{"endpoint-load-metrics", "BIN " + binary}, []string{"named_metrics."}, 500},
		"gRPC's field":               {[]string{"endpoint-load-metrics-bin", binary}, []string{"mem_utilization"}, 1111},
		"gRPC's field goes first":    {[]string{"endpoint-load-metrics", "TEXT what", "endpoint-load-metrics-bin", binary}, nil, 2000},
		"without padding":            {[]string{"endpoint-load-metrics-bin", strings.TrimRight(binary, "=")}, nil, 2000},
		"a metric that cannot be":    {[]string{"endpoint-load-metrics", "BIN " + binary}, []string{"named_metric.queue", "cpu"}, 2000},
		"the first of two reports":   {[]string{"endpoint-load-metrics", "TEXT cpu_utilization:0.5,rps_fractional:1", "endpoint-load-metrics", "TEXT x"}, nil, 2},
		"the application before CPU": {[]string{"endpoint-load-metrics", "TEXT cpu_utilization:0.5,application_utilization:0.1,rps_fractional:10"}, nil, 100},
		"what was asked goes first":  {[]string{"endpoint-load-metrics", "TEXT cpu_utilization:0.5,application_utilization:0.1,rps_fractional:10"}, []string{"cpu_utilization"}, 20},
		"errors":                     {[]string{"endpoint-load-metrics", "TEXT cpu_utilization:0.5,eps:5,rps_fractional:10"}, nil, 10},
		"errors alone":               {[]string{"endpoint-load-metrics", "TEXT eps:5,rps_fractional:10"}, nil, 20},
		"less than one":              {[]string{"endpoint-load-metrics", "TEXT cpu_utilization:2,rps_fractional:1"}, nil, 0},
		"more than fits":             {[]string{"endpoint-load-metrics", "TEXT cpu_utilization:1e-9,rps_fractional:1e9"}, nil, math.MaxUint32},
	}
	for name, tc := range tests {
		if got, ok := metricsOf(tc.names...).Weight(fieldsOf(tc.fields...)); !ok || got != tc.want {
			t.Errorf("%s: %d, %v, want %d", name, got, ok, tc.want)
		}
	}
}

func TestReportsOfNoUse(t *testing.T) {
	nan := packed(t, &orcav3.OrcaLoadReport{CpuUtilization: .5, RpsFractional: math.NaN()})
	endless := packed(t, &orcav3.OrcaLoadReport{CpuUtilization: .5, RpsFractional: 1, NamedMetrics: map[string]float64{"a": math.Inf(1)}})
	large := packed(t, &orcav3.OrcaLoadReport{CpuUtilization: .5, RpsFractional: 1, NamedMetrics: map[string]float64{strings.Repeat("a", maxBinary): 1}})
	for _, value := range []string{
		"", "TEX", "cpu_utilization:0.5,rps_fractional:1", "XML <a/>", "TEXT", "TEXT cpu_utilization:0.5", "TEXT rps_fractional:1",
		"TEXT cpu_utilization:0.5,rps_fractional:0", "TEXT cpu_utilization:0.5,rps_fractional:-1", "TEXT cpu_utilization:-1,rps_fractional:1",
		"TEXT cpu_utilization:0.5,rps_fractional", "TEXT cpu_utilization:0.5,rps_fractional:", "TEXT cpu_utilization:0.5,rps_fractional:x",
		"TEXT cpu_utilization:0.5,rps_fractional:NaN", "TEXT cpu_utilization:0.5,rps_fractional:Inf", "TEXT cpu_utilization:0x1p-1,rps_fractional:1",
		"TEXT cpu_utilization:0.5,rps_fractional:1_0", "TEXT cpu_utilization:0.5,rps_fractional:1e999",
		"TEXT cpu_utilization:0.5,rps_fractional:1,rps_fractional:1", "TEXT cpu_utilization:0.5,rps_fractional:1,unknown:1",
		"TEXT cpu_utilization:0.5,rps_fractional:1,named_metrics.:1", "TEXT cpu_utilization:0.5,rps_fractional:1,utilization.a:1",
		"TEXT cpu_utilization:0.5,rps_fractional:" + strings.Repeat("1", maxNumber+1),
		"JSON", "JSON {", "JSON []", `JSON {"cpu_utilization":0.5,"rps_fractional":1`, `JSON {"cpu_utilization":0.5,"rps_fractional":1}}`,
		`JSON {"cpu_utilization":0.5,"rps_fractional":1,}`, `JSON {"cpu_utilization":0.5 "rps_fractional":1}`, `JSON {"cpu_utilization" 0.5,"rps_fractional":1}`,
		`JSON {"cpu_utilization":0.5,"rps_fractional":1,"unknown":1}`, `JSON {"cpu_utilization":0.5,"rps_fractional":1,"unknown":null}`,
		`JSON {"cpu_utilization":0.5,"rps_fractional":1,"named_metrics":{"a":{}}}`, `JSON {"cpu_utilization":0.5,"rps_fractional":1,"named_metrics":1}`,
		`JSON {"cpu_utilization":0.5,"rps_fractional":1,"named_metrics":{"a":1`, `JSON {"cpu_utilization":0.5,"rps_fractional":1,"named_metrics":{"a":1 "b":1}}`,
		`JSON {"cpu_utilization":0.5,"rps_fractional":1,"` + strings.Repeat("a", 99) + `":1}`, `JSON {"cpu_utilization":0.5,"rps_fractional":true}`,
		`JSON {"cpu_utilization":0.5,"rps_fractional":"NaN"}`, `JSON {"cpu_utilization":0.5,"rps_fractional":"1}`,
		"BIN", "BIN !", "BIN " + nan, "BIN " + endless, "BIN " + large, "BIN CQ==", "BIN CgA", "BIN Cw", "BIN QgIJAA", "BIN Qv8", "BIN AA",
	} {
		if weight, ok := metricsOf().Weight(fieldsOf("endpoint-load-metrics", value)); ok {
			t.Errorf("%q has the weight %d", value, weight)
		}
	}
	if _, ok := metricsOf().Weight(fieldsOf("content-type", "text/plain")); ok {
		t.Error("an answer without a report has a weight")
	}
}

func TestWeightAllocates(t *testing.T) {
	m := metricsOf("named_metrics.queue", "cpu_utilization")
	binary := packed(t, &orcav3.OrcaLoadReport{CpuUtilization: .5, RpsFractional: 10, NamedMetrics: map[string]float64{"queue": 1}})
	for _, fields := range []*message.Fields{
		fieldsOf("endpoint-load-metrics", "TEXT cpu_utilization:0.5,rps_fractional:10,named_metrics.queue:1"),
		fieldsOf("endpoint-load-metrics", `JSON {"cpuUtilization":0.5,"rps_fractional":10,"named_metrics":{"queue":1}}`),
		fieldsOf("endpoint-load-metrics-bin", binary),
		fieldsOf("content-type", "text/plain"),
	} {
		if n := testing.AllocsPerRun(100, func() { m.Weight(fields) }); n != 0 {
			t.Errorf("%s: %v allocations", fields.All()[0].Value, n)
		}
	}
}

// FuzzWeight holds the parsers of reports against those of protobuf: what these take as a report of finite numbers has the same
// weight in ours, in both its forms.
func FuzzWeight(f *testing.F) {
	f.Add("TEXT cpu_utilization:0.5,rps_fractional:10,named_metrics.queue:1", []byte(nil))
	f.Add(`JSON {"cpuUtilization":"0.5","rps_fractional":1e1,"named_metrics":{"queue":1}}`, []byte(nil))
	seed, err := proto.Marshal(&orcav3.OrcaLoadReport{
		CpuUtilization: .5, MemUtilization: .9, Rps: 7, RpsFractional: 1000, Eps: 1, ApplicationUtilization: .5,
		RequestCost: map[string]float64{"a": 3}, Utilization: map[string]float64{"disk": .25}, NamedMetrics: map[string]float64{"queue": .125},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("BIN ", seed)
	m := metricsOf("named_metrics.queue", "mem_utilization", "utilization.disk")
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		m.Weight(fieldsOf("endpoint-load-metrics", text))
		got, ok := m.Weight(fieldsOf("endpoint-load-metrics-bin", base64.StdEncoding.EncodeToString(data)))
		var want orcav3.OrcaLoadReport
		if proto.Unmarshal(data, &want) != nil || len(data) > maxBinary {
			return
		}
		json, err := protojson.MarshalOptions{UseProtoNames: len(data)%2 == 0}.Marshal(&want)
		if err != nil {
			return
		}
		// Marshalled again, a key comes once; of one that comes twice the last counts there, and the largest here.
		again, err := proto.Marshal(&want)
		if err != nil || len(again) != len(data) {
			return
		}
		fromJSON, okJSON := m.Weight(fieldsOf("endpoint-load-metrics", "JSON "+string(json)))
		if got != fromJSON || ok != okJSON {
			t.Errorf("%x is %d, %v; as JSON %s it is %d, %v", data, got, ok, json, fromJSON, okJSON)
		}
		if !ok && plain(&want) {
			t.Errorf("%s is of no use", json)
		}
	})
}

// plain reports whether a report is of finite numbers and of use beyond doubt.
func plain(r *orcav3.OrcaLoadReport) bool {
	for _, group := range []map[string]float64{r.NamedMetrics, r.Utilization, r.RequestCost} {
		for _, v := range group {
			if !finite(v) {
				return false
			}
		}
	}
	return r.RpsFractional > 1e-3 && r.RpsFractional < 1e9 && r.CpuUtilization > 1e-3 && r.CpuUtilization < 1e9 && r.Eps >= 0 && r.Eps < 1e9 &&
		r.ApplicationUtilization >= 0 && r.ApplicationUtilization < 1e9 && finite(r.MemUtilization)
}
