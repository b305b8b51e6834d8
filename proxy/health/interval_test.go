package health

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// least and most are the ends of what random numbers there are.
func least(int64) int64  { return 0 }
func most(n int64) int64 { return n - 1 }

func TestIntervals(t *testing.T) {
	i := config.HealthIntervals{
		Base: 10 * time.Second, NoTraffic: 60 * time.Second, NoTrafficHealthy: 90 * time.Second, Unhealthy: 20 * time.Second,
		UnhealthyEdge: 2 * time.Second, HealthyEdge: 3 * time.Second,
	}
	for _, tc := range []struct {
		name string
		pass bool
		t    transition
		idle bool
		want time.Duration
	}{
		{"well", true, unchanged, false, i.Base},
		{"has become well", true, changed, false, i.Base},
		{"becomes well", true, pending, false, i.HealthyEdge},
		{"failed", false, unchanged, false, i.Unhealthy},
		{"has failed", false, changed, false, i.Unhealthy},
		{"fails", false, pending, false, i.UnhealthyEdge},
		{"well, without traffic", true, unchanged, true, i.NoTrafficHealthy},
		{"has become well, without traffic", true, changed, true, i.NoTrafficHealthy},
		{"becomes well, without traffic", true, pending, true, i.NoTraffic},
		{"failed, without traffic", false, unchanged, true, i.NoTraffic},
		{"fails, without traffic", false, pending, true, i.NoTraffic},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := nextWait(&i, tc.pass, tc.t, tc.idle, most); got != tc.want {
				t.Errorf("waits %v, want %v", got, tc.want)
			}
		})
	}
}

func TestJitter(t *testing.T) {
	for _, tc := range []struct {
		name        string
		intervals   config.HealthIntervals
		first       [2]time.Duration // from, to
		after, last time.Duration
	}{
		{"none", config.HealthIntervals{Base: time.Second}, [2]time.Duration{0, 0}, time.Second, time.Second},
		{"a time", config.HealthIntervals{Base: time.Second, Jitter: time.Second / 2},
			[2]time.Duration{0, 0}, time.Second, 1500*time.Millisecond - 1},
		{"a part", config.HealthIntervals{Base: time.Second, JitterPercent: 20},
			[2]time.Duration{0, 0}, time.Second, 1200*time.Millisecond - 1},
		{"both", config.HealthIntervals{Base: time.Second, Jitter: time.Second, JitterPercent: 100},
			[2]time.Duration{0, 0}, time.Second, 3*time.Second - 2},
		{"the first", config.HealthIntervals{Base: time.Second, InitialJitter: time.Minute},
			[2]time.Duration{0, time.Minute - 1}, time.Second, time.Second},
		{"never none", config.HealthIntervals{Base: 1}, [2]time.Duration{0, 0}, minWait, minWait},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i := &tc.intervals
			if from, to := firstWait(i, least), firstWait(i, most); from != tc.first[0] || to != tc.first[1] {
				t.Errorf("the first probe waits %v to %v, want %v to %v", from, to, tc.first[0], tc.first[1])
			}
			from, to := nextWait(i, true, unchanged, false, least), nextWait(i, true, unchanged, false, most)
			if from != tc.after || to != tc.last {
				t.Errorf("the next waits %v to %v, want %v to %v", from, to, tc.after, tc.last)
			}
		})
	}
}
