package config

import "iter"

// SocketMatch is envoy.config.cluster.v3.Cluster.TransportSocketMatch: the transport socket of hosts that have labels.
type SocketMatch struct {
	Name  string
	Match Labels
	TLS   *UpstreamTLS // nil for plaintext
	// ProxyHeader is what connections begin with, nil for nothing.
	ProxyHeader *ProxyHeader
}

// Labels are names with values, such as metadata of the name envoy.transport_socket_match has them. Equal values have the same
// text.
type Labels struct{ Values map[string]string }

// In reports whether all of l are among the labels of a host, which may be nil.
func (l *Labels) In(host *Labels) bool {
	for name, value := range l.Values {
		if host == nil {
			return false
		}
		if has, ok := host.Values[name]; !ok || has != value {
			return false
		}
	}
	return true
}

// FindSocket returns the first of n matches, whose labels match returns, that is for the labels of a host, else the first for those of its
// locality, else -1. The labels may be nil for none, which a match without labels is for.
func FindSocket(n int, match func(i int) *Labels, host, locality *Labels) int {
	for _, labels := range [...]*Labels{host, locality} {
		for i := range n {
			if match(i).In(labels) {
				return i
			}
		}
	}
	return -1
}

// Sockets yields the transport sockets of a cluster: that of SocketMatches at each index, and TLS at -1. Those in plaintext are
// left out.
func (c *Cluster) Sockets() iter.Seq2[int, *UpstreamTLS] {
	return func(yield func(int, *UpstreamTLS) bool) {
		if c.TLS != nil && !yield(-1, c.TLS) {
			return
		}
		for i := range c.SocketMatches {
			if t := c.SocketMatches[i].TLS; t != nil && !yield(i, t) {
				return
			}
		}
	}
}

// HasTLS reports whether there may be hosts under TLS.
func (c *Cluster) HasTLS() bool {
	for range c.Sockets() {
		return true
	}
	return false
}
