package config

// RouteMatcher leads requests to what is in a list: the routes of a virtual host, in place of their order, or the clusters of a route. It
// has Branches or a Tree.
type RouteMatcher struct {
	// Branches are tried in order (matcher_list).
	Branches []RouteBranch
	Tree     *RouteTree
	// Otherwise is where a request leads that nothing else of the matcher leads anywhere for (on_no_match), nil for nowhere.
	Otherwise *RouteOutcome
}

// RouteBranch leads somewhere on a condition.
type RouteBranch struct {
	When RoutePredicate
	Then RouteOutcome
}

// RoutePredicate is a condition: Header, or Any or All of others, which are not empty, or that Not holds not.
type RoutePredicate struct {
	Header   *HeaderMatcher
	Any, All []RoutePredicate
	Not      *RoutePredicate
}

// RouteTree leads somewhere by the value of a field (matcher_tree).
type RouteTree struct {
	Header string // as in HeaderMatcher.Name
	// Outcomes are by the value, or by what it begins with: then the longest that leads to something counts.
	Outcomes map[string]RouteOutcome
	Prefixes bool
}

// RouteOutcome is where a matcher leads: to another one, or to what is in the list from index First up to, and not with, index End. Of
// routes the first that matches is taken; of clusters there is one.
type RouteOutcome struct {
	Matcher    *RouteMatcher
	First, End int
}
