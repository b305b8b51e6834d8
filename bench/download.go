package bench

import (
	"context"
	"time"
)

// downloadTime is what one large answer is expected to take at most.
const downloadTime = 20 * time.Second

// download measures the CPU time and the memory of one large answer. The proxy is
// warmed up with small ones before, so that all it needs for the large one shows.
func (l *lab) download(ctx context.Context, s Scenario, p *runningProxy, r *Round) error {
	if _, err := l.warmUp(ctx, s.small(), p); err != nil {
		return err
	}
	var err error
	if r.BaseRSS, err = settledRSS(ctx, p); err != nil {
		return err
	}
	if err := p.resetPeak(); err != nil {
		return err
	}
	config, err := l.loadOf(s, p)
	if err != nil {
		return err
	}
	config.Requests, config.Duration = 1, downloadTime
	if err := l.measured(ctx, s, p, config, r); err != nil {
		return err
	}
	if r.PeakRSS, err = p.peak(); err != nil {
		return err
	}
	r.AfterRSS, err = settledRSS(ctx, p)
	return err
}
