// Package rest is the source of xDS resources that api_type REST asks for: a control plane that is polled. It is used as a client of
// package ads is.
//
// A poll is a POST of a DiscoveryRequest in JSON to the path of the type, such as /v3/discovery:clusters, and its answer a
// DiscoveryResponse in JSON, or 304 for nothing new. The request carries the version that was accepted last, so a control plane sees
// from the next poll whether its response was taken. A response that is refused leaves what was taken before in force.
//
// # Limitations
//
// There are no services of the incremental variant, as there are none in Envoy. A control plane is asked at once when other
// resources are wanted, and not at the next poll: here all resources of a type share a poll.
package rest
