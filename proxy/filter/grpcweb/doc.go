// Package grpcweb is the HTTP filter envoy.filters.http.grpc_web: browsers, which can neither read trailers nor always send
// bytes, speak gRPC-Web, and hosts speak gRPC (PROTOCOL-WEB.md of grpc). Bodies are converted as they come; of none is more
// kept than a few bytes, but for an answer that is not gRPC's, which becomes grpc-message up to a limit.
package grpcweb
