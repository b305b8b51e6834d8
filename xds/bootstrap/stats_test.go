package bootstrap

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

func TestStatsConfig(t *testing.T) {
	tests := map[string]struct {
		want     StatsConfig
		warnings []string
	}{
		"{}": {StatsConfig{UseDefaultTags: true}, nil},
		"{use_all_default_tags: false, stats_tags: [{tag_name: envoy.cluster_name}, {tag_name: a, fixed_value: b}, {tag_name: c, regex: '^(d)'}]}": {
			StatsConfig{Tags: []StatsTag{{Name: "envoy.cluster_name"}, {Name: "a", Fixed: true, Value: "b"}, {Name: "c", Regex: "^(d)"}}}, nil},
		"{stats_tags: {tag_name: a, fixed_value: ''}}": {StatsConfig{UseDefaultTags: true, Tags: []StatsTag{{Name: "a", Fixed: true}}}, nil},
		"{stats_tags: {tag_name: a, regex: '^listener(?=\\.)(.)'}}": {StatsConfig{UseDefaultTags: true}, []string{
			"stats_config.stats_tags[0]: has no effect: the expression of tag \"a\" is not one of RE2: error parsing regexp: invalid or unsupported Perl syntax: `(?=`"}},
		"{stats_matcher: {reject_all: true}}":  {StatsConfig{UseDefaultTags: true, Matcher: &StatsMatcher{Inclusion: true}}, nil},
		"{stats_matcher: {reject_all: false}}": {StatsConfig{UseDefaultTags: true}, nil},
		"{stats_matcher: {exclusion_list: {patterns: [{prefix: A, ignore_case: y}]}}}": {StatsConfig{UseDefaultTags: true, Matcher: &StatsMatcher{
			Patterns: []config.StringMatcher{{Kind: config.StringPrefix, Value: "a", IgnoreCase: true}}}}, nil},
		"{stats_matcher: {inclusion_list: {patterns: [{safe_regex: {google_re2: {}, regex: a.*}}]}}}": {StatsConfig{UseDefaultTags: true, Matcher: &StatsMatcher{
			Inclusion: true, Patterns: []config.StringMatcher{{Kind: config.StringRegex, Regex: regexp.MustCompile(`\A(?:a.*)\z`)}}}}, nil},
		"{histogram_bucket_settings: [{match: {suffix: x}, buckets: [5, 1, 2.5]}]}": {StatsConfig{UseDefaultTags: true, Buckets: []HistogramBuckets{
			{config.StringMatcher{Kind: config.StringSuffix, Value: "x"}, []float64{1, 2.5, 5}}}}, nil},
		"{histogram_bucket_settings: [{match: {exact: x}, buckets: [5], bins: 7}]}": {StatsConfig{UseDefaultTags: true, Buckets: []HistogramBuckets{
			{config.StringMatcher{Kind: config.StringExact, Value: "x"}, []float64{5}}}}, []string{
			"stats_config.histogram_bucket_settings[0].bins: has no effect: the buckets alone say how fine a histogram is"}},
	}
	for text, test := range tests {
		b, err := Parse("f", []byte("stats_config: "+text), protofile.YAML, Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		equal(t, b.Stats, test.want)
		equal(t, b.Warnings, test.warnings)
	}
}

func TestStatsConfigRefused(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("1,", maxBuckets+1), ",")
	tests := map[string]string{
		"{stats_tags: [{fixed_value: x}]}":                                                   "f: stats_config.stats_tags[0].tag_name: must not be empty",
		"{stats_tags: [{tag_name: a}, {tag_name: a}]}":                                       `f: stats_config.stats_tags[1].tag_name: "a" is the name of two tags`,
		"{stats_tags: [{tag_name: a, regex: b}]}":                                            "f: stats_config.stats_tags[0].regex: must have a capture, which is left out of names",
		"{stats_matcher: {}}":                                                                "f: bootstrap: stats_config.stats_matcher.stats_matcher: value is required",
		"{stats_matcher: {inclusion_list: {patterns: {safe_regex: {regex: '('}}}}}":          "f: stats_config.stats_matcher.inclusion_list.patterns[0]: safe_regex.regex: error parsing regexp: missing closing ): `(`",
		"{histogram_bucket_settings: [{match: {prefix: a}, buckets: [0]}]}":                  "f: bootstrap: stats_config.histogram_bucket_settings[0].buckets[0]: value must be greater than 0",
		"{histogram_bucket_settings: [{match: {prefix: a}, buckets: [" + many + "]}]}":       fmt.Sprintf("f: stats_config.histogram_bucket_settings[0].buckets: has %d values, at most %d are allowed", maxBuckets+1, maxBuckets),
		"{stats_tags: [{tag_name: a, regex: '" + strings.Repeat("(a)", maxTagRegex) + "'}]}": fmt.Sprintf("f: stats_config.stats_tags[0].regex: is %d bytes long, at most %d are allowed", 3*maxTagRegex, maxTagRegex),
	}
	for text, want := range tests {
		_, err := Parse("f", []byte("stats_config: "+text), protofile.YAML, Options{})
		if err == nil || !strings.Contains(err.Error()+"\n", want+"\n") {
			t.Errorf("%.80s:\ngot  %v\nwant %s", text, err, want)
		}
	}
}
