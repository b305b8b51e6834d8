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

// routeFilters compiles what is said to filters for a route, and for those of its targets that have something to say themselves.
func (c *compiler) routeFilters(r *Route) error {
	own, err := c.compileFilters(r.Config.Filters)
	if err != nil {
		return err
	}
	r.filters = mergeFilters(own, r.VirtualHost.filters, c.filters)
	if err := c.routeCORS(r); err != nil {
		return err
	}
	for i := range r.targets {
		t := &r.targets[i]
		specific, err := c.compileFilters(t.Config.Filters)
		if err != nil {
			return fmt.Errorf("cluster %q: %w", t.Name, err)
		}
		if len(specific) > 0 {
			t.filters = mergeFilters(specific, own, r.VirtualHost.filters, c.filters)
		}
	}
	return nil
}

// compileCORS compiles a deprecated field cors, to nil where there is none.
func (c *compiler) compileCORS(p *config.CORSPolicy) (any, error) {
	if p == nil || c.options.CompileFilter == nil {
		return nil, nil
	}
	made, err := c.options.CompileFilter(p, c.fraction)
	if err != nil {
		return nil, fmt.Errorf("cors: %w", err)
	}
	return made, nil
}

// routeCORS gathers what the deprecated fields cors say about a route.
func (c *compiler) routeCORS(r *Route) error {
	if r.Config.Forward != nil {
		own, err := c.compileCORS(r.Config.Forward.CORS)
		if err != nil {
			return err
		}
		if own != nil {
			r.cors = append(r.cors, own)
		}
	}
	if r.VirtualHost.cors != nil {
		r.cors = append(r.cors, r.VirtualHost.cors)
	}
	return nil
}

// CORS returns what the filter cors goes by where nothing is said to it: the deprecated fields cors, that of the route first.
func (r *Route) CORS() []any { return r.cors }

// Filter returns what is said to the filter of that name for requests to target, which is nil where it is not known; nil for nothing.
func (r *Route) Filter(name string, target *Target) *FilterConfig {
	filters := r.filters
	if target != nil && target.filters != nil {
		filters = target.filters
	}
	for i := range filters {
		if filters[i].Name == name {
			return &filters[i]
		}
	}
	return nil
}
