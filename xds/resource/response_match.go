package resource

import (
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	// maxResponseRules bounds the rules of a matcher of responses, those within others counted: each costs work per response.
	maxResponseRules = 64
	// maxResponseDepth bounds how deep rules are within others.
	maxResponseDepth = 8
)

var (
	httpOutlierFields    = fields{"error_matcher": decoded}
	matchPredicateFields = fields{
		"or_match": decoded, "and_match": decoded, "not_match": decoded, "any_match": decoded, "http_response_headers_match": decoded,
	}
	matchSetFields         = fields{"rules": decoded}
	httpHeadersMatchFields = fields{"headers": decoded}
)

// httpOutlier decodes what outlier detection takes for an error, nil for answers of 5xx. Validation has seen to it that there is a matcher.
func (a *at) httpOutlier(o *upstreamv3.HttpProtocolOptions_OutlierDetection) *config.ResponseMatch {
	if o == nil {
		return nil
	}
	a.only(o, httpOutlierFields)
	var d responseMatchDecoder
	return d.rule(a.in("error_matcher"), o.GetErrorMatcher())
}

// responseMatchDecoder counts the rules of one matcher.
type responseMatchDecoder struct{ rules, depth int }

// rule decodes a rule, and those within it. It returns nil for one that cannot be used.
func (d *responseMatchDecoder) rule(a *at, m *matcherv3.MatchPredicate) *config.ResponseMatch {
	if d.rules++; d.rules > maxResponseRules || d.depth > maxResponseDepth {
		a.errorf("more than %d rules, or rules that are more than %d deep within others, are not supported", maxResponseRules, maxResponseDepth)
		return nil
	}
	a.only(m, matchPredicateFields)
	out := &config.ResponseMatch{}
	switch r := m.GetRule().(type) {
	case *matcherv3.MatchPredicate_AnyMatch:
		out.Kind = config.ResponseMatchAny
	case *matcherv3.MatchPredicate_OrMatch:
		out.Kind, out.Rules = config.ResponseMatchOr, d.set(a.in("or_match"), r.OrMatch)
	case *matcherv3.MatchPredicate_AndMatch:
		out.Kind, out.Rules = config.ResponseMatchAnd, d.set(a.in("and_match"), r.AndMatch)
	case *matcherv3.MatchPredicate_NotMatch:
		out.Kind = config.ResponseMatchNot
		d.depth++
		if rule := d.rule(a.in("not_match"), r.NotMatch); rule != nil {
			out.Rules = append(out.Rules, rule)
		}
		d.depth--
	case *matcherv3.MatchPredicate_HttpResponseHeadersMatch:
		place := a.in("http_response_headers_match")
		place.only(r.HttpResponseHeadersMatch, httpHeadersMatchFields)
		out.Kind = config.ResponseMatchHeaders
		for i, h := range r.HttpResponseHeadersMatch.GetHeaders() {
			out.Headers = append(out.Headers, place.item("headers", i).responseHeadMatcher(h))
		}
	}
	return out
}

// set decodes the rules that another one combines.
func (d *responseMatchDecoder) set(a *at, s *matcherv3.MatchPredicate_MatchSet) (out []*config.ResponseMatch) {
	a.only(s, matchSetFields)
	d.depth++
	defer func() { d.depth-- }()
	for i, one := range s.GetRules() {
		if d.rules > maxResponseRules {
			break // which has been said
		}
		if rule := d.rule(a.item("rules", i), one); rule != nil {
			out = append(out, rule)
		}
	}
	return out
}

// responseHeadMatcher is responseMatcher for what also knows the status.
func (a *at) responseHeadMatcher(h *routev3.HeaderMatcher) config.HeaderMatcher {
	if h.GetName() != ":status" {
		return a.responseMatcher(h)
	}
	return a.namedMatcher(h, h.GetName())
}
