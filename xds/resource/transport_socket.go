package resource

import (
	"encoding/json"
	"maps"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	proxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// socketMatchMetadata is the name of the metadata that say which of a cluster's transport sockets hosts have.
const socketMatchMetadata = "envoy.transport_socket_match"

// maxSocketMatches bounds the transport sockets of a cluster: each has a TLS context, and each host is compared with them.
const maxSocketMatches = 256

var socketMatchFields = fields{"name": decoded, "match": decoded, "transport_socket": decoded}

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

// upstreamSocket decodes the transport socket of a cluster: its TLS, nil for plaintext, and the PROXY header before it, nil for none.
func (a *at) upstreamSocket(socket *corev3.TransportSocket) (*config.UpstreamTLS, *config.ProxyHeader) {
	packed := socket.GetTypedConfig()
	if packed == nil || messageName(packed) != upstreamProxyMessage {
		return a.upstreamTLSSocket(socket), nil
	}
	place := a.in("transport_socket.typed_config")
	var c proxyv3.ProxyProtocolUpstreamTransport
	if !place.unpack(packed, &c) {
		return nil, nil
	}
	place.only(&c, upstreamProxyFields)
	if c.GetTransportSocket() == nil {
		place.in("transport_socket").errorf("must be set")
	}
	return place.upstreamTLSSocket(c.GetTransportSocket()), place.in("config").proxyHeader(c.GetConfig())
}

// upstreamTLSSocket decodes a transport socket below which there is no other, nil for plaintext.
func (a *at) upstreamTLSSocket(socket *corev3.TransportSocket) *config.UpstreamTLS {
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

// socketMatches decodes transport_socket_matches.
func (a *at) socketMatches(matches []*clusterv3.Cluster_TransportSocketMatch) (out []config.SocketMatch) {
	if len(matches) > maxSocketMatches {
		a.in("transport_socket_matches").errorf("has %d entries, at most %d are allowed", len(matches), maxSocketMatches)
		return nil
	}
	for i, m := range matches {
		place := a.item("transport_socket_matches", i)
		place.only(m, socketMatchFields)
		if m.GetTransportSocket() == nil {
			place.in("transport_socket").errorf("must be set")
			continue
		}
		one := config.SocketMatch{Name: m.GetName(), Match: config.Labels{Values: place.in("match").labels(m.GetMatch())}}
		one.TLS, one.ProxyHeader = place.upstreamSocket(m.GetTransportSocket())
		out = append(out, one)
	}
	return out
}

// socketLabels decodes what metadata say to transport_socket_matches, nil for nothing.
func (a *at) socketLabels(m *corev3.Metadata) *config.Labels {
	s := m.GetFilterMetadata()[socketMatchMetadata]
	if len(s.GetFields()) == 0 {
		return nil
	}
	return &config.Labels{Values: a.key("filter_metadata", socketMatchMetadata).labels(s)}
}

// labels decodes names with values.
func (a *at) labels(s *structpb.Struct) map[string]string {
	if len(s.GetFields()) == 0 {
		return nil
	}
	out := make(map[string]string, len(s.GetFields()))
	for _, name := range slices.Sorted(maps.Keys(s.GetFields())) {
		// JSON with its keys in order is the same for values that are equal.
		text, err := json.Marshal(s.GetFields()[name].AsInterface())
		if err != nil {
			a.in(name).errorf("cannot be compared: %v", err)
			continue
		}
		out[name] = string(text)
	}
	return out
}
