package resource_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const onePort = "endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}"

func TestAssignment(t *testing.T) {
	got, err := resource.Assignment(parse(t, `
cluster_name: c
policy: {overprovisioning_factor: 200, weighted_priority_health: true, endpoint_stale_after: 90s}
endpoints:
- locality: {region: r, zone: z, sub_zone: s}
  load_balancing_weight: 3
  metadata: {}
  lb_endpoints:
  - health_status: DRAINING
    load_balancing_weight: 7
    metadata: {filter_metadata: {envoy.lb: {hash_key: k, other: 1}}}
    endpoint: {hostname: h, address: {socket_address: {address: 10.0.0.1, port_value: 80}}, health_check_config: {port_value: 3, hostname: hc, disable_active_health_check: true}}
  - {health_status: UNHEALTHY, endpoint: {address: {socket_address: {address: "2001:db8:0::1", port_value: 80}}}}
  - {health_status: HEALTHY, `+onePort+`}
- priority: 1
  lb_endpoints:
  - {health_status: DEGRADED, endpoint: {address: {socket_address: {address: 10.0.0.2, port_value: 0}}}}
  - {health_status: TIMEOUT, endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 81}}, health_check_config: {address: {socket_address: {address: "2001:db8:0::2", port_value: 90}}}}}
- locality: {region: r, zone: z, sub_zone: s}
  load_balancing_weight: 4
  lb_endpoints: [{health_status: HEALTHY, endpoint: {address: {socket_address: {address: 10.0.0.3, port_value: 80}}}}]
- priority: 2
`, &endpointv3.ClusterLoadAssignment{}))
	endpoint := func(ip string, port, weight uint32, health config.HealthStatus, host string) config.Endpoint {
		return config.Endpoint{Address: config.Address{IP: ip, Port: port}, Weight: weight, Health: health, Hostname: host}
	}
	checked := func(e config.Endpoint, ip string, port uint32, host string, disabled bool) config.Endpoint {
		e.HealthCheck = config.EndpointHealthCheck{IP: ip, Port: port, Hostname: host, Disabled: disabled}
		return e
	}
	keyed := func(e config.Endpoint, key string) config.Endpoint {
		e.HashKey = key
		e.SubsetLabels = &config.SubsetLabels{Labels: config.Labels{Values: map[string]string{"hash_key": `"` + key + `"`, "other": "1"}}}
		return e
	}
	want := &config.ClusterLoadAssignment{Name: "c", Overprovision: 200, WeightedHealth: true, StaleAfter: 90 * time.Second, Localities: []config.LocalityEndpoints{
		{Region: "r", Zone: "z", SubZone: "s", Weight: 4, Endpoints: []config.Endpoint{
			keyed(checked(endpoint("10.0.0.1", 80, 7, config.HealthDraining, "h"), "", 3, "hc", true), "k"),
			endpoint("2001:db8::1", 80, 1, config.HealthUnhealthy, ""),
			endpoint("10.0.0.3", 80, 1, config.HealthHealthy, ""),
		}},
		{Priority: 1, Endpoints: []config.Endpoint{
			endpoint("10.0.0.2", 0, 1, config.HealthDegraded, ""),
			checked(endpoint("10.0.0.1", 81, 1, config.HealthTimeout, ""), "2001:db8::2", 90, "", false),
		}},
		{Priority: 2},
	}}
	checkEqual(t, got, want, err)
}

