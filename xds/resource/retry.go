package resource

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	omitcanaryv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/omit_canary_hosts/v3"
	omitmetadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/omit_host_metadata/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	previousprioritiesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Messages of what a retry policy says of hosts.
const (
	previousHostsMessage      = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
	omitCanaryMessage         = "envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate"
	omitMetadataMessage       = "envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig"
	previousPrioritiesMessage = "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
)

// maxHostPredicates bounds what each host is looked at for that is picked for a further attempt.
const maxHostPredicates = 16

var (
	retryPolicyFields = fields{
		"retry_on": decoded, "num_retries": decoded, "per_try_timeout": decoded, "per_try_idle_timeout": decoded,
		"retry_host_predicate": decoded, "host_selection_retry_max_attempts": decoded, "retriable_status_codes": decoded,
		"retry_back_off": decoded, "rate_limited_retry_back_off": decoded, "retriable_headers": decoded,
		"retriable_request_headers": decoded, "retry_priority": decoded,
	}
	retryPredicateFields      = fields{"name": decoded, "typed_config": decoded}
	retryBackOffFields        = fields{"base_interval": decoded, "max_interval": decoded}
	rateLimitedBackOffFields  = fields{"reset_headers": decoded, "max_interval": decoded}
	retryResetHeaderFields    = fields{"name": decoded, "format": decoded}
	previousHostsPolicyFields = fields{}
	omitCanaryFields          = fields{}
	omitMetadataFields        = fields{"metadata_match": decoded}
	retryPriorityFields       = fields{"name": decoded, "typed_config": decoded}
	previousPrioritiesFields  = fields{"update_frequency": decoded}
	hedgePolicyFields         = fields{
		"hedge_on_per_try_timeout": decoded,

		// One request is sent at first, as by Envoy, which has them in its API alone.
		"initial_requests": noEffect, "additional_request_chance": noEffect,
	}
)

// retryPolicy decodes when a request is tried again, nil where nothing is said.
func (a *at) retryPolicy(p *routev3.RetryPolicy) *config.RetryPolicy {
	if p == nil {
		return nil
	}
	a.only(p, retryPolicyFields)
	out := &config.RetryPolicy{
		On:                config.ParseRetryOn([]byte(p.GetRetryOn())) | config.ParseRetryOnGRPC([]byte(p.GetRetryOn())),
		NumRetries:        orUint32(p.GetNumRetries(), config.DefaultNumRetries),
		PerTryTimeout:     a.duration("per_try_timeout", p.GetPerTryTimeout(), 0),
		PerTryIdleTimeout: a.duration("per_try_idle_timeout", p.GetPerTryIdleTimeout(), 0),
		StatusCodes:       append([]uint32(nil), p.GetRetriableStatusCodes()...),
		HostAttempts:      config.DefaultHostAttempts,
	}
	a.in("retry_priority").retryPriority(p.GetRetryPriority(), out)
	if n := len(p.GetRetryHostPredicate()); n > maxHostPredicates {
		a.in("retry_host_predicate").errorf("has %d entries, at most %d are allowed", n, maxHostPredicates)
	}
	for i, predicate := range p.GetRetryHostPredicate() {
		a.item("retry_host_predicate", i).hostPredicate(predicate, out)
	}
	if n := p.GetHostSelectionRetryMaxAttempts(); n > maxHostAttempts {
		a.in("host_selection_retry_max_attempts").errorf("is %d, it must be at most %d", n, maxHostAttempts)
	} else if n > 0 {
		out.HostAttempts = uint32(n)
	} else if n < 0 {
		a.in("host_selection_retry_max_attempts").errorf("is %d, it must not be negative", n)
	}
	a.in("retry_back_off").backOff(p.GetRetryBackOff(), out)
	out.RateLimited = a.in("rate_limited_retry_back_off").rateLimitedBackOff(p.GetRateLimitedRetryBackOff())
	for i, h := range p.GetRetriableHeaders() {
		out.ResponseHeaders = append(out.ResponseHeaders, a.item("retriable_headers", i).responseMatcher(h))
	}
	for i, h := range p.GetRetriableRequestHeaders() {
		out.RequestHeaders = append(out.RequestHeaders, a.item("retriable_request_headers", i).headerMatcher(h))
	}
	return out
}

// maxHostAttempts bounds how often a host is picked again: it is time on the path of a request, and a fleet of which so many
// hosts in a row were tried has no other.
const maxHostAttempts = 100

