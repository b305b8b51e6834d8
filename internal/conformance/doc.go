// Package conformance holds the tests that set the proxy, as a process of its own, against HTTP/2 and gRPC of others: the
// conformance suites h2spec and h2specd, grpc-go's interoperability tests, and the programs nghttp, h2load and curl. It has
// no code of its own.
package conformance
