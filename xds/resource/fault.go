package resource

import (
	"cmp"
	"math"

	commonfaultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const faultMessage = "envoy.extensions.filters.http.fault.v3.HTTPFault"

var (
	faultFields = fields{
		"delay": decoded, "abort": decoded, "headers": decoded, "max_active_faults": decoded, "delay_percent_runtime": decoded,
		"abort_percent_runtime": decoded,
		// Statistics by the cluster of the client, and what access logs would show.
		"disable_downstream_cluster_stats": noEffect, "filter_metadata": noEffect,
	}
	faultDelayFields = fields{"fixed_delay": decoded, "percentage": decoded}
	faultAbortFields = fields{"http_status": decoded, "grpc_status": decoded, "percentage": decoded}
)

// fault decodes which requests are delayed or answered with an error.
func (a *at) fault(m *faultv3.HTTPFault) *config.Fault {
	a.only(m, faultFields)
	out := &config.Fault{MaxActive: math.MaxUint64}
	for i, h := range m.GetHeaders() {
		out.Headers = append(out.Headers, a.item("headers", i).headerMatcher(h))
	}
	if n := m.GetMaxActiveFaults(); n != nil {
		out.MaxActive = uint64(n.GetValue())
	}
	if d := m.GetDelay(); d != nil {
		place := a.in("delay")
		place.only(d, faultDelayFields)
		if fixed, ok := d.GetFaultDelaySecifier().(*commonfaultv3.FaultDelay_FixedDelay); ok {
			out.Delay = place.positive("fixed_delay", fixed.FixedDelay, 0)
		}
		out.DelayShare = config.RuntimeFraction{
			Default: fraction(d.GetPercentage()), Key: cmp.Or(m.GetDelayPercentRuntime(), "fault.http.delay.fixed_delay_percent"),
		}
	}
	if b := m.GetAbort(); b != nil {
		place := a.in("abort")
		place.only(b, faultAbortFields)
		switch s := b.GetErrorType().(type) {
		case *faultv3.FaultAbort_HttpStatus:
			out.Status = int(s.HttpStatus)
		case *faultv3.FaultAbort_GrpcStatus:
			out.Status, out.GRPCStatus = 200, int64(s.GrpcStatus)
			if s.GrpcStatus == 0 || s.GrpcStatus > maxGRPCStatus {
				place.in("grpc_status").errorf("is %d, it must be from 1 to %d", s.GrpcStatus, maxGRPCStatus)
			}
		}
		out.AbortShare = config.RuntimeFraction{
			Default: fraction(b.GetPercentage()), Key: cmp.Or(m.GetAbortPercentRuntime(), "fault.http.abort.abort_percent"),
		}
	}
	return out
}

// maxGRPCStatus is UNAUTHENTICATED, the last status of gRPC.
const maxGRPCStatus = 16
