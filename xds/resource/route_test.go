package resource_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// withRoute returns a route configuration with one route.
func withRoute(text string) string {
	return "name: rc\nvirtual_hosts:\n- name: v\n  domains: [\"*\"]\n  routes:\n  - " + indent(4, text) + "\n"
}

const (
	all     = "match: {prefix: /}\n"
	toC     = "route: {cluster: c}\n"
	onePath = "virtual_hosts[0].routes[0]."
)

func anchored(text string) *regexp.Regexp { return regexp.MustCompile(`\A(?:` + text + `)\z`) }

func decodeRoute(t *testing.T, text string) (*config.Route, error) {
	t.Helper()
	rc, err := resource.RouteConfiguration(parse(t, withRoute(text), &routev3.RouteConfiguration{}))
	if err != nil {
		return nil, err
	}
	return rc.VirtualHosts[0].Routes[0], nil
}

func TestRouteMatch(t *testing.T) {
	yes, no := true, false
	type match = config.RouteMatch
	plain := func(kind config.PathKind, path string) match {
		return match{Kind: kind, Path: path, CaseSensitive: true, Fraction: config.RuntimeFraction{Default: config.FractionAll}}
	}
	header := func(h config.HeaderMatcher) match {
		m := plain(config.PathPrefix, "/")
		m.Headers = []config.HeaderMatcher{h}
		return m
	}
	text := func(kind config.StringKind, value string) match {
		return header(config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: config.StringMatcher{Kind: kind, Value: value}})
	}
	query := func(q config.QueryMatcher) match {
		m := plain(config.PathPrefix, "/")
		m.Query = []config.QueryMatcher{q}
		return m
	}
	never := plain(config.PathPrefix, "/")
	never.Never = true
	fraction := func(n uint32) match { m := plain(config.PathPrefix, "/"); m.Fraction.Default = n; return m }
	pattern := plain(config.PathRegex, "/a|/b")
	pattern.Regex, pattern.CaseSensitive = anchored("/a|/b"), false
	grpc := plain(config.PathPrefix, "/")
	grpc.GRPC = true
	runtime := fraction(500)
	runtime.Fraction.Key = "k"
	tests := map[string]match{
		"prefix: /a":                plain(config.PathPrefix, "/a"),
		"path: /a":                  plain(config.PathExact, "/a"),
		"path_separated_prefix: /a": plain(config.PathSeparatedPrefix, "/a"),
		"safe_regex: {regex: /a|/b}, case_sensitive: no": pattern,
		"prefix: /, grpc: {}":                            grpc,
		"prefix: /, dynamic_metadata: [{filter: f, path: [{key: k}], value: {present_match: true}}]":                           never,
		"prefix: /, dynamic_metadata: [{filter: f, path: [{key: k}], value: {present_match: true}, invert: true}]":             plain(config.PathPrefix, "/"),
		"prefix: /, filter_state: [{key: k, string_match: {exact: x}}]":                                                        never,
		"prefix: /, runtime_fraction: {default_value: {numerator: 5}}":                                                         fraction(50_000),
		"prefix: /, runtime_fraction: {default_value: {numerator: 5, denominator: TEN_THOUSAND}, runtime_key: k}":              runtime,
		"prefix: /, runtime_fraction: {default_value: {numerator: 5, denominator: MILLION}}":                                   fraction(5),
		"prefix: /, runtime_fraction: {default_value: {numerator: 500}}":                                                       fraction(config.FractionAll),
		"prefix: /, headers: [{name: X}]":                                                                                      header(config.HeaderMatcher{Name: "x", Present: true}),
		"prefix: /, headers: [{name: x, present_match: false, invert_match: true}]":                                            header(config.HeaderMatcher{Name: "x", Invert: true}),
		"prefix: /, headers: [{name: x, exact_match: V}]":                                                                      text(config.StringExact, "V"),
		"prefix: /, headers: [{name: x, prefix_match: V}]":                                                                     text(config.StringPrefix, "V"),
		"prefix: /, headers: [{name: x, suffix_match: V}]":                                                                     text(config.StringSuffix, "V"),
		"prefix: /, headers: [{name: x, contains_match: V}]":                                                                   text(config.StringContains, "V"),
		"prefix: /, headers: [{name: x, range_match: {start: -1, end: 7}}]":                                                    header(config.HeaderMatcher{Name: "x", Kind: config.HeaderRange, Start: -1, End: 7}),
		"prefix: /, headers: [{name: x, safe_regex_match: {regex: a+}}]":                                                       header(config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringRegex, Regex: anchored("a+")}}),
		"prefix: /, headers: [{name: host, string_match: {exact: A, ignore_case: true}, treat_missing_header_as_empty: true}]": header(config.HeaderMatcher{Name: ":authority", Kind: config.HeaderString, TreatMissingAsEmpty: true, String: config.StringMatcher{Value: "a", IgnoreCase: true}}),
		"prefix: /, headers: [{name: ':method', string_match: {prefix: P}}]":                                                   header(config.HeaderMatcher{Name: ":method", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringPrefix, Value: "P"}}),
		"prefix: /, headers: [{name: x, string_match: {suffix: V}}]":                                                           text(config.StringSuffix, "V"),
		"prefix: /, headers: [{name: x, string_match: {contains: V}}]":                                                         text(config.StringContains, "V"),
		"prefix: /, headers: [{name: x, string_match: {safe_regex: {regex: b}, ignore_case: true}}]":                           header(config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringRegex, Regex: anchored("b")}}),
		"prefix: /, tls_context: {}":                                                                                           {CaseSensitive: true, Path: "/", Fraction: config.RuntimeFraction{Default: config.FractionAll}},
		"prefix: /, tls_context: {validated: false}":                                                                           {CaseSensitive: true, Path: "/", Fraction: config.RuntimeFraction{Default: config.FractionAll}, CertificateValidated: new(false)},
		"prefix: /, tls_context: {presented: true}":                                                                            {CaseSensitive: true, Path: "/", Fraction: config.RuntimeFraction{Default: config.FractionAll}, CertificatePresented: new(true)},
		"prefix: /, cookies: [{name: C, string_match: {exact: a}}, {name: d, string_match: {prefix: b}, invert_match: true}]": {
			Path: "/", CaseSensitive: true, Fraction: config.RuntimeFraction{Default: config.FractionAll}, Cookies: []config.CookieMatcher{
				{Name: "C", String: config.StringMatcher{Value: "a"}},
				{Name: "d", String: config.StringMatcher{Kind: config.StringPrefix, Value: "b"}, Invert: true},
			},
		},
		"prefix: /, query_parameters: [{name: Q}]":                           query(config.QueryMatcher{Name: "Q", Present: &yes}),
		"prefix: /, query_parameters: [{name: Q, present_match: false}]":     query(config.QueryMatcher{Name: "Q", Present: &no}),
		"prefix: /, query_parameters: [{name: Q, string_match: {exact: a}}]": query(config.QueryMatcher{Name: "Q", String: config.StringMatcher{Value: "a"}}),
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			got, err := decodeRoute(t, "match: {"+text+"}\n"+toC)
			if err != nil {
				t.Fatal(err)
			}
			checkEqual(t, got.Match, want, nil)
		})
	}
}

