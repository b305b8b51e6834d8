package resource_test

import (
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// filtersWith returns a listener with listener filters that are given as the name of the filter, and fields.
func filtersWith(filters ...[2]string) string {
	text := chainsWith("name: a") + "listener_filters:\n"
	for _, f := range filters {
		message := map[string]string{
			"tls": "tls_inspector.v3.TlsInspector", "http": "http_inspector.v3.HttpInspector",
			"proxy": "proxy_protocol.v3.ProxyProtocol", "original": "original_dst.v3.OriginalDst",
		}[f[0]]
		text += "- {name: any, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.listener." + message + ", " + f[1] + "}}\n"
	}
	return text
}

func TestListenerFilters(t *testing.T) {
	got, err := resource.Listener(parse(t, filtersWith(
		[2]string{"proxy", ""}, [2]string{"proxy", "allow_requests_without_proxy_protocol: true, disallowed_versions: [V1], stat_prefix: p"},
		[2]string{"proxy", "disallowed_versions: [V2]"},
		[2]string{"tls", ""}, [2]string{"tls", "close_connection_on_client_hello_parsing_errors: true, max_client_hello_size: 1024, initial_read_buffer_size: 512"},
		[2]string{"http", ""}, [2]string{"original", ""},
	)+"listener_filters_timeout: 0s\ncontinue_on_listener_filters_timeout: true", &listenerv3.Listener{}))
	if err != nil {
		t.Fatal(err)
	}
	want := []config.ListenerFilter{
		{Name: "any", Config: config.ProxyProtocol{}}, {Name: "any", Config: config.ProxyProtocol{AllowWithout: true, DisallowV1: true, StatPrefix: "p"}},
		{Name: "any", Config: config.ProxyProtocol{DisallowV2: true}},
		{Name: "any", Config: config.TLSInspector{MaxClientHello: 16384}}, {Name: "any", Config: config.TLSInspector{MaxClientHello: 1024, CloseOnError: true}},
		{Name: "any", Config: config.HTTPInspector{}}, {Name: "any", Config: config.OriginalDst{}},
	}
	checkEqual(t, got.Filters, want, nil)
	if got.FiltersTimeout != 0 || !got.ContinueOnTimeout {
		t.Errorf("timeout %s, continue %t", got.FiltersTimeout, got.ContinueOnTimeout)
	}
	if got, err := resource.Listener(parse(t, filtersWith(), &listenerv3.Listener{})); err != nil || got.FiltersTimeout != 15*time.Second {
		t.Errorf("by default: %v, %v", got, err)
	}
}

func TestListenerFiltersRefused(t *testing.T) {
	const at = "listener_filters[0].typed_config."
	for name, tt := range map[string]struct{ text, want string }{
		"ja3":          {filtersWith([2]string{"tls", "enable_ja3_fingerprinting: true"}), at + "enable_ja3_fingerprinting: true is not supported, only false"},
		"ja4":          {filtersWith([2]string{"tls", "enable_ja4_fingerprinting: true"}), at + "enable_ja4_fingerprinting: true is not supported, only false"},
		"hello size":   {filtersWith([2]string{"tls", "max_client_hello_size: 20000"}), at + "max_client_hello_size: value must be inside range (255, 16384]"},
		"rules":        {filtersWith([2]string{"proxy", "rules: [{tlv_type: 2}]"}), at + "rules[0]: is not supported"},
		"pass through": {filtersWith([2]string{"proxy", "pass_through_tlvs: {}"}), at + "pass_through_tlvs: is not supported"},
		"no version":   {filtersWith([2]string{"proxy", "disallowed_versions: [V1, V2]"}), at + "disallowed_versions: must leave a version that is allowed"},
		"version":      {filtersWith([2]string{"proxy", "disallowed_versions: [7]"}), at + "disallowed_versions[0]: 7 is not a version, it must be V1 or V2"},
		"unknown":      {filtersWith() + "- {name: x, typed_config: {'@type': type.googleapis.com/no.Such}}", "listener_filters[0]: Didn't find a registered implementation for 'x' with type URL: 'type.googleapis.com/no.Such'"},
		"by name":      {filtersWith() + "- {name: envoy.filters.listener.tls_inspector}", "listener_filters[0].typed_config: must be set on filter 'envoy.filters.listener.tls_inspector'"},
		"disabled":     {filtersWith() + "- {name: x, filter_disabled: {any_match: true}, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst}}", "listener_filters[0].filter_disabled: is not supported"},
		"negative":     {filtersWith() + "listener_filters_timeout: -1s", "listener_filters_timeout: must be from 0s to 87600h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := resource.Listener(parse(t, tt.text, &listenerv3.Listener{}))
			checkError(t, err, `listener "l": `+tt.want)
		})
	}
}
