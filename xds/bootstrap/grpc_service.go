package bootstrap

import (
	"math"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

var (
	grpcServiceFields = map[protoreflect.Name]string{
		"envoy_grpc": handled, "google_grpc": handled, "initial_metadata": handled,
		"timeout": streamOnly, "retry_policy": streamOnly,
	}
	envoyGRPCFields = map[protoreflect.Name]string{
		"cluster_name": handled, "authority": handled, "max_receive_message_length": handled,
		"retry_policy": handled, "skip_envoy_headers": handled, // none are sent
	}
	grpcRetryFields = map[protoreflect.Name]string{
		"retry_back_off": handled,
		"retry_on":       streamOnly, "num_retries": streamOnly, "retry_priority": streamOnly, "retry_host_predicate": streamOnly,
		"host_selection_retry_max_attempts": streamOnly,
	}
	retryBackOffFields = map[protoreflect.Name]string{"base_interval": handled, "max_interval": handled}
	rateLimitFields    = map[protoreflect.Name]string{"max_tokens": handled, "fill_rate": handled}
)

// grpcService decodes an entry of grpc_services.
func (d *decoder) grpcService(path string, s *corev3.GrpcService) Server {
	x := Server{MaxReceiveBytes: defaultMaxReceive}
	d.fields(path, s, grpcServiceFields)
	var err error
	x.InitialMetadata, err = resource.Metadata(path, s.GetInitialMetadata())
	d.add(err)
	g := s.GetEnvoyGrpc()
	if google := s.GetGoogleGrpc(); google != nil {
		d.googleGRPC(path, google, &x)
		return x
	}
	if g == nil {
		d.errorf(path, "must have envoy_grpc or google_grpc")
		return x
	}
	path += ".envoy_grpc"
	d.fields(path, g, envoyGRPCFields)
	if x.Cluster, x.Authority = g.GetClusterName(), g.GetAuthority(); x.Cluster == "" {
		d.errorf(path+".cluster_name", "must not be empty")
	}
	if n := g.GetMaxReceiveMessageLength(); n != nil {
		x.MaxReceiveBytes = int(min(uint64(n.GetValue()), math.MaxInt32))
	}
	d.fields(path+".retry_policy", g.GetRetryPolicy(), grpcRetryFields)
	if b := g.GetRetryPolicy().GetRetryBackOff(); b != nil {
		x.BackoffBase, x.BackoffMax = d.retryBackOff(path+".retry_policy.retry_back_off", b)
	}
	return x
}

// retryBackOff decodes the wait before a new stream. As in Envoy, a max_interval that is not given is ten times base_interval.
func (d *decoder) retryBackOff(path string, b *corev3.BackoffStrategy) (base, limit time.Duration) {
	d.fields(path, b, retryBackOffFields)
	base, limit = b.GetBaseInterval().AsDuration(), b.GetMaxInterval().AsDuration()
	if base < time.Millisecond {
		d.errorf(path+".base_interval", "%v must be at least 1ms", base)
	}
	switch {
	case b.GetMaxInterval() == nil:
		limit = 10 * base
	case limit < base:
		d.errorf(path+".max_interval", "%v must be greater than or equal to the base_interval %v", limit, base)
	}
	return base, limit
}

// rateLimit decodes the limit on requests.
func (d *decoder) rateLimit(path string, r *corev3.RateLimitSettings) RateLimit {
	d.fields(path, r, rateLimitFields)
	out := RateLimit{MaxTokens: 100, FillRate: 10}
	if n := r.GetMaxTokens(); n != nil {
		if out.MaxTokens = n.GetValue(); out.MaxTokens == 0 {
			d.errorf(path+".max_tokens", "must be at least 1, or nothing could be asked")
		}
	}
	if rate := r.GetFillRate(); rate != nil {
		if out.FillRate = rate.GetValue(); !(out.FillRate > 0) || math.IsInf(out.FillRate, 0) {
			d.errorf(path+".fill_rate", "%v must be greater than 0 and finite", out.FillRate)
		}
	}
	return out
}
