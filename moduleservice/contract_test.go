package moduleservice

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

// contract is what clients were built against: every message and its fields in the order of their numbers.
const contract = `
StatusRequest
StatusResponse 1 module_id string, 2 module_type string, 3 version string, 4 health HealthStatus, 5 uptime_seconds int64, 6 envoy_version string, 7 metadata map<string,string>
RoutesRequest 1 cluster_id string
RoutesResponse 1 routes repeated RouteConfig, 2 version int64
RouteConfig 1 name string, 2 prefix string, 3 cluster_name string, 4 hosts repeated string, 5 timeout_seconds int32, 6 headers map<string,string>, 7 enabled bool, 8 rate_limit RateLimitConfig
RateLimitRequest 1 route_name string, 2 config RateLimitConfig
RateLimitConfig 1 requests_per_second int32, 2 burst_size int32, 3 enabled bool
RateLimitResponse 1 success bool, 2 message string
MetricsRequest
MetricsResponse 1 timestamp int64, 2 total_connections int64, 3 active_connections int64, 4 total_requests int64, 5 requests_per_second int64, 6 latency LatencyMetrics, 7 status_codes map<string,int64>, 8 routes map<string,RouteMetrics>
LatencyMetrics 1 p50_ms double, 2 p90_ms double, 3 p95_ms double, 4 p99_ms double, 5 avg_ms double
RouteMetrics 1 requests int64, 2 errors int64, 3 avg_latency_ms double
TrafficWeightRequest 1 route_name string, 2 weights repeated BackendWeight
BackendWeight 1 backend_name string, 2 weight int32, 3 version string
TrafficWeightResponse 1 success bool, 2 message string, 3 applied_weights repeated BackendWeight
ReloadRequest 1 force bool
ReloadResponse 1 success bool, 2 message string, 3 reload_timestamp int64
`

// methods are the calls of the contract.
const methods = `
GetStatus StatusRequest StatusResponse
GetRoutes RoutesRequest RoutesResponse
ApplyRateLimit RateLimitRequest RateLimitResponse
GetMetrics MetricsRequest MetricsResponse
SetTrafficWeight TrafficWeightRequest TrafficWeightResponse
Reload ReloadRequest ReloadResponse
`

func TestDescriptorIsTheContract(t *testing.T) {
	file := marchproxypb.File_moduleservice_marchproxy_proto
	if file.Package() != "marchproxy" || file.Syntax() != protoreflect.Proto3 {
		t.Errorf("package %s, syntax %v", file.Package(), file.Syntax())
	}
	compare(t, "messages", contract, messageLines(file))
	if n := file.Services().Len(); n != 1 {
		t.Fatalf("%d services, want 1", n)
	}
	service := file.Services().Get(0)
	if service.FullName() != "marchproxy.ModuleService" {
		t.Errorf("service %s", service.FullName())
	}
	var lines []string
	for i := range service.Methods().Len() {
		m := service.Methods().Get(i)
		if m.IsStreamingClient() || m.IsStreamingServer() {
			t.Errorf("%s streams", m.Name())
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", m.Name(), m.Input().Name(), m.Output().Name()))
	}
	compare(t, "methods", methods, lines)
	enum := file.Enums().Get(0)
	if enum.Name() != "HealthStatus" || enum.Values().ByName("HEALTHY").Number() != 0 || enum.Values().ByName("UNHEALTHY").Number() != 1 ||
		enum.Values().Len() != 2 || file.Enums().Len() != 1 {
		t.Errorf("enums are not HealthStatus {HEALTHY=0, UNHEALTHY=1}")
	}
}

func messageLines(file protoreflect.FileDescriptor) []string {
	var lines []string
	for i := range file.Messages().Len() {
		message := file.Messages().Get(i)
		var fields []string
		for j := range message.Fields().Len() {
			f := message.Fields().Get(j)
			fields = append(fields, fmt.Sprintf("%d %s %s", f.Number(), f.Name(), typeName(f)))
		}
		lines = append(lines, strings.TrimSpace(string(message.Name())+" "+strings.Join(fields, ", ")))
	}
	return lines
}

func typeName(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		return fmt.Sprintf("map<%s,%s>", typeName(f.MapKey()), typeName(f.MapValue()))
	case f.IsList():
		return "repeated " + elementName(f)
	}
	return elementName(f)
}

func elementName(f protoreflect.FieldDescriptor) string {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return string(f.Message().Name())
	case protoreflect.EnumKind:
		return string(f.Enum().Name())
	}
	return f.Kind().String()
}

func compare(t *testing.T, what, want string, got []string) {
	t.Helper()
	wanted := strings.Split(strings.TrimSpace(want), "\n")
	slices.Sort(wanted)
	slices.Sort(got)
	if !slices.Equal(got, wanted) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
}

// The names of the generated package that clients use.
var _ = &marchproxypb.TrafficWeightRequest{
	RouteName: "web",
	Weights: []*marchproxypb.BackendWeight{
		{BackendName: "blue", Weight: 90, Version: "v1"},
		{BackendName: "green", Weight: 10, Version: "v2"},
	},
}