func TestRouteAction(t *testing.T) {
	zero := time.Duration(0)
	forward := func(change func(*config.Forward)) config.Route {
		f := &config.Forward{Clusters: []config.WeightedCluster{{Name: "c", Weight: 1}}, ClusterNotFoundStatus: 503, Timeout: 15 * time.Second}
		change(f)
		return config.Route{Forward: f}
	}
	redirect := func(r config.Redirect) config.Route { return config.Route{Redirect: &r} }
	add := func(name, value string, action config.AppendAction) []config.HeaderValue {
		return []config.HeaderValue{{Name: name, Value: value, Action: action}}
	}
	tests := map[string]config.Route{
		"route: {cluster: c}":                                                                             forward(func(*config.Forward) {}),
		"route: {cluster: c, flush_timeout: 3s}":                                                          forward(func(f *config.Forward) { f.FlushTimeout = new(3 * time.Second) }),
		"route: {cluster: c, timeout: 0s, idle_timeout: 0s}":                                              forward(func(f *config.Forward) { f.Timeout, f.IdleTimeout = 0, &zero }),
		"route: {cluster: c, cluster_not_found_response_code: NOT_FOUND}":                                 forward(func(f *config.Forward) { f.ClusterNotFoundStatus = 404 }),
		"route: {cluster: c, cluster_not_found_response_code: INTERNAL_SERVER_ERROR}":                     forward(func(f *config.Forward) { f.ClusterNotFoundStatus = 500 }),
		"route: {cluster: c, priority: HIGH}":                                                             forward(func(f *config.Forward) { f.Priority = config.PriorityHigh }),
		"route: {cluster: c, prefix_rewrite: /b, host_rewrite_literal: h, append_x_forwarded_host: true}": forward(func(f *config.Forward) { f.PrefixRewrite, f.HostRewrite, f.AppendForwardedHost = "/b", "h", true }),
		"route: {cluster: c, host_rewrite_header: X-H}":                                                   forward(func(f *config.Forward) { f.HostRewriteHeader = "x-h" }),
		"route: {cluster: c, auto_host_rewrite: true}":                                                    forward(func(f *config.Forward) { f.AutoHostRewrite = true }),
		`route: {cluster: c, host_rewrite_path_regex: {pattern: {regex: '^/(.+)/.+$'}, substitution: '\1'}}`: forward(func(f *config.Forward) {
			f.HostRewritePath = &config.Rewrite{Pattern: regexp.MustCompile("^/(.+)/.+$"), Substitution: "${1}"}
		}),
		`route: {cluster: c, regex_rewrite: {pattern: {regex: '/(a)(b)'}, substitution: '\2$\\x\0'}}`: forward(func(f *config.Forward) {
			f.RegexRewrite = &config.Rewrite{Pattern: regexp.MustCompile("/(a)(b)"), Substitution: `${2}$$\x${0}`}
		}),
		"route: {cluster: c, upgrade_configs: [{upgrade_type: WEBSOCKET}, {upgrade_type: connect, enabled: false}]}": forward(func(f *config.Forward) {
			f.Upgrades = []config.Upgrade{{Type: "websocket", Enabled: true}, {Type: "connect"}}
		}),
		"route: {cluster: c, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}": forward(func(f *config.Forward) {
			f.Upgrades, f.TerminateConnect = []config.Upgrade{{Type: "connect", Enabled: true}}, true
		}),
		"route: {cluster: c, max_grpc_timeout: 0s, grpc_timeout_offset: 1s}": forward(func(f *config.Forward) {
			f.GRPCTimeout = &config.GRPCTimeout{Offset: time.Second}
		}),
		"route: {cluster: c, timeout: 1s, max_grpc_timeout: 1s, max_stream_duration: {}}": forward(func(f *config.Forward) {
			f.Timeout, f.TellsDuration = 0, true
		}),
		"route: {cluster: c, max_stream_duration: {max_stream_duration: 0s, grpc_timeout_header_max: 2s, grpc_timeout_header_offset: 1s}}": forward(func(f *config.Forward) {
			f.Timeout, f.TellsDuration = 0, true
			f.MaxStreamDuration, f.GRPCStreamDuration = &zero, &config.GRPCTimeout{Max: 2 * time.Second, Offset: time.Second}
		}),
		"route: {weighted_clusters: {total_weight: 3, runtime_key_prefix: k, clusters: [{name: a, weight: 1, host_rewrite_literal: h, request_headers_to_remove: [Q]}, {name: b, weight: 2}, {name: c}]}}": forward(func(f *config.Forward) {
			f.Clusters = []config.WeightedCluster{{Name: "a", Weight: 1, HostRewrite: "h", HeaderMutations: config.HeaderMutations{RequestRemove: []string{"q"}}}, {Name: "b", Weight: 2}, {Name: "c"}}
			f.RuntimeKeyPrefix = "k"
		}),
		"redirect: {https_redirect: true}": redirect(config.Redirect{Status: 301, HTTPSRedirect: true}),
		"redirect: {scheme_redirect: s, host_redirect: h, port_redirect: 8, path_redirect: /p, response_code: FOUND, strip_query: true}": redirect(config.Redirect{Status: 302, Scheme: "s", Host: "h", Port: 8, Path: "/p", StripQuery: true}),
		"redirect: {prefix_rewrite: /q, response_code: SEE_OTHER}":                                                                       redirect(config.Redirect{Status: 303, PrefixRewrite: "/q"}),
		"redirect: {response_code: TEMPORARY_REDIRECT}":                                                                                  redirect(config.Redirect{Status: 307}),
		"redirect: {response_code: PERMANENT_REDIRECT, regex_rewrite: {pattern: {regex: a}, substitution: b}}":                           redirect(config.Redirect{Status: 308, RegexRewrite: &config.Rewrite{Pattern: regexp.MustCompile("a"), Substitution: "b"}}),
		"route: {weighted_clusters: {header_name: X-N, clusters: [{cluster_header: X-C, weight: 1}]}}": forward(func(f *config.Forward) {
			f.Clusters, f.SplitHeader = []config.WeightedCluster{{Header: "x-c", Weight: 1}}, "x-n"
		}),
		"route: {cluster: c, early_data_policy: {name: p, typed_config: {'@type': type.googleapis.com/no.P}}}": forward(func(*config.Forward) {}),
		"route: {cluster: c, cors: {allow_methods: GET}}": forward(func(f *config.Forward) {
			f.CORS = &config.CORSPolicy{AllowMethods: "GET", Enabled: config.RuntimeFraction{Default: config.FractionAll}}
		}),
		"route: {cluster_header: X-C}": forward(func(f *config.Forward) { f.Clusters, f.ClusterHeader = nil, "x-c" }),
		"route: {cluster: c, include_vh_rate_limits: true, rate_limits: [{actions: [{remote_address: {}}]}]}": forward(func(*config.Forward) {}),
		"direct_response: {status: 200, body_format: {text_format: '%PROTOCOL% 5%%', content_type: a/b}}": {
			Direct: &config.DirectResponse{Status: 200, Format: "%PROTOCOL% 5%%", ContentType: "a/b"}},
		"direct_response: {status: 200, body_format: {text_format_source: {inline_bytes: AAE=}}}": {
			Direct: &config.DirectResponse{Status: 200, Format: "\x00\x01"}},
		"direct_response: {status: 200}":                                                                       {Direct: &config.DirectResponse{Status: 200}},
		"direct_response: {status: 404, body: {inline_string: hello}}":                                         {Direct: &config.DirectResponse{Status: 404, Body: []byte("hello")}},
		"direct_response: {status: 404, body: {inline_bytes: aGVsbG8=}}":                                       {Direct: &config.DirectResponse{Status: 404, Body: []byte("hello")}},
		"direct_response: {status: 200}\nmetadata: {}\ndecorator: {operation: o}\ntracing: {}\nstat_prefix: s": {StatPrefix: "s", Direct: &config.DirectResponse{Status: 200}},
		"direct_response: {status: 200}\nrequest_headers_to_add: [{header: {key: X-A, value: '%REQ(:PATH?x-b):10% 5%%'}, append_action: ADD_IF_ABSENT}]\nrequest_headers_to_remove: [X-B]": {
			Direct:          &config.DirectResponse{Status: 200},
			HeaderMutations: config.HeaderMutations{RequestAdd: add("x-a", "%REQ(:PATH?x-b):10% 5%%", config.AddIfAbsent), RequestRemove: []string{"x-b"}},
		},
		"direct_response: {status: 200}\nresponse_headers_to_add: [{header: {key: a, value: '%PROTOCOL%%ROUTE_NAME%'}, append: true}]\nresponse_headers_to_remove: [b]": {
			Direct:          &config.DirectResponse{Status: 200},
			HeaderMutations: config.HeaderMutations{ResponseAdd: add("a", "%PROTOCOL%%ROUTE_NAME%", config.AppendIfExistsOrAdd), ResponseRemove: []string{"b"}},
		},
		"direct_response: {status: 200}\nresponse_headers_to_add: [{header: {key: a, value: b}, append: false}]": {
			Direct: &config.DirectResponse{Status: 200}, HeaderMutations: config.HeaderMutations{ResponseAdd: add("a", "b", config.OverwriteIfExistsOrAdd)},
		},
		"direct_response: {status: 200}\nresponse_headers_to_add: [{header: {key: a, value: b}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}]": {
			Direct: &config.DirectResponse{Status: 200}, HeaderMutations: config.HeaderMutations{ResponseAdd: add("a", "b", config.OverwriteIfExistsOrAdd)},
		},
		"direct_response: {status: 200}\nresponse_headers_to_add: [{header: {key: a}, append_action: OVERWRITE_IF_EXISTS, keep_empty_value: true}]": {
			Direct: &config.DirectResponse{Status: 200}, HeaderMutations: config.HeaderMutations{ResponseAdd: []config.HeaderValue{{Name: "a", Action: config.OverwriteIfExists, KeepEmpty: true}}},
		},
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			got, err := decodeRoute(t, "name: r1\n"+all+text)
			want.Name, want.Match = "r1", config.RouteMatch{Path: "/", CaseSensitive: true, Fraction: config.RuntimeFraction{Default: config.FractionAll}}
			checkEqual(t, got, &want, err)
		})
	}
}

