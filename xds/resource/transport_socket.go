package resource

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// downstreamSocket decodes the transport socket of a filter chain, nil for plaintext.
func (a *at) downstreamSocket(socket *corev3.TransportSocket) *config.DownstreamTLS {
	packed := socket.GetTypedConfig()
	if packed == nil || messageName(packed) != downstreamTLSMessage {
		a.transportSocket(socket)
		return nil
	}
	place := a.in("transport_socket.typed_config")
	var c tlsv3.DownstreamTlsContext
	if !place.unpack(packed, &c) {
		return nil
	}
	return place.downstreamTLS(&c)
}

// upstreamSocket decodes the transport socket of a cluster, nil for plaintext.
func (a *at) upstreamSocket(socket *corev3.TransportSocket) *config.UpstreamTLS {
	packed := socket.GetTypedConfig()
	if packed == nil || messageName(packed) != upstreamTLSMessage {
		a.transportSocket(socket)
		return nil
	}
	place := a.in("transport_socket.typed_config")
	var c tlsv3.UpstreamTlsContext
	if !place.unpack(packed, &c) {
		return nil
	}
	return place.upstreamTLS(&c)
}

// transportSocket refuses every transport socket except plaintext.
func (a *at) transportSocket(socket *corev3.TransportSocket) {
	if socket == nil {
		return
	}
	if packed := socket.GetTypedConfig(); packed == nil || messageName(packed) != rawBufferMessage {
		a.in("transport_socket").errorf("%sis not supported, only envoy.transport_sockets.raw_buffer", describe(socket.ProtoReflect()))
	}
}
