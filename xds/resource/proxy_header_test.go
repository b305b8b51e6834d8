package resource

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	proxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	rawv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

func packSocket(t *testing.T, m proto.Message) *corev3.TransportSocket {
	t.Helper()
	packed, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return &corev3.TransportSocket{Name: "s", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed}}
}

// TestProxyHeader decodes what connections to hosts begin with, for all and for those of a match, and refuses what would not be sent.
func TestProxyHeader(t *testing.T) {
	raw := packSocket(t, &rawv3.RawBuffer{})
	added := func(value string) *corev3.TlvEntry { return &corev3.TlvEntry{Type: 0xe0, Value: []byte(value)} }
	v1, v2 := corev3.ProxyProtocolConfig_V1, corev3.ProxyProtocolConfig_V2
	for _, test := range []struct {
		name   string
		config *corev3.ProxyProtocolConfig
		inner  *corev3.TransportSocket
		want   config.ProxyHeader
		err    string
	}{
		{"default", nil, raw, config.ProxyHeader{}, ""},
		{"version 2", &corev3.ProxyProtocolConfig{Version: v2}, raw, config.ProxyHeader{V2: true}, ""},
		{"TLVs", &corev3.ProxyProtocolConfig{Version: v2, AddedTlvs: []*corev3.TlvEntry{added("x"), added("yz")}}, raw,
			config.ProxyHeader{V2: true, TLVs: "\xe0\x00\x01x\xe0\x00\x02yz"}, ""},
		{"TLVs of version 1", &corev3.ProxyProtocolConfig{Version: v1, AddedTlvs: []*corev3.TlvEntry{added("x")}}, raw, config.ProxyHeader{}, ""},
		{"no TLVs passed", &corev3.ProxyProtocolConfig{PassThroughTlvs: &corev3.ProxyProtocolPassThroughTLVs{
			MatchType: corev3.ProxyProtocolPassThroughTLVs_INCLUDE}}, raw, config.ProxyHeader{}, ""},
		{"all TLVs passed", &corev3.ProxyProtocolConfig{PassThroughTlvs: &corev3.ProxyProtocolPassThroughTLVs{}}, raw, config.ProxyHeader{},
			"config.pass_through_tlvs.match_type: INCLUDE_ALL is not supported"},
		{"a TLV passed", &corev3.ProxyProtocolConfig{PassThroughTlvs: &corev3.ProxyProtocolPassThroughTLVs{
			MatchType: corev3.ProxyProtocolPassThroughTLVs_INCLUDE, TlvType: []uint32{1}}}, raw, config.ProxyHeader{},
			"config.pass_through_tlvs.tlv_type: is not supported"},
		{"long TLVs", &corev3.ProxyProtocolConfig{Version: v2, AddedTlvs: []*corev3.TlvEntry{added(strings.Repeat("x", config.MaxProxyTLVs))}}, raw,
			config.ProxyHeader{}, "config.added_tlvs: make more than 1024 bytes"},
		{"nothing inside", nil, nil, config.ProxyHeader{}, "transport_socket"},
		{"another inside", nil, packSocket(t, &proxyv3.ProxyProtocolUpstreamTransport{TransportSocket: raw}), config.ProxyHeader{},
			"transport_socket.typed_config.transport_socket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			socket := packSocket(t, &proxyv3.ProxyProtocolUpstreamTransport{Config: test.config, TransportSocket: test.inner})
			k, err := Cluster(&clusterv3.Cluster{
				Name: "c", TransportSocket: socket,
				TransportSocketMatches: []*clusterv3.Cluster_TransportSocketMatch{{Name: "m", TransportSocket: socket}},
			})
			switch {
			case test.err != "":
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want one with %q", err, test.err)
				}
			case err != nil:
				t.Error(err)
			case k.ProxyHeader == nil || *k.ProxyHeader != test.want || !k.SocketMatches[0].ProxyHeader.SameAs(&test.want) || k.TLS != nil:
				t.Errorf("got %v and %v, want %v", k.ProxyHeader, k.SocketMatches[0].ProxyHeader, test.want)
			}
		})
	}
}