// TestNamedEndpoints holds that an endpoint which is named is like one that is written out, with the weight and health of each place
// that names it.
func TestNamedEndpoints(t *testing.T) {
	got, err := resource.Assignment(parse(t, `
cluster_name: c
named_endpoints:
  a: {hostname: h, address: {socket_address: {address: 10.0.0.1, port_value: 80}}, health_check_config: {port_value: 81}}
  unused: {address: {socket_address: {address: 10.0.0.9, port_value: 80}}}
endpoints:
- lb_endpoints:
  - {endpoint_name: a, load_balancing_weight: 3, health_status: DEGRADED, metadata: {filter_metadata: {envoy.lb: {hash_key: k}}}}
  - {endpoint_name: a, load_balancing_weight: 9}
  - {endpoint: {address: {socket_address: {address: 10.0.0.2, port_value: 80}}}}
`, &endpointv3.ClusterLoadAssignment{}))
	want := &config.ClusterLoadAssignment{Name: "c", Overprovision: 140, Localities: []config.LocalityEndpoints{{Endpoints: []config.Endpoint{
		{
			Address: config.Address{IP: "10.0.0.1", Port: 80}, Hostname: "h", Weight: 3, Health: config.HealthDegraded, HashKey: "k", SubsetLabels: &config.SubsetLabels{Labels: config.Labels{Values: map[string]string{"hash_key": `"k"`}}},
			HealthCheck: config.EndpointHealthCheck{Port: 81},
		},
		{Address: config.Address{IP: "10.0.0.2", Port: 80}, Weight: 1},
	}}}}
	checkEqual(t, got, want, err)
}

