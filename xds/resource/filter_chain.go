package resource

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/match"
)

const (
	connectionManagerMessage = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
	rawBufferMessage         = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
)

var (
	filterChainFields = fields{
		"filter_chain_match": decoded, "filters": decoded, "transport_socket": decoded, "name": decoded,
		"transport_socket_connect_timeout": decoded, // of TLS; plaintext is connected at once
		"metadata":                         decoded,
		"use_proxy_proto":                  onlyFalse,
	}
	filterChainMatchFields = fields{
		"destination_port": decoded, "prefix_ranges": decoded, "server_names": decoded, "transport_protocol": decoded,
		"application_protocols": decoded, "direct_source_prefix_ranges": decoded, "source_type": decoded,
		"source_prefix_ranges": decoded, "source_ports": decoded,
	}
	networkFilterFields = fields{"name": noEffect, "typed_config": decoded}
)

// filterChains decodes all filter chains of a listener, and refuses those that are for the same connections.
func (a *at) filterChains(l *listenerv3.Listener, out *config.Listener) {
	if len(l.GetFilterChains()) == 0 && l.GetDefaultFilterChain() == nil {
		a.in("filter_chains").errorf("no filter chains specified: there must be one, or a default_filter_chain")
	}
	for i, chain := range l.GetFilterChains() {
		place := a.item("filter_chains", i)
		decoded := place.filterChain(chain)
		decoded.Match = place.in("filter_chain_match").chainMatch(chain.GetFilterChainMatch())
		out.Chains = append(out.Chains, decoded)
	}
	if chain := l.GetDefaultFilterChain(); chain != nil {
		out.Default = a.in("default_filter_chain").filterChain(chain)
	}
	if a.failed() {
		return // what of a match could not be decoded may be what makes it differ
	}
	_, err := match.Compile(out.Chains)
	overlap := (*match.OverlapError)(nil)
	switch {
	case errors.As(err, &overlap):
		a.item("filter_chains", overlap.Chain).in("filter_chain_match").errorf("%v", err)
	case err != nil:
		a.in("filter_chains").errorf("%v", err)
	}
}

// chainMatch decodes what a filter chain matches. Ports are in range: validation has seen to it.
func (a *at) chainMatch(m *listenerv3.FilterChainMatch) (out config.ChainMatch) {
	if m == nil {
		return out
	}
	a.only(m, filterChainMatchFields)
	out.DestinationPort = uint16(m.GetDestinationPort().GetValue())
	out.DestinationPrefixes = a.addressBlocks("prefix_ranges", m.GetPrefixRanges())
	out.ServerNames = a.serverNames(m.GetServerNames())
	out.TransportProtocol = m.GetTransportProtocol()
	out.ApplicationProtocols = m.GetApplicationProtocols()
	out.DirectSourcePrefixes = a.addressBlocks("direct_source_prefix_ranges", m.GetDirectSourcePrefixRanges())
	switch m.GetSourceType() {
	case listenerv3.FilterChainMatch_SAME_IP_OR_LOOPBACK:
		out.SourceType = config.SourceLocal
	case listenerv3.FilterChainMatch_EXTERNAL:
		out.SourceType = config.SourceExternal
	}
	out.SourcePrefixes = a.addressBlocks("source_prefix_ranges", m.GetSourcePrefixRanges())
	for _, port := range m.GetSourcePorts() {
		out.SourcePorts = append(out.SourcePorts, uint16(port))
	}
	return out
}

// serverNames decodes server_names into lower case, which is what names of clients are brought into.
func (a *at) serverNames(names []string) (out []string) {
	for i, name := range names {
		name = strings.ToLower(name)
		rest := strings.TrimPrefix(name, "*.")
		switch {
		case rest == "":
			a.item("server_names", i).errorf("must not be empty")
		case strings.Contains(rest, "*"):
			a.item("server_names", i).errorf("partial wildcards are not supported in \"server_names\": %q must be a name, or a name after \"*.\"", name)
		}
		out = append(out, name)
	}
	return out
}