// hostPredicate decodes which hosts are not picked again.
func (a *at) hostPredicate(p *routev3.RetryPolicy_RetryHostPredicate, out *config.RetryPolicy) {
	a.only(p, retryPredicateFields)
	packed := p.GetTypedConfig()
	if packed == nil {
		a.in("typed_config").errorf("must be set on predicate '%s'", p.GetName())
		return
	}
	place := a.in("typed_config")
	switch messageName(packed) {
	case previousHostsMessage:
		var m previoushostsv3.PreviousHostsPredicate
		if place.unpack(packed, &m) {
			place.only(&m, previousHostsPolicyFields)
			out.AvoidPreviousHosts = true
		}
	case omitCanaryMessage:
		var m omitcanaryv3.OmitCanaryHostsPredicate
		if place.unpack(packed, &m) {
			place.only(&m, omitCanaryFields)
			out.OmitCanary = true
		}
	case omitMetadataMessage:
		var m omitmetadatav3.OmitHostMetadataConfig
		if place.unpack(packed, &m) {
			place.only(&m, omitMetadataFields)
			place.omitLabels(m.GetMetadataMatch(), out)
		}
	default:
		a.unregistered(p.GetName(), packed)
	}
}

// omitLabels decodes which hosts are not picked again by their metadata. None are by metadata that say nothing.
func (a *at) omitLabels(m *corev3.Metadata, out *config.RetryPolicy) {
	if match := a.metadataMatch(m, nil); match != nil {
		out.OmitLabels = append(out.OmitLabels, match.Labels)
	}
}

// retryPriority decodes which priorities further attempts go to.
func (a *at) retryPriority(p *routev3.RetryPolicy_RetryPriority, out *config.RetryPolicy) {
	if p == nil {
		return
	}
	a.only(p, retryPriorityFields)
	packed, place := p.GetTypedConfig(), a.in("typed_config")
	if packed == nil {
		place.errorf("must be set on retry priority '%s'", p.GetName())
		return
	}
	if messageName(packed) != previousPrioritiesMessage {
		a.unregistered(p.GetName(), packed)
		return
	}
	var m previousprioritiesv3.PreviousPrioritiesConfig
	if place.unpack(packed, &m) {
		place.only(&m, previousPrioritiesFields)
		out.PriorityFrequency = int(m.GetUpdateFrequency())
	}
}

// backOff decodes how long is waited between attempts.
func (a *at) backOff(b *routev3.RetryPolicy_RetryBackOff, out *config.RetryPolicy) {
	if b == nil {
		return
	}
	a.only(b, retryBackOffFields)
	// Envoy counts in milliseconds and takes less for one.
	out.BackOff = max(a.positive("base_interval", b.GetBaseInterval(), 0), time.Millisecond)
	out.MaxBackOff = a.positive("max_interval", b.GetMaxInterval(), config.MaxBackOffFactor*out.BackOff)
	if b.GetMaxInterval() != nil {
		out.MaxBackOff = max(out.MaxBackOff, time.Millisecond)
	}
	if out.MaxBackOff < out.BackOff {
		a.in("max_interval").errorf("is %s, it must be at least base_interval, which is %s", out.MaxBackOff, out.BackOff)
	}
}

// rateLimitedBackOff decodes which fields of a response say how long to wait.
func (a *at) rateLimitedBackOff(b *routev3.RetryPolicy_RateLimitedRetryBackOff) *config.RateLimitedBackOff {
	if b == nil {
		return nil
	}
	a.only(b, rateLimitedBackOffFields)
	out := &config.RateLimitedBackOff{Max: a.positive("max_interval", b.GetMaxInterval(), config.DefaultRateLimitedMax)}
	for i, h := range b.GetResetHeaders() {
		place := a.item("reset_headers", i)
		place.only(h, retryResetHeaderFields)
		out.ResetHeaders = append(out.ResetHeaders, config.ResetHeader{
			Name: place.in("name").fieldName(h.GetName()), Timestamp: h.GetFormat() == routev3.RetryPolicy_UNIX_TIMESTAMP,
		})
	}
	return out
}

// responseMatcher decodes a matcher of a response, which has fields only.
func (a *at) responseMatcher(h *routev3.HeaderMatcher) config.HeaderMatcher {
	if out := a.headerMatcher(h); out.Name != "" && out.Name[0] != ':' {
		return out
	}
	a.in("name").errorf("%q is not a field of a response", h.GetName())
	return config.HeaderMatcher{}
}

// hedgePolicy decodes whether attempts race each other, nil where nothing is said.
func (a *at) hedgePolicy(p *routev3.HedgePolicy) *config.HedgePolicy {
	if p == nil {
		return nil
	}
	a.only(p, hedgePolicyFields)
	return &config.HedgePolicy{OnPerTryTimeout: p.GetHedgeOnPerTryTimeout()}
}
