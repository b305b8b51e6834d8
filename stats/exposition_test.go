package stats

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

var update = flag.Bool("update", false, "write the golden files anew")

var _ prometheus.Gatherer = (*Gatherer)(nil)

// small is a schema with one statistic of each kind.
var small = NewSchema([]Def{
	{Name: "rq_total"},
	{Name: "cx_active", Kind: Gauge},
	{Name: "upstream_rq_", Kind: StatusCode},
	{Name: "rq_time", Kind: Histogram, Unit: Milliseconds},
	{Name: "size", Kind: Histogram, Unit: Bytes},
	{Name: "late_time", Kind: Histogram, Unit: Milliseconds, Dynamic: true},
}...)

// exampleStore returns a store whose expositions show what there is to show.
func exampleStore(t testing.TB) *Store {
	s := NewStore(Options{
		Tags:    []TagRule{FixedTag("module_type", "ALB")},
		Buckets: []BucketRule{{Match: func(name string) bool { return strings.HasSuffix(name, ".size") }, Bounds: []float64{100, 1000}}},
	})
	foo, dotted := s.Scope("cluster.foo.", small), s.Scope("cluster.a.b.", small)
	odd := s.Scope("cluster.say \"hé\"\\\nx.", small)
	s.Scope("cluster.idle.", small)
	classes := s.Scope("http.in.", NewSchema(Def{Name: "downstream_rq_", Kind: StatusClass}))
	s.Counter("cluster.foo.bound_between").Inc() // a name among those of a scope
	s.Gauge("server.live").Set(1)
	s.Text("server.motto", func() string { return "say \"hi\"\n" })
	startWorker(t, s).do(func(sh *Shard) {
		b := sh.Block(foo)
		b.Add(0, 41)
		b.Set(1, 7)
		for _, code := range []int{200, 200, 204, 301, 503, 777} {
			b.IncStatusOf(2, code)
		}
		for _, micros := range []uint64{400, 1000, 1000, 20_000, 3_000_000} {
			b.Record(3, micros)
		}
		b.Record(4, 512)
		sh.Block(dotted).Inc(0)
		sh.Block(odd).Inc(0)
		sh.Block(classes).IncStatus(204)
	})
	s.Flush()
	foo.Record(3, 90_000)
	return s
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		if i >= len(gotLines) || i >= len(wantLines) || gotLines[i] != wantLines[i] {
			t.Fatalf("%s differs from line %d on; got\n%s", path, i+1, strings.Join(gotLines[min(i, len(gotLines)):min(i+5, len(gotLines))], "\n"))
		}
	}
}

func TestGolden(t *testing.T) {
	sn := exampleStore(t).Snapshot(t.Context())
	for mode, suffix := range map[BucketMode]string{Summary: "", Cumulative: "_cumulative", Disjoint: "_disjoint", Detailed: "_detailed"} {
		var text, js bytes.Buffer
		if err := errors.Join(
			sn.WriteText(&text, WriteOptions{HistogramBuckets: mode}),
			sn.WriteJSON(&js, WriteOptions{HistogramBuckets: mode}),
		); err != nil {
			t.Fatal(err)
		}
		golden(t, "stats"+suffix+".txt", text.Bytes())
		if !json.Valid(js.Bytes()) {
			t.Errorf("not JSON: %s", &js)
		}
		golden(t, "stats"+suffix+".json", append(js.Bytes(), '\n'))
	}
	var prom bytes.Buffer
	if err := sn.WritePrometheus(&prom, WriteOptions{TextReadouts: true}); err != nil {
		t.Fatal(err)
	}
	golden(t, "stats.prom", prom.Bytes())
}