func TestRouteRefused(t *testing.T) {
	tests := map[string]string{
		all + "route: {cluster: c, cors: {max_age: \"a\\nb\"}}":                                                                                  `route.cors.max_age: "a\nb" must not contain control characters`,
		all + "route: {cluster: c, prefix_rewrite: /a, regex_rewrite: {pattern: {regex: a}, substitution: b}}":                                   "route.prefix_rewrite: cannot be set together with regex_rewrite",
		all + "route: {cluster: c, prefix_rewrite: '/a b'}":                                                                                      `route.prefix_rewrite: "/a b" must not contain spaces or control characters`,
		all + `route: {cluster: c, regex_rewrite: {pattern: {regex: a}, substitution: '\1'}}`:                                                    `route.regex_rewrite.substitution: "\\1" has \1, but the pattern has only 0 groups`,
		all + `route: {cluster: c, regex_rewrite: {pattern: {regex: a}, substitution: '\n'}}`:                                                    `route.regex_rewrite.substitution: "\\n" has \n; valid are \0 to \9 and \\`,
		all + `route: {cluster: c, regex_rewrite: {pattern: {regex: a}, substitution: 'a\'}}`:                                                    `route.regex_rewrite.substitution: "a\\" ends with a backslash; write \\ for one`,
		all + "route: {cluster: c, upgrade_configs: [{upgrade_type: CONNECT-UDP}]}":                                                              "route.upgrade_configs[0].upgrade_type: CONNECT-UDP is not supported, only CONNECT and protocols of the Upgrade field",
		all + "route: {cluster: c, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {proxy_protocol_config: {}}}]}":                     "route.upgrade_configs[0].connect_config.proxy_protocol_config: is not supported",
		all + "route: {cluster: c, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {allow_post: true}}]}":                              "route.upgrade_configs[0].connect_config.allow_post: true is not supported, only false",
		all + "route: {cluster: c, upgrade_configs: [{upgrade_type: websocket, connect_config: {}}]}":                                            "route.upgrade_configs[0].connect_config: must be set with upgrade_type CONNECT only",
		all + "route: {weighted_clusters: {clusters: [{name: a}]}}":                                                                              "route.weighted_clusters.clusters: the sum of the weights must be more than 0",
		all + "route: {weighted_clusters: {clusters: [{name: a, weight: 4294967295}, {name: b, weight: 1}]}}":                                    "route.weighted_clusters.clusters: the sum of the weights is 4294967296, it must be at most 4294967295",
		all + "route: {weighted_clusters: {total_weight: 7, clusters: [{name: a, weight: 6}]}}":                                                  "route.weighted_clusters.total_weight: is 7, but the sum of the weights is 6",
		all + "route: {weighted_clusters: {header_name: ':status', clusters: [{name: a, weight: 6}]}}":                                           `route.weighted_clusters.header_name: ":status" is not known, only :authority, :method, :path and :scheme`,
		all + "route: {weighted_clusters: {clusters: [{weight: 6}]}}":                                                                            "route.weighted_clusters.clusters[0].name: must not be empty",
		all + "route: {weighted_clusters: {clusters: [{name: a, cluster_header: b, weight: 6}]}}":                                                "route.weighted_clusters.clusters[0].name: cannot be set together with cluster_header",
		all + "non_forwarding_action: {}":                                                                                                        "non_forwarding_action: is not supported",
		all + "direct_response: {status: 200, body: {filename: /etc/passwd}}":                                                                    "direct_response.body.filename: is not supported, only inline_string and inline_bytes",
		all + "direct_response: {status: 200, body_format: {json_format: {}}}":                                                                   "direct_response.body_format.json_format: is not supported",
		all + "direct_response: {status: 200, body_format: {text_format: '%GRPC_STATUS%'}}":                                                      "direct_response.body_format.text_format: %GRPC_STATUS% is not supported",
		all + "direct_response: {status: 200, body_format: {text_format: " + strings.Repeat("a", 64<<10+1) + "}}":                                "direct_response.body_format.text_format: is 65537 bytes long, at most 65536 are allowed",
		all + "direct_response: {status: 200, body_format: {text_format_source: {filename: /f}}}":                                                "direct_response.body_format.text_format_source.filename: is not supported, only inline_string and inline_bytes",
		all + "route: {cluster_header: ':status'}":                                                                                               `route.cluster_header: ":status" is not known, only :authority, :method, :path and :scheme`,
		all + "direct_response: {status: 100}":                                                                                                   "direct_response.status: value must be inside range [200, 600)",
		all + "direct_response: {status: 200, body: {inline_string: " + strings.Repeat("a", 4097) + "}}":                                         "direct_response.body: is 4097 bytes long, at most 4096 are allowed (max_direct_response_body_size_bytes)",
		all + toC + "typed_per_filter_config: {f: {'@type': type.googleapis.com/no.F}}":                                                          `typed_per_filter_config["f"]: type URL 'type.googleapis.com/no.F' is not supported`,
		all + toC + "request_headers_to_remove: [Host]":                                                                                          `request_headers_to_remove[0]: "Host": :-prefixed or host headers may not be modified`,
		all + toC + "request_headers_to_add: [{header: {key: ':path', value: x}}]":                                                               `request_headers_to_add[0].header.key: ":path": :-prefixed or host headers may not be modified`,
		all + toC + "request_headers_to_add: [{header: {key: 'a b', value: x}}]":                                                                 `request_headers_to_add[0].header.key: "a b" is not a field name`,
		all + toC + "request_headers_to_add: [{header: {key: a, value: '%START_TIME%'}}]":                                                        "request_headers_to_add[0].header.value: %START_TIME% is not supported",
		all + toC + "request_headers_to_add: [{header: {key: a, value: '5%'}}]":                                                                  `request_headers_to_add[0].header.value: "5%" has a % without an end; write %% for a percent sign`,
		all + toC + "request_headers_to_add: [{header: {key: a, value: '%REQ()%'}}]":                                                             "request_headers_to_add[0].header.value: %REQ()% must be like %REQ(X?Y):Z% with field names X and Y and a length Z",
		all + toC + "request_headers_to_add: [{header: {key: a, value: '%PROTOCOL(x)%'}}]":                                                       "request_headers_to_add[0].header.value: %PROTOCOL(x)%: PROTOCOL takes no argument",
		all + toC + "request_headers_to_add: [{header: {key: a, value: x}, append: true, append_action: ADD_IF_ABSENT}]":                         "request_headers_to_add[0].append: cannot be set together with append_action",
		all + toC + "request_headers_to_add: [{header: {key: a, raw_value: eA==}}]":                                                              "request_headers_to_add[0].header.raw_value: is not supported",
		"match: {path_separated_prefix: /a/}\n" + toC:                                                                                            `match.path_separated_prefix: value does not match regex pattern "^[^?#]+[^?#/]$"`,
		"match: {safe_regex: {regex: 'a)|(b'}}\n" + toC:                                                                                          "match.safe_regex.regex: error parsing regexp: unexpected ): `a)|(b`",
		"match: {safe_regex: {regex: " + strings.Repeat("a", 4097) + "}}\n" + toC:                                                                "match.safe_regex.regex: is 4097 bytes long, at most 4096 are allowed",
		"match: {prefix: /, cookies: [{name: x}]}\n" + toC:                                                                                       "match.cookies[0].string_match: value is required",
		"match: {prefix: /, headers: [{name: ':status'}]}\n" + toC:                                                                               `match.headers[0].name: ":status" is not known, only :authority, :method, :path and :scheme`,
		"match: {prefix: /, headers: [{name: x, range_match: {start: 2, end: 2}}]}\n" + toC:                                                      "match.headers[0].range_match: start 2 must be less than end 2",
		"match: {prefix: /, headers: [{name: x, string_match: {custom: {name: c, typed_config: {'@type': type.googleapis.com/no.C}}}}]}\n" + toC: "match.headers[0].string_match.custom: 'c' with type URL 'type.googleapis.com/no.C' is not supported",
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := decodeRoute(t, text)
			checkError(t, err, `route configuration "rc": `+onePath+want)
		})
	}
}

