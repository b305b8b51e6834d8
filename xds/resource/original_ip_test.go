package resource_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// originalIP returns original_ip_detection_extensions of one extension with the fields in text.
func originalIP(message, text string) string {
	return fmt.Sprintf("original_ip_detection_extensions: [{name: e, typed_config: {'@type': type.googleapis.com/envoy.extensions.http.original_ip_detection.%s, %s}}]\n",
		message, text)
}

const (
	xffConfig    = "xff.v3.XffConfig"
	customHeader = "custom_header.v3.CustomHeaderConfig"
)

func TestOriginalIPs(t *testing.T) {
	tests := map[string]struct {
		text string
		want config.OriginalIP
	}{
		"hops":     {originalIP(xffConfig, "xff_num_trusted_hops: 2"), config.OriginalIP{Hops: 2}},
		"appended": {originalIP(xffConfig, "skip_xff_append: false"), config.OriginalIP{Append: true}},
		"proxies": {originalIP(xffConfig, "skip_xff_append: true, xff_trusted_cidrs: {cidrs: [{address_prefix: 10.1.2.3, prefix_len: 8}]}"),
			config.OriginalIP{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}},
		"header": {originalIP(customHeader, "header_name: X-Real-IP"), config.OriginalIP{Header: "x-real-ip"}},
		"trusted header": {originalIP(customHeader, "header_name: a, allow_extension_to_set_address_as_trusted: true, reject_with_status: {code: Unauthorized}"),
			config.OriginalIP{Header: "a", Trusted: true, RejectStatus: 401}},
		"status of no error": {originalIP(customHeader, "header_name: a, reject_with_status: {code: OK}"), config.OriginalIP{Header: "a", RejectStatus: 403}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := defaultListener()
			want.Chains[0].HTTP.OriginalIPs = []config.OriginalIP{test.want}
			got, err := resource.Listener(parse(t, managerWith(test.text+rds+router), &listenerv3.Listener{}))
			checkEqual(t, got, want, err)
		})
	}
}

func TestOriginalIPsRefused(t *testing.T) {
	const list = "original_ip_detection_extensions"
	tests := map[string]struct{ text, want string }{
		"use_remote_address": {originalIP(xffConfig, "") + "use_remote_address: true", list + ": cannot be set together with use_remote_address"},
		"hops":               {originalIP(xffConfig, "") + "xff_num_trusted_hops: 1", list + ": cannot be set together with xff_num_trusted_hops, which XffConfig has too"},
		"unknown": {list + ": [{name: x, typed_config: {'@type': type.googleapis.com/no.X}}]", list + "[0]: 'x' with type URL 'type.googleapis.com/no.X' is not supported, only " +
			"type.googleapis.com/envoy.extensions.http.original_ip_detection.xff.v3.XffConfig, type.googleapis.com/envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig"},
		"hops and proxies": {originalIP(xffConfig, "xff_num_trusted_hops: 1, xff_trusted_cidrs: {}"), list + "[0].typed_config.xff_num_trusted_hops: cannot be set together with xff_trusted_cidrs"},
		"no block": {originalIP(xffConfig, "xff_trusted_cidrs: {cidrs: [{address_prefix: 10.0.0.0, prefix_len: 33}]}"),
			list + "[0].typed_config.xff_trusted_cidrs.cidrs[0].prefix_len: 33 must be at most 32"},
		"too many proxies": {originalIP(xffConfig, "xff_trusted_cidrs: {cidrs: ["+strings.Repeat("{address_prefix: 10.0.0.0}, ", 1025)+"]}"),
			list + "[0].typed_config.xff_trusted_cidrs.cidrs: has 1025 entries, at most 1024 are allowed"},
		"too many": {list + ": [" + strings.Repeat("{name: x, typed_config: {'@type': type.googleapis.com/no.X}}, ", 17) + "]", list + ": has 17 entries, at most 16 are allowed"},
		"a part that requests do not have": {originalIP(customHeader, "header_name: ':status'"),
			list + `[0].typed_config.header_name: ":status" is not known, only :authority, :method, :path and :scheme`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := resource.Listener(parse(t, managerWith(test.text+rds+router), &listenerv3.Listener{}))
			checkError(t, err, `listener "l": `+hcmPath+test.want)
		})
	}
}
