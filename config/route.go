package config

import (
	"regexp"
	"strings"
	"time"
)

// RouteConfiguration is envoy.config.route.v3.RouteConfiguration.
type RouteConfiguration struct {
	Name         string
	VirtualHosts []*VirtualHost
	HeaderMutations
	Filters                   FilterConfigs
	InternalOnlyHeaders       []string
	IgnorePortInHostMatching  bool
	MostSpecificMutationsWins bool // most_specific_header_mutations_wins
	// Mirrors are of the virtual hosts that have none.
	Mirrors []MirrorPolicy
	// VHDS tells where more virtual hosts come from, nil for nowhere. VirtualHosts has those that came already.
	VHDS *Discovery
}

// VirtualHost is a set of domains and the ordered routes below them.
type VirtualHost struct {
	Name string
	// Domains are lower-case: exact, "*.suffix" or "*suffix", "prefix.*" or "prefix*", or "*". "host:*" stands for host
	// with any port.
	Domains []string
	Routes  []*Route
	// Matcher leads to the routes, nil where the first that matches is taken.
	Matcher *RouteMatcher
	HeaderMutations
	Filters    FilterConfigs
	RequireTLS TLSRequirement
	// Retry is of the routes that have no policy of their own; nil for none.
	Retry *RetryPolicy
	// Hedge is of the routes that have none of their own; nil for none.
	Hedge *HedgePolicy
	// CORS is the deprecated field cors: what the filter cors goes by, after that of the route, where nothing is said to the filter in
	// Filters; nil for nothing.
	CORS *CORSPolicy
	// VirtualClusters are groups of requests with statistics of their own. The first that matches counts.
	VirtualClusters []VirtualCluster
	// Mirrors are of the routes that have none.
	Mirrors []MirrorPolicy
	// BodyBuffer is of the routes that do not say; nil for the listener's.
	BodyBuffer                    *BodyBuffer
	IncludeRequestAttemptCount    bool
	IncludeAttemptCountInResponse bool
	// IncludeIsTimeoutRetry tells hosts of a further attempt whether the one before has taken too long
	// (include_is_timeout_retry_header).
	IncludeIsTimeoutRetry bool
}

// VirtualCluster is envoy.config.route.v3.VirtualCluster.
type VirtualCluster struct {
	Name    string
	Headers []HeaderMatcher // at least one, and all must match
}

// TLSRequirement is VirtualHost.require_tls.
type TLSRequirement uint8

// The requirements.
const (
	TLSNone TLSRequirement = iota
	TLSExternalOnly
	TLSAll
)

// Route matches requests and says what to do with them. Exactly one of Forward, Redirect and Direct is set.
type Route struct {
	// Name is the xDS name or, where there is none, a stable one made of the virtual host's name and the route's match.
	Name  string
	Match RouteMatch

	Forward  *Forward
	Redirect *Redirect
	Direct   *DirectResponse

	// StatPrefix names the statistics of the route's requests, empty for none beside those of their clusters.
	StatPrefix string

	BodyBuffer *BodyBuffer // nil for the virtual host's
	Filters    FilterConfigs
	HeaderMutations
}

// BodyBuffer says how much of a request body may be kept to send it again, in bytes.
type BodyBuffer struct {
	Bytes uint32
	// AtMost says that the listener's limit holds too (per_request_buffer_limit_bytes); else Bytes alone does
	// (request_body_buffer_limit).
	AtMost bool
}

// PathKind tells how RouteMatch.Path is compared.
type PathKind uint8

// The path matches of RouteMatch.path_specifier.
const (
	PathPrefix PathKind = iota
	PathExact
	PathSeparatedPrefix // "/foo" matches "/foo", "/foo/..." and not "/foobar"
	PathRegex           // the whole path without query matches Regex
	PathConnect         // requests of the method CONNECT, which have no path (connect_matcher)
)

// RouteMatch is envoy.config.route.v3.RouteMatch. All parts must match.
type RouteMatch struct {
	Kind          PathKind
	Path          string
	Regex         *regexp.Regexp // anchored at both ends by the decoder; only with PathRegex
	CaseSensitive bool
	Headers       []HeaderMatcher
	Query         []QueryMatcher
	Cookies       []CookieMatcher
	GRPC          bool // only requests with content-type application/grpc
	// Fraction is the share of requests that match.
	Fraction RuntimeFraction
	// CertificatePresented and CertificateValidated ask whether the client has shown a certificate, and whether that was found good
	// (tls_context); nil where it does not matter.
	CertificatePresented, CertificateValidated *bool
	// Never says that something is asked which no request fulfils.
	Never bool
}