// TestAssignmentPipe holds that Unix domain sockets are endpoints, each once.
func TestAssignmentPipe(t *testing.T) {
	text := "endpoints: [{lb_endpoints: ["
	for _, pipe := range []string{"path: ./etc/XDS, mode: 384", "path: '@name'", "path: ./etc/XDS", "path: /" + strings.Repeat("x", 106)} {
		text += "{endpoint: {address: {pipe: {" + pipe + "}}}},"
	}
	text += "{endpoint: {address: {pipe: {path: /checked}}, health_check_config: {address: {socket_address: {address: 1.1.1.1, port_value: 1}}}}}]}]"
	out, err := resource.Assignment(parse(t, "cluster_name: a\n"+text, &endpointv3.ClusterLoadAssignment{}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range out.Localities[0].Endpoints {
		got = append(got, e.Address.Network()+" "+e.Address.String()+" "+e.CheckedAt().String())
	}
	long := "/" + strings.Repeat("x", 106)
	want := []string{
		"unix ./etc/XDS ./etc/XDS", "unix @name @name", "unix " + long + " " + long, "unix /checked 1.1.1.1:1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAssignmentRefused(t *testing.T) {
	const address = "endpoints[0].lb_endpoints[0].endpoint.address."
	one := func(address string) string {
		return "endpoints: [{lb_endpoints: [{endpoint: {address: {" + address + "}}}]}]"
	}
	check := func(config string) string {
		return "endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 1.1.1.1, port_value: 1}}, health_check_config: {" + config + "}}}]}]"
	}
	const checkPath = "endpoints[0].lb_endpoints[0].endpoint.health_check_config."
	tests := map[string]string{
		check("address: {socket_address: {address: h.example, port_value: 1}}"):                             checkPath + "address.socket_address.address: malformed IP address: h.example (a name needs a cluster of type STRICT_DNS)",
		check("address: {pipe: {path: /x}}"):                                                                checkPath + "address.pipe: is not supported, only socket_address",
		check("port_value: 65536"):                                                                          checkPath + "port_value: value must be less than or equal to 65535",
		check("hostname: a b"):                                                                              checkPath + `hostname: "a b" must not have spaces in it`,
		one("pipe: {path: '@'}"):                                                                            address + "pipe.path: must name a socket: the path of a file, or @ and an abstract name",
		one("pipe: {path: ''}"):                                                                             address + "pipe.path: value length must be at least 1 runes",
		one("pipe: {path: /" + strings.Repeat("x", 107) + "}"):                                              address + `pipe.path: "/` + strings.Repeat("x", 107) + `" has 108 bytes, a Unix domain socket can have at most 107`,
		one(`pipe: {path: "/a\0b"}`):                                                                        address + `pipe.path: "/a\x00b" must not hold a NUL byte`,
		one("pipe: {path: '@x', mode: 384}"):                                                                address + "pipe.mode: cannot be set for an abstract socket, which has no file",
		one("pipe: {path: /x, mode: 512}"):                                                                  address + "pipe.mode: value must be less than or equal to 511",
		one("pipe: {path: /x}}, health_check_config: {port_value: 1"):                                       checkPath + "port_value: cannot be set for a pipe, which has no ports",
		one("envoy_internal_address: {server_listener_name: l}"):                                            address + "envoy_internal_address: is not supported, only socket_address",
		one("socket_address: {address: h.example, port_value: 1}"):                                          address + "socket_address.address: malformed IP address: h.example (a name needs a cluster of type STRICT_DNS)",
		one("socket_address: {address: 'fe80::1%eth0', port_value: 1}"):                                     address + "socket_address.address: malformed IP address: fe80::1%eth0 (a name needs a cluster of type STRICT_DNS)",
		one("socket_address: {address: 1.1.1.1, port_value: 1, protocol: UDP}"):                             address + "socket_address.protocol: UDP is not supported, only TCP",
		one("socket_address: {address: 1.1.1.1, named_port: http}"):                                         address + "socket_address.named_port: is not supported",
		one("socket_address: {address: 1.1.1.1, port_value: 1, resolver_name: r}"):                          address + "socket_address.resolver_name: is not supported",
		one("socket_address: {address: 1.1.1.1, port_value: 1, ipv4_compat: true}"):                         address + "socket_address.ipv4_compat: true is not supported, only false",
		one("socket_address: {address: 1.1.1.1, port_value: 70000}"):                                        address + "socket_address.port_value: value must be less than or equal to 65535",
		"endpoints: [{lb_endpoints: [{endpoint_name: e}]}]":                                                 `endpoints[0].lb_endpoints[0].endpoint_name: "e" is not among named_endpoints`,
		"endpoints: [{lb_endpoints: [{}]}]":                                                                 "endpoints[0].lb_endpoints[0].endpoint: must be set",
		"named_endpoints: {a: {address: {pipe: {path: '@'}}}}":                                              `named_endpoints["a"].address.pipe.path: must name a socket: the path of a file, or @ and an abstract name`,
		"named_endpoints: {a: {}}":                                                                          `named_endpoints["a"].address: must have a socket_address`,
		"policy: {endpoint_stale_after: 0s}":                                                                "policy.endpoint_stale_after: value must be greater than 0s",
		"policy: {drop_overloads: [{category: x}, {category: y}]}":                                          "policy.drop_overloads: has 2 entries, only one is supported",
		"policy: {overprovisioning_factor: 0}":                                                              "policy.overprovisioning_factor: value must be greater than 0",
		"endpoints: [{priority: 1}]":                                                                        "endpoints: priority 1 is used but 0 is not, priorities must be contiguous from 0",
		"endpoints: [{priority: 2}, {}]":                                                                    "endpoints: priority 2 is used but 1 is not, priorities must be contiguous from 0",
		"endpoints: [{load_balancing_weight: 4294967295}, {locality: {zone: z}, load_balancing_weight: 1}]": "endpoints: the sum of the locality weights of priority 0 is 4294967296, it must be at most 4294967295",
		"endpoints: [{lb_endpoints: [{load_balancing_weight: 4294967295, " + onePort + "}, {endpoint: {address: {socket_address: {address: 10.0.0.2, port_value: 80}}}}]}]": `endpoints: the sum of the weights in locality ""/""/"" of priority 0 is 4294967296, it must be at most 4294967295`,
		"endpoints: [{leds_cluster_locality_config: {leds_config: {ads: {}}}}]":                                                                                             "endpoints[0].leds_cluster_locality_config: is not supported",
		"endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 1.1.1.1, port_value: 1}}, additional_addresses: [{}]}}]}]":                             "endpoints[0].lb_endpoints[0].endpoint.additional_addresses[0].address: must have a socket_address",
		"endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: /x}}, additional_addresses: [{address: {socket_address: {address: 1.1.1.2, port_value: 1}}}]}}]}]":  "endpoints[0].lb_endpoints[0].endpoint.additional_addresses: cannot be set beside a pipe",
		"endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 1.1.1.1, port_value: 1}}, additional_addresses: [{address: {socket_address: {address: 1.1.1.2, port_value: 1}}}, {address: {socket_address: {address: 1.1.1.2, port_value: 1}}}, {address: {socket_address: {address: 1.1.1.2, port_value: 1}}}, {address: {socket_address: {address: 1.1.1.2, port_value: 1}}}, {address: {socket_address: {address: 1.1.1.2, port_value: 1}}}, {address: {socket_address: {address: 1.1.1.2, port_value: 1}}}, {address: {socket_address: {address: 1.1.1.2, port_value: 1}}}, {address: {socket_address: {address: 1.1.1.2, port_value: 1}}}]}}]}]": "endpoints[0].lb_endpoints[0].endpoint.additional_addresses: there are 8, there may be 7",
		"endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 1.1.1.1, port_value: 1}}, additional_addresses: [{address: {socket_address: {address: name, port_value: 1}}}]}}]}]": "endpoints[0].lb_endpoints[0].endpoint.additional_addresses[0].address.socket_address.address: malformed IP address: name (a name needs a cluster of type STRICT_DNS)",
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := resource.Assignment(parse(t, "cluster_name: c\n"+text, &endpointv3.ClusterLoadAssignment{}))
			checkError(t, err, `cluster load assignment "c": `+want)
		})
	}
}

// TestCanary holds which hosts have a version on trial.
func TestCanary(t *testing.T) {
	for text, want := range map[string]bool{
		"envoy.lb: {canary: true}": true, "envoy.lb: {canary: false}": false, "envoy.lb: {canary: 'true'}": false, "other: {canary: true}": false,
	} {
		cla, err := resource.Assignment(parse(t, "cluster_name: c\nendpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: "+
			"{address: 10.0.0.1, port_value: 80}}}, metadata: {filter_metadata: {"+text+"}}}]}]", &endpointv3.ClusterLoadAssignment{}))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := cla.Localities[0].Endpoints[0].Canary; got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
}

// TestDropOverloads holds what share of requests is refused.
func TestDropOverloads(t *testing.T) {
	for text, want := range map[string]uint32{
		"[]":              0,
		"[{category: x}]": 0,
		"[{category: x, drop_percentage: {numerator: 5}}]":                         50_000,
		"[{category: x, drop_percentage: {numerator: 5, denominator: MILLION}}]":   5,
		"[{category: x, drop_percentage: {numerator: 500, denominator: HUNDRED}}]": config.FractionAll,
	} {
		cla, err := resource.Assignment(parse(t, "{cluster_name: c, policy: {drop_overloads: "+text+"}}", &endpointv3.ClusterLoadAssignment{}))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if cla.Drop != want {
			t.Errorf("%s: got %d, want %d", text, cla.Drop, want)
		}
	}
}

func TestAdditionalAddresses(t *testing.T) {
	a, err := resource.Assignment(parse(t, `
cluster_name: c
endpoints:
- lb_endpoints:
  - endpoint:
      address: {socket_address: {address: 192.0.2.1, port_value: 80}}
      additional_addresses: [{address: {socket_address: {address: "2001:db8:0::1", port_value: 81}}}]
`, &endpointv3.ClusterLoadAssignment{}))
	if err != nil {
		t.Fatal(err)
	}
	e := a.Localities[0].Endpoints[0]
	checkEqual(t, e.Address, config.Address{IP: "192.0.2.1", Port: 80}, nil)
	checkEqual(t, e.Additional, &config.MoreAddresses{List: []config.Address{{IP: "2001:db8::1", Port: 81}}}, nil)
}