func TestWriteOptions(t *testing.T) {
	sn := exampleStore(t).Snapshot(t.Context())
	for name, test := range map[string]struct {
		o    WriteOptions
		want []string
	}{
		"filter":        {WriteOptions{Filter: regexp.MustCompile(`foo\.(rq_total|cx)`)}, []string{"cluster.foo.cx_active", "cluster.foo.rq_total"}},
		"anchor":        {WriteOptions{Filter: regexp.MustCompile(`^cluster\.idle\.rq_total$`)}, []string{"cluster.idle.rq_total"}},
		"text readouts": {WriteOptions{Type: OnlyTextReadouts}, []string{"server.motto"}},
		"gauges in use": {WriteOptions{Type: OnlyGauges, UsedOnly: true}, []string{"cluster.foo.cx_active", "server.live"}},
		"histograms in use": {
			WriteOptions{Type: OnlyHistograms, UsedOnly: true}, []string{"cluster.foo.rq_time", "cluster.foo.size"},
		},
		"counters in use": {
			WriteOptions{Type: OnlyCounters, UsedOnly: true, Filter: regexp.MustCompile("total$")},
			[]string{"cluster.a.b.rq_total", "cluster.foo.rq_total", "cluster.say \"hé\"\\"}, // the last name has a newline
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := sn.WriteText(&b, test.o); err != nil {
				t.Fatal(err)
			}
			var names []string
			for line := range strings.Lines(b.String()) {
				if name, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); !strings.HasPrefix(name, "x.") {
					names = append(names, name)
				}
			}
			if !slices.Equal(names, test.want) {
				t.Errorf("got %q, want %q", names, test.want)
			}
		})
	}
}

// failing fails every write.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestWriteErrorsAreReturned(t *testing.T) {
	sn := exampleStore(t).Snapshot(t.Context())
	for name, err := range map[string]error{
		"text":       sn.WriteText(failing{}, WriteOptions{}),
		"JSON":       sn.WriteJSON(failing{}, WriteOptions{}),
		"Prometheus": sn.WritePrometheus(failing{}, WriteOptions{}),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrometheusTextParses(t *testing.T) {
	s := exampleStore(t)
	var b bytes.Buffer
	if err := s.Snapshot(t.Context()).WritePrometheus(&b, WriteOptions{TextReadouts: true}); err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(&b)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]bool{}
	for _, f := range families {
		for _, m := range f.Metric {
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["module_type"] != "ALB" {
				t.Errorf("%s has labels %v", f.GetName(), labels)
			}
			values[labels["envoy_cluster_name"]] = true
		}
	}
	if !values["say \"hé\"\\\nx"] {
		t.Errorf("the odd name is not among %v", values)
	}
	h := families["envoy_cluster_rq_time"]
	if h.GetType() != dto.MetricType_HISTOGRAM {
		t.Fatalf("envoy_cluster_rq_time is %v", h.GetType())
	}
	for _, m := range h.Metric {
		if n := len(m.Histogram.Bucket); n != len(DefaultBuckets())+1 {
			t.Errorf("%d buckets", n)
		}
	}
}

func TestRegistryAcceptsTheFamilies(t *testing.T) {
	s := NewStore(Options{Tags: []TagRule{FixedTag("module_type", "ALB")}})
	s.Scope("cluster.a.b.", Cluster)
	s.Scope("http.in.", HTTP)
	s.Scope("server.", Server)
	s.Scope("listener.0.0.0.0:80.", Listener)
	s.Scope("listener.0.0.0.0:80.worker_0.", ListenerWorker)
	s.Scope("cluster.c.", Cluster).Inc(ClusterUpstreamRqTotal)
	// Gatherers check that families are consistent and no sample occurs twice.
	if _, err := (prometheus.Gatherers{&Gatherer{Store: s}}).Gather(); err != nil {
		t.Error(err)
	}
}

func TestFamilyHasOneType(t *testing.T) {
	s := NewStore(Options{})
	s.Counter("cluster.foo.x").Inc()
	s.Gauge("cluster.bar.x").Set(2)
	families := s.Snapshot(t.Context()).Families(WriteOptions{})
	var got []string
	for _, f := range families {
		got = append(got, f.GetName()+" "+f.GetType().String())
	}
	if want := []string{"envoy_cluster_x_counter COUNTER", "envoy_cluster_x GAUGE"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