func TestRouteConfiguration(t *testing.T) {
	got, err := resource.RouteConfiguration(parse(t, `
name: rc
internal_only_headers: [X-I]
ignore_port_in_host_matching: true
most_specific_header_mutations_wins: true
max_direct_response_body_size_bytes: 5000
validate_clusters: false
metadata: {}
request_headers_to_remove: [a]
virtual_hosts:
- name: v
  domains: [A.Example, "a.example:*", "*.b", "c.*"]
  require_tls: ALL
  include_request_attempt_count: true
  include_attempt_count_in_response: true
  response_headers_to_remove: [b]
  virtual_clusters: [{name: vc, headers: [{name: x}]}]
  routes:
  - {match: {prefix: /}, direct_response: {status: 200, body: {inline_string: "`+strings.Repeat("a", 5000)+`"}}}
- {name: w, domains: ["*"], require_tls: EXTERNAL_ONLY}
`, &routev3.RouteConfiguration{}))
	want := &config.RouteConfiguration{
		Name: "rc", InternalOnlyHeaders: []string{"x-i"}, IgnorePortInHostMatching: true, MostSpecificMutationsWins: true,
		HeaderMutations: config.HeaderMutations{RequestRemove: []string{"a"}},
		VirtualHosts: []*config.VirtualHost{
			{
				Name: "v", Domains: []string{"a.example", "a.example:*", "*.b", "c.*"}, RequireTLS: config.TLSAll,
				IncludeRequestAttemptCount: true, IncludeAttemptCountInResponse: true,
				HeaderMutations: config.HeaderMutations{ResponseRemove: []string{"b"}},
				VirtualClusters: []config.VirtualCluster{{Name: "vc", Headers: []config.HeaderMatcher{{Name: "x", Present: true}}}},
				Routes: []*config.Route{{
					Name: "v/prefix:/", Match: config.RouteMatch{Path: "/", CaseSensitive: true, Fraction: config.RuntimeFraction{Default: config.FractionAll}},
					Direct: &config.DirectResponse{Status: 200, Body: []byte(strings.Repeat("a", 5000))},
				}},
			},
			{Name: "w", Domains: []string{"*"}, RequireTLS: config.TLSExternalOnly, Routes: []*config.Route{}},
		},
	}
	checkEqual(t, got, want, err)
}

