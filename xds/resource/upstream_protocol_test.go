package resource_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// TestAutoConfigRefused refuses what of auto_config would not be as it says.
func TestAutoConfigRefused(t *testing.T) {
	secured := tlsSocket("Upstream", "sni: a") + "\n"
	for text, want := range map[string]string{
		secured + httpOptions + "auto_config: {http3_protocol_options: {}}":                                        "auto_config.http3_protocol_options: is not supported",
		secured + httpOptions + "auto_config: {alternate_protocols_cache_options: {name: c}}":                      "auto_config.alternate_protocols_cache_options: is not supported",
		plainSocket + "\n" + httpOptions + "auto_config: {}":                                                       "auto_config: needs a transport_socket of TLS, whose ALPN chooses the protocol",
		secured + "transport_socket_matches: [{name: m, " + plainSocket + "}]\n" + httpOptions + "auto_config: {}": "auto_config: needs TLS, whose ALPN chooses the protocol, which transport_socket_matches[0] does not have",
	} {
		_, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
		checkError(t, err, `cluster "c": `+optionsPath+want)
	}
}

// TestServerNames decodes how requests name hosts in TLS.
func TestServerNames(t *testing.T) {
	trusting := tlsSocket("Upstream", "common_tls_context: {validation_context: {trusted_ca: {filename: /ca}}}") + "\n"
	plain := tlsSocket("Upstream", "sni: a") + "\n"
	for _, test := range []struct {
		text    string
		want    *config.AutoName
		perName bool
	}{
		{plain + "upstream_http_protocol_options: {auto_sni: true}", &config.AutoName{SNI: true}, true},
		{plain + "upstream_http_protocol_options: {override_auto_sni_header: X-Name}", nil, false},
		{plain + httpOptions + "explicit_http_config: {http_protocol_options: {}}\n    upstream_http_protocol_options: {auto_sni: true, override_auto_sni_header: X-Name}",
			&config.AutoName{SNI: true, Header: "x-name"}, true},
		{trusting + "upstream_http_protocol_options: {auto_san_validation: true}", &config.AutoName{SAN: true}, false},
		{trusting + "upstream_http_protocol_options: {auto_sni: true, auto_san_validation: true}", &config.AutoName{SNI: true, SAN: true}, true},
	} {
		k, err := resource.Cluster(parse(t, "name: c\n"+test.text, &clusterv3.Cluster{}))
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if !reflect.DeepEqual(k.AutoName, test.want) || k.TLS.PerName != test.perName {
			t.Errorf("%s: %+v, sessions for each name %v", test.text, k.AutoName, k.TLS.PerName)
		}
	}
	k, err := resource.Cluster(parse(t, "name: c\nupstream_http_protocol_options: {auto_sni: true, auto_san_validation: true}", &clusterv3.Cluster{}))
	if err != nil || k.AutoName != nil {
		t.Errorf("in plaintext: %+v, %v", k, err)
	}
	for text, want := range map[string]string{
		trusting + "upstream_http_protocol_options: {auto_sni: true, override_auto_sni_header: 'a b'}": "upstream_http_protocol_options.override_auto_sni_header: ",
		plain + "upstream_http_protocol_options: {auto_san_validation: true}":                          "upstream_http_protocol_options.auto_san_validation: needs trusted_ca, which transport_socket does not have",
	} {
		if _, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{})); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestClusterPolicies decodes what a cluster has in place of what routes say.
