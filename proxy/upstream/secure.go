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

// Secure has connections to hosts be under those of sockets from now on that are theirs, counted in block, of stats.SSL, and
// in factory, of stats.SSLSocketFactory, those that cannot be as a secret has not come.
// Without sockets they are in plaintext. Connections that are open to a host whose context is another now are not kept for other
// requests: they are to a host that has proved less, or something else.
func (k *Cluster) Secure(sockets *tls.Sockets, block, factory *stats.Block) {
	if k.tls == sockets {
		return
	}
	k.tls, k.tlsStats, k.tlsFactory = sockets, block, factory
	k.Hosts((*Host).secure)
}

// secure gives the host its transport socket: its context, and the PROXY header that comes before TLS.
func (h *Host) secure() {
	context := h.cluster.tls.Of(h.socketLabels, h.localityLabels)
	header := h.cluster.config.ProxyHeaderOf(h.socketLabels, h.localityLabels)
	same := h.header.SameAs(header)
	h.header = header
	if h.tls != context || !same {
		h.tls = context
		h.outdate()
	}
	if !same {
		h.forgetNames() // which have headers of before
	}
}

// The protocols that are offered to hosts under TLS, by what is going to be spoken (RFC 7301, RFC 9113 section 3.2). They are
// never written.
var (
	alpnHTTP1 = []string{"http/1.1"}
	alpnHTTP2 = []string{"h2"}
	alpnAny   = []string{"h2", "http/1.1"}
)

// secure has a connection that was just dialled begin with the PROXY header of its pool, where the host wants one, and with a handshake,
// where it is under TLS.
func (l *link) secure(offered []string) {
	cluster := l.host.cluster
	context, block, factory, names := l.host.tls, cluster.tlsStats, cluster.tlsFactory, l.pool.names()
	header := l.pool.header()
	if context == nil {
		if header != "" {
			l.raw.Write([]byte(header))
		}
		return
	}
	l.raw.Handshake(func(w *eventloop.Wire) (eventloop.Layer, error) {
		if header != "" {
			if _, err := w.Write([]byte(header)); err != nil {
				return nil, ErrHandshake{err}
			}
		}
		conn, err := context.Client(w, names, offered)
		if err != nil {
			factory.Inc(stats.SSLSocketFactoryUpstreamContextSecretsNotReady)
			return nil, ErrHandshake{err}
		}
		err = conn.Handshake()
		tls.Count(block, conn, err, eventloop.IsNetworkError(err))
		if err != nil {
			return nil, ErrHandshake{err}
		}
		l.http2 = conn.Peer().Protocol == "h2"
		return conn, nil
	})
}
