//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	routeMatchFields = fields{
		"prefix": decoded, "path": decoded, "safe_regex": decoded, "path_separated_prefix": decoded, "case_sensitive": decoded,
		"runtime_fraction": decoded, "headers": decoded, "query_parameters": decoded, "grpc": decoded,
		"connect_matcher": decoded, "cookies": decoded, "dynamic_metadata": decoded, "filter_state": decoded,
		"tls_context": decoded,
	}
	tlsContextMatchFields = fields{"presented": decoded, "validated": decoded}
	metadataMatcherFields = fields{
		"invert": decoded,
		// No filter leaves metadata that could be matched.
		"filter": noEffect, "path": noEffect, "value": noEffect,
	}
	headerMatcherFields = fields{
		"name": decoded, "exact_match": decoded, "safe_regex_match": decoded, "range_match": decoded, "present_match": decoded,
		"prefix_match": decoded, "suffix_match": decoded, "contains_match": decoded, "string_match": decoded,
		"invert_match": decoded, "treat_missing_header_as_empty": decoded,
	}
	queryMatcherFields  = fields{"name": decoded, "string_match": decoded, "present_match": decoded}
	cookieMatcherFields = fields{"name": decoded, "string_match": decoded, "invert_match": decoded}
	stringMatcherFields = fields{
		"exact": decoded, "prefix": decoded, "suffix": decoded, "safe_regex": decoded, "contains": decoded,
		"ignore_case": decoded,
	}
)

// routeMatch decodes the match of a route.
func (a *at) routeMatch(m *routev3.RouteMatch) config.RouteMatch {
	a.only(m, routeMatchFields)
	out := config.RouteMatch{
		CaseSensitive: orBool(m.GetCaseSensitive(), true),
		GRPC:          m.GetGrpc() != nil,
		Fraction:      config.RuntimeFraction{Default: config.FractionAll},
	}
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		out.Kind, out.Path = config.PathPrefix, p.Prefix
	case *routev3.RouteMatch_Path:
		out.Kind, out.Path = config.PathExact, p.Path
	case *routev3.RouteMatch_PathSeparatedPrefix:
		out.Kind, out.Path = config.PathSeparatedPrefix, p.PathSeparatedPrefix
		a.in("path_separated_prefix").separatedPrefix(out.Path)
	case *routev3.RouteMatch_SafeRegex:
		out.Kind, out.Path = config.PathRegex, p.SafeRegex.GetRegex()
		out.Regex = a.in("safe_regex").fullMatch(p.SafeRegex)
	case *routev3.RouteMatch_ConnectMatcher_:
		out.Kind = config.PathConnect
	}
	if f := m.GetRuntimeFraction(); f != nil {
		out.Fraction = a.in("runtime_fraction").runtimeFraction(f)
	}
	for i, h := range m.GetHeaders() {
		out.Headers = append(out.Headers, a.item("headers", i).headerMatcher(h))
	}
	for i, q := range m.GetQueryParameters() {
		out.Query = append(out.Query, a.item("query_parameters", i).queryMatcher(q))
	}
	for i, c := range m.GetCookies() {
		place := a.item("cookies", i)
		place.only(c, cookieMatcherFields)
		out.Cookies = append(out.Cookies, config.CookieMatcher{
			Name: c.GetName(), String: place.in("string_match").stringMatcher(c.GetStringMatch()), Invert: c.GetInvertMatch(),
		})
	}
	if c := m.GetTlsContext(); c != nil {
		a.in("tls_context").only(c, tlsContextMatchFields)
		out.CertificatePresented, out.CertificateValidated = optionalBool(c.GetPresented()), optionalBool(c.GetValidated())
	}
	// No filter that there is leaves metadata or state, without which none of their matchers holds.
	out.Never = len(m.GetFilterState()) > 0
	for i, d := range m.GetDynamicMetadata() {
		a.item("dynamic_metadata", i).only(d, metadataMatcherFields)
		out.Never = out.Never || !d.GetInvert()
	}
	return out
}

// separatedPrefix checks a path_separated_prefix: it ends before the separator, and paths are matched without a query.
func (a *at) separatedPrefix(prefix string) {
	if prefix == "" || strings.HasSuffix(prefix, "/") || strings.ContainsAny(prefix, "?#") {
		a.errorf("%q must not be empty, end with \"/\" or contain \"?\" or \"#\"", prefix)
	}
}

// headerMatcher decodes one entry of headers, in the current or the deprecated form.
func (a *at) headerMatcher(h *routev3.HeaderMatcher) config.HeaderMatcher {
	return a.namedMatcher(h, a.in("name").matchedName(h.GetName()))
}

