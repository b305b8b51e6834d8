package resource

import (
	"maps"
	"slices"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	treev3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	routeMessage       = "envoy.config.route.v3.Route"
	routeListMessage   = "envoy.config.route.v3.RouteList"
	headerInputMessage = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
)

const (
	// maxMatcherDepth bounds how deep matchers, and conditions, are within others: depth costs stack.
	maxMatcherDepth = 16
	// maxMatcherNodes bounds the conditions and outcomes of a virtual host's matcher, all of which a request may come to.
	maxMatcherNodes = 4096
)

var (
	matcherFields     = fields{"matcher_list": decoded, "matcher_tree": decoded, "on_no_match": decoded}
	matcherListFields = fields{"matchers": decoded}
	branchFields      = fields{"predicate": decoded, "on_match": decoded}
	predicateFields   = fields{"single_predicate": decoded, "or_matcher": decoded, "and_matcher": decoded, "not_matcher": decoded}
	predicatesFields  = fields{"predicate": decoded}
	singleFields      = fields{"input": decoded, "value_match": decoded}
	matcherTreeFields = fields{"input": decoded, "exact_match_map": decoded, "prefix_match_map": decoded}
	matchMapFields    = fields{"map": decoded}
	onMatchFields     = fields{"matcher": decoded, "action": decoded, "keep_matching": onlyFalse}
	valueMatchFields  = fields{
		"exact": decoded, "prefix": decoded, "suffix": decoded, "safe_regex": decoded, "contains": decoded, "ignore_case": decoded,
	}
	headerInputFields = fields{"header_name": decoded}
	routeListFields   = fields{"routes": decoded}
)

// routeMatcherDecoder decodes a matcher, and gathers in a list what it leads to.
type routeMatcherDecoder struct {
	// action adds what an action is to the list, and says how long that is.
	action       func(a *at, action *xdscorev3.TypedExtensionConfig)
	length       func() int
	nodes, depth int
}

// newHostMatcher returns a decoder of the matcher of a virtual host, to which it adds the routes.
func newHostMatcher(host *config.VirtualHost, maxBody uint32) *routeMatcherDecoder {
	return &routeMatcherDecoder{
		action: func(a *at, action *xdscorev3.TypedExtensionConfig) {
			host.Routes = append(host.Routes, a.matchedRoutes(action, maxBody)...)
		},
		length: func() int { return len(host.Routes) },
	}
}

// enter counts a node at a, and reports whether it is one too many.
func (d *routeMatcherDecoder) enter(a *at) bool {
	d.nodes++
	d.depth++
	switch {
	case d.depth > maxMatcherDepth:
		a.errorf("is %d deep in the matcher, at most %d are allowed", d.depth, maxMatcherDepth)
	case d.nodes == maxMatcherNodes+1:
		a.errorf("is one of more than %d conditions and outcomes in the matcher, which is the most that are allowed", maxMatcherNodes)
	case d.nodes <= maxMatcherNodes:
		return true
	}
	return false
}

func (d *routeMatcherDecoder) leave() { d.depth-- }

func (d *routeMatcherDecoder) matcher(a *at, m *treev3.Matcher) *config.RouteMatcher {
	a.only(m, matcherFields)
	out := &config.RouteMatcher{}
	switch t := m.GetMatcherType().(type) {
	case *treev3.Matcher_MatcherList_:
		place := a.in("matcher_list")
		place.only(t.MatcherList, matcherListFields)
		for i, b := range t.MatcherList.GetMatchers() {
			at := place.item("matchers", i)
			at.only(b, branchFields)
			out.Branches = append(out.Branches, config.RouteBranch{
				When: d.predicate(at.in("predicate"), b.GetPredicate()), Then: d.outcome(at.in("on_match"), b.GetOnMatch()),
			})
		}
	case *treev3.Matcher_MatcherTree_:
		out.Tree = d.tree(a.in("matcher_tree"), t.MatcherTree)
	}
	if m.GetOnNoMatch() != nil {
		otherwise := d.outcome(a.in("on_no_match"), m.GetOnNoMatch())
		out.Otherwise = &otherwise
	}
	return out
}

func (d *routeMatcherDecoder) tree(a *at, t *treev3.Matcher_MatcherTree) *config.RouteTree {
	a.only(t, matcherTreeFields)
	out := &config.RouteTree{Header: a.in("input").headerInput(t.GetInput())}
	place, entries := a.in("exact_match_map"), t.GetExactMatchMap()
	if t.GetPrefixMatchMap() != nil {
		place, entries, out.Prefixes = a.in("prefix_match_map"), t.GetPrefixMatchMap(), true
	}
	if entries == nil {
		return out // which has been refused by its field, or must have one
	}
	place.only(entries, matchMapFields)
	out.Outcomes = make(map[string]config.RouteOutcome)
	for _, value := range slices.Sorted(maps.Keys(entries.GetMap())) {
		out.Outcomes[value] = d.outcome(place.key("map", value), entries.GetMap()[value])
	}
	return out
}

