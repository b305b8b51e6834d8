package route

import (
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Route is a compiled route.
type Route struct {
	Name string
	// Index is the position of the route in Table.Routes, for whoever keeps counters or limiters per route.
	Index       int
	Config      *config.Route
	VirtualHost *VirtualHost

	path       pathMatcher
	conditions conditions

	targets []Target
	total   uint64 // sum of the weights of targets

	// HashPolicies make the hash that clusters of consistent hashing go by.
	HashPolicies HashPolicies

	group            *StatGroup // of its stat_prefix, nil without one
	retry            *Retry     // of a route that forwards
	hedges           bool
	mirrors          []Mirror
	internalRedirect *InternalRedirect // nil for none
	filters          []FilterConfig
	cors             []any  // compiled
	body             format // of a direct response with a format

	clusterMatcher *matcher[*Target]             // that leads to one of targets; nil where their weights do
	splitField     requestField                  // header_name of weighted_clusters; no name for none
	clusterField   requestField                  // cluster_header
	clusterIndex   func(name string) (int, bool) // nil without cluster_header

	rewrite   rewriter
	redirect  redirect
	hostField requestField // host_rewrite_header; no name for none

	mutatesRequest, mutatesResponse bool
	mostSpecificLast                bool
	request, response               []*mutations // of all levels but the target's, in the order of evaluation
}

func (c *compiler) route(vh *VirtualHost, rc *config.Route) (*Route, error) {
	r := &Route{Name: rc.Name, Config: rc, VirtualHost: vh, mostSpecificLast: c.config.MostSpecificMutationsWins}
	var err error
	if r.path, err = compilePath(&rc.Match); err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	if r.conditions, err = compileConditions(&rc.Match, c.fraction(rc.Match.Fraction)); err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	if err := c.action(r); err != nil {
		return nil, err
	}
	if rc.StatPrefix != "" {
		r.group = c.statGroup(vh.Name, "route", rc.StatPrefix)
	}
	if err := c.routeFilters(r); err != nil {
		return nil, err
	}
	request, response, err := compileMutations(&rc.HeaderMutations)
	if err != nil {
		return nil, err
	}
	r.request = mutationOrder(r.mostSpecificLast, request, vh.request, c.request)
	r.response = mutationOrder(r.mostSpecificLast, response, vh.response, c.response)
	r.mutatesRequest, r.mutatesResponse = len(r.request) > 0, len(r.response) > 0
	for i := range r.targets {
		r.mutatesRequest = r.mutatesRequest || r.targets[i].request != nil
		r.mutatesResponse = r.mutatesResponse || r.targets[i].response != nil
	}
	return r, nil
}

// action compiles the one action that the route has.
func (c *compiler) action(r *Route) error {
	forward, redirect := r.Config.Forward, r.Config.Redirect
	actions := 0
	for _, set := range []bool{forward != nil, redirect != nil, r.Config.Direct != nil} {
		if set {
			actions++
		}
	}
	switch {
	case actions != 1:
		return fmt.Errorf("%d actions, want exactly one of route, redirect and direct_response", actions)
	case forward != nil:
		return c.forward(r)
	case redirect != nil:
		var err error
		if r.redirect, err = newRedirect(redirect); err != nil {
			return err
		}
		r.rewrite, err = newRewriter(redirect.PrefixRewrite, redirect.RegexRewrite)
		return err
	}
	var err error
	if r.body, err = parseText(r.Config.Direct.Format); err != nil {
		return fmt.Errorf("direct_response: body_format: %w", err)
	}
	return nil
}

func (c *compiler) forward(r *Route) error {
	forward := r.Config.Forward
	if err := c.targets(r); err != nil {
		return err
	}
	if !validTarget(forward.HostRewrite) {
		return fmt.Errorf("host_rewrite_literal %q: spaces and control characters are not allowed", forward.HostRewrite)
	}
	r.HashPolicies = CompileHashPolicies(forward.HashPolicies)
	if forward.SplitHeader != "" {
		r.splitField = newRequestField(forward.SplitHeader)
	}
	if forward.HostRewriteHeader != "" {
		r.hostField = newRequestField(forward.HostRewriteHeader)
	}
	var err error
	if r.retry, err = c.retryOf(r); err != nil {
		return fmt.Errorf("retry_policy: %w", err)
	}
	r.hedges = hedgesOnPerTryTimeout(r)
	if r.mirrors, err = c.mirrorsOf(r); err != nil {
		return err
	}
	if r.internalRedirect, err = compileInternalRedirect(forward.InternalRedirect); err != nil {
		return err
	}
	r.rewrite, err = newRewriter(forward.PrefixRewrite, forward.RegexRewrite)
	return err
}

// retryOf returns the policy of a route, its virtual host's where it has none, or the one that all others share.
func (c *compiler) retryOf(r *Route) (*Retry, error) {
	switch {
	case r.Config.Forward.Retry != nil:
		return c.retry(r.Config.Forward.Retry)
	case r.VirtualHost.retry != nil:
		return r.VirtualHost.retry, nil
	}
	return c.noRetry, nil
}

// hedgesOnPerTryTimeout returns what a route says of hedging, or its virtual host where it says nothing.
func hedgesOnPerTryTimeout(r *Route) bool {
	p := r.Config.Forward.Hedge
	if p == nil {
		p = r.VirtualHost.Config.Hedge
	}
	return p != nil && p.OnPerTryTimeout
}

// Hedges reports whether an attempt that reaches its timeout goes on while another is made.
func (r *Route) Hedges() bool { return r.hedges }

// Retry returns the retry policy, which is not nil for a route that forwards.
func (r *Route) Retry() *Retry { return r.retry }

// BodyBuffer returns how many bytes of a request body may be kept to send it again, given the listener's limit.
func (r *Route) BodyBuffer(listener int) int {
	b := r.Config.BodyBuffer
	if b == nil {
		b = r.VirtualHost.Config.BodyBuffer
	}
	switch {
	case b == nil:
		return listener
	case b.AtMost:
		return min(int(b.Bytes), listener)
	default:
		return int(b.Bytes)
	}
}
