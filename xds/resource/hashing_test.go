package resource_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// lbPolicy returns a load_balancing_policy of one entry: the message with the rest of its fields.
func lbPolicy(message, rest string) string {
	return "load_balancing_policy: {policies: [{typed_extension_config: {name: p, typed_config: {" +
		"'@type': type.googleapis.com/envoy.extensions.load_balancing_policies." + message + rest + "}}}]}"
}

const (
	ringHash = "ring_hash.v3.RingHash"
	maglev   = "maglev.v3.Maglev"
)

// clusterHashes returns options by which the cluster itself hashes a field.
func clusterHashes(field string) string {
	return "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {" +
		"'@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http_protocol_options: {}}, " +
		"hash_policy: [{header: {header_name: " + field + "}}]}}"
}

func TestHashing(t *testing.T) {
	ring := config.Hashing{MinRingSize: 1024, MaxRingSize: 8 << 20}
	table := config.Hashing{TableSize: 65537}
	set := func(lb config.LBPolicy, h config.Hashing, change func(*config.Hashing)) func(*config.Cluster) {
		if change != nil {
			change(&h)
		}
		return func(c *config.Cluster) { c.LB, c.Hashing = lb, h }
	}
	const byHeader = "hash_policy: [{header: {header_name: X-User}}]"
	tests := map[string]struct {
		text string
		want func(*config.Cluster)
	}{
		"ring_hash": {lbPolicy(ringHash, ""), set(config.RingHash, ring, nil)},
		"ring_hash, all fields": {
			lbPolicy(ringHash, ", hash_function: MURMUR_HASH_2, minimum_ring_size: 7, maximum_ring_size: 8, use_hostname_for_hashing: true"),
			set(config.RingHash, config.Hashing{MinRingSize: 7, MaxRingSize: 8, Hostnames: true, MurmurHash2: true}, nil)},
		"the common message wins over the ring's field": {
			lbPolicy(ringHash, ", hash_function: XX_HASH, use_hostname_for_hashing: true, consistent_hashing_lb_config: {"+byHeader+"}"),
			set(config.RingHash, ring, func(h *config.Hashing) { h.Policies = []config.HashPolicy{{Name: "x-user"}} })},
		"maglev": {lbPolicy(maglev, ""), set(config.Maglev, table, nil)},
		"maglev, all fields": {lbPolicy(maglev, ", table_size: 5000011, consistent_hashing_lb_config: {use_hostname_for_hashing: true}"),
			set(config.Maglev, config.Hashing{TableSize: 5000011, Hostnames: true}, nil)},
		"maglev with localities": {lbPolicy(maglev, ", locality_weighted_lb_config: {}"),
			func(c *config.Cluster) { c.LB, c.Hashing, c.LocalityWeighted = config.Maglev, table, true }},
		"ring_hash with localities": {lbPolicy(ringHash, ", locality_weighted_lb_config: {}"),
			func(c *config.Cluster) { c.LB, c.Hashing, c.LocalityWeighted = config.RingHash, ring, true }},
		"lb_policy RING_HASH": {"lb_policy: RING_HASH", set(config.RingHash, ring, nil)},
		"lb_policy RING_HASH, all fields": {
			"lb_policy: RING_HASH\nring_hash_lb_config: {minimum_ring_size: 3, maximum_ring_size: 4, hash_function: MURMUR_HASH_2}\n" +
				"common_lb_config: {consistent_hashing_lb_config: {use_hostname_for_hashing: true}}",
			set(config.RingHash, config.Hashing{MinRingSize: 3, MaxRingSize: 4, Hostnames: true, MurmurHash2: true}, nil)},
		"ring_hash, bounded": {lbPolicy(ringHash, ", hash_balance_factor: 150"),
			set(config.RingHash, ring, func(h *config.Hashing) { h.BalanceFactor = 150 })},
		"maglev, bounded": {lbPolicy(maglev, ", consistent_hashing_lb_config: {hash_balance_factor: 100}"),
			set(config.Maglev, table, func(h *config.Hashing) { h.BalanceFactor = 100 })},
		"lb_policy MAGLEV, bounded": {"lb_policy: MAGLEV\ncommon_lb_config: {consistent_hashing_lb_config: {hash_balance_factor: 125}}",
			set(config.Maglev, table, func(h *config.Hashing) { h.BalanceFactor = 125 })},
		"lb_policy MAGLEV": {"lb_policy: MAGLEV", set(config.Maglev, table, nil)},
		"lb_policy MAGLEV, all fields": {
			"lb_policy: MAGLEV\nmaglev_lb_config: {table_size: 7}\ncommon_lb_config: {locality_weighted_lb_config: {}}",
			func(c *config.Cluster) {
				c.LB, c.Hashing, c.LocalityWeighted = config.Maglev, config.Hashing{TableSize: 7}, true
			}},
		"policies of the cluster": {"lb_policy: MAGLEV\n" + clusterHashes("X-Cluster"),
			set(config.Maglev, table, func(h *config.Hashing) { h.Policies = []config.HashPolicy{{Name: "x-cluster"}} })},
		"those of the load balancing policy win over the cluster's": {
			lbPolicy(maglev, ", consistent_hashing_lb_config: {"+byHeader+"}") + "\n" + clusterHashes("X-Cluster"),
			set(config.Maglev, table, func(h *config.Hashing) { h.Policies = []config.HashPolicy{{Name: "x-user"}} })},
		"of no use to another policy": {"ring_hash_lb_config: {}", func(*config.Cluster) {}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := defaultCluster()
			test.want(want)
			got, err := resource.Cluster(parse(t, "name: c\n"+test.text, &clusterv3.Cluster{}))
			checkEqual(t, got, want, err)
		})
	}
}

