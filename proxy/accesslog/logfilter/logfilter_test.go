package logfilter

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// entry returns an entry of a request with the fields, which are names and values by turns.
func entry(change func(e *accesslog.Entry), requestFields ...string) *accesslog.Entry {
	e := &accesslog.Entry{
		Type: config.LogDownstreamEnd, Request: &message.Request{}, Response: &message.Response{Status: 200}, Status: 200,
		Duration: 1500 * time.Millisecond, Random: 42,
	}
	for i := 0; i < len(requestFields); i += 2 {
		e.Request.Fields.AddRaw([]byte(requestFields[i]), []byte(requestFields[i+1]))
	}
	if change != nil {
		change(e)
	}
	return e
}

func status(n int) func(*accesslog.Entry) { return func(e *accesslog.Entry) { e.Status = n } }

func flags(names ...string) func(*accesslog.Entry) {
	return func(e *accesslog.Entry) { e.Flags = names }
}

// grpc gives an entry a grpc-status in the trailers and in the head, each where it is not empty.
func grpc(trailer, head string) func(*accesslog.Entry) {
	return func(e *accesslog.Entry) {
		if trailer != "" {
			e.Trailers = &message.Fields{}
			e.Trailers.Add(message.NameGRPCStatus, []byte(trailer))
		}
		if head != "" {
			e.Response.Fields.Add(message.NameGRPCStatus, []byte(head))
		}
	}
}

func compare(kind config.LogFilterKind, op config.LogComparisonOp, n uint32, key string) *config.LogFilter {
	return &config.LogFilter{Kind: kind, Compare: config.LogComparison{Op: op, Default: n, Key: key}}
}

func sample(numerator, denominator uint32, independent bool, key string) *config.LogFilter {
	return &config.LogFilter{Kind: config.LogFilterRuntime, Sample: config.LogSample{
		Key: key, Numerator: numerator, Denominator: denominator, Independent: independent,
	}}
}

func both(kind config.LogFilterKind, filters ...*config.LogFilter) *config.LogFilter {
	return &config.LogFilter{Kind: kind, Filters: filters}
}

func grpcStatuses(exclude bool, list ...uint32) *config.LogFilter {
	f := &config.LogFilter{Kind: config.LogFilterGRPCStatus, GRPC: make(map[uint32]bool), Exclude: exclude}
	for _, s := range list {
		f.GRPC[s] = true
	}
	return f
}

// runtime has 404 and 90 under the keys "four" and "many", and something that is no number under "text".
func runtime() *config.Runtime {
	whole := func(n uint64) config.RuntimeValue { return config.RuntimeValue{Whole: &n} }
	return config.NewRuntime([]config.RuntimeValues{{Values: map[string]config.RuntimeValue{
		"four": whole(404), "many": whole(90), "none": whole(0), "text": {Text: "x"},
	}}})
}

type filterCase struct {
	name   string
	filter *config.LogFilter
	entry  *accesslog.Entry
	passes bool
}

