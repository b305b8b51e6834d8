package resource

import (
	"slices"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	// maxLogFilters bounds the filters of an access log, those within others counted: each costs work per request.
	maxLogFilters = 64
	// maxLogFilterDepth bounds how deep filters are within others.
	maxLogFilterDepth = 8
)

var (
	logFilterFields = fields{
		"status_code_filter": decoded, "duration_filter": decoded, "not_health_check_filter": decoded, "traceable_filter": decoded,
		"runtime_filter": decoded, "and_filter": decoded, "or_filter": decoded, "header_filter": decoded,
		"response_flag_filter": decoded, "grpc_status_filter": decoded, "log_type_filter": decoded,
	}
	logComparisonFields = fields{"op": decoded, "value": decoded}
	logSampleFields     = fields{"runtime_key": decoded, "percent_sampled": decoded, "use_independent_randomness": decoded}
)

// logFilterDecoder counts the filters of one access log.
type logFilterDecoder struct{ filters, depth int }

// logFilter decodes a filter, and those within it. It returns nil for one that cannot be used.
func (d *logFilterDecoder) logFilter(a *at, f *accesslogv3.AccessLogFilter) *config.LogFilter {
	if d.filters++; d.filters > maxLogFilters || d.depth > maxLogFilterDepth {
		a.errorf("more than %d filters, or filters that are more than %d deep within others, are not supported", maxLogFilters, maxLogFilterDepth)
		return nil
	}
	a.only(f, logFilterFields)
	out := &config.LogFilter{}
	switch s := f.GetFilterSpecifier().(type) {
	case *accesslogv3.AccessLogFilter_StatusCodeFilter:
		out.Kind = config.LogFilterStatus
		out.Compare = a.in("status_code_filter").in("comparison").logComparison(s.StatusCodeFilter.GetComparison())
	case *accesslogv3.AccessLogFilter_DurationFilter:
		out.Kind = config.LogFilterDuration
		out.Compare = a.in("duration_filter").in("comparison").logComparison(s.DurationFilter.GetComparison())
	case *accesslogv3.AccessLogFilter_NotHealthCheckFilter:
		out.Kind = config.LogFilterNotHealthCheck
	case *accesslogv3.AccessLogFilter_TraceableFilter:
		out.Kind = config.LogFilterTraceable
	case *accesslogv3.AccessLogFilter_RuntimeFilter:
		out.Kind, out.Sample = config.LogFilterRuntime, a.in("runtime_filter").logSample(s.RuntimeFilter)
	case *accesslogv3.AccessLogFilter_AndFilter:
		out.Kind, out.Filters = config.LogFilterAnd, d.within(a.in("and_filter"), s.AndFilter.GetFilters())
	case *accesslogv3.AccessLogFilter_OrFilter:
		out.Kind, out.Filters = config.LogFilterOr, d.within(a.in("or_filter"), s.OrFilter.GetFilters())
	case *accesslogv3.AccessLogFilter_HeaderFilter:
		out.Kind = config.LogFilterHeader
		out.Header = a.in("header_filter").in("header").headerMatcher(s.HeaderFilter.GetHeader())
	case *accesslogv3.AccessLogFilter_ResponseFlagFilter:
		out.Kind, out.Flags = config.LogFilterFlags, slices.Clone(s.ResponseFlagFilter.GetFlags())
	case *accesslogv3.AccessLogFilter_GrpcStatusFilter:
		out.Kind, out.GRPC, out.Exclude = config.LogFilterGRPCStatus, make(map[uint32]bool), s.GrpcStatusFilter.GetExclude()
		for _, status := range s.GrpcStatusFilter.GetStatuses() {
			out.GRPC[uint32(status)] = true
		}
	case *accesslogv3.AccessLogFilter_LogTypeFilter:
		out.Kind, out.Types, out.Exclude = config.LogFilterType, make(map[config.LogType]bool), s.LogTypeFilter.GetExclude()
		for _, t := range s.LogTypeFilter.GetTypes() {
			out.Types[config.LogType(t)] = true
		}
	}
	return out
}

// within decodes the filters that another one combines.
func (d *logFilterDecoder) within(a *at, list []*accesslogv3.AccessLogFilter) (out []*config.LogFilter) {
	d.depth++
	defer func() { d.depth-- }()
	for i, one := range list {
		if d.filters > maxLogFilters {
			break // which has been said
		}
		if f := d.logFilter(a.item("filters", i), one); f != nil {
			out = append(out, f)
		}
	}
	return out
}

func (a *at) logComparison(c *accesslogv3.ComparisonFilter) config.LogComparison {
	a.only(c, logComparisonFields)
	out := config.LogComparison{Default: c.GetValue().GetDefaultValue(), Key: c.GetValue().GetRuntimeKey()}
	switch c.GetOp() {
	case accesslogv3.ComparisonFilter_GE:
		out.Op = config.LogAtLeast
	case accesslogv3.ComparisonFilter_LE:
		out.Op = config.LogAtMost
	case accesslogv3.ComparisonFilter_NE:
		out.Op = config.LogNotEqual
	}
	return out
}

func (a *at) logSample(f *accesslogv3.RuntimeFilter) config.LogSample {
	a.only(f, logSampleFields)
	out := config.LogSample{
		Key: f.GetRuntimeKey(), Numerator: f.GetPercentSampled().GetNumerator(), Independent: f.GetUseIndependentRandomness(),
	}
	switch f.GetPercentSampled().GetDenominator() {
	case typev3.FractionalPercent_TEN_THOUSAND:
		out.Denominator = 10_000
	case typev3.FractionalPercent_MILLION:
		out.Denominator = 1_000_000
	default:
		out.Denominator = 100
	}
	return out
}