// FractionAll is the Fraction that every request falls into.
const FractionAll = 1_000_000

// StringKind tells how a StringMatcher compares.
type StringKind uint8

// The kinds of envoy.type.matcher.v3.StringMatcher.
const (
	StringExact StringKind = iota
	StringPrefix
	StringSuffix
	StringContains
	StringRegex
)

// StringMatcher compares a string. With IgnoreCase, Value is lower-case.
type StringMatcher struct {
	Kind       StringKind
	Value      string
	Regex      *regexp.Regexp // anchored at both ends; only with StringRegex
	IgnoreCase bool
}

// Matches reports whether m matches s.
func (m *StringMatcher) Matches(s string) bool {
	if m.Kind == StringRegex {
		return m.Regex.MatchString(s)
	}
	if m.IgnoreCase {
		s = strings.ToLower(s)
	}
	switch m.Kind {
	case StringPrefix:
		return strings.HasPrefix(s, m.Value)
	case StringSuffix:
		return strings.HasSuffix(s, m.Value)
	case StringContains:
		return strings.Contains(s, m.Value)
	default:
		return s == m.Value
	}
}

// HeaderKind tells what a HeaderMatcher asks.
type HeaderKind uint8

// The questions of envoy.config.route.v3.HeaderMatcher.
const (
	HeaderPresent HeaderKind = iota // present (or absent, with Invert)
	HeaderString
	HeaderRange
)

// HeaderMatcher matches a request field. ":method", ":authority", ":path" and ":scheme" name the parts of the head.
type HeaderMatcher struct {
	Name                string // lower-case
	Kind                HeaderKind
	String              StringMatcher
	Start, End          int64 // HeaderRange: Start <= value < End
	Present             bool  // HeaderPresent: false asks for absence
	Invert              bool
	TreatMissingAsEmpty bool
}

// QueryMatcher matches a query parameter by its first value.
type QueryMatcher struct {
	Name    string
	Present *bool // present_match; nil when String is asked
	String  StringMatcher
}

// CookieMatcher matches a cookie by the value of its first occurrence. One that is absent does not match.
type CookieMatcher struct {
	Name   string
	String StringMatcher
	Invert bool // also for one that is absent
}

