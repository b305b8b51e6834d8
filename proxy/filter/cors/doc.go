// Package cors is envoy.filters.http.cors: it answers preflight requests and marks responses as the policies of a route, its
// virtual host and the route configuration say (Fetch, section 3.3, "CORS protocol").
package cors