func TestClusterPolicies(t *testing.T) {
	const options = httpOptions + "explicit_http_config: {http_protocol_options: {}}\n    "
	text := options + "retry_policy: {retry_on: 5xx, per_try_timeout: 2s}\n    request_mirror_policies: [{cluster: m}]"
	k, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, k.Retry, &config.RetryPolicy{On: config.RetryOn5xx, NumRetries: 1, HostAttempts: 1, PerTryTimeout: 2 * time.Second}, nil)
	checkEqual(t, k.Mirrors, []config.MirrorPolicy{{Cluster: "m", Fraction: config.RuntimeFraction{Default: config.FractionAll}}}, nil)
	k, err = resource.Cluster(parse(t, "name: c\n"+options, &clusterv3.Cluster{}))
	if err != nil || k.Retry != nil || k.Mirrors != nil {
		t.Errorf("without policies: %v, %v, %v", k.Retry, k.Mirrors, err)
	}
	for text, want := range map[string]string{
		"retry_policy: {retry_back_off: {base_interval: 2s, max_interval: 1s}}": "retry_policy.retry_back_off.max_interval: is 1s, it must be at least base_interval, which is 2s",
		"request_mirror_policies: [{cluster: m}, {}]":                           "request_mirror_policies[1]: must have a cluster or a cluster_header",
	} {
		_, err := resource.Cluster(parse(t, "name: c\n"+options+text, &clusterv3.Cluster{}))
		checkError(t, err, `cluster "c": `+optionsPath+want)
	}
}

// TestErrorMatcher decodes which answers outlier detection takes for errors.
func TestErrorMatcher(t *testing.T) {
	const options = httpOptions + "explicit_http_config: {http_protocol_options: {}}\n    outlier_detection: "
	status := config.HeaderMatcher{Name: ":status", Kind: config.HeaderRange, Start: 400, End: 500}
	failed := config.HeaderMatcher{Name: "x-failed", Kind: config.HeaderString, String: config.StringMatcher{Value: "yes"}}
	head := func(h ...config.HeaderMatcher) *config.ResponseMatch {
		return &config.ResponseMatch{Kind: config.ResponseMatchHeaders, Headers: h}
	}
	const (
		statusText = "{name: ':status', range_match: {start: 400, end: 500}}"
		failedText = "{name: X-Failed, string_match: {exact: 'yes'}}"
	)
	for text, want := range map[string]*config.ResponseMatch{
		"{error_matcher: {any_match: true}}": {Kind: config.ResponseMatchAny},
		"{error_matcher: {http_response_headers_match: {headers: [" + statusText + ", " + failedText + "]}}}": head(status, failed),
		"{error_matcher: {or_match: {rules: [{http_response_headers_match: {headers: [" + statusText + "]}}, {not_match: {http_response_headers_match: {headers: [" + failedText + "]}}}]}}}": {
			Kind: config.ResponseMatchOr, Rules: []*config.ResponseMatch{head(status), {Kind: config.ResponseMatchNot, Rules: []*config.ResponseMatch{head(failed)}}},
		},
		"{error_matcher: {and_match: {rules: [{any_match: true}, {any_match: true}]}}}": {
			Kind: config.ResponseMatchAnd, Rules: []*config.ResponseMatch{{Kind: config.ResponseMatchAny}, {Kind: config.ResponseMatchAny}},
		},
	} {
		k, err := resource.Cluster(parse(t, "name: c\n"+options+text, &clusterv3.Cluster{}))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		checkEqual(t, k.Errors, want, nil)
	}
	for text, want := range map[string]string{
		"{http_request_headers_match: {headers: [{name: a}]}}":                                   "http_request_headers_match: is not supported",
		"{http_response_headers_match: {headers: [{name: ':path'}]}}":                            `http_response_headers_match.headers[0].name: ":path" is not a field of a response`,
		strings.Repeat("{not_match: ", 9) + "{any_match: true}" + strings.Repeat("}", 9):         strings.Repeat("not_match.", 8) + "not_match: more than 64 rules, or rules that are more than 8 deep within others, are not supported",
		"{or_match: {rules: [" + strings.Repeat("{any_match: true}, ", 64) + "]}}":               "or_match.rules[63]: more than 64 rules, or rules that are more than 8 deep within others, are not supported",
		"{or_match: {rules: [{any_match: true}, {http_response_trailers_match: {}}]}}":           "or_match.rules[1].http_response_trailers_match: is not supported",
		"{http_response_headers_match: {headers: [{name: a, range_match: {start: 2, end: 1}}]}}": "http_response_headers_match.headers[0].range_match: start 2 must be less than end 1",
	} {
		_, err := resource.Cluster(parse(t, "name: c\n"+options+"{error_matcher: "+text+"}", &clusterv3.Cluster{}))
		checkError(t, err, `cluster "c": `+optionsPath+"outlier_detection.error_matcher."+want)
	}
}