func TestRouteConfigurationRefused(t *testing.T) {
	host := func(domains ...string) string {
		text := "virtual_hosts:"
		for i, d := range domains {
			text += fmt.Sprintf("\n- {name: v%d, domains: [%s]}", i, d)
		}
		return text
	}
	tests := map[string]string{
		host("a, A"):                     `virtual_hosts[0].domains[1]: domain "a" is in virtual host "v0" already and again in "v0"`,
		host("a", "b, A"):                `virtual_hosts[1].domains[1]: domain "a" is in virtual host "v0" already and again in "v1"`,
		host("'*'", "'*'"):               `virtual_hosts[1].domains[0]: only one virtual host may have the domain "*": "v0" and "v1" have it`,
		host("'a*b'"):                    `virtual_hosts[0].domains[0]: "a*b" may have one wildcard, at its beginning or its end`,
		host("'*a*'"):                    `virtual_hosts[0].domains[0]: "*a*" may have one wildcard, at its beginning or its end`,
		"vhds: {config_source: {}}":      "vhds.config_source.config_source_specifier: value is required",
		"validate_clusters: true":        "validate_clusters: true is not supported, only false",
		"internal_only_headers: ['a b']": `internal_only_headers[0]: "a b" is not a field name`,
		"ignore_path_parameters_in_path_matching: true":                                                               "ignore_path_parameters_in_path_matching: is not supported",
		"cluster_specifier_plugins: [{extension: {name: p, typed_config: {'@type': type.googleapis.com/no.P}}}]":      "cluster_specifier_plugins[0].extension: 'p' with type URL 'type.googleapis.com/no.P' is not supported, only type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
		"virtual_hosts: [{name: v, domains: [a], cors: {allow_origin_string_match: [{safe_regex: {regex: '*.a'}}]}}]": "virtual_hosts[0].cors.allow_origin_string_match[0].safe_regex.regex: error parsing regexp: missing argument to repetition operator: `*`",
		"virtual_hosts: [{name: v, domains: [a], virtual_clusters: [{name: c}]}]":                                     "virtual_hosts[0].virtual_clusters[0].headers: must have at least one, such as of :path or :method",
		"virtual_hosts: [{name: v}]": "virtual_hosts[0].domains: value must contain at least 1 item(s)",
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := resource.RouteConfiguration(parse(t, "name: rc\n"+text, &routev3.RouteConfiguration{}))
			checkError(t, err, `route configuration "rc": `+want)
		})
	}
	_, err := resource.RouteConfiguration(&routev3.RouteConfiguration{})
	checkError(t, err, `route configuration "": name: must not be empty`)
}

