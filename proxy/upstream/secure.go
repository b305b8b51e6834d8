package upstream

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// ErrHandshake is why a connection failed on which hands could not be shaken; it wraps what is known.
type ErrHandshake struct{ Why error }

func (e ErrHandshake) Error() string { return "TLS handshake: " + e.Why.Error() }

// Unwrap returns what is known.
func (e ErrHandshake) Unwrap() error { return e.Why }

// Secure has connections to hosts be under context from now on, counted in block, of stats.SSL. A nil context is plaintext.
// Connections that are open are not kept for other requests: they are to a host that has proved less, or something else.
func (k *Cluster) Secure(context *tls.Upstream, block *stats.Block) {
	if k.tls == context {
		return
	}
	k.tls, k.tlsStats = context, block
	for _, b := range k.hosts {
		b.Data.(*Host).outdate()
	}
}

// secure has a connection that was just dialled begin with a handshake, where the cluster asks for one. alpn is the protocol
// that will be spoken, empty for none that has a name.
func (l *link) secure(alpn string) {
	k := l.host.cluster
	if k.tls == nil {
		return
	}
	context, block, name := k.tls, k.tlsStats, l.host.Hostname
	var offered []string
	if alpn != "" {
		offered = []string{alpn}
	}
	l.raw.Handshake(func(w *eventloop.Wire) (eventloop.Layer, error) {
		conn, err := context.Client(w, name, offered)
		if err == nil {
			err = conn.Handshake()
		}
		if err != nil {
			tls.Count(block, conn, err, eventloop.IsNetworkError(err))
			return nil, ErrHandshake{err}
		}
		tls.Count(block, conn, nil, false)
		return conn, nil
	})
}

// alpn returns the name of a protocol that connections are counted under, empty for none.
func alpn(protocol int) string {
	switch protocol {
	case stats.ClusterUpstreamCxHTTP1Total:
		return "http/1.1"
	case stats.ClusterUpstreamCxHTTP2Total:
		return "h2"
	}
	return ""
}
