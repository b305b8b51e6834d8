package resource_test

import (
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const previousHosts = `{name: p, typed_config: {'@type': type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate}}`

// omitMetadata returns a predicate, and a comma.
func omitMetadata(metadata string) string {
	return "{name: m, typed_config: {'@type': type.googleapis.com/envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig, " +
		"metadata_match: {filter_metadata: {" + metadata + "}}}}, "
}

func TestRetryPolicy(t *testing.T) {
	const ms = time.Millisecond
	policy := func(change func(*config.RetryPolicy)) *config.RetryPolicy {
		p := &config.RetryPolicy{NumRetries: 1, HostAttempts: 1}
		change(p)
		return p
	}
	for text, want := range map[string]*config.RetryPolicy{
		"{}": policy(func(*config.RetryPolicy) {}),
		"{retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes', num_retries: 2, retriable_status_codes: [503]," +
			"retry_host_predicate: [" + previousHosts + "], host_selection_retry_max_attempts: 5}": policy(func(p *config.RetryPolicy) {
			p.On = config.RetryOnConnectFailure | config.RetryOnRefusedStream | config.RetryOnGRPCUnavailable | config.RetryOnGRPCCancelled |
				config.RetryOnRetriableStatusCodes
			p.NumRetries, p.StatusCodes, p.AvoidPreviousHosts, p.HostAttempts = 2, []uint32{503}, true, 5
		}),
		"{num_retries: 0, per_try_timeout: 2s, per_try_idle_timeout: 3s, retry_on: what}": policy(func(p *config.RetryPolicy) {
			p.NumRetries, p.PerTryTimeout, p.PerTryIdleTimeout = 0, 2*time.Second, 3*time.Second
		}),
		"{retry_host_predicate: [{name: c, typed_config: {'@type': type.googleapis.com/envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate}}," + omitMetadata("envoy.lb: {a: b, n: 1}") + omitMetadata("envoy.lb: {c: true}") + omitMetadata("other: {c: true}") + omitMetadata("envoy.lb: {}") + "]}": policy(func(p *config.RetryPolicy) {
			p.OmitCanary = true
			p.OmitLabels = []config.Labels{{Values: map[string]string{"a": `"b"`, "n": "1"}}, {Values: map[string]string{"c": "true"}}}
		}),
		"{retry_priority: {name: p, typed_config: {'@type': type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig, update_frequency: 2}}}": policy(func(p *config.RetryPolicy) {
			p.PriorityFrequency = 2
		}),
		"{retry_back_off: {base_interval: 0.002s}}": policy(func(p *config.RetryPolicy) { p.BackOff, p.MaxBackOff = 2*ms, 20*ms }),
		"{retry_back_off: {base_interval: 0.0001s, max_interval: 0.0002s}}": policy(func(p *config.RetryPolicy) {
			p.BackOff, p.MaxBackOff = ms, ms
		}),
		"{rate_limited_retry_back_off: {reset_headers: [{name: Retry-After}, {name: x-reset, format: UNIX_TIMESTAMP}]}}": policy(func(p *config.RetryPolicy) {
			p.RateLimited = &config.RateLimitedBackOff{Max: 300 * time.Second, ResetHeaders: []config.ResetHeader{
				{Name: "retry-after"}, {Name: "x-reset", Timestamp: true}}}
		}),
		"{retriable_headers: [{name: X-A}], retriable_request_headers: [{name: ':path', exact_match: /}]}": policy(func(p *config.RetryPolicy) {
			p.ResponseHeaders = []config.HeaderMatcher{{Name: "x-a", Present: true}}
			p.RequestHeaders = []config.HeaderMatcher{{Name: ":path", Kind: config.HeaderString, String: config.StringMatcher{Value: "/"}}}
		}),
	} {
		got, err := decodeRoute(t, all+"route: {cluster: c, retry_policy: "+text+"}")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		checkEqual(t, got.Forward.Retry, want, nil)
	}
}

func TestRetryPolicyRefused(t *testing.T) {
	for text, want := range map[string]string{
		"retry_priority: {name: p}": "retry_priority.typed_config: must be set on retry priority 'p'",
		"retry_priority: {name: p, typed_config: {'@type': type.googleapis.com/no.P}}":                                                                            "retry_priority: Didn't find a registered implementation for 'p' with type URL: 'type.googleapis.com/no.P'",
		"retry_host_predicate: [{name: p, typed_config: {'@type': type.googleapis.com/no.P}}]":                                                                    "retry_host_predicate[0]: Didn't find a registered implementation for 'p' with type URL: 'type.googleapis.com/no.P'",
		"retry_priority: {name: p, typed_config: {'@type': type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig}}": "retry_priority.typed_config.update_frequency: value must be greater than 0",
		"retry_host_predicate: [" + strings.Repeat(previousHosts+", ", 17) + "]":                                                                                  "retry_host_predicate: has 17 entries, at most 16 are allowed",
		"retry_options_predicates: [{name: p, typed_config: {'@type': type.googleapis.com/no.P}}]":                                                                "retry_options_predicates[0]: 'p' with type URL 'type.googleapis.com/no.P' is not supported",
		"retry_host_predicate: [{name: p}]":                             "retry_host_predicate[0].typed_config: must be set on predicate 'p'",
		"host_selection_retry_max_attempts: 101":                        "host_selection_retry_max_attempts: is 101, it must be at most 100",
		"host_selection_retry_max_attempts: -1":                         "host_selection_retry_max_attempts: is -1, it must not be negative",
		"retry_back_off: {base_interval: 2s, max_interval: 1s}":         "retry_back_off.max_interval: is 1s, it must be at least base_interval, which is 2s",
		"retriable_headers: [{name: ':path'}]":                          `retriable_headers[0].name: ":path" is not a field of a response`,
		"rate_limited_retry_back_off: {reset_headers: [{name: 'a b'}]}": `rate_limited_retry_back_off.reset_headers[0].name: "a b" is not a field name`,
	} {
		_, err := decodeRoute(t, all+"route: {cluster: c, retry_policy: {"+text+"}}")
		checkError(t, err, `route configuration "rc": virtual_hosts[0].routes[0].route.retry_policy.`+want)
	}
}

func TestBodyBuffer(t *testing.T) {
	for text, want := range map[string]*config.BodyBuffer{
		"per_request_buffer_limit_bytes: 3": {Bytes: 3, AtMost: true},
		"request_body_buffer_limit: 0":      {},
		"request_body_buffer_limit: 5":      {Bytes: 5},
	} {
		got, err := decodeRoute(t, all+toC+text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		checkEqual(t, got.BodyBuffer, want, nil)
	}
	for text, want := range map[string]string{
		"request_body_buffer_limit: 67108865":                             "request_body_buffer_limit: is 67108865, it must be at most 67108864",
		"request_body_buffer_limit: 1\nper_request_buffer_limit_bytes: 1": "per_request_buffer_limit_bytes: cannot be set together with request_body_buffer_limit",
	} {
		_, err := decodeRoute(t, all+toC+text)
		checkError(t, err, `route configuration "rc": virtual_hosts[0].routes[0].`+want)
	}
}