func TestRouteNames(t *testing.T) {
	rc, err := resource.RouteConfiguration(parse(t, `
name: rc
virtual_hosts:
- name: v
  domains: [a]
  routes:
  - {match: {prefix: /}, route: {cluster: c}}
  - {match: {prefix: /}, route: {cluster: c}}
  - {match: {prefix: /}, route: {cluster: c}}
  - {match: {path: /p}, route: {cluster: c}}
  - {match: {path_separated_prefix: /s}, route: {cluster: c}}
  - {match: {safe_regex: {regex: /r}}, route: {cluster: c}}
  - {name: "v/prefix:/#2", match: {prefix: /}, route: {cluster: c}}
`, &routev3.RouteConfiguration{}))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range rc.VirtualHosts[0].Routes {
		names = append(names, r.Name)
	}
	want := []string{"v/prefix:/", "v/prefix:/#3", "v/prefix:/#4", "v/path:/p", "v/path_separated_prefix:/s", "v/safe_regex:/r", "v/prefix:/#2"}
	checkEqual(t, names, want, nil)
}

func TestErrorsAreBounded(t *testing.T) {
	text := "name: rc\nvirtual_hosts:\n"
	for i := range 20 {
		text += fmt.Sprintf("- {name: v%d, domains: ['a*%d']}\n", i, i)
	}
	_, err := resource.RouteConfiguration(parse(t, text, &routev3.RouteConfiguration{}))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 17 || lines[16] != `route configuration "rc": and 4 more errors` {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

// TestHedgePolicy holds what is taken of hedge_policy, and that a route's takes the place of its virtual host's.
func TestHedgePolicy(t *testing.T) {
	for text, want := range map[string]*config.HedgePolicy{
		"":                   nil,
		", hedge_policy: {}": {},
		", hedge_policy: {hedge_on_per_try_timeout: true}":                                 {OnPerTryTimeout: true},
		", hedge_policy: {initial_requests: 3, additional_request_chance: {numerator: 5}}": {},
	} {
		got, err := decodeRoute(t, all+"route: {cluster: c"+text+"}")
		if err != nil {
			t.Fatal(err)
		}
		checkEqual(t, got.Forward.Hedge, want, nil)
	}
	_, err := decodeRoute(t, all+"route: {cluster: c, hedge_policy: {initial_requests: 0}}")
	checkError(t, err, `route configuration "rc": virtual_hosts[0].routes[0].route.hedge_policy.initial_requests: value must be greater than or equal to 1`)
}
