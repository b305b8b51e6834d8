package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
)

// statsOptions says how statistics are shown: what stats_config of the bootstrap and --stats-tag say.
func statsOptions(c *bootstrap.StatsConfig, commandLine []string) (stats.Options, error) {
	o := stats.Options{NoDefaultTags: !c.UseDefaultTags}
	for _, tag := range commandLine {
		name, value, _ := strings.Cut(tag, ":")
		if slices.ContainsFunc(c.Tags, func(t bootstrap.StatsTag) bool { return t.Name == name }) {
			return o, fmt.Errorf("--stats-tag: %q is a tag of stats_config.stats_tags too", name)
		}
		o.Tags = append(o.Tags, stats.FixedTag(name, value))
	}
	for _, tag := range c.Tags {
		rules, err := tagRules(&tag)
		if err != nil {
			return o, fmt.Errorf("stats_config.stats_tags: %w", err)
		}
		if !c.UseDefaultTags || tag.Fixed || tag.Regex != "" { // else they are there
			o.Tags = append(o.Tags, rules...)
		}
	}
	if m := c.Matcher; m != nil {
		o.Reject = func(name string) bool {
			matches := slices.ContainsFunc(m.Patterns, func(p config.StringMatcher) bool { return p.Matches(name) })
			return matches != m.Inclusion
		}
	}
	for _, b := range c.Buckets {
		o.Buckets = append(o.Buckets, stats.BucketRule{Match: b.Match.Matches, Bounds: b.Bounds})
	}
	return o, nil
}

func tagRules(t *bootstrap.StatsTag) ([]stats.TagRule, error) {
	switch {
	case t.Fixed:
		return []stats.TagRule{stats.FixedTag(t.Name, t.Value)}, nil
	case t.Regex == "":
		return stats.DefaultTag(t.Name)
	}
	rule, err := stats.RegexTag(t.Name, t.Regex)
	return []stats.TagRule{rule}, err
}
