package outlier

import (
	"math/rand/v2"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// kinds are the statistics of each kind, and how often it is enforced.
var kinds = [...]struct {
	detected, enforced int
	enforcing          func(*config.OutlierDetection) uint32
}{
	Consecutive5xx: {
		stats.OutlierEjectionsDetectedConsecutive5xx, stats.OutlierEjectionsEnforcedConsecutive5xx,
		func(c *config.OutlierDetection) uint32 { return c.Enforcing5xx }},
	ConsecutiveGateway: {
		stats.OutlierEjectionsDetectedConsecutiveGatewayFailure, stats.OutlierEjectionsEnforcedConsecutiveGatewayFailure,
		func(c *config.OutlierDetection) uint32 { return c.EnforcingGateway }},
	ConsecutiveLocal: {
		stats.OutlierEjectionsDetectedConsecutiveLocalOriginFailure, stats.OutlierEjectionsEnforcedConsecutiveLocalOriginFailure,
		func(c *config.OutlierDetection) uint32 { return c.EnforcingLocal }},
	SuccessRate: {
		stats.OutlierEjectionsDetectedSuccessRate, stats.OutlierEjectionsEnforcedSuccessRate,
		func(c *config.OutlierDetection) uint32 { return c.EnforcingSuccessRate }},
	LocalSuccessRate: {
		stats.OutlierEjectionsDetectedLocalOriginSuccessRate, stats.OutlierEjectionsEnforcedLocalOriginSuccessRate,
		func(c *config.OutlierDetection) uint32 { return c.EnforcingLocalSuccessRate }},
	FailurePercentage: {
		stats.OutlierEjectionsDetectedFailurePercentage, stats.OutlierEjectionsEnforcedFailurePercentage,
		func(c *config.OutlierDetection) uint32 { return c.EnforcingFailurePercentage }},
	LocalFailurePercentage: {
		stats.OutlierEjectionsDetectedLocalOriginFailurePercentage, stats.OutlierEjectionsEnforcedLocalOriginFailurePercentage,
		func(c *config.OutlierDetection) uint32 { return c.EnforcingLocalFailurePercentage }},
}

// reported ejects a host that has failed too often in a row, if that is enforced, and reports whether it did.
func (g *group) reported(t *Target, r report) bool {
	h := g.hosts[r.monitor.host]
	if h == nil || h.monitor != r.monitor || h.ejected {
		return false
	}
	done := g.detected(t, h, r.kind, time.Now())
	switch r.kind { // a new row may begin, whatever has become of this one
	case Consecutive5xx:
		t.Stats.Inc(stats.OutlierEjectionsConsecutive5xx)
		reset(&h.monitor.fiveXX)
	case ConsecutiveGateway:
		reset(&h.monitor.gateway)
	default:
		reset(&h.monitor.local)
	}
	return done
}

// detected ejects a host that one of the kinds is about, unless too many are out, and if that is enforced. It reports whether it
// did.
func (g *group) detected(t *Target, h *host, kind Kind, now time.Time) bool {
	t.Stats.Inc(kinds[kind].detected)
	out := 0
	for _, other := range g.hosts {
		if other.ejected {
			out++
		}
	}
	cfg := t.Config
	if uint64(out)*100 >= uint64(cfg.MaxEjectionPercent)*uint64(len(g.hosts)) && !(cfg.AlwaysEjectOne && out == 0) {
		t.Stats.Inc(stats.OutlierEjectionsOverflow)
		return false
	}
	if kind == Consecutive5xx || kind == SuccessRate {
		t.Stats.Inc(stats.OutlierEjectionsTotal)
	}
	if enforcing := kinds[kind].enforcing(cfg); enforcing < 100 && rand.Uint32N(100) >= enforcing {
		return false
	}
	t.Stats.Inc(kinds[kind].enforced)
	t.Stats.Inc(stats.OutlierEjectionsEnforcedTotal)
	h.ejected, h.since, h.jitter = true, now, 0
	if cfg.MaxEjectionJitter > 0 {
		h.jitter = rand.N(cfg.MaxEjectionJitter)
	}
	if time.Duration(h.backoff)*cfg.BaseEjectionTime < cfg.MaxEjectionTime+cfg.BaseEjectionTime {
		h.backoff++
	}
	return true
}

// returns reports whether a host that is out comes back: its time is over, or it passes its health checks. Each sweep at which a host is in takes one off what its next
// ejection is multiplied by.
func (h *host) returns(t *Target, now time.Time) bool {
	if !h.ejected {
		h.backoff = max(h.backoff-1, 0)
		return false
	}
	if t.Config.UnejectChecked && t.Health != nil {
		if active, checked := t.Health.Hosts[h.address]; checked && !active.Has(config.FailedActiveHC) {
			return true
		}
	}
	stay := min(time.Duration(h.backoff)*t.Config.BaseEjectionTime, t.Config.MaxEjectionTime) + h.jitter
	return now.Sub(h.since) >= stay
}
