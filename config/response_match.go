package config

// ResponseMatch is envoy.config.common.matcher.v3.MatchPredicate over the head of a response. Kind says which of the others are set.
type ResponseMatch struct {
	Kind    ResponseMatchKind
	Rules   []*ResponseMatch // of ResponseMatchOr and ResponseMatchAnd, at least two; the one of ResponseMatchNot
	Headers []HeaderMatcher  // all of which must match, of ResponseMatchHeaders; ":status" is the status
}

// ResponseMatchKind is what a ResponseMatch asks.
type ResponseMatchKind uint8

// The kinds of matches of responses.
const (
	ResponseMatchAny     ResponseMatchKind = iota // any_match: every response
	ResponseMatchOr                               // or_match
	ResponseMatchAnd                              // and_match
	ResponseMatchNot                              // not_match
	ResponseMatchHeaders                          // http_response_headers_match
)
