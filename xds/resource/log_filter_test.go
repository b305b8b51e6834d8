package resource

import (
	"reflect"
	"strings"
	"testing"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// decodeLogFilter decodes the filter of an access log.
func decodeLogFilter(t *testing.T, text string) (*config.LogFilter, error) {
	t.Helper()
	var log accesslogv3.AccessLog
	text = "name: l\nfilter: {" + text + "}\ntyped_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}"
	if _, err := protofile.Unmarshal([]byte(text), protofile.YAML, &log, protofile.Options{}); err != nil {
		t.Fatal(err)
	}
	root := newReport("listener", "l")
	if !root.validate(&log) {
		return nil, root.err()
	}
	out := root.accessLogs([]*accesslogv3.AccessLog{&log})
	return out[0].Filter, root.err()
}

func TestLogFilters(t *testing.T) {
	atLeast := func(kind config.LogFilterKind, n uint32, key string) *config.LogFilter {
		return &config.LogFilter{Kind: kind, Compare: config.LogComparison{Op: config.LogAtLeast, Default: n, Key: key}}
	}
	flags := &config.LogFilter{Kind: config.LogFilterFlags, Flags: []string{"NR"}}
	notHealthCheck := &config.LogFilter{Kind: config.LogFilterNotHealthCheck}
	tests := []struct {
		text string
		want *config.LogFilter
	}{
		{"status_code_filter: {comparison: {op: GE, value: {default_value: 400, runtime_key: k}}}", atLeast(config.LogFilterStatus, 400, "k")},
		{"status_code_filter: {comparison: {op: NE, value: {default_value: 200, runtime_key: k}}}",
			&config.LogFilter{Kind: config.LogFilterStatus, Compare: config.LogComparison{Op: config.LogNotEqual, Default: 200, Key: "k"}}},
		{"duration_filter: {comparison: {op: GE, value: {default_value: 100, runtime_key: k}}}", atLeast(config.LogFilterDuration, 100, "k")},
		{"not_health_check_filter: {}", notHealthCheck},
		{"traceable_filter: {}", &config.LogFilter{Kind: config.LogFilterTraceable}},
		{"runtime_filter: {runtime_key: k, percent_sampled: {numerator: 3, denominator: MILLION}, use_independent_randomness: true}",
			&config.LogFilter{Kind: config.LogFilterRuntime, Sample: config.LogSample{Key: "k", Numerator: 3, Denominator: 1_000_000, Independent: true}}},
		{"runtime_filter: {runtime_key: k}", &config.LogFilter{Kind: config.LogFilterRuntime, Sample: config.LogSample{Key: "k", Denominator: 100}}},
		{"response_flag_filter: {flags: [NR]}", flags},
		{"and_filter: {filters: [{response_flag_filter: {flags: [NR]}}, {not_health_check_filter: {}}]}",
			&config.LogFilter{Kind: config.LogFilterAnd, Filters: []*config.LogFilter{flags, notHealthCheck}}},
		{"or_filter: {filters: [{response_flag_filter: {flags: [NR]}}, {not_health_check_filter: {}}]}",
			&config.LogFilter{Kind: config.LogFilterOr, Filters: []*config.LogFilter{flags, notHealthCheck}}},
		{"header_filter: {header: {name: X-A, present_match: true}}",
			&config.LogFilter{Kind: config.LogFilterHeader, Header: config.HeaderMatcher{Name: "x-a", Kind: config.HeaderPresent, Present: true}}},
		{"grpc_status_filter: {statuses: [OK, NOT_FOUND], exclude: true}",
			&config.LogFilter{Kind: config.LogFilterGRPCStatus, GRPC: map[uint32]bool{0: true, 5: true}, Exclude: true}},
		{"log_type_filter: {types: [DownstreamEnd, TcpConnectionEnd]}",
			&config.LogFilter{Kind: config.LogFilterType, Types: map[config.LogType]bool{config.LogDownstreamEnd: true, config.LogTCPConnectionEnd: true}}},
	}
	for _, test := range tests {
		if got, err := decodeLogFilter(t, test.text); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v; want %+v", test.text, got, err, test.want)
		}
	}
}

func TestLogFilterErrors(t *testing.T) {
	deep := strings.Repeat("and_filter: {filters: [{traceable_filter: {}}, {", maxLogFilterDepth+1) + "traceable_filter: {}" +
		strings.Repeat("}]}", maxLogFilterDepth+1)
	many := "or_filter: {filters: [" + strings.Repeat("{traceable_filter: {}}, ", maxLogFilters+1) + "]}"
	for text, want := range map[string]string{
		"metadata_filter: {matcher: {filter: f, path: [{key: k}], value: {bool_match: true}}}":                                                        "access_log[0].filter.metadata_filter: is not supported",
		"extension_filter: {name: cel, typed_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter}}": "access_log[0].filter.extension_filter: 'cel' with type URL 'type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter' is not supported",
		"and_filter: {filters: [{traceable_filter: {}}]}":                                                                                             "filter.and_filter.filters: value must contain at least 2 item(s)",
		"response_flag_filter: {flags: [XX]}":                                                                                                         "filter.response_flag_filter.flags[0]: value must be in list",
		"status_code_filter: {}":                                                                                                                      "filter.status_code_filter.comparison: value is required",
		"or_filter: {filters: [{traceable_filter: {}}, {metadata_filter: {}}]}":                                                                       "access_log[0].filter.or_filter.filters[1].metadata_filter: is not supported",
		deep: "filters that are more than 8 deep within others, are not supported",
		many: "more than 64 filters",
	} {
		if _, err := decodeLogFilter(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s: error %v, want %s", text, err, want)
		}
	}
}
