package cors

import (
	"cmp"
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
)

// Policy is a compiled policy of one level.
type Policy struct {
	config  *config.CORSPolicy
	origins []route.StringMatcher
	any     bool // every origin is allowed

	enabled, shadow uint32 // in parts of a million
}

// Compile compiles a policy; fraction says what shares of requests are now.
func Compile(c *config.CORSPolicy, fraction func(config.RuntimeFraction) uint32) (*Policy, error) {
	p := &Policy{config: c, enabled: fraction(c.Enabled), shadow: fraction(c.Shadow)}
	for i := range c.AllowOrigin {
		m, err := route.CompileString(&c.AllowOrigin[i])
		if err != nil {
			return nil, fmt.Errorf("allow_origin_string_match[%d]: %w", i, err)
		}
		p.any = p.any || m.Match([]byte("*")) // so that any matcher of "*" is one of every origin, as in Envoy
		p.origins = append(p.origins, m)
	}
	return p, nil
}

// allows reports whether an origin may have what it asks for.
func (p *Policy) allows(origin []byte) bool {
	if p.any {
		return true
	}
	for i := range p.origins {
		if p.origins[i].Match(origin) {
			return true
		}
	}
	return false
}

// levels are the policies for a request, the most specific one first. Of each setting the first that is there counts.
type levels []any

// text returns the first text that is not empty.
func (l levels) text(of func(*config.CORSPolicy) string) (text string) {
	for _, p := range l {
		text = cmp.Or(text, of(p.(*Policy).config))
	}
	return text
}

// flag returns the first flag that is set.
func (l levels) flag(of func(*config.CORSPolicy) *bool, byDefault bool) bool {
	for _, p := range l {
		if set := of(p.(*Policy).config); set != nil {
			return *set
		}
	}
	return byDefault
}

// allows reports whether an origin is allowed by the first policy that has origins.
func (l levels) allows(origin []byte) bool {
	for _, p := range l {
		if p := p.(*Policy); len(p.origins) > 0 {
			return p.allows(origin)
		}
	}
	return false
}

// The settings.
func allowMethods(c *config.CORSPolicy) string     { return c.AllowMethods }
func allowHeaders(c *config.CORSPolicy) string     { return c.AllowHeaders }
func exposeHeaders(c *config.CORSPolicy) string    { return c.ExposeHeaders }
func maxAge(c *config.CORSPolicy) string           { return c.MaxAge }
func allowCredentials(c *config.CORSPolicy) *bool  { return c.AllowCredentials }
func privateNetwork(c *config.CORSPolicy) *bool    { return c.AllowPrivateNetworkAccess }
func forwardPreflights(c *config.CORSPolicy) *bool { return c.ForwardNotMatchingPreflights }
