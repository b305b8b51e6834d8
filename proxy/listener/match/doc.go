// Package match chooses the filter chain of a connection.
//
// A Table is compiled from the matches of a listener's chains. Looking a connection up is a descent through nine levels, in
// the order that Envoy documents for FilterChainMatch: destination port, destination address, server name, transport protocol,
// application protocols, the peer's address, source type, source address, source port. On each level the most specific entry
// that fits is taken, else the one of the chains that say nothing about it, and there is no way back: a connection whose
// port has an entry of its own never gets a chain without a port, however the descent ends.
//
// A lookup allocates nothing and takes a few map lookups. Tables are immutable.
package match
