package admin

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// statsFixture has some statistics that begin with "test".
func statsFixture() *fixture {
	f := newFixture()
	s := f.options.Stats
	s.Counter("test.used").Add(3)
	s.Counter("test.unused")
	s.Gauge("test.gauge").Set(7)
	s.Text("test.text", func() string { return `a "b"` })
	sc := s.Scope("test.", stats.Subscription)
	sc.Record(stats.SubscriptionUpdateDuration, 10)
	sc.Record(stats.SubscriptionUpdateDuration, 30)
	return f
}

func TestStatsGolden(t *testing.T) {
	p := statsFixture().admin(t)
	const filter = "filter=^test%5C.(used|unused|gauge|text|update_duration)"
	for _, tc := range []struct{ target, mediaType, file string }{
		{"/stats?" + filter, plainText, "stats.txt"},
		{"/stats?usedonly&" + filter, plainText, "stats_usedonly.txt"},
		{"/stats?format=json&" + filter, jsonText, "stats.json"},
		{"/stats?format=json&histogram_buckets=cumulative&type=Histograms&" + filter, jsonText, "stats_cumulative.json"},
		{"/stats?format=prometheus&" + filter, plainText, "stats.prometheus"},
		{"/stats/prometheus?text_readouts&" + filter, plainText, "stats_text_readouts.prometheus"},
		{"/stats?format=html&" + filter, htmlText, "stats.html"},
		{"/stats?hidden=showonly", plainText, "empty.txt"},
	} {
		a := p.get(tc.target)
		if got := a.Header.Get("Content-Type"); a.StatusCode != 200 || got != tc.mediaType {
			t.Errorf("%s: %d %s, want 200 %s", tc.target, a.StatusCode, got, tc.mediaType)
		}
		golden(t, tc.file, a.body)
	}
}

func TestStatsBadParameters(t *testing.T) {
	p := statsFixture().admin(t)
	for query, begin := range map[string]string{
		"filter=(":               "Invalid re2 regex",
		"format=yaml":            "usage: /stats?format=(html|active-html|json|prometheus|text)\n\n",
		"type=Counter":           "usage: /stats?type=(All|Counters|Histograms|Gauges|TextReadouts)\n\n",
		"histogram_buckets=many": "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary)\n",
		"hidden=yes":             "usage: /stats?hidden=(include|showonly|exclude)\n\n",
	} {
		for _, path := range []string{"/stats?", "/stats/prometheus?"} {
			if a := p.get(path + query); a.StatusCode != 400 || !strings.HasPrefix(a.body, begin) {
				t.Errorf("%s%s: %d %q", path, query, a.StatusCode, a.body)
			}
		}
	}
}

func TestStatsOfEverythingParse(t *testing.T) {
	f := statsFixture()
	f.options.Stats.Counter("evil\n\x1b\"\\.total").Inc()
	f.options.Stats.Scope("cluster.a\"b\\c\nd.", stats.Cluster)
	p := f.admin(t)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(p.get("/stats/prometheus?text_readouts").body)); err != nil {
		t.Error(err)
	}
	if body := p.get("/stats?format=json").body; !json.Valid([]byte(body)) {
		t.Errorf("not JSON: %s", body)
	}
}

func TestResetCounters(t *testing.T) {
	f := statsFixture()
	p := f.admin(t)
	p.do("POST", "/reset_counters").want(t, 200, "OK\n")
	p.get("/stats?filter=^test.(used|gauge)").want(t, 200, "test.gauge: 7\ntest.used: 0\n")
}
