package xds

import (
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// received begins the time of a resource that has come and says itself how long it is good for (endpoint_stale_after). It may be as it
// was before.
func (t *table) received(c *child, r *revision, now time.Time) {
	if t.goodFor == nil {
		return
	}
	after := t.goodFor(r.value)
	if after == 0 && len(t.staleAt) == 0 {
		return // nearly always
	}
	key := c.source.Key(c.name)
	delete(t.staleAt, key)
	if after > 0 {
		if t.staleAt == nil {
			t.staleAt = make(map[string]time.Time)
		}
		t.staleAt[key] = now.Add(after)
		c.staleReceived++
	}
}

// nextStale returns when the next resource is stale, zero for never.
func (t *table) nextStale() (next time.Time) {
	for _, at := range t.staleAt {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// expire puts what is to be in force after them in the place of resources that are stale, until they come anew.
func (t *table) expire(now time.Time) {
	set, expired := make(map[string]any), make(map[*child]any)
	for _, key := range slices.Sorted(maps.Keys(t.staleAt)) {
		if now.Before(t.staleAt[key]) {
			continue
		}
		delete(t.staleAt, key)
		c := t.children[key]
		then := t.afterwards(c.held.value)
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
