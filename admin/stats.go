package admin

import (
	"bytes"
	"context"
	"fmt"
	"regexp"

	"github.com/valyala/fasthttp"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// statsFormat is the format parameter of /stats.
type statsFormat uint8

const (
	statsText statsFormat = iota
	statsJSON
	statsPrometheus
	statsHTML
	statsActiveHTML // reloads itself
)

// statsQuery is the parameters of /stats.
type statsQuery struct {
	stats.WriteOptions
	format statsFormat
	filter string // the source of WriteOptions.Filter
}

// matchNothing is the filter for hidden=showonly: what is hidden from /stats cannot be shown.
const matchNothing = `$.^`

// parseStatsQuery returns the parameters of r, or what to tell the client that is wrong with them.
func parseStatsQuery(r *request) (q statsQuery, wrong string) {
	q.UsedOnly = r.has("usedonly")
	q.TextReadouts = r.has("text_readouts")
	q.filter = r.value("filter")
	if q.filter != "" {
		filter, err := regexp.Compile(q.filter)
		if err != nil {
			return q, fmt.Sprintf("Invalid re2 regex: %s\n", visible(err.Error()))
		}
		q.Filter = filter
	}
	var ok bool
	if q.format, ok = parseStatsFormat(r.value("format")); !ok {
		return q, "usage: /stats?format=(html|active-html|json|prometheus|text)\n\n"
	}
	if q.Type, ok = parseStatType(r.value("type")); !ok {
		return q, "usage: /stats?type=(All|Counters|Histograms|Gauges|TextReadouts)\n\n"
	}
	if q.HistogramBuckets, ok = parseBucketMode(r.value("histogram_buckets")); !ok {
		return q, "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary)\n"
	}
	switch r.value("hidden") {
	case "", "include", "exclude":
	case "showonly":
		q.Filter = regexp.MustCompile(matchNothing)
	default:
		return q, "usage: /stats?hidden=(include|showonly|exclude)\n\n"
	}
	return q, ""
}

func parseStatsFormat(s string) (statsFormat, bool) {
	switch s {
	case "", "text":
		return statsText, true
	case "json":
		return statsJSON, true
	case "prometheus":
		return statsPrometheus, true
	case "html":
		return statsHTML, true
	case "active-html":
		return statsActiveHTML, true
	default:
		return 0, false
	}
}

func parseStatType(s string) (stats.StatType, bool) {
	switch s {
	case "", "All":
		return stats.AllTypes, true
	case "Counters":
		return stats.OnlyCounters, true
	case "Gauges":
		return stats.OnlyGauges, true
	case "Histograms":
		return stats.OnlyHistograms, true
	case "TextReadouts":
		return stats.OnlyTextReadouts, true
	default:
		return 0, false
	}
}

func parseBucketMode(s string) (stats.BucketMode, bool) {
	switch s {
	case "", "summary", "none":
		return stats.Summary, true
	case "cumulative":
		return stats.Cumulative, true
	case "disjoint":
		return stats.Disjoint, true
	case "detailed":
		return stats.Detailed, true
	default:
		return 0, false
	}
}

// stats is /stats.
func (a *surface) stats(r *request) {
	q, wrong := parseStatsQuery(r)
	if wrong != "" {
		r.bad(wrong)
		return
	}
	a.writeStats(r, &q)
}

// statsPrometheus is /stats/prometheus.
func (a *surface) statsPrometheus(r *request) {
	q, wrong := parseStatsQuery(r)
	if wrong != "" {
		r.bad(wrong)
		return
	}
	q.format = statsPrometheus
	a.writeStats(r, &q)
}

func (a *surface) writeStats(r *request, q *statsQuery) {
	snapshot := a.Stats.Snapshot(context.Background()) // bounds its wait itself
	mediaType := plainText
	body := r.ctx.Response.BodyWriter()
	var err error
	switch q.format {
	case statsJSON:
		mediaType = jsonText
		err = snapshot.WriteJSON(body, q.WriteOptions)
	case statsPrometheus:
		err = snapshot.WritePrometheus(body, q.WriteOptions)
	case statsHTML, statsActiveHTML:
		var text bytes.Buffer
		if err = snapshot.WriteText(&text, q.WriteOptions); err == nil {
			a.statsPage(r, q, text.String())
			return
		}
	default:
		err = snapshot.WriteText(body, q.WriteOptions)
	}
	if err != nil {
		r.ctx.Response.ResetBody()
		r.failed(err)
		return
	}
	setHeader(r.ctx, fasthttp.StatusOK, mediaType)
}
