package resource_test

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const plainSocket = "transport_socket: {name: x, typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}"

// labels are names and the texts of their values.
func labels(pairs ...string) *config.Labels {
	l := &config.Labels{}
	for i := 0; i < len(pairs); i += 2 {
		if l.Values == nil {
			l.Values = make(map[string]string)
		}
		l.Values[pairs[i]] = pairs[i+1]
	}
	return l
}

// TestSocketMatches decodes the transport sockets that endpoints choose among.
func TestSocketMatches(t *testing.T) {
	got, err := resource.Cluster(parse(t, "name: c\n"+tlsSocket("Upstream", "sni: d.test")+`
transport_socket_matches:
- {name: one, match: {name: rule/0, n: 1.0, list: [a, {c: 1, b: null}]}, `+tlsSocket("Upstream", "sni: a.test")+`}
- {name: two, match: {plain: true}, `+plainSocket+`}
- {name: rest, match: {}, `+tlsSocket("Upstream", "sni: b.test")+`}
`, &clusterv3.Cluster{}))
	want := defaultCluster()
	socket := func(name string) *config.UpstreamTLS { return &config.UpstreamTLS{SNI: name, MaxSessionKeys: 1} }
	want.TLS = socket("d.test")
	want.SocketMatches = []config.SocketMatch{
		{Name: "one", Match: *labels("name", `"rule/0"`, "n", "1", "list", `["a",{"b":null,"c":1}]`), TLS: socket("a.test")},
		{Name: "two", Match: *labels("plain", "true")},
		{Name: "rest", TLS: socket("b.test")},
	}
	checkEqual(t, got, want, err)
}

// TestSocketLabels decodes what endpoints, their localities and health checks say to those.
func TestSocketLabels(t *testing.T) {
	got, err := resource.Assignment(parse(t, `
cluster_name: c
endpoints:
- metadata: {filter_metadata: {envoy.transport_socket_match: {of: locality}, other: {of: other}}}
  lb_endpoints:
  - {endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}, metadata: {filter_metadata: {envoy.transport_socket_match: {of: host, n: 2}}}}
  - {endpoint: {address: {socket_address: {address: 10.0.0.2, port_value: 80}}}, metadata: {filter_metadata: {envoy.transport_socket_match: {}}}}
- lb_endpoints:
  - {endpoint: {address: {socket_address: {address: 10.0.0.3, port_value: 80}}}}
`, &endpointv3.ClusterLoadAssignment{}))
	endpoint := func(ip string, own, locality *config.Labels) config.Endpoint {
		return config.Endpoint{Address: config.Address{IP: ip, Port: 80}, Weight: 1, SocketLabels: own, LocalityLabels: locality}
	}
	locality := labels("of", `"locality"`)
	want := &config.ClusterLoadAssignment{Name: "c", Overprovision: 140, Localities: []config.LocalityEndpoints{
		// Both are one locality, and what the metadata say is each endpoint's own.
		{Endpoints: []config.Endpoint{
			endpoint("10.0.0.1", labels("of", `"host"`, "n", "2"), locality), endpoint("10.0.0.2", nil, locality), endpoint("10.0.0.3", nil, nil),
		}},
	}}
	checkEqual(t, got, want, err)

	for text, want := range map[string]*config.Labels{
		"tcp_health_check: {}": nil,
		"tcp_health_check: {}, transport_socket_match_criteria: {}":     labels(),
		"tcp_health_check: {}, transport_socket_match_criteria: {a: b}": labels("a", `"b"`),
	} {
		c, err := resource.Cluster(parse(t, "name: c\n"+healthCheck(text), &clusterv3.Cluster{}))
		if err != nil {
			t.Fatal(err)
		}
		checkEqual(t, c.HealthCheck.SocketLabels, want, nil)
	}
}

// TestSocketMatchesRefused holds what is refused, and where.
func TestSocketMatchesRefused(t *testing.T) {
	for text, want := range map[string]string{
		"transport_socket_matches: [{name: m}]":                              "transport_socket_matches[0].transport_socket: must be set",
		"transport_socket_matches: [{name: m, transport_socket: {name: s}}]": "transport_socket_matches[0].transport_socket: is not supported, only envoy.transport_sockets.raw_buffer",
		"transport_socket_matches: [{name: m, " + plainSocket + "}, {name: n, " + tlsSocket("Upstream", "sni: a, allow_renegotiation: true") + "}]": "transport_socket_matches[1].transport_socket.typed_config.allow_renegotiation: true is not supported, only false",
		"transport_socket_matches: [" + strings.Repeat("{name: m, "+plainSocket+"},", 257) + "]":                                                    "transport_socket_matches: has 257 entries, at most 256 are allowed",
		"transport_socket_matcher: {}": "transport_socket_matcher: is not supported",
		"upstream_http_protocol_options: {auto_san_validation: true}\ntransport_socket_matches: [{name: m, match: {}, " + tlsSocket("Upstream", "sni: a") + "}]": "upstream_http_protocol_options.auto_san_validation: needs trusted_ca, which transport_socket_matches[0].transport_socket does not have",
	} {
		_, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %s", text, err, want)
		}
	}
}
