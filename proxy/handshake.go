package proxy

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// alpnHTTP2 is the name of HTTP/2 over TLS (RFC 9113 section 3.2).
const alpnHTTP2 = "h2"

// detailsHandshakeTimeout are the connection termination details of a client that takes too long to shake hands.
const detailsHandshakeTimeout = "transport socket timeout was reached"

// handshaking is a connection of a filter chain with TLS, until hands are shaken. Then its chain serves it as any other, by what
// was agreed on.
type handshaking struct {
	connection
	timer eventloop.Timer
	done  bool // it is not a handshaking any more
	// refused tells that the client was told why hands are not shaken with it.
	refused bool
}

// newHandshaking shakes hands on an accepted connection.
func newHandshaking(chain *chainState, accepted connection) {
	h := &handshaking{connection: accepted}
	h.open(chain, h)
	h.raw.SetIdleHandler(h)
	if limit := chain.compiled.identity.config.ConnectTimeout; limit > 0 {
		h.raw.Loop().SetTimer(&h.timer, limit, h)
	}
	context, block, factory := chain.compiled.tls, chain.ssl, chain.compiled.sslFactory
	h.raw.Handshake(func(w *eventloop.Wire) (eventloop.Layer, error) {
		conn, err := context.Server(w)
		if err != nil {
			factory.Inc(stats.SSLSocketFactoryDownstreamContextSecretsNotReady)
			return nil, err // of which the client knows nothing
		}
		err = conn.Handshake()
		tls.Count(block, conn, err, eventloop.IsNetworkError(err))
		if err != nil {
			if !eventloop.IsNetworkError(err) {
				h.sayGoodbye(w)
			}
			return nil, err
		}
		h.secure = &secure{Peer: conn.Peer()}
		return conn, nil
	})
}

// What a client has that was told why hands are not shaken with it.
const (
	goodbyeTime  = time.Second // to close its side: Envoy's delayed_close_timeout
	goodbyeBytes = 64 << 10    // that it may still send: the request that it has begun
)

// sayGoodbye waits for the client to have read what it was told. Clients of TLS 1.3 send a request before they can know that they
// are refused, and closing with that unread would reset the connection under the alert.
func (h *handshaking) sayGoodbye(w *eventloop.Wire) {
	h.refused = true
	h.raw.Loop().SetTimer(&h.timer, goodbyeTime, h)
	w.Linger(goodbyeBytes)
}

// Ready implements eventloop.IdleHandler: hands are shaken, or will not be.
func (h *handshaking) Ready(raw *eventloop.Conn) {
	switch shaken, err := raw.Connected(); {
	case h.done:
	case err != nil:
		h.close()
	case shaken:
		h.finish()
		raw.SetIdleHandler(nil)
		chain := h.chain
		chain.connections.unlink(&h.connection)
		chain.speak(h.connection)
		raw.Wake() // it may hold what came with the last of the handshake
	}
}

// Expired implements eventloop.Expirer: the client takes too long.
func (h *handshaking) Expired(*eventloop.Timer) {
	if !h.refused {
		h.chain.listenerStats.Inc(stats.ListenerDownstreamCxTransportSocketConnectTimeout)
		h.logEnd(0, "", detailsHandshakeTimeout)
	}
	h.close()
}

func (h *handshaking) finish() {
	h.done = true
	h.raw.Loop().StopTimer(&h.timer)
}

// close ends the connection. What the handshake has to say of the reason is sent.
func (h *handshaking) close() {
	if h.done {
		return
	}
	h.finish()
	h.raw.Close()
	h.closed()
}

// leave implements connectionServer: nobody can be told yet that the listener has stopped.
func (h *handshaking) leave() {}

// drain implements connectionServer: nor that the connection is to end.
func (h *handshaking) drain() {}

// cut implements connectionServer.
func (h *handshaking) cut() { h.close() }
