package tls

import "github.com/penguintechinc/marchproxy-alb/config"

// Sockets are the contexts of a cluster's hosts, each of which has one of them or is in plaintext. They do not change, and nil
// is plaintext for all.
type Sockets struct {
	Default *Upstream // nil for plaintext
	Matches []SocketMatch
}

// SocketMatch is the context of hosts that have labels.
type SocketMatch struct {
	Labels  *config.Labels
	Context *Upstream // nil for plaintext
}

// Of returns the context of a host, nil for plaintext: that of the first match for the host's own labels, else of the first for
// those of its locality, else Default. Labels may be nil for none, which a match without labels is for.
func (s *Sockets) Of(host, locality *config.Labels) *Upstream {
	if s == nil {
		return nil
	}
	if i := config.FindSocket(len(s.Matches), func(i int) *config.Labels { return s.Matches[i].Labels }, host, locality); i >= 0 {
		return s.Matches[i].Context
	}
	return s.Default
}
