package bootstrap

import (
	"fmt"
	"regexp"
	"slices"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const (
	// maxTagRegex bounds the expression of a tag in bytes: the longest that people have written are a tenth of it. Every name is
	// searched for every tag when it first occurs.
	maxTagRegex = 4096
	// maxBuckets bounds the buckets of a histogram, of which there are several for each cluster.
	maxBuckets = 1024
)

var (
	statsFields = map[protoreflect.Name]string{
		"stats_tags": handled, "use_all_default_tags": handled, "stats_matcher": handled, "histogram_bucket_settings": handled,
		"allow_default_tag_overrides": handled, // a tag of the configuration is tried before the default ones anyway
	}
	tagFields     = map[protoreflect.Name]string{"tag_name": handled, "regex": handled, "fixed_value": handled}
	matcherFields = map[protoreflect.Name]string{"reject_all": handled, "exclusion_list": handled, "inclusion_list": handled}
	listFields    = map[protoreflect.Name]string{"patterns": handled}
	bucketFields  = map[protoreflect.Name]string{"match": handled, "buckets": handled, "bins": "has no effect: the buckets alone say how fine a histogram is"}
)

// StatsConfig is envoy.config.metrics.v3.StatsConfig.
type StatsConfig struct {
	Tags []StatsTag
	// UseDefaultTags is use_all_default_tags, true by default.
	UseDefaultTags bool
	// Matcher tells which statistics there are; nil for all.
	Matcher *StatsMatcher
	// Buckets are the bounds of histograms, of which the first rule counts that matches.
	Buckets []HistogramBuckets
}

// StatsTag is a tag of statistics. One without Regex that is not Fixed is a default tag, by its name.
type StatsTag struct {
	Name  string
	Fixed bool
	Value string // of a Fixed one
	// Regex finds the tag in a name: the first capture is left out of the name, the second is the value.
	Regex string
}

// StatsMatcher tells which statistics there are: with Inclusion those that a pattern matches, otherwise the others.
type StatsMatcher struct {
	Inclusion bool
	Patterns  []config.StringMatcher
}

// HistogramBuckets are the upper bounds of the buckets of histograms whose names match, ascending.
type HistogramBuckets struct {
	Match  config.StringMatcher
	Bounds []float64
}

// stats decodes how statistics are shown.
func (d *decoder) stats(c *metricsv3.StatsConfig) {
	d.fields("stats_config", c, statsFields)
	out := &d.out.Stats
	out.UseDefaultTags = c.GetUseAllDefaultTags() == nil || c.GetUseAllDefaultTags().GetValue()
	named := make(map[string]bool)
	for i, t := range c.GetStatsTags() {
		path := fmt.Sprintf("stats_config.stats_tags[%d]", i)
		d.fields(path, t, tagFields)
		switch {
		case t.GetTagName() == "":
			d.errorf(path+".tag_name", "must not be empty")
			continue
		case named[t.GetTagName()]:
			d.errorf(path+".tag_name", "%q is the name of two tags", t.GetTagName())
			continue
		}
		named[t.GetTagName()] = true
		if tag, ok := d.statsTag(path, t); ok {
			out.Tags = append(out.Tags, tag)
		}
	}
	if m := c.GetStatsMatcher(); m != nil {
		out.Matcher = d.statsMatcher("stats_config.stats_matcher", m)
	}
	for i, b := range c.GetHistogramBucketSettings() {
		out.Buckets = append(out.Buckets, d.buckets(fmt.Sprintf("stats_config.histogram_bucket_settings[%d]", i), b))
	}
}

// statsTag decodes a tag. One whose expression only Envoy's engine knows is left out: names are as good without.
func (d *decoder) statsTag(path string, t *metricsv3.TagSpecifier) (StatsTag, bool) {
	tag := StatsTag{Name: t.GetTagName(), Regex: t.GetRegex()}
	if fixed, ok := t.GetTagValue().(*metricsv3.TagSpecifier_FixedValue); ok {
		tag.Fixed, tag.Value = true, fixed.FixedValue
		return tag, true
	}
	if tag.Regex == "" {
		return tag, true
	}
	if len(tag.Regex) > maxTagRegex {
		d.errorf(path+".regex", "is %d bytes long, at most %d are allowed", len(tag.Regex), maxTagRegex)
		return tag, false
	}
	re, err := regexp.Compile(tag.Regex)
	switch {
	case err != nil:
		d.warnf(path, "has no effect: the expression of tag %q is not one of RE2: %v", tag.Name, err)
		return tag, false
	case re.NumSubexp() == 0:
		d.errorf(path+".regex", "must have a capture, which is left out of names")
		return tag, false
	}
	return tag, true
}

func (d *decoder) statsMatcher(path string, m *metricsv3.StatsMatcher) *StatsMatcher {
	d.fields(path, m, matcherFields)
	var out StatsMatcher
	list := m.GetExclusionList()
	switch kind := m.GetStatsMatcher().(type) {
	case *metricsv3.StatsMatcher_RejectAll:
		if !kind.RejectAll {
			return nil
		}
		out.Inclusion = true
		return &out
	case *metricsv3.StatsMatcher_InclusionList:
		out.Inclusion, list, path = true, kind.InclusionList, path+".inclusion_list"
	default:
		path += ".exclusion_list"
	}
	d.fields(path, list, listFields)
	for i, p := range list.GetPatterns() {
		pattern, err := resource.StringMatcher(fmt.Sprintf("%s.patterns[%d]", path, i), p)
		d.add(err)
		out.Patterns = append(out.Patterns, pattern)
	}
	return &out
}

func (d *decoder) buckets(path string, b *metricsv3.HistogramBucketSettings) HistogramBuckets {
	d.fields(path, b, bucketFields)
	match, err := resource.StringMatcher(path+".match", b.GetMatch())
	d.add(err)
	if len(b.GetBuckets()) > maxBuckets {
		d.errorf(path+".buckets", "has %d values, at most %d are allowed", len(b.GetBuckets()), maxBuckets)
	}
	return HistogramBuckets{match, slices.Sorted(slices.Values(b.GetBuckets()))}
}