func TestHashingRefused(t *testing.T) {
	const path = "load_balancing_policy.policies[0].typed_extension_config.typed_config."
	tests := map[string]string{
		lbPolicy(ringHash, ", hash_balance_factor: 99"):                                               path + "hash_balance_factor: value must be greater than or equal to 100",
		lbPolicy(maglev, ", consistent_hashing_lb_config: {hash_balance_factor: 0}"):                  path + "consistent_hashing_lb_config.hash_balance_factor: value must be greater than or equal to 100",
		lbPolicy(maglev, ", consistent_hashing_lb_config: {hash_policy: [{filter_state: {key: k}}]}"): path + "consistent_hashing_lb_config.hash_policy[0].filter_state: is not supported",
		lbPolicy(ringHash, ", minimum_ring_size: 9, maximum_ring_size: 8"):                            path[:len(path)-1] + ": ring hash: minimum_ring_size (9) > maximum_ring_size (8)",
		lbPolicy(ringHash, ", minimum_ring_size: 8388609"):                                            path + "minimum_ring_size: value must be inside range [1, 8388608]",
		"lb_policy: RING_HASH\nring_hash_lb_config: {minimum_ring_size: 0}":                           "ring_hash_lb_config.minimum_ring_size: 0 must be from 1 to 8388608",
		lbPolicy(ringHash, ", minimum_ring_size: 1, maximum_ring_size: 0"):                            path + "maximum_ring_size: 0 must be from 1 to 8388608",
		lbPolicy(maglev, ", table_size: 65536"):                                                       path + "table_size: 65536: the table size of maglev must be prime number, from 3 to 5000011",
		lbPolicy(maglev, ", table_size: 2"):                                                           path + "table_size: 2: the table size of maglev must be prime number, from 3 to 5000011",
		lbPolicy(maglev, ", table_size: 5000077"):                                                     path + "table_size: value must be less than or equal to 5000011",
		"lb_policy: MAGLEV\nmaglev_lb_config: {table_size: 9}":                                        "maglev_lb_config.table_size: 9: the table size of maglev must be prime number, from 3 to 5000011",
		"lb_policy: RING_HASH\nring_hash_lb_config: {minimum_ring_size: 9, maximum_ring_size: 8}":     "ring_hash_lb_config: ring hash: minimum_ring_size (9) > maximum_ring_size (8)",
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
			checkError(t, err, `cluster "c": `+want)
		})
	}
}