// addressBlocks decodes a list of CIDR blocks.
func (a *at) addressBlocks(field string, ranges []*corev3.CidrRange) (blocks []netip.Prefix) {
	for i, r := range ranges {
		ip, err := netip.ParseAddr(r.GetAddressPrefix())
		if err != nil || ip.Zone() != "" {
			a.item(field, i).in("address_prefix").errorf("malformed IP address: %s", r.GetAddressPrefix())
			continue
		}
		block, err := ip.Prefix(int(r.GetPrefixLen().GetValue()))
		if err != nil {
			a.item(field, i).in("prefix_len").errorf("%d must be at most %d", r.GetPrefixLen().GetValue(), ip.BitLen())
			continue
		}
		blocks = append(blocks, block)
	}
	return blocks
}

// filterChain decodes a filter chain but for its match.
func (a *at) filterChain(chain *listenerv3.FilterChain) *config.FilterChain {
	out := &config.FilterChain{Name: chain.GetName()}
	a.only(chain, filterChainFields)
	out.TLS = a.downstreamSocket(chain.GetTransportSocket())
	out.ConnectTimeout = a.duration("transport_socket_connect_timeout", chain.GetTransportSocketConnectTimeout(), 0)
	if out.TLS != nil && out.ConnectTimeout == 0 {
		out.ConnectTimeout = config.DefaultTransportSocketTimeout
	}
	a.terminalFilter(chain.GetFilters(), out)
	a.in("metadata").chainMetadata(chain.GetMetadata(), out)
	return out
}

// What the metadata of a filter chain may say that the API has no field for.
const (
	chainMetadata    = "io.marchproxy.alb" // the key of filter_metadata
	hostIsServerName = "host_must_be_server_name"
)

// chainMetadata decodes what metadata say to this proxy. What they say to others is not looked at.
func (a *at) chainMetadata(m *corev3.Metadata, out *config.FilterChain) {
	place := a.key("filter_metadata", chainMetadata)
	said := m.GetFilterMetadata()[chainMetadata].GetFields()
	for _, name := range slices.Sorted(maps.Keys(said)) {
		asked, isBool := said[name].GetKind().(*structpb.Value_BoolValue)
		switch {
		case name != hostIsServerName:
			place.in(name).errorf("is not known, only %s", hostIsServerName)
		case !isBool:
			place.in(name).errorf("must be true or false")
		case !asked.BoolValue:
		case out.HTTP == nil || out.TLS == nil:
			place.in(name).errorf("needs an HTTP connection manager under TLS")
		default:
			out.HTTP.HostIsServerName = true
		}
	}
}

// terminalFilter decodes the only filter of a chain.
func (a *at) terminalFilter(filters []*listenerv3.Filter, out *config.FilterChain) {
	if len(filters) == 0 {
		a.in("filters").errorf("must have an HTTP connection manager or a TCP proxy")
		return
	}
	place, filter := a.item("filters", 0), filters[0]
	if len(filters) > 1 {
		a.item("filters", 1).errorf("%sis not supported, only one HTTP connection manager or TCP proxy", describe(filters[1].ProtoReflect()))
		return
	}
	place.only(filter, networkFilterFields)
	packed := filter.GetTypedConfig()
	if packed == nil {
		place.in("typed_config").errorf("must be set")
		return
	}
	switch messageName(packed) {
	case connectionManagerMessage:
		var hcm hcmv3.HttpConnectionManager
		if place = place.in("typed_config"); place.unpack(packed, &hcm) {
			out.HTTP = place.connectionManager(&hcm)
		}
	case tcpProxyMessage:
		var tcp tcpproxyv3.TcpProxy
		if place = place.in("typed_config"); place.unpack(packed, &tcp) {
			out.TCP = place.tcpProxy(&tcp)
		}
	default:
		place.unregistered(filter.GetName(), packed)
	}
}
