package proxy

import (
	"crypto/sha1"
	"encoding/base64"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// wantsTunnel reports whether the request asks for bytes both ways in place of a response.
func (x *exchange) wantsTunnel() bool {
	return len(x.request.Upgrade) > 0 || string(x.request.Method) == "CONNECT"
}

// opensTunnel reports whether the response at hand turns both sides into a tunnel: a switch of protocols, or the success of
// CONNECT.
func (x *exchange) opensTunnel() bool {
	if x.response.Status == 101 {
		return true
	}
	return string(x.request.Method) == "CONNECT" && x.response.Status/100 == 2
}

func (x *exchange) becomeTunnel() {
	x.upgraded = true
	x.requestSent = false
	x.up.SwitchToTunnel()
	x.down.SwitchToTunnel()
	x.chain.http.Inc(stats.HTTPDownstreamCxUpgradesTotal)
}

// tunnelDrained reports whether the origin was given all that the client sent into a tunnel, and has the task woken when it
// was. No response is left to show that it came.
func (x *exchange) tunnelDrained() bool {
	if x.up.Flushed() || x.up.WriteErr() != nil {
		return true
	}
	x.up.NotifyBelow(1)
	return false
}

// terminatesConnect reports whether the request is a CONNECT that ends here: its bytes go to the host as they are.
func (x *exchange) terminatesConnect() bool {
	return string(x.request.Method) == "CONNECT" && x.route.Config.Forward.TerminateConnect
}

// acceptConnect answers a CONNECT that ends here, once there is a connection to the host.
func (x *exchange) acceptConnect() (again bool, v verdict) {
	if !x.connected {
		return false, verdictNone
	}
	x.response.Reset()
	x.response.Status = 200
	return x.takeResponse()
}

// wantsExtendedConnect reports whether a host of HTTP/2 is to be asked for a tunnel that it may not understand: that depends on
// its settings (RFC 8441 section 3).
func (x *exchange) wantsExtendedConnect() bool { return len(x.request.Upgrade) > 0 }

// writeRequestHead sends the head upstream, unless the host is to see nothing but what comes through the tunnel.
func (x *exchange) writeRequestHead() {
	if x.terminatesConnect() {
		return
	}
	x.bridgeRequest()
	x.up.WriteHead(&x.request)
}

// Names of the WebSocket handshake that only HTTP/1 has (RFC 8441 section 5: they "are not used in HTTP/2"). They are never
// written.
var (
	nameWebSocketKey    = []byte("sec-websocket-key")
	nameWebSocketAccept = []byte("sec-websocket-accept")
)

// webSocketGUID is what the answer to a key is made with (RFC 6455 section 1.3).
const webSocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// bridgeRequest makes a WebSocket handshake one of the protocol that the host speaks, where the client speaks another.
func (x *exchange) bridgeRequest() {
	if !message.EqualFold(x.request.Upgrade, "websocket") {
		return
	}
	fields, downHTTP2, upHTTP2 := &x.request.Fields, x.request.Version == message.HTTP2, x.lease.CanRefuse()
	switch key, has := fields.GetName(nameWebSocketKey); {
	case upHTTP2 && has:
		x.webSocketKey = key
		fields.DelName(nameWebSocketKey)
	case downHTTP2 && !upHTTP2 && !has:
		x.webSocketKey = x.newWebSocketKey()
		fields.AddRaw(nameWebSocketKey, x.webSocketKey)
	}
}

// bridgeResponse makes the answer to a WebSocket handshake one of the protocol that the client speaks. It reports whether
// that can be: the host has to answer the key that we have made, and success without a switch of protocols would be a tunnel
// to a client of HTTP/2 (RFC 8441 section 5).
func (x *exchange) bridgeResponse() bool {
	if x.request.Version == message.HTTP2 && len(x.request.Upgrade) > 0 && x.response.Status/100 == 2 {
		return false
	}
	if x.webSocketKey == nil || x.response.Status != 101 {
		return true
	}
	fields, accept := &x.response.Fields, x.webSocketAccept()
	if x.request.Version != message.HTTP2 {
		fields.SetName(nameWebSocketAccept, accept)
		return true
	}
	got, _ := fields.GetName(nameWebSocketAccept)
	fields.DelName(nameWebSocketAccept)
	return string(got) == string(accept)
}

// newWebSocketKey returns a random key (RFC 6455 section 4.1).
func (x *exchange) newWebSocketKey() []byte {
	var nonce [16]byte
	for i := range nonce {
		nonce[i] = byte(x.worker.ids.Uint64())
	}
	start := len(x.arena)
	x.arena = base64.StdEncoding.AppendEncode(x.arena, nonce[:])
	return x.added(start)
}

// webSocketAccept returns the answer to the key (RFC 6455 section 4.2.2).
func (x *exchange) webSocketAccept() []byte {
	h := sha1.New()
	h.Write(x.webSocketKey)
	h.Write([]byte(webSocketGUID))
	start := len(x.arena)
	x.arena = base64.StdEncoding.AppendEncode(x.arena, h.Sum(nil))
	return x.added(start)
}