func TestHashPolicies(t *testing.T) {
	tests := map[string][]config.HashPolicy{
		"header: {header_name: X-User}":              {{Name: "x-user"}},
		"header: {header_name: ':path'}":             {{Name: ":path"}},
		"header: {header_name: a}, terminal: true":   {{Name: "a", Terminal: true}},
		"query_parameter: {name: Q}, terminal: true": {{Kind: config.HashQueryParameter, Name: "Q", Terminal: true}},
		"connection_properties: {source_ip: true}":   {{Kind: config.HashSourceIP}},
		"connection_properties: {source_ip: false}":  nil,
		"cookie: {name: 'not; set', path: ignored}":  {{Kind: config.HashCookie, Name: "not; set"}},
		"cookie: {name: c, ttl: 0s}":                 {{Kind: config.HashCookie, Name: "c", Cookie: &config.HashedCookie{}}},
		"cookie: {name: c, ttl: 9.9s, path: /a, attributes: [{name: Secure}, {name: SameSite, value: Lax}]}": {{
			Kind: config.HashCookie, Name: "c", Cookie: &config.HashedCookie{TTL: 9 * time.Second, Path: "/a", Attributes: []config.CookieAttribute{{Name: "Secure"}, {Name: "SameSite", Value: "Lax"}}},
		}},
		`header: {header_name: a, regex_rewrite: {pattern: {regex: '^/(\d+)$'}, substitution: '\1'}}`: {{
			Name: "a", Rewrite: &config.Rewrite{Pattern: regexp.MustCompile(`^/(\d+)$`), Substitution: "${1}"},
		}},
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			got, err := decodeRoute(t, all+"route: {cluster: c, hash_policy: [{"+text+"}]}")
			checkEqual(t, got.Forward.HashPolicies, want, err)
		})
	}
	got, err := decodeRoute(t, all+"route: {weighted_clusters: {clusters: [{name: a, weight: 1}], use_hash_policy: true}}")
	if err != nil || !got.Forward.HashSplit {
		t.Errorf("use_hash_policy: %+v, %v", got, err)
	}
}

func TestHashPoliciesRefused(t *testing.T) {
	tests := map[string]string{
		"filter_state: {key: k}":                                                "filter_state: is not supported",
		"header: {header_name: 'a b'}":                                          `header.header_name: "a b" is not a field name`,
		"header: {header_name: a, regex_rewrite: {pattern: {regex: '('}}}":      "header.regex_rewrite.pattern.regex: error parsing regexp: missing closing ): `(`",
		"cookie: {name: 'a b', ttl: 1s}":                                        `cookie.name: "a b" must be a token to be set as a cookie (RFC 6265 section 4.1.1)`,
		"cookie: {name: a, ttl: 1s, path: '/;x'}":                               `cookie.path: "/;x" must be of printable ASCII characters without a semicolon`,
		"cookie: {name: a, ttl: 1s, attributes: [{name: A, value: \"b\\tc\"}]}": `cookie.attributes[0].value: "b\tc" must be of printable ASCII characters without a semicolon`,
		"cookie: {name: a, ttl: -1s}":                                           "cookie.ttl: must be from 0s to 87600h0m0s",
		"cookie: {name: a, ttl: 1s, path: " + strings.Repeat("/", 4097) + "}":   "cookie.path: is 4097 bytes long, at most 4096 are allowed",
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := decodeRoute(t, all+"route: {cluster: c, hash_policy: [{"+text+"}]}")
			checkError(t, err, `route configuration "rc": `+onePath+"route.hash_policy[0]."+want)
		})
	}
	many := strings.Repeat(fmt.Sprintf("{header: {header_name: %s}}, ", "a"), 65)
	_, err := decodeRoute(t, all+"route: {cluster: c, hash_policy: ["+many+"]}")
	checkError(t, err, `route configuration "rc": `+onePath+"route.hash_policy: has 65 entries, at most 64 are allowed")
}
