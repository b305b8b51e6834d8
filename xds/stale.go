package xds

import (
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// staleness is when resources are stale that say themselves how long they are good for (endpoint_stale_after).
type staleness struct {
	// last returns how long a resource is good for since it was received, 0 for ever, and what is in force after that.
	last func(value any) (time.Duration, any)
	at   map[string]time.Time // by need.key, of those that end
}

// received begins the time of a resource that has come, though it may be as it was before.
func (t *table) received(c *child, r *revision, now time.Time) {
	if t.staleness.last == nil {
		return
	}
	key := c.source.Key(c.name)
	delete(t.staleness.at, key)
	if after, _ := t.staleness.last(r.value); after > 0 {
		if t.staleness.at == nil {
			t.staleness.at = make(map[string]time.Time)
		}
		t.staleness.at[key] = now.Add(after)
		c.staleReceived++
	}
}

// nextStale returns when the next resource is stale, zero for never.
func (t *table) nextStale() (next time.Time) {
	for _, at := range t.staleness.at {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// expire puts what is to be in force after them in the place of resources that are stale, until they come anew.
func (t *table) expire(now time.Time) {
	set, expired := make(map[string]any), make(map[*child]any)
	for _, key := range slices.Sorted(maps.Keys(t.staleness.at)) {
		if now.Before(t.staleness.at[key]) {
			continue
		}
		delete(t.staleness.at, key)
		c := t.children[key]
		_, then := t.staleness.last(c.held.value)
		set[key], expired[c] = then, then
		c.staled++
	}
	if len(set) == 0 {
		return
	}
	var d config.Delta
	err := t.change(&d, set, nil)
	if err == nil {
		err = t.m.store.Apply(config.SourceXDS, d)
	}
	if err != nil {
		t.m.log.Error("stale resources cannot be taken out of force", zap.String("kind", t.noun), zap.Error(err))
		return
	}
	for c, then := range expired {
		held := *c.held
		held.value, held.stale = then, true
		c.held = &held
	}
}