// outcome decodes where a matcher leads.
func (d *routeMatcherDecoder) outcome(a *at, o *treev3.Matcher_OnMatch) (out config.RouteOutcome) {
	defer d.leave()
	if !d.enter(a) {
		return out
	}
	a.only(o, onMatchFields)
	if o.GetMatcher() != nil {
		out.Matcher = d.matcher(a.in("matcher"), o.GetMatcher())
		return out
	}
	out.First = d.length()
	d.action(a.in("action"), o.GetAction())
	out.End = d.length()
	return out
}

// matchedRoutes decodes a route or several.
func (a *at) matchedRoutes(action *xdscorev3.TypedExtensionConfig, maxBody uint32) (out []*config.Route) {
	packed := action.GetTypedConfig()
	switch place := a.in("typed_config"); messageName(packed) {
	case routeMessage:
		var r routev3.Route
		if place.unpack(packed, &r) {
			out = append(out, place.route(&r, maxBody))
		}
	case routeListMessage:
		var list routev3.RouteList
		if !place.unpack(packed, &list) {
			return nil
		}
		place.only(&list, routeListFields)
		for i, r := range list.GetRoutes() {
			out = append(out, place.item("routes", i).route(r, maxBody))
		}
	default:
		a.errorf("%sis not supported, only %s", describe(action.ProtoReflect()), typePrefix+routeMessage+", "+typePrefix+routeListMessage)
	}
	return out
}

func (d *routeMatcherDecoder) predicate(a *at, p *treev3.Matcher_MatcherList_Predicate) (out config.RoutePredicate) {
	defer d.leave()
	if !d.enter(a) {
		return out
	}
	a.only(p, predicateFields)
	switch t := p.GetMatchType().(type) {
	case *treev3.Matcher_MatcherList_Predicate_SinglePredicate_:
		out.Header = a.in("single_predicate").singlePredicate(t.SinglePredicate)
	case *treev3.Matcher_MatcherList_Predicate_OrMatcher:
		out.Any = d.predicates(a.in("or_matcher"), t.OrMatcher)
	case *treev3.Matcher_MatcherList_Predicate_AndMatcher:
		out.All = d.predicates(a.in("and_matcher"), t.AndMatcher)
	case *treev3.Matcher_MatcherList_Predicate_NotMatcher:
		not := d.predicate(a.in("not_matcher"), t.NotMatcher)
		out.Not = &not
	}
	return out
}

func (d *routeMatcherDecoder) predicates(a *at, l *treev3.Matcher_MatcherList_Predicate_PredicateList) (out []config.RoutePredicate) {
	a.only(l, predicatesFields)
	for i, p := range l.GetPredicate() {
		out = append(out, d.predicate(a.item("predicate", i), p))
	}
	return out
}

func (a *at) singlePredicate(p *treev3.Matcher_MatcherList_Predicate_SinglePredicate) *config.HeaderMatcher {
	a.only(p, singleFields)
	return &config.HeaderMatcher{
		Name: a.in("input").headerInput(p.GetInput()), Kind: config.HeaderString, String: a.in("value_match").valueMatch(p.GetValueMatch()),
	}
}

// headerInput decodes which field of a request a matcher looks at.
func (a *at) headerInput(input *xdscorev3.TypedExtensionConfig) string {
	packed := input.GetTypedConfig()
	if messageName(packed) != headerInputMessage {
		a.errorf("%sis not supported, only %s", describe(input.ProtoReflect()), typePrefix+headerInputMessage)
		return ""
	}
	var m matcherv3.HttpRequestHeaderMatchInput
	place := a.in("typed_config")
	if !place.unpack(packed, &m) {
		return ""
	}
	place.only(&m, headerInputFields)
	return place.in("header_name").matchedName(m.GetHeaderName())
}

// valueMatch decodes a StringMatcher of xDS, which Envoy has one of its own like.
func (a *at) valueMatch(m *treev3.StringMatcher) config.StringMatcher {
	a.only(m, valueMatchFields)
	own := &matcherv3.StringMatcher{IgnoreCase: m.GetIgnoreCase()}
	switch p := m.GetMatchPattern().(type) {
	case *treev3.StringMatcher_Exact:
		own.MatchPattern = &matcherv3.StringMatcher_Exact{Exact: p.Exact}
	case *treev3.StringMatcher_Prefix:
		own.MatchPattern = &matcherv3.StringMatcher_Prefix{Prefix: p.Prefix}
	case *treev3.StringMatcher_Suffix:
		own.MatchPattern = &matcherv3.StringMatcher_Suffix{Suffix: p.Suffix}
	case *treev3.StringMatcher_SafeRegex:
		own.MatchPattern = &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: p.SafeRegex.GetRegex()}}
	case *treev3.StringMatcher_Contains:
		own.MatchPattern = &matcherv3.StringMatcher_Contains{Contains: p.Contains}
	}
	return a.stringMatcher(own)
}
