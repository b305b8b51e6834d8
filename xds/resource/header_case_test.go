package resource

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

func TestHeaderCase(t *testing.T) {
	const preserve = "stateful_formatter: {name: p, typed_config: {'@type': type.googleapis.com/" + preserveCaseMessage
	for text, want := range map[string]config.HeaderCase{
		"proper_case_words: {}": {Proper: true},
		preserve + "}}":         {Preserve: true},
		preserve + ", forward_reason_phrase: true, formatter_type_on_envoy_headers: DEFAULT}}": {Preserve: true, ForwardReason: true},
		preserve + ", formatter_type_on_envoy_headers: PROPER_CASE}}":                          {Preserve: true, ProperOthers: true},
	} {
		var f corev3.Http1ProtocolOptions_HeaderKeyFormat
		if _, err := protofile.Unmarshal([]byte(text), protofile.YAML, &f, protofile.Options{}); err != nil {
			t.Fatal(err)
		}
		root := newReport("listener", "l")
		if got := root.headerCase(&f); got != want || root.err() != nil {
			t.Errorf("%s: got %+v, %v; want %+v", text, got, root.err(), want)
		}
	}
}