func filterCases() []filterCase {
	const id = "00000032-0000-4000-8000-000000000000" // 50 in decimal
	yes, no := compare(config.LogFilterStatus, config.LogAtLeast, 0, ""), compare(config.LogFilterStatus, config.LogEqual, 1, "")
	header := func(name, value string) *config.LogFilter {
		return &config.LogFilter{Kind: config.LogFilterHeader, Header: config.HeaderMatcher{
			Name: name, Kind: config.HeaderString, String: config.StringMatcher{Value: value},
		}}
	}
	flagged := func(names ...string) *config.LogFilter {
		return &config.LogFilter{Kind: config.LogFilterFlags, Flags: names}
	}
	types := func(exclude bool, list ...config.LogType) *config.LogFilter {
		f := &config.LogFilter{Kind: config.LogFilterType, Types: make(map[config.LogType]bool), Exclude: exclude}
		for _, one := range list {
			f.Types[one] = true
		}
		return f
	}
	healthCheck := func(e *accesslog.Entry) { e.HealthCheck = true }
	unanswered := func(e *accesslog.Entry) { e.Response, e.Status = nil, 0 }
	return []filterCase{
		{"nil", nil, entry(nil), true},

		{"status equal", compare(config.LogFilterStatus, config.LogEqual, 200, ""), entry(nil), true},
		{"status not equal", compare(config.LogFilterStatus, config.LogNotEqual, 200, ""), entry(nil), false},
		{"status at least", compare(config.LogFilterStatus, config.LogAtLeast, 500, ""), entry(status(500)), true},
		{"status less", compare(config.LogFilterStatus, config.LogAtLeast, 500, ""), entry(status(499)), false},
		{"status at most", compare(config.LogFilterStatus, config.LogAtMost, 299, ""), entry(status(299)), true},
		{"status more", compare(config.LogFilterStatus, config.LogAtMost, 299, ""), entry(status(300)), false},
		{"no status is 0", compare(config.LogFilterStatus, config.LogEqual, 0, ""), entry(unanswered), true},
		{"status of the runtime", compare(config.LogFilterStatus, config.LogEqual, 1, "four"), entry(status(404)), true},
		{"status without a number in the runtime", compare(config.LogFilterStatus, config.LogEqual, 1, "text"), entry(status(404)), false},
		{"duration", compare(config.LogFilterDuration, config.LogAtLeast, 1500, ""), entry(nil), true},
		{"duration less", compare(config.LogFilterDuration, config.LogAtLeast, 1501, ""), entry(nil), false},
		{"duration of the runtime", compare(config.LogFilterDuration, config.LogAtMost, 0, "four"), entry(nil), false},

		{"no health check", &config.LogFilter{Kind: config.LogFilterNotHealthCheck}, entry(nil), true},
		{"health check", &config.LogFilter{Kind: config.LogFilterNotHealthCheck}, entry(healthCheck), false},
		{"traceable", &config.LogFilter{Kind: config.LogFilterTraceable}, entry(nil, "x-request-id", id), false},

		{"sampled by id", sample(51, 100, false, ""), entry(nil, "x-request-id", id), true},
		{"not sampled by id", sample(50, 100, false, ""), entry(nil, "x-request-id", id), false},
		{"sampled by chance", sample(43, 100, true, ""), entry(nil, "x-request-id", id), true},
		{"not sampled by chance", sample(42, 100, true, ""), entry(nil, "x-request-id", id), false},
		{"an id that is none", sample(43, 100, false, ""), entry(nil, "x-request-id", "0000003g-"), true},
		{"an id that is short", sample(43, 100, false, ""), entry(nil, "x-request-id", "0000032"), true},
		{"no id", sample(42, 100, false, ""), entry(nil), false},
		{"all of the runtime", sample(0, 100, false, "many"), entry(nil, "x-request-id", id), true},
		{"none of the runtime", sample(100, 100, false, "none"), entry(nil, "x-request-id", id), false},

		{"and", both(config.LogFilterAnd, yes, yes), entry(nil), true},
		{"and not", both(config.LogFilterAnd, yes, no), entry(nil), false},
		{"or", both(config.LogFilterOr, no, yes), entry(nil), true},
		{"or not", both(config.LogFilterOr, no, no), entry(nil), false},
		{"within", both(config.LogFilterAnd, yes, both(config.LogFilterOr, no, yes)), entry(nil), true},

		{"header", header("x-a", "b"), entry(nil, "x-a", "b"), true},
		{"another header", header("x-a", "b"), entry(nil, "x-a", "c"), false},
		{"no header", header("x-a", "b"), entry(nil), false},

		{"any flag", flagged(), entry(flags("UF")), true},
		{"no flag", flagged(), entry(nil), false},
		{"flag", flagged("NR", "UF"), entry(flags("URX", "UF")), true},
		{"another flag", flagged("NR"), entry(flags("URX", "UF")), false},

		{"gRPC status of the trailers", grpcStatuses(false, 5), entry(grpc("5", "0")), true},
		{"gRPC status of the head", grpcStatuses(false, 5), entry(grpc("", "5")), true},
		{"gRPC status of HTTP", grpcStatuses(false, 14), entry(status(503)), true},
		{"gRPC status of 200", grpcStatuses(false, 2), entry(nil), true},
		{"gRPC status of no response", grpcStatuses(false, 2), entry(unanswered), true},
		{"another gRPC status", grpcStatuses(false, 0), entry(grpc("5", "")), false},
		{"gRPC status that is none", grpcStatuses(false, 0, 2), entry(grpc("x", "")), false},
		{"gRPC status beyond the last", grpcStatuses(false, 0, 17), entry(grpc("17", "")), false},
		{"excluded gRPC status", grpcStatuses(true, 0), entry(grpc("0", "")), false},
		{"not excluded gRPC status", grpcStatuses(true, 0), entry(grpc("1", "")), true},

		{"type", types(false, config.LogTCPConnectionEnd, config.LogDownstreamEnd), entry(nil), true},
		{"another type", types(false, config.LogTCPConnectionEnd), entry(nil), false},
		{"excluded type", types(true, config.LogDownstreamEnd), entry(nil), false},
		{"not excluded type", types(true, config.LogTCPPeriodic), entry(nil), true},
	}
}

func TestPasses(t *testing.T) {
	for _, c := range filterCases() {
		f, err := Compile(c.filter, runtime())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := f.Passes(c.entry); got != c.passes {
			t.Errorf("%s: %v, want %v", c.name, got, c.passes)
		}
	}
}

// TestPassesAllocatesNothing holds that every kind of filter decides without allocating.
func TestPassesAllocatesNothing(t *testing.T) {
	for _, c := range filterCases() {
		f, err := Compile(c.filter, runtime())
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { f.Passes(c.entry) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", c.name, n)
		}
	}
}

func TestCompileUnknownKind(t *testing.T) {
	f := both(config.LogFilterAnd, &config.LogFilter{Kind: config.LogFilterType + 1})
	if _, err := Compile(f, nil); err == nil {
		t.Error("a filter of an unknown kind was compiled")
	}
}