// Forward sends a request to a cluster.
type Forward struct {
	// CORS is the deprecated field cors, as VirtualHost.CORS is.
	CORS *CORSPolicy
	// Clusters are the targets and their weights; a plain cluster is one entry of weight 1.
	Clusters []WeightedCluster
	// ClusterMatcher leads to the one of Clusters that a request is for, in place of their weights; nil for none
	// (MatcherClusterSpecifier).
	ClusterMatcher *RouteMatcher
	// ClusterHeader is the field of a request that names its cluster, lower-case, in place of Clusters (cluster_header).
	ClusterHeader string
	// RuntimeKeyPrefix, a dot and the name of a cluster are the key of the runtime that may replace its weight; empty for none.
	RuntimeKeyPrefix string
	// Match is metadata_match; nil when any hosts will do.
	Match *MetadataMatch
	// HashPolicies are hash_policy: what clusters that balance by consistent hashing are given of a request.
	HashPolicies []HashPolicy
	// SplitHeader is the field of a request whose number, if it has one, decides which of the clusters it goes to, lower-case
	// (header_name); empty for none.
	SplitHeader string
	// HashSplit has the hash of a request decide which of the clusters it goes to, if it has one (use_hash_policy).
	HashSplit bool
	// ClusterNotFoundStatus answers when the cluster is unknown: 503 by default.
	ClusterNotFoundStatus int

	PrefixRewrite string
	RegexRewrite  *Rewrite

	HostRewrite         string   // host_rewrite_literal
	HostRewriteHeader   string   // host_rewrite_header, lower-case
	HostRewritePath     *Rewrite // host_rewrite_path_regex: the host is what it makes of the path without query
	AutoHostRewrite     bool
	AppendForwardedHost bool // append_x_forwarded_host

	// Timeout bounds the exchange from the end of the request to the end of the response; 0 means none.
	Timeout time.Duration
	// GRPCTimeout says how the grpc-timeout of gRPC requests takes the place of Timeout (max_grpc_timeout,
	// grpc_timeout_offset); nil when it does not.
	GRPCTimeout *GRPCTimeout
	// MaxStreamDuration overrides the connection manager's when set (max_stream_duration.max_stream_duration); 0 means none.
	MaxStreamDuration *time.Duration
	// GRPCStreamDuration says how the grpc-timeout of requests takes the place of MaxStreamDuration
	// (max_stream_duration.grpc_timeout_header_max and grpc_timeout_header_offset); nil when it does not.
	GRPCStreamDuration *GRPCTimeout
	// TellsDuration says that max_stream_duration is set, if to nothing: the host is told in grpc-timeout how long a gRPC
	// request may take. Timeout is 0 and GRPCTimeout nil then.
	TellsDuration bool
	// IdleTimeout overrides the connection manager's stream idle timeout when set.
	IdleTimeout *time.Duration
	// Priority is what the request counts as in the cluster's circuit breakers, and which connections it gets.
	Priority RoutingPriority
	// FlushTimeout overrides how long the client may take nothing of a response that is there to its end when set (flush_timeout).
	FlushTimeout *time.Duration

	Retry *RetryPolicy // nil for the virtual host's
	Hedge *HedgePolicy // nil for the virtual host's
	// Mirrors say where else requests are sent (request_mirror_policies); empty for the virtual host's.
	Mirrors []MirrorPolicy
	// InternalRedirect says which redirects in responses are followed here; nil for none.
	InternalRedirect *InternalRedirect

	Upgrades []Upgrade
	// TerminateConnect ends CONNECT here: its bytes go to the host as they are (connect_config).
	TerminateConnect bool
}

// GRPCTimeout is a limit on time that a request chooses with its grpc-timeout field.
type GRPCTimeout struct {
	Max    time.Duration // 0 means no maximum
	Offset time.Duration // taken off: of a timeout before Max is applied and if it is longer, of a stream's duration after that
}

// WeightedCluster is one share of a traffic split.
type WeightedCluster struct {
	Name   string
	Weight uint32
	// Header is the field of a request that names the cluster, lower-case, in place of Name (cluster_header).
	Header string
	HeaderMutations
	HostRewrite string
	// Match is metadata_match, with what the route has of it; nil for the route's.
	Match *MetadataMatch
	// Filters go before those of the route.
	Filters FilterConfigs
}

// Rewrite replaces every match of Pattern with Substitution, in Go's syntax ($1 and so on).
type Rewrite struct {
	Pattern      *regexp.Regexp
	Substitution string
}

// Redirect answers with a location.
type Redirect struct {
	Status        int // 301, 302, 303, 307 or 308
	Scheme        string
	HTTPSRedirect bool
	Host          string
	Port          uint32
	Path          string // path_redirect
	PrefixRewrite string
	RegexRewrite  *Rewrite
	StripQuery    bool
}

// DirectResponse answers without an upstream.
type DirectResponse struct {
	Status int
	Body   []byte // at most 4096 bytes unless max_direct_response_body_size_bytes says otherwise
	// Format takes the place of Body, with command operators (body_format); empty for none.
	Format string
	// ContentType is of what Format makes; empty for text/plain.
	ContentType string
}

// AppendAction is HeaderValueOption.append_action.
type AppendAction uint8

// The actions.
const (
	AppendIfExistsOrAdd AppendAction = iota
	AddIfAbsent
	OverwriteIfExistsOrAdd
	OverwriteIfExists
)

// HeaderValue is one field to add.
type HeaderValue struct {
	Name   string // lower-case
	Value  string // may hold %...% command operators
	Action AppendAction
	// KeepEmpty adds the field even when its value turns out empty.
	KeepEmpty bool
}

// HeaderMutations are the fields added to and removed from requests and responses at one level of the configuration.
type HeaderMutations struct {
	RequestAdd     []HeaderValue
	RequestRemove  []string
	ResponseAdd    []HeaderValue
	ResponseRemove []string
}
