package resource_test

import (
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

func TestLocalReply(t *testing.T) {
	status := &config.LogFilter{Kind: config.LogFilterStatus, Compare: config.LogComparison{Op: config.LogAtLeast, Default: 500, Key: "k"}}
	const filter = "filter: {status_code_filter: {comparison: {op: GE, value: {default_value: 500, runtime_key: k}}}}"
	tests := map[string]struct {
		text string
		want config.LocalReply
	}{
		"empty": {"{}", config.LocalReply{}},
		"everything": {"{body_format: {text_format: '%LOCAL_REPLY_BODY%!'}, mappers: [{" + filter + ", status_code: 418, body: {inline_string: b}, " +
			"headers_to_add: [{header: {key: X-A, value: '%RESPONSE_CODE%'}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}], " +
			"body_format_override: {json_format: {a: '%REQ(X)%', n: 1}, omit_empty_values: true}}]}", config.LocalReply{
			Format: &config.ReplyFormat{Body: config.LogFormat{Text: "%LOCAL_REPLY_BODY%!"}, ContentType: "text/plain"},
			Mappers: []config.ReplyMapper{{
				Filter: status, Status: 418, Body: new("b"), Add: []config.HeaderValue{{Name: "x-a", Value: "%RESPONSE_CODE%", Action: config.OverwriteIfExistsOrAdd}},
				Format: &config.ReplyFormat{
					Body: config.LogFormat{JSON: map[string]any{"a": "%REQ(X)%", "n": 1.0}, OmitEmpty: true}, ContentType: "application/json",
				},
			}},
		}},
		"types, and an empty body": {"{body_format: {json_format: {}, content_type: application/problem+json}, mappers: [{" + filter + ", body: {inline_string: ''}, " +
			"body_format_override: {text_format_source: {inline_string: t}, content_type: text/html}}]}", config.LocalReply{
			Format: &config.ReplyFormat{Body: config.LogFormat{JSON: map[string]any{}}, ContentType: "application/problem+json"},
			Mappers: []config.ReplyMapper{{
				Filter: status, Body: new(""), Format: &config.ReplyFormat{Body: config.LogFormat{Text: "t"}, ContentType: "text/html"},
			}},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := defaultListener()
			want.Chains[0].HTTP.LocalReply = &test.want
			got, err := resource.Listener(parse(t, managerWith("local_reply_config: "+test.text+rds+router), &listenerv3.Listener{}))
			checkEqual(t, got, want, err)
		})
	}
}

func TestLocalReplyRefused(t *testing.T) {
	const filter = "filter: {not_health_check_filter: {}}"
	tests := map[string]struct{ text, want string }{
		"no filter":       {"{mappers: [{status_code: 500}]}", "mappers[0].filter: value is required"},
		"unknown filter":  {"{mappers: [{filter: {metadata_filter: {}}}]}", "mappers[0].filter.metadata_filter: is not supported"},
		"status":          {"{mappers: [{" + filter + ", status_code: 199}]}", "mappers[0].status_code: value must be inside range [200, 600)"},
		"body in a file":  {"{mappers: [{" + filter + ", body: {filename: /b}}]}", "mappers[0].body.filename: is not supported, only inline_string and inline_bytes"},
		"operator":        {"{body_format: {text_format: '%NO%'}}", "body_format.text_format: command operator NO: it is not one that access logs have a value for"},
		"operator of all": {"{mappers: [{" + filter + ", headers_to_add: [{header: {key: a, value: '%NO%'}}]}]}", "mappers[0].headers_to_add[0].header.value: %NO% is not supported"},
		"type":            {"{body_format: {text_format: a, content_type: \"a\\tb\\x01\"}}", `body_format.content_type: "a\tb\x01" must not contain control characters`},
		"host":            {"{mappers: [{" + filter + ", headers_to_add: [{header: {key: ':status', value: a}}]}]}", `mappers[0].headers_to_add[0].header.key: ":status": :-prefixed or host headers may not be modified`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := resource.Listener(parse(t, managerWith("local_reply_config: "+test.text+rds+router), &listenerv3.Listener{}))
			checkError(t, err, `listener "l": `+hcmPath+"local_reply_config."+test.want)
		})
	}
}
