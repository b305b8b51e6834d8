package route

import (
	"fmt"
	"math"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Retry is a compiled retry policy, with what the runtime says where it does not.
type Retry struct {
	*config.RetryPolicy
	// BackOff and MaxBackOff go over those of the policy and are never 0.
	BackOff, MaxBackOff time.Duration
	// Percent is the share of retries that are made, 0 to 100.
	Percent uint64

	requests, responses []headerMatcher
	reset               []resetField
}

// resetField is a field of a response that says when to try again.
type resetField struct {
	fieldName
	timestamp bool
}

// noRetryPolicy is what holds where a configuration has no policy: clients may ask for retries all the same.
func noRetryPolicy() *config.RetryPolicy {
	return &config.RetryPolicy{NumRetries: config.DefaultNumRetries, HostAttempts: config.DefaultHostAttempts}
}

// maxBackOffMillis bounds what the runtime may say, so that ten times as much is a duration. Nobody waits for a day.
const maxBackOffMillis = 24 * 60 * 60 * 1000

// retryRuntime are the values of the runtime that every table depends on.
type retryRuntime struct {
	backOff time.Duration
	percent uint64
}

func newRetryRuntime(r *config.Runtime) retryRuntime {
	millis := r.Integer(config.KeyBackOff, uint64(config.DefaultBackOff/time.Millisecond))
	return retryRuntime{
		backOff: time.Duration(min(max(millis, 1), maxBackOffMillis)) * time.Millisecond,
		percent: min(r.Integer(config.KeyUseRetry, 100), 100),
	}
}

func (c *compiler) retry(p *config.RetryPolicy) (*Retry, error) {
	r := &Retry{RetryPolicy: p, BackOff: p.BackOff, MaxBackOff: p.MaxBackOff, Percent: c.table.retryRuntime.percent}
	if r.BackOff <= 0 {
		r.BackOff, r.MaxBackOff = c.table.retryRuntime.backOff, config.MaxBackOffFactor*c.table.retryRuntime.backOff
	}
	r.MaxBackOff = max(r.MaxBackOff, r.BackOff)
	var err error
	if r.requests, err = compileHeaders(p.RequestHeaders); err != nil {
		return nil, fmt.Errorf("retriable_request_headers: %w", err)
	}
	if r.responses, err = compileHeaders(p.ResponseHeaders); err != nil {
		return nil, fmt.Errorf("retriable_headers: %w", err)
	}
	if p.RateLimited != nil {
		for _, h := range p.RateLimited.ResetHeaders {
			r.reset = append(r.reset, resetField{newFieldName(h.Name), h.Timestamp})
		}
	}
	return r, nil
}

func compileHeaders(list []config.HeaderMatcher) ([]headerMatcher, error) {
	var compiled []headerMatcher
	for i := range list {
		m, err := compileHeader(&list[i])
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", list[i].Name, err)
		}
		compiled = append(compiled, m)
	}
	return compiled, nil
}

// Allows reports whether a request may be tried again as far as its fields say (retriable_request_headers).
func (r *Retry) Allows(req *message.Request) bool {
	for i := range r.requests {
		if r.requests[i].match(req) {
			return true
		}
	}
	return len(r.requests) == 0
}

// MatchesResponse reports whether one of retriable_headers matches the fields of a response.
func (r *Retry) MatchesResponse(fields *message.Fields) bool {
	for i := range r.responses {
		if r.responses[i].matchFields(fields) {
			return true
		}
	}
	return false
}

// HasStatus reports whether a status is one of retriable_status_codes.
func (r *Retry) HasStatus(status int) bool {
	for _, code := range r.StatusCodes {
		if code == uint32(status) {
			return true
		}
	}
	return false
}

// ResetAfter returns how long a response asks to wait before the next attempt: what the first of the fields for that which has
// a value says, unless that is too long. now is in seconds since 1970.
func (r *Retry) ResetAfter(fields *message.Fields, now int64) (wait time.Duration, ok bool) {
	for i := range r.reset {
		value, count := r.reset[i].values(fields)
		if count == 0 {
			continue
		}
		seconds, valid := parseInt(value)
		if r.reset[i].timestamp {
			seconds -= now
		}
		if !valid || seconds < 0 || seconds > math.MaxInt64/int64(time.Second) {
			continue
		}
		if wait := time.Duration(seconds) * time.Second; wait <= r.RateLimited.Max {
			return wait, true
		}
	}
	return 0, false
}

// BackOffRange returns the longest wait before the nth retry, from 1 on.
func (r *Retry) BackOffRange(n uint32) time.Duration {
	wait := r.BackOff
	for ; n > 1 && wait < r.MaxBackOff; n-- {
		wait *= 2
	}
	return min(wait, r.MaxBackOff)
}
