// Package route is a route configuration compiled for lookup: the host picks a virtual host, the path picks candidates
// among its routes, and the first route as written whose other conditions hold wins. It also holds what a chosen route
// does to a message before it goes on: the split over clusters, rewrites of path and host, locations of redirects, and
// fields added and removed.
//
// A Table is immutable once compiled. All workers share it; nothing in it is locked, counted or cached per request, and
// neither matching nor mutating allocates, but for the cases named at Table.Match, Route.AppendPath and
// Route.MutateRequest.
//
// Order of use in an exchange: Table.StripInternalOnly (external requests), Table.Match, Route.PickCluster,
// Route.MutateRequest, Route.AppendHost, Route.AppendPath; then, for the response, Route.MutateResponse. Envoy's router
// goes in this order too, and host rewrites may name fields that mutations added.
package route
