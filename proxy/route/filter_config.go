package route

import (
	"fmt"
	"maps"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// FilterConfig is what a route and what is above it say to one filter.
type FilterConfig struct {
	Name string // of the filter in http_filters
	// Configs are compiled, those of the route itself first.
	Configs []any
	// Disabled says that the filter does nothing for the route. What is said last, by the most specific level, counts.
	Disabled bool
}

// CompileFilter compiles what a route says to a filter. fraction says what shares of requests are now.
type CompileFilter func(config any, fraction func(config.RuntimeFraction) uint32) (any, error)

// compileFilters compiles what one level says to filters.
func (c *compiler) compileFilters(said config.FilterConfigs) (map[string]FilterConfig, error) {
	if len(said) == 0 {
		return nil, nil
	}
	compiled := make(map[string]FilterConfig, len(said))
	for name, f := range said {
		out := FilterConfig{Name: name, Disabled: f.Disabled}
		if f.Config != nil && c.options.CompileFilter != nil {
			made, err := c.options.CompileFilter(f.Config, c.fraction)
			if err != nil {
				return nil, fmt.Errorf("typed_per_filter_config[%q]: %w", name, err)
			}
			out.Configs = []any{made}
		}
		compiled[name] = out
	}
	return compiled, nil
}

// mergeFilters merges what levels say, the most specific one first.
func mergeFilters(levels ...map[string]FilterConfig) []FilterConfig {
	merged := make(map[string]FilterConfig)
	for _, level := range levels {
		for name, f := range level {
			known, ok := merged[name]
			if !ok {
				merged[name] = FilterConfig{Name: name, Configs: slices.Clone(f.Configs), Disabled: f.Disabled}
				continue
			}
			known.Configs = append(known.Configs, f.Configs...)
			merged[name] = known
		}
	}
	list := make([]FilterConfig, 0, len(merged))
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		list = append(list, merged[name])
	}
	return list
}

// Filter returns what is said to the filter of that name, nil for nothing.
func (r *Route) Filter(name string) *FilterConfig {
	for i := range r.filters {
		if r.filters[i].Name == name {
			return &r.filters[i]
		}
	}
	return nil
}
