package resource

import (
	"reflect"
	"strings"
	"testing"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// decodeAccessLog decodes one entry of access_log, whose type is in the package of Envoy's access loggers.
func decodeAccessLog(t *testing.T, typed string) ([]*config.AccessLog, error) {
	t.Helper()
	var log accesslogv3.AccessLog
	text := "name: l\ntyped_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers." + typed + "}"
	if _, err := protofile.Unmarshal([]byte(text), protofile.YAML, &log, protofile.Options{}); err != nil {
		t.Fatal(err)
	}
	root := newReport("listener", "l")
	out := root.accessLogs([]*accesslogv3.AccessLog{&log})
	return out, root.err()
}

func TestFileAccessLogs(t *testing.T) {
	plain := config.LogFormat{Text: config.DefaultLogFormat}
	tests := []struct {
		typed string
		want  config.FileAccessLog
	}{
		{"file.v3.FileAccessLog, path: /log", config.FileAccessLog{Path: "/log", Format: plain}},
		{"file.v3.FileAccessLog, path: /log, format: ''", config.FileAccessLog{Path: "/log", Format: plain}},
		{"file.v3.FileAccessLog, path: /log, format: '%PROTOCOL%'", config.FileAccessLog{Path: "/log", Format: config.LogFormat{Text: "%PROTOCOL%"}}},
		{"file.v3.FileAccessLog, path: /log, json_format: {a: '%PROTOCOL%'}",
			config.FileAccessLog{Path: "/log", Format: config.LogFormat{JSON: map[string]any{"a": "%PROTOCOL%"}}}},
		{"file.v3.FileAccessLog, path: /log, typed_json_format: {a: 1}",
			config.FileAccessLog{Path: "/log", Format: config.LogFormat{JSON: map[string]any{"a": 1.0}}}},
		{"file.v3.FileAccessLog, path: /log, log_format: {text_format: x, omit_empty_values: true, content_type: t}",
			config.FileAccessLog{Path: "/log", Format: config.LogFormat{Text: "x", OmitEmpty: true}}},
		{"file.v3.FileAccessLog, path: /log, log_format: {text_format_source: {inline_string: x}}",
			config.FileAccessLog{Path: "/log", Format: config.LogFormat{Text: "x"}}},
		{"stream.v3.StdoutAccessLog, log_format: {text_format: '%REQ_WITHOUT_QUERY(:PATH)%', formatters: [{name: f, typed_config: " +
			"{'@type': type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery}}]}",
			config.FileAccessLog{Path: "/dev/stdout", Format: config.LogFormat{Text: "%REQ_WITHOUT_QUERY(:PATH)%"}}},
		{"stream.v3.StdoutAccessLog", config.FileAccessLog{Path: "/dev/stdout", Format: plain}},
		{"stream.v3.StderrAccessLog, log_format: {json_format: {a: {b: [x]}}, json_format_options: {sort_properties: true}}",
			config.FileAccessLog{Path: "/dev/stderr", Format: config.LogFormat{JSON: map[string]any{"a": map[string]any{"b": []any{"x"}}}}}},
	}
	for _, test := range tests {
		got, err := decodeAccessLog(t, test.typed)
		if err != nil || !reflect.DeepEqual(got, []*config.AccessLog{{File: &test.want}}) {
			t.Errorf("%s: got %+v, %v; want %+v", test.typed, got[0].File, err, test.want)
		}
	}
}

func TestFileAccessLogErrors(t *testing.T) {
	for typed, want := range map[string]string{
		"file.v3.FileAccessLog":                                                                                                                  "access_log[0].typed_config.path: ",
		"file.v3.FileAccessLog, path: /log, format: '%NONE%'":                                                                                    "access_log[0].typed_config.format: command operator NONE: ",
		"file.v3.FileAccessLog, path: /log, json_format: {a: '%NONE%'}":                                                                          `access_log[0].typed_config.json_format: "a": command operator NONE: `,
		"file.v3.FileAccessLog, path: /log, typed_json_format: {a: '%NONE%'}":                                                                    "access_log[0].typed_config.typed_json_format: ",
		"file.v3.FileAccessLog, path: /log, log_format: {text_format: '%NONE%'}":                                                                 "access_log[0].typed_config.log_format.text_format: command operator NONE: ",
		"file.v3.FileAccessLog, path: /log, log_format: {json_format: {a: '%'}}":                                                                 "access_log[0].typed_config.log_format.json_format: ",
		"file.v3.FileAccessLog, path: /log, log_format: {}":                                                                                      "access_log[0].typed_config.log_format.format: value is required",
		"file.v3.FileAccessLog, path: /log, log_format: {text_format_source: {filename: /f}}":                                                    "access_log[0].typed_config.log_format.text_format_source.filename: is not supported",
		"stream.v3.StdoutAccessLog, log_format: {text_format: x, formatters: [{name: f, typed_config: {'@type': type.googleapis.com/no.Such}}]}": "access_log[0].typed_config.log_format.formatters[0]: 'f' with type URL 'type.googleapis.com/no.Such' is not supported",
		"stream.v3.StderrAccessLog, log_format: {text_format_source: {inline_string: '%FILTER_STATE(x)%'}}":                                      "access_log[0].typed_config.log_format.text_format_source: command operator FILTER_STATE: ",
	} {
		if _, err := decodeAccessLog(t, typed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", typed, err, want)
		}
	}
}
