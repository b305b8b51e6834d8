package resource

import (
	"reflect"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// grpcLog is a gRPC access log with more fields of its own and of common_config.
func grpcLog(own, common string) string {
	return "grpc.v3.HttpGrpcAccessLogConfig, " + own + " common_config: {log_name: l, transport_api_version: V3, grpc_service: {envoy_grpc: {cluster_name: c}}" + common + "}"
}

func TestGRPCAccessLog(t *testing.T) {
	t.Setenv("LOG_TAG", "from here")
	got, err := decodeAccessLog(t, grpcLog("additional_response_trailers_to_log: [X-T],", ", custom_tags: [{tag: a, literal: {value: b}}, "+
		"{tag: e, environment: {name: LOG_TAG, default_value: d}}, {tag: n, environment: {name: LOG_TAG_NONE, default_value: d}}, "+
		"{tag: h, request_header: {name: X-A, default_value: d}}]"))
	want := &config.GRPCAccessLog{
		LogName: "l", Cluster: "c", FlushInterval: config.DefaultLogFlushInterval, BufferBytes: config.DefaultLogBufferBytes,
		TrailerFields: []string{"x-t"},
		Tags:          []config.LogTag{{Name: "a", Value: "b"}, {Name: "e", Value: "from here"}, {Name: "n", Value: "d"}, {Name: "h", Field: "x-a", Value: "d"}},
	}
	if err != nil || !reflect.DeepEqual(got[0].GRPC, want) {
		t.Errorf("got %+v, %v; want %+v", got[0].GRPC, err, want)
	}
}

// TestGRPCAccessLogService decodes how the log server is asked.
func TestGRPCAccessLogService(t *testing.T) {
	got, err := decodeAccessLog(t, "grpc.v3.HttpGrpcAccessLogConfig, common_config: {log_name: l, grpc_service: {timeout: 1s, "+
		"retry_policy: {num_retries: 2}, initial_metadata: [{key: X-Token, value: '50%%'}, {key: x-bin, value: AP8}], envoy_grpc: "+
		"{cluster_name: c, authority: logs.test, max_receive_message_length: 9, skip_envoy_headers: true}}}")
	if err != nil {
		t.Fatal(err)
	}
	want := config.GRPCAccessLog{
		LogName: "l", Cluster: "c", Authority: "logs.test", FlushInterval: config.DefaultLogFlushInterval,
		BufferBytes: config.DefaultLogBufferBytes, Metadata: []config.Metadata{{Key: "x-token", Value: "50%"}, {Key: "x-bin", Value: "\x00\xff"}},
	}
	if !reflect.DeepEqual(*got[0].GRPC, want) {
		t.Errorf("got %+v, want %+v", *got[0].GRPC, want)
	}
}

func TestGRPCAccessLogErrors(t *testing.T) {
	for typed, want := range map[string]string{
		"grpc.v3.HttpGrpcAccessLogConfig, common_config: {log_name: l, grpc_service: {initial_metadata: [{key: a, value: '%PROTOCOL%'}], envoy_grpc: {cluster_name: c}}}":                       `grpc_service.initial_metadata[0].value: "%PROTOCOL%" has a command operator`,
		"grpc.v3.HttpGrpcAccessLogConfig, common_config: {log_name: l, grpc_service: {initial_metadata: [" + strings.Repeat("{key: a}, ", maxMetadata+1) + "], envoy_grpc: {cluster_name: c}}}": "grpc_service.initial_metadata: has 65 entries, must have at most 64",
		grpcLog("", ", custom_tags: [{tag: m, metadata: {}}]"):                                                   "common_config.custom_tags[0].metadata: is not supported",
		grpcLog("", ", custom_tags: [{tag: m, value: '%PROTOCOL%'}]"):                                            "common_config.custom_tags[0].value: is not supported",
		grpcLog("", ", filter_state_objects_to_log: [a]"):                                                        "common_config.filter_state_objects_to_log: is not supported",
		grpcLog("", ", custom_tags: ["+strings.Repeat("{tag: a, literal: {value: b}}, ", maxLoggedFields+1)+"]"): "common_config.custom_tags: has 65 tags, must have at most 64",
	} {
		if _, err := decodeAccessLog(t, typed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s: error %v, want %s", typed, err, want)
		}
	}
}