// namedMatcher is headerMatcher for a name that was checked.
func (a *at) namedMatcher(h *routev3.HeaderMatcher, name string) config.HeaderMatcher {
	a.only(h, headerMatcherFields)
	out := config.HeaderMatcher{
		Name:                name,
		Kind:                config.HeaderString,
		Invert:              h.GetInvertMatch(),
		TreatMissingAsEmpty: h.GetTreatMissingHeaderAsEmpty(),
	}
	switch m := h.GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_ExactMatch:
		out.String = config.StringMatcher{Kind: config.StringExact, Value: m.ExactMatch}
	case *routev3.HeaderMatcher_PrefixMatch:
		out.String = config.StringMatcher{Kind: config.StringPrefix, Value: m.PrefixMatch}
	case *routev3.HeaderMatcher_SuffixMatch:
		out.String = config.StringMatcher{Kind: config.StringSuffix, Value: m.SuffixMatch}
	case *routev3.HeaderMatcher_ContainsMatch:
		out.String = config.StringMatcher{Kind: config.StringContains, Value: m.ContainsMatch}
	case *routev3.HeaderMatcher_SafeRegexMatch:
		out.String = config.StringMatcher{Kind: config.StringRegex, Regex: a.in("safe_regex_match").fullMatch(m.SafeRegexMatch)}
	case *routev3.HeaderMatcher_StringMatch:
		out.String = a.in("string_match").stringMatcher(m.StringMatch)
	case *routev3.HeaderMatcher_RangeMatch:
		out.Kind, out.Start, out.End = config.HeaderRange, m.RangeMatch.GetStart(), m.RangeMatch.GetEnd()
		if out.Start >= out.End {
			a.in("range_match").errorf("start %d must be less than end %d", out.Start, out.End)
		}
	case *routev3.HeaderMatcher_PresentMatch:
		out.Kind, out.Present = config.HeaderPresent, m.PresentMatch
	case nil:
		out.Kind, out.Present = config.HeaderPresent, true
	}
	return out
}

// matchedName checks the name of a field to match. "host" is another name of ":authority", as in Envoy.
func (a *at) matchedName(name string) string {
	name = strings.ToLower(name)
	switch {
	case name == "host":
		return ":authority"
	case name == ":authority" || name == ":method" || name == ":path" || name == ":scheme":
	case strings.HasPrefix(name, ":"):
		a.errorf("%q is not known, only :authority, :method, :path and :scheme", name)
	case !isToken(name):
		a.errorf("%q is not a field name", name)
	}
	return name
}

// queryMatcher decodes one entry of query_parameters. Without a condition the parameter must be present.
func (a *at) queryMatcher(q *routev3.QueryParameterMatcher) config.QueryMatcher {
	a.only(q, queryMatcherFields)
	out := config.QueryMatcher{Name: q.GetName()}
	present := true
	switch m := q.GetQueryParameterMatchSpecifier().(type) {
	case *routev3.QueryParameterMatcher_StringMatch:
		out.String = a.in("string_match").stringMatcher(m.StringMatch)
		return out
	case *routev3.QueryParameterMatcher_PresentMatch:
		present = m.PresentMatch
	}
	out.Present = &present
	return out
}

// StringMatcher decodes a StringMatcher of the bootstrap, which stands at the field path and holds to the constraints of its
// .proto file.
func StringMatcher(path string, m *matcherv3.StringMatcher) (config.StringMatcher, error) {
	root := &at{report: &report{resource: path}}
	out := root.stringMatcher(m)
	return out, root.err()
}

// stringMatcher decodes a StringMatcher. ignore_case has no effect on a regular expression, as the API says.
func (a *at) stringMatcher(m *matcherv3.StringMatcher) config.StringMatcher {
	a.only(m, stringMatcherFields)
	out := config.StringMatcher{IgnoreCase: m.GetIgnoreCase()}
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		out.Kind, out.Value = config.StringExact, p.Exact
	case *matcherv3.StringMatcher_Prefix:
		out.Kind, out.Value = config.StringPrefix, p.Prefix
	case *matcherv3.StringMatcher_Suffix:
		out.Kind, out.Value = config.StringSuffix, p.Suffix
	case *matcherv3.StringMatcher_Contains:
		out.Kind, out.Value = config.StringContains, p.Contains
	case *matcherv3.StringMatcher_SafeRegex:
		return config.StringMatcher{Kind: config.StringRegex, Regex: a.in("safe_regex").fullMatch(p.SafeRegex)}
	}
	if out.IgnoreCase {
		out.Value = strings.ToLower(out.Value)
	}
	return out
}
