package resource

import (
	"encoding/binary"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// upstreamProxyMessage is the transport socket around another whose connections begin with a PROXY header.
const upstreamProxyMessage = "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"

// hostProxyMetadata is the name of the metadata by which Envoy's hosts have added_tlvs of their own.
const hostProxyMetadata = "envoy.transport_sockets.proxy_protocol"

var (
	upstreamProxyFields = fields{"config": decoded, "transport_socket": decoded}
	proxyHeaderFields   = fields{"version": decoded, "pass_through_tlvs": decoded, "added_tlvs": decoded}
	passTLVFields       = fields{"match_type": decoded, "tlv_type": decoded}
	tlvFields           = fields{"type": decoded, "value": decoded}
)

// proxyHeader decodes the header that connections to hosts begin with. One of version 1 has no place for added_tlvs.
func (a *at) proxyHeader(c *corev3.ProxyProtocolConfig) *config.ProxyHeader {
	out := &config.ProxyHeader{}
	if c == nil {
		return out // version 1 is the default
	}
	a.only(c, proxyHeaderFields)
	a.in("pass_through_tlvs").passedTLVs(c.GetPassThroughTlvs())
	var tlvs []byte
	for i, t := range c.GetAddedTlvs() {
		place := a.item("added_tlvs", i)
		place.only(t, tlvFields)
		switch {
		case t.GetType() > 0xff:
			place.in("type").errorf("is %d, must be 0 to 255", t.GetType())
		case len(t.GetValue()) == 0:
			place.in("value").errorf("must not be empty")
		case len(tlvs)+3+len(t.GetValue()) > config.MaxProxyTLVs:
			a.in("added_tlvs").errorf("make more than %d bytes of a header, three and the value for each", config.MaxProxyTLVs)
			return out
		default:
			tlvs = append(tlvs, byte(t.GetType()))
			tlvs = binary.BigEndian.AppendUint16(tlvs, uint16(len(t.GetValue())))
			tlvs = append(tlvs, t.GetValue()...)
		}
	}
	if out.V2 = c.GetVersion() == corev3.ProxyProtocolConfig_V2; out.V2 {
		out.TLVs = string(tlvs)
	}
	return out
}

// passedTLVs refuses to pass on what the headers of clients have besides addresses, which is not kept.
func (a *at) passedTLVs(p *corev3.ProxyProtocolPassThroughTLVs) {
	if p == nil {
		return
	}
	a.only(p, passTLVFields)
	if p.GetMatchType() != corev3.ProxyProtocolPassThroughTLVs_INCLUDE {
		a.in("match_type").errorf("%s is not supported, only INCLUDE without tlv_type: TLVs of clients are not kept", p.GetMatchType())
	} else if len(p.GetTlvType()) > 0 {
		a.in("tlv_type").errorf("is not supported: TLVs of clients are not kept")
	}
}

// noHostTLVs refuses metadata of a host that add TLVs to its headers.
func (a *at) noHostTLVs(m *corev3.Metadata) {
	if m.GetTypedFilterMetadata()[hostProxyMetadata] != nil {
		a.key("typed_filter_metadata", hostProxyMetadata).errorf("is not supported, only added_tlvs of the transport socket")
	}
}
