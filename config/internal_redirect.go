package config

// DefaultInternalRedirects is InternalRedirect.Max where it is not set.
const DefaultInternalRedirects = 1

// InternalRedirect is envoy.config.route.v3.InternalRedirectPolicy: redirects in responses that are followed here, and that the
// client does not see.
type InternalRedirect struct {
	// Max is up to how many redirects of a request a route follows one more.
	Max uint32
	// Statuses are those of 301, 302, 303, 307 and 308 that are followed.
	Statuses []int
	// AllowCrossScheme follows redirects from http to https and back.
	AllowCrossScheme bool
	// CopyHeaders are fields of the response that take the place of the request's, lower-case. Those that a response does not have
	// are taken out.
	CopyHeaders []string

	// Predicates, all of which must hold.

	OnlyListed     bool     // allow_listed_routes: only to a route of ListedRoutes
	ListedRoutes   []string // by name
	PreviousRoutes bool     // previous_routes: not again to a route that this one has redirected the request to
	SafeScheme     bool     // safe_cross_scheme: not from http to https
}
