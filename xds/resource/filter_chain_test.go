package resource_test

import (
	"net/netip"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// tcpFilters are the filters of a chain that passes bytes on to cluster c.
const tcpFilters = `filters: [{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: s, cluster: c}}]`

// chainsWith returns a listener with filter chains of the given fields.
func chainsWith(chains ...string) string {
	text := listenerBase + "filter_chains:\n"
	for _, c := range chains {
		text += "- {" + c + ", " + tcpFilters + "}\n"
	}
	return text
}

func TestFilterChains(t *testing.T) {
	text := chainsWith(`name: one, filter_chain_match: {destination_port: 443, prefix_ranges: [{address_prefix: 10.1.2.3, prefix_len: 8}],
  server_names: [A.test, '*.B.test'], transport_protocol: tls, application_protocols: [h2],
  direct_source_prefix_ranges: [{address_prefix: 'fd00::', prefix_len: 8}], source_type: EXTERNAL,
  source_prefix_ranges: [{address_prefix: 0.0.0.0}], source_ports: [1, 65535]}`,
		"filter_chain_match: {source_type: SAME_IP_OR_LOOPBACK}", "filter_chain_match: {}") +
		"default_filter_chain: {name: rest, filter_chain_match: {server_names: ['*']}, " + tcpFilters + "}\n"
	got, err := resource.Listener(parse(t, text, &listenerv3.Listener{}))
	if err != nil {
		t.Fatal(err)
	}
	matches := []config.ChainMatch{
		{
			DestinationPort: 443, DestinationPrefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, ServerNames: []string{"a.test", "*.b.test"},
			TransportProtocol: "tls", ApplicationProtocols: []string{"h2"}, DirectSourcePrefixes: []netip.Prefix{netip.MustParsePrefix("fd00::/8")},
			SourceType: config.SourceExternal, SourcePrefixes: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, SourcePorts: []uint16{1, 65535},
		},
		{SourceType: config.SourceLocal},
		{},
	}
	want := &config.Listener{Name: "l", Address: config.Address{IP: "0.0.0.0", Port: 80}, BufferLimit: 1 << 20, FiltersTimeout: 15 * time.Second}
	tcp := got.Default.TCP
	for i, name := range []string{"one", "", ""} {
		want.Chains = append(want.Chains, &config.FilterChain{Name: name, Match: matches[i], TCP: tcp})
	}
	want.Default = &config.FilterChain{Name: "rest", TCP: tcp}
	checkEqual(t, got, want, err)
}

func TestFilterChainsRefused(t *testing.T) {
	const at = "filter_chains[0].filter_chain_match."
	for name, tt := range map[string]struct {
		chains []string
		want   string
	}{
		"same match":       {[]string{"name: a, filter_chain_match: {server_names: [x]}", "name: b, filter_chain_match: {server_names: [X]}"}, "filter_chains[1].filter_chain_match: filter chain 'b' has the same matching rules defined as 'a'"},
		"no match, twice":  {[]string{"name: a", "filter_chain_match: {}"}, "filter_chains[1].filter_chain_match: filter chain 'filter_chains[1]' has the same matching rules defined as 'a'"},
		"overlap":          {[]string{"filter_chain_match: {source_ports: [1, 2]}", "filter_chain_match: {source_ports: [2, 3]}"}, "filter_chains[1].filter_chain_match: multiple filter chains with overlapping matching rules are defined"},
		"a name twice":     {[]string{"filter_chain_match: {server_names: [a, a]}"}, "filter_chains[0].filter_chain_match: multiple filter chains with overlapping matching rules are defined"},
		"suffix":           {[]string{"filter_chain_match: {address_suffix: x}"}, at + "address_suffix: is not supported"},
		"suffix length":    {[]string{"filter_chain_match: {suffix_len: 1}"}, at + "suffix_len: is not supported"},
		"star":             {[]string{"filter_chain_match: {server_names: ['*']}"}, at + `server_names[0]: partial wildcards are not supported in "server_names": "*" must be a name, or a name after "*."`},
		"partial wildcard": {[]string{"filter_chain_match: {server_names: [a, '*w.a']}"}, at + `server_names[1]: partial wildcards are not supported in "server_names": "*w.a" must be a name, or a name after "*."`},
		"no name":          {[]string{"filter_chain_match: {server_names: ['*.']}"}, at + "server_names[0]: must not be empty"},
		"port":             {[]string{"filter_chain_match: {destination_port: 0}"}, at + "destination_port: value must be inside range [1, 65535]"},
		"source port":      {[]string{"filter_chain_match: {source_ports: [65536]}"}, at + "source_ports[0]: value must be inside range [1, 65535]"},
		"address":          {[]string{"filter_chain_match: {source_prefix_ranges: [{address_prefix: x}]}"}, at + "source_prefix_ranges[0].address_prefix: malformed IP address: x"},
		"zone":             {[]string{"filter_chain_match: {prefix_ranges: [{address_prefix: 'fe80::1%eth0', prefix_len: 64}]}"}, at + "prefix_ranges[0].address_prefix: malformed IP address: fe80::1%eth0"},
		"length":           {[]string{"filter_chain_match: {direct_source_prefix_ranges: [{address_prefix: 1.2.3.4, prefix_len: 33}]}"}, at + "direct_source_prefix_ranges[0].prefix_len: 33 must be at most 32"},
		"PROXY protocol":   {[]string{"use_proxy_proto: true"}, "filter_chains[0].use_proxy_proto: true is not supported, only false"},
		"host, TCP": {[]string{"metadata: {filter_metadata: {io.marchproxy.alb: {host_must_be_server_name: true}, others: {a: 1}}}"},
			`filter_chains[0].metadata.filter_metadata["io.marchproxy.alb"].host_must_be_server_name: needs an HTTP connection manager under TLS`},
		"host, a word":  {[]string{"metadata: {filter_metadata: {io.marchproxy.alb: {host_must_be_server_name: 'yes'}}}"}, `filter_chains[0].metadata.filter_metadata["io.marchproxy.alb"].host_must_be_server_name: must be true or false`},
		"unknown to us": {[]string{"metadata: {filter_metadata: {io.marchproxy.alb: {hosts: true}}}"}, `filter_chains[0].metadata.filter_metadata["io.marchproxy.alb"].hosts: is not known, only host_must_be_server_name`},
		"second chain":  {[]string{"name: a", "filter_chain_match: {source_ports: [1]}, transport_socket: {name: t, typed_config: {'@type': type.googleapis.com/no.Tls}}"}, "filter_chains[1].transport_socket: 't' with type URL 'type.googleapis.com/no.Tls' is not supported, only envoy.transport_sockets.raw_buffer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := resource.Listener(parse(t, chainsWith(tt.chains...), &listenerv3.Listener{}))
			checkError(t, err, `listener "l": `+tt.want)
		})
	}
}

// TestHostIsServerName decodes what the metadata of a filter chain say to this proxy.
func TestHostIsServerName(t *testing.T) {
	for _, asked := range []string{"true", "false"} {
		text := managerWith(router+rds) +
			"  " + tlsSocket("Downstream", "common_tls_context: {"+certificateTLS+"}") + "\n" +
			"  metadata: {filter_metadata: {io.marchproxy.alb: {host_must_be_server_name: " + asked + "}}}\n"
		l, err := resource.Listener(parse(t, text, &listenerv3.Listener{}))
		if err != nil {
			t.Fatal(err)
		}
		for chain := range l.FilterChains() {
			if got := chain.HTTP.HostIsServerName; got != (asked == "true") {
				t.Errorf("%s: %t", asked, got)
			}
		}
	}
}
