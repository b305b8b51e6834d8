package outlier

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// sweep takes back the hosts whose time is over, and looks for those whose share of failures stands out. It reports whether any
// went or came.
func (g *group) sweep(t *Target, now time.Time) (changed bool) {
	for _, h := range g.hosts {
		if h.returns(t, now) {
			h.ejected, changed = false, true
			h.monitor.forget()
		}
	}
	rates, local := g.rates(g.detector.sample(g.name))
	if g.judge(t, rates, SuccessRate, FailurePercentage, now) {
		changed = true
	}
	if t.Config.Split && g.judge(t, local, LocalSuccessRate, LocalFailurePercentage, now) {
		changed = true
	}
	return changed
}

// rate is what share of the requests to a host has succeeded since the last sweep.
type rate struct {
	host    *host
	percent float64
	volume  uint64
}

// rates returns the rates of the hosts that are in and have had requests, for answers and for attempts to reach the host, in the
// order of their addresses.
func (g *group) rates(counts map[config.Address]Counts) (answers, local []rate) {
	for at, h := range g.hosts {
		before, now := h.counts, counts[at]
		h.counts = now
		if h.ejected {
			continue
		}
		// A host that has gone and come back begins from 0.
		if n := now.Total - before.Total; now.Total > before.Total {
			answers = append(answers, rate{h, percent(now.Success-before.Success, n), n})
		}
		if n := now.LocalTotal - before.LocalTotal; now.LocalTotal > before.LocalTotal {
			local = append(local, rate{h, percent(now.LocalSuccess-before.LocalSuccess, n), n})
		}
	}
	for _, list := range [][]rate{answers, local} {
		slices.SortFunc(list, func(a, b rate) int { return cmp.Compare(a.host.address.String(), b.host.address.String()) })
	}
	return answers, local
}

func percent(part, whole uint64) float64 { return 100 * float64(min(part, whole)) / float64(whole) }

// judge ejects the hosts whose rate of success is far below the mean of all, and those that fail more often than the threshold.
func (g *group) judge(t *Target, rates []rate, bySuccess, byFailure Kind, now time.Time) (changed bool) {
	cfg := t.Config
	enough := func(volume uint32) []rate {
		return slices.DeleteFunc(slices.Clone(rates), func(r rate) bool { return r.volume < uint64(volume) })
	}
	if some := enough(cfg.SuccessRateVolume); len(some) > 0 && len(some) >= int(cfg.SuccessRateMinHosts) {
		threshold := successThreshold(some, float64(cfg.SuccessRateStdevFactor)/1000)
		for _, r := range some {
			if r.percent < threshold {
				if bySuccess == SuccessRate {
					t.Stats.Inc(stats.OutlierEjectionsSuccessRate)
				}
				changed = g.detected(t, r.host, bySuccess, now) || changed
			}
		}
	}
	if some := enough(cfg.FailurePercentageVolume); len(some) > 0 && len(some) >= int(cfg.FailurePercentageMinHosts) {
		for _, r := range some {
			if !r.host.ejected && 100-r.percent >= float64(cfg.FailureThreshold) {
				changed = g.detected(t, r.host, byFailure, now) || changed
			}
		}
	}
	return changed
}

// successThreshold returns the mean of the rates less factor times their standard deviation.
func successThreshold(rates []rate, factor float64) float64 {
	sum := 0.
	for _, r := range rates {
		sum += r.percent
	}
	mean, variance := sum/float64(len(rates)), 0.
	for _, r := range rates {
		variance += (r.percent - mean) * (r.percent - mean)
	}
	return mean - factor*math.Sqrt(variance/float64(len(rates)))
}
