package health

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// minWait is the shortest time from one probe to the next, as in Envoy: a wait of 0 would be no wait.
const minWait = time.Millisecond

// below returns a random number from 0 to n-1, n being more than 0.
type below func(n int64) int64

// firstWait returns how long a host's first probe waits.
func firstWait(i *config.HealthIntervals, random below) time.Duration {
	return jitter(i.InitialJitter, random)
}

// nextWait returns how long the next probe waits after one that the host passed or not, with what that changed. idle says
// that the cluster has never had traffic.
func nextWait(i *config.HealthIntervals, pass bool, t transition, idle bool, random below) time.Duration {
	base := baseWait(i, pass, t, idle)
	percent := base / 100 * time.Duration(i.JitterPercent)
	return max(base+jitter(percent, random)+jitter(i.Jitter, random), minWait)
}

func baseWait(i *config.HealthIntervals, pass bool, t transition, idle bool) time.Duration {
	switch {
	case idle && pass && t != pending:
		return i.NoTrafficHealthy
	case idle:
		return i.NoTraffic
	case pass && t == pending:
		return i.HealthyEdge
	case pass:
		return i.Base
	case t == pending:
		return i.UnhealthyEdge
	default:
		return i.Unhealthy
	}
}

// jitter returns a random time shorter than most, 0 for no jitter.
func jitter(most time.Duration, random below) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(random(int64(most)))
}
