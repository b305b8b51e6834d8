package bootstrap

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var (
	grpcServiceFields = map[protoreflect.Name]string{
		"envoy_grpc": handled, "initial_metadata": handled,
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
	for i, m := range s.GetInitialMetadata() {
		x.InitialMetadata = append(x.InitialMetadata, d.metadata(fmt.Sprintf("%s.initial_metadata[%d]", path, i), m))
	}
	g := s.GetEnvoyGrpc()
	if g == nil {
		if s.GetGoogleGrpc() == nil {
			d.errorf(path, "must have envoy_grpc")
		}
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

// metadata decodes an entry of initial_metadata. What it says is sent as it is. gRPC encodes the values of keys that end in -bin, so
// those are decoded here.
func (d *decoder) metadata(path string, m *corev3.HeaderValue) Metadata {
	out := Metadata{strings.ToLower(m.GetKey()), m.GetValue()}
	if raw := m.GetRawValue(); len(raw) > 0 {
		if out.Value != "" {
			d.errorf(path, "must have one of value and raw_value")
		}
		out.Value = string(raw)
	} else if unescaped := strings.ReplaceAll(out.Value, "%%", ""); strings.Contains(unescaped, "%") {
		d.errorf(path+".value", "%q has a command operator, which is not supported here; write %%%% for a percent sign", out.Value)
	} else {
		out.Value = strings.ReplaceAll(out.Value, "%%", "%")
	}
	switch {
	case out.Key == "" || strings.HasPrefix(out.Key, ":") || strings.HasPrefix(out.Key, "grpc-") || !isMetadataKey(out.Key):
		d.errorf(path+".key", "%q must be a name of letters, digits, '_', '-' and '.', and not begin with grpc-, which are gRPC's own", m.GetKey())
	case strings.HasSuffix(out.Key, "-bin"):
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(out.Value, "="))
		if err != nil {
			d.errorf(path, "the value of %q must be base64, as the name ends in -bin: %v", m.GetKey(), err)
		}
		out.Value = string(decoded)
	case !isPrintable(out.Value):
		d.errorf(path, "the value of %q must be of printable ASCII; other values need a name that ends in -bin", m.GetKey())
	}
	return out
}

// isMetadataKey reports whether a key, in lower case, is one that gRPC can send: Header-Name of "Requests" in
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
func isMetadataKey(key string) bool {
	return !strings.ContainsFunc(key, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
	})
}

func isPrintable(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r > 0x7e })
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
