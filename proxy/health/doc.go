// Package health asks the hosts of clusters with health_checks whether they are well: over HTTP/1, HTTP/2, gRPC
// (grpc.health.v1) and TCP.
//
// A Checker is told which clusters are served and tells, through a function, what it finds. Each host has a session, a
// goroutine that waits, probes, and goes by the answer. What an answer means is the business of state (state.go), which does
// no I/O; when the next probe is due, that of interval.go; how one is made, that of a prober, one per protocol.
//
// Nothing here is on the path of a request, so goroutines, locks and blocking connections are fine.
package health
