package config

import (
	"bytes"
	"time"
)

// RetryOn is a set of conditions under which a request is tried again.
type RetryOn uint32

// The conditions of RetryPolicy.retry_on. Those of gRPC are about grpc-status in the head of a response.
const (
	RetryOn5xx                  RetryOn = 1 << iota // 5xx, or no response at all
	RetryOnGatewayError                             // gateway-error: 502, 503, 504, or no response at all
	RetryOnReset                                    // reset: no response at all
	RetryOnResetBeforeRequest                       // reset-before-request: nothing of the request was sent
	RetryOnConnectFailure                           // connect-failure
	RetryOnRefusedStream                            // refused-stream: REFUSED_STREAM of HTTP/2
	RetryOnRetriable4xx                             // retriable-4xx: 409
	RetryOnRetriableStatusCodes                     // retriable-status-codes
	RetryOnRetriableHeaders                         // retriable-headers
	RetryOnEnvoyRateLimited                         // envoy-ratelimited: x-envoy-ratelimited in the response
	RetryOnHTTP3PostConnect                         // http3-post-connect-failure, which no HTTP/3 means never
	RetryOnGRPCCancelled
	RetryOnGRPCDeadlineExceeded
	RetryOnGRPCInternal
	RetryOnGRPCResourceExhausted
	RetryOnGRPCUnavailable
)

// RetryOnGRPC are the conditions about gRPC.
const RetryOnGRPC = RetryOnGRPCCancelled | RetryOnGRPCDeadlineExceeded | RetryOnGRPCInternal | RetryOnGRPCResourceExhausted |
	RetryOnGRPCUnavailable

// retryOnNames are the conditions that retry_on and x-envoy-retry-on may have. It is never written.
var retryOnNames = map[string]RetryOn{
	"5xx": RetryOn5xx, "gateway-error": RetryOnGatewayError, "reset": RetryOnReset,
	"reset-before-request": RetryOnResetBeforeRequest, "connect-failure": RetryOnConnectFailure,
	"refused-stream": RetryOnRefusedStream, "retriable-4xx": RetryOnRetriable4xx,
	"retriable-status-codes": RetryOnRetriableStatusCodes, "retriable-headers": RetryOnRetriableHeaders,
	"envoy-ratelimited": RetryOnEnvoyRateLimited, "http3-post-connect-failure": RetryOnHTTP3PostConnect,
}

// retryOnGRPCNames are those that retry_on and x-envoy-retry-grpc-on may have. It is never written.
var retryOnGRPCNames = map[string]RetryOn{
	"cancelled": RetryOnGRPCCancelled, "deadline-exceeded": RetryOnGRPCDeadlineExceeded, "internal": RetryOnGRPCInternal,
	"resource-exhausted": RetryOnGRPCResourceExhausted, "unavailable": RetryOnGRPCUnavailable,
}

// ParseRetryOn returns the conditions in a comma-separated list. Words that are none are passed over, as Envoy does.
func ParseRetryOn(list []byte) (on RetryOn) {
	for word, rest, ok := NextItem(list); ok; word, rest, ok = NextItem(rest) {
		on |= retryOnNames[string(word)]
	}
	return on
}

// ParseRetryOnGRPC is ParseRetryOn for the conditions about gRPC.
func ParseRetryOnGRPC(list []byte) (on RetryOn) {
	for word, rest, ok := NextItem(list); ok; word, rest, ok = NextItem(rest) {
		on |= retryOnGRPCNames[string(word)]
	}
	return on
}

// NextItem returns the first item of a comma-separated list without the white space around it, and the rest of the list. Items
// that are empty are passed over (RFC 9110 section 5.6.1); ok is false when there is none left.
func NextItem(list []byte) (item, rest []byte, ok bool) {
	for len(list) > 0 && !ok {
		item, list, _ = bytes.Cut(list, comma)
		item = bytes.Trim(item, " \t")
		ok = len(item) > 0
	}
	return item, list, ok
}

// comma is never written.
var comma = []byte(",")

// RetryPolicy is envoy.config.route.v3.RetryPolicy.
type RetryPolicy struct {
	On         RetryOn
	NumRetries uint32
	// PerTryTimeout bounds each attempt until its response begins, PerTryIdleTimeout the time without progress in it; 0 means
	// no bound.
	PerTryTimeout, PerTryIdleTimeout time.Duration
	// BackOff is the range of the first wait, which doubles up to MaxBackOff. With 0 it is what the runtime says.
	BackOff, MaxBackOff time.Duration
	RateLimited         *RateLimitedBackOff

	StatusCodes     []uint32        // with RetryOnRetriableStatusCodes
	ResponseHeaders []HeaderMatcher // with RetryOnRetriableHeaders: one that matches is enough
	RequestHeaders  []HeaderMatcher // unless it is empty, only requests that one of them matches are tried again

	// For a further attempt, another host is picked in place of one that was tried (previous_hosts), is a canary (omit_canary_hosts) or
	// has all of the labels of an element of OmitLabels (omit_host_metadata), up to HostAttempts times
	// (host_selection_retry_max_attempts).
	AvoidPreviousHosts bool
	OmitCanary         bool
	OmitLabels         []Labels
	HostAttempts       uint32
	// PriorityFrequency has attempts stay away from the priorities of the hosts that were tried, which are looked at anew after each
	// so many (previous_priorities, update_frequency); 0 has them not.
	PriorityFrequency int
}

// RateLimitedBackOff is RetryPolicy.RateLimitedRetryBackOff: the response says when to try again.
type RateLimitedBackOff struct {
	ResetHeaders []ResetHeader // the first that has a value counts
	Max          time.Duration // a longer wait is not waited for
}

// ResetHeader is RetryPolicy.ResetHeader.
type ResetHeader struct {
	Name string // lower-case
	// Timestamp says that the value is a time in seconds since 1970; otherwise it is a number of seconds.
	Timestamp bool
}

// Defaults of RetryPolicy.
const (
	DefaultNumRetries        = 1
	DefaultHostAttempts      = 1
	DefaultBackOff           = 25 * time.Millisecond
	DefaultRateLimitedMax    = 300 * time.Second
	MaxBackOffFactor         = 10 // of MaxBackOff to BackOff, where it is not set
	DefaultBudgetPercent     = 20
	DefaultBudgetConcurrency = 3
)

// Keys of the runtime about retries.
const (
	// KeyBackOff is BackOff in milliseconds, where a policy does not say.
	KeyBackOff = "upstream.base_retry_backoff_ms"
	// KeyUseRetry is the percentage of retries that are made.
	KeyUseRetry = "upstream.use_retry"
)

// HedgePolicy is envoy.config.route.v3.HedgePolicy.
type HedgePolicy struct {
	// OnPerTryTimeout has an attempt that reaches PerTryTimeout go on while a retry races it (hedge_on_per_try_timeout).
	OnPerTryTimeout bool
}

// RetryBudget is CircuitBreakers.Thresholds.RetryBudget: how many retries may be in flight follows from how many requests are.
type RetryBudget struct {
	Percent        float64 // of the requests that are in flight or wait for a connection
	MinConcurrency uint32  // always allowed
	// Interval has Percent be of the requests that have begun within it, whether they have ended or not; 0 does not.
	Interval time.Duration
}
