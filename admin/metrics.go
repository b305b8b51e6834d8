package admin

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/valyala/fasthttp/fasthttpadaptor"
	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// NewMetrics returns the server of /metrics: all statistics under Envoy's names, a few under the names of the module API,
// and those of the Go runtime and the process.
func NewMetrics(o Options) (*Server, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	process := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := process.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	scrape := fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(
		&metricsGatherer{stats: o.Stats, window: o.Window, process: process},
		promhttp.HandlerOpts{
			ErrorLog:            errorLogger{o.Logger.Sugar()},
			MaxRequestsInFlight: maxScrapes,
			CoalesceGather:      true,
		}))
	return newServer("metrics", o.Logger, serveEndpoints(endpoint{"/metrics", scrape})), nil
}

// errorLogger takes what promhttp cannot tell its client any more.
type errorLogger struct{ log *zap.SugaredLogger }

func (l errorLogger) Println(v ...any) { l.log.Error(v...) }

// metricsGatherer is a prometheus.Gatherer of everything on /metrics.
type metricsGatherer struct {
	stats   *stats.Store
	window  *stats.Window // may be nil
	process *prometheus.Registry
}

// Gather implements prometheus.Gatherer. The families of the three parts begin with "alb_", "envoy_", "go_" and "process_";
// a custom tag rule cannot change that, so they need not be checked for doubles.
func (g *metricsGatherer) Gather() ([]*dto.MetricFamily, error) {
	process, err := g.process.Gather()
	snapshot := g.stats.Snapshot(context.Background()) // bounds its wait itself
	return slices.Concat(moduleFamilies(snapshot, g.window), snapshot.Families(stats.WriteOptions{}), process), err
}

// trafficTotals adds up what the listeners have seen.
type trafficTotals struct {
	connections, active, requests uint64
}

func newTrafficTotals(sn *stats.Snapshot) (t trafficTotals) {
	for s := range sn.All() {
		if !isTraffic(s.Name) {
			continue
		}
		switch {
		case strings.HasSuffix(s.Name, ".downstream_cx_total"):
			t.connections += s.Value
		case strings.HasSuffix(s.Name, ".downstream_cx_active"):
			t.active += s.Value
		case strings.HasSuffix(s.Name, ".downstream_rq_total"):
			t.requests += s.Value
		}
	}
	return t
}

// isTraffic reports whether a statistic or a prefix is of a connection manager other than the administration interface's.
func isTraffic(name string) bool {
	return strings.HasPrefix(name, "http.") && !strings.HasPrefix(name, adminPrefix)
}

// moduleFamilies returns the metrics of the module API, which older dashboards query.
func moduleFamilies(sn *stats.Snapshot, window *stats.Window) []*dto.MetricFamily {
	t := newTrafficTotals(sn)
	families := []*dto.MetricFamily{
		family("alb_total_connections", "Connections accepted.", dto.MetricType_COUNTER, metric{value: float64(t.connections)}),
		family("alb_active_connections", "Connections open.", dto.MetricType_GAUGE, metric{value: float64(t.active)}),
		family("alb_total_requests", "Requests received.", dto.MetricType_COUNTER, metric{value: float64(t.requests)}),
	}
	if window != nil {
		families = append(families, windowFamilies(window)...)
	}
	responses := sn.StatusCodes(isTraffic)
	var byStatus []metric
	for status, n := range responses {
		byStatus = append(byStatus, metric{"status", strconv.Itoa(status), float64(n)})
	}
	slices.SortFunc(byStatus, func(a, b metric) int { return strings.Compare(a.label, b.label) })
	if byStatus == nil {
		return families // a family without metrics is an error of the exposition
	}
	return append(families, family("alb_responses_total", "Responses sent, by status.", dto.MetricType_COUNTER, byStatus...))
}

// windowFamilies returns the metrics of the last minute. Quantiles of no requests are 0, as the module API has them.
func windowFamilies(window *stats.Window) []*dto.MetricFamily {
	last, _ := window.Last()
	var quantiles []metric
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99} {
		value := last.Quantile(q)
		if math.IsNaN(value) {
			value = 0
		}
		quantiles = append(quantiles, metric{"quantile", strconv.FormatFloat(q, 'g', -1, 64), value})
	}
	return []*dto.MetricFamily{
		family("alb_requests_per_second", "Requests per second over the last minute.", dto.MetricType_GAUGE,
			metric{value: window.PerSecond()}),
		family("alb_latency_ms", "Request time over the last minute, in milliseconds.", dto.MetricType_GAUGE, quantiles...),
	}
}

// metric is a value with at most one label.
type metric struct {
	labelName, label string
	value            float64
}

// family returns counters or gauges as Prometheus libraries take them.
func family(name, help string, kind dto.MetricType, metrics ...metric) *dto.MetricFamily {
	f := &dto.MetricFamily{Name: &name, Help: &help, Type: &kind}
	for _, m := range metrics {
		d := &dto.Metric{}
		if m.labelName != "" {
			d.Label = []*dto.LabelPair{{Name: &m.labelName, Value: &m.label}}
		}
		if kind == dto.MetricType_COUNTER {
			d.Counter = &dto.Counter{Value: &m.value}
		} else {
			d.Gauge = &dto.Gauge{Value: &m.value}
		}
		f.Metric = append(f.Metric, d)
	}
	return f
}
