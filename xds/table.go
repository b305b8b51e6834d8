package xds

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
)

// table is what is known of a type whose resources are asked for by name, while something refers to them.
type table struct {
	*kind
	m        *Manager
	children map[string]*child    // by need.key
	staleAt  map[string]time.Time // by need.key, of resources that say how long they are good for
}

// child is a resource that was asked for.
type child struct {
	name   string
	source config.ConfigSource
	since  time.Time // when it was first asked for

	held    *revision // nil until it came
	absent  bool      // the server has told that there is none; what is held stays
	failed  bool      // what came last could not be used: as in Envoy, that ends the wait for a first one
	failure *failure

	stats         ads.Stats
	fetchTimeouts uint64
	reloads       uint64 // changes that were taken
	staleReceived uint64 // receptions of what is stale after a time, and how often that time has passed
	staled        uint64
}

// apply takes the resources of r, which came from source, that were asked for. The error tells what was refused; all else
// took effect.
func (t *table) apply(source config.ConfigSource, r ads.Response, now time.Time) error {
	decode := t.decodeAll
	if t.collection != nil {
		decode = t.gather
	}
	arriving, faults := decode(source, r, now)
	gone := t.absent(source, r.Removed)
	if t.deliver != nil {
		faults = append(faults, t.deliverAll(source, r.Removed, arriving, now)...)
	}
	var base func(*config.Delta) error
	if len(arriving)+len(gone) > 0 && t.deliver == nil {
		base = func(d *config.Delta) error {
			set := make(map[string]any, len(arriving))
			for c, next := range arriving {
				set[source.Key(c.name)] = next.value
			}
			return t.change(d, set, gone)
		}
	}
	ready := t.m.ready(arriving, now)
	_, err := t.m.commit(base, ready, now)
	for _, key := range gone {
		if err != nil {
			faults = append(faults, fmt.Sprintf("removal of %s: %v", t.children[key].name, err))
			continue
		}
		t.children[key].held = nil
	}
	for _, c := range slices.SortedFunc(maps.Keys(arriving), byChildName) {
		if err != nil {
			faults = append(faults, c.refuse(arriving[c].packed, arriving[c].version, now, err))
			continue
		}
		c.held, c.absent = arriving[c], false
		c.reloads++
		if !arriving[c].partial {
			c.accept(arriving[c].version, now)
		}
		t.received(c, c.held, now)
	}
	if err != nil {
		_ = t.m.proceed(now) // what waited for a first one waits no longer
	}
	if len(ready) > 0 || t.needs != nil {
		t.m.resubscribe()
	}
	if len(faults) > 0 {
		return &rejection{"updating", t.noun, faults}
	}
	return nil
}

// absent notes which children the server has told that there are none of, and returns the keys of those that go for that.
func (t *table) absent(source config.ConfigSource, removed []string) (gone []string) {
	for _, name := range removed {
		key := source.Key(name)
		c := t.children[key]
		if c == nil {
			continue
		}
		c.absent = true
		if t.removable && c.held != nil {
			gone = append(gone, key)
		}
	}
	return gone
}

// deliverAll hands over what arrives, and that which is gone, and takes from arriving what is refused. It returns the faults.
func (t *table) deliverAll(source config.ConfigSource, gone []string, arriving map[*child]*revision, now time.Time) (faults []string) {
	for _, name := range gone {
		c := t.children[source.Key(name)]
		if c == nil || c.held == nil {
			continue
		}
		if err := t.deliver(name, nil); err != nil {
			faults = append(faults, fmt.Sprintf("removal of %s: %v", name, err))
			continue
		}
		c.held = nil
	}
	for _, c := range slices.SortedFunc(maps.Keys(arriving), byChildName) {
		if err := t.deliver(c.name, arriving[c].value); err != nil {
			faults = append(faults, c.refuse(arriving[c].packed, arriving[c].version, now, err))
			delete(arriving, c)
		}
	}
	return faults
}

func byChildName(a, b *child) int { return cmp.Compare(a.name, b.name) }

// decodeAll returns the children of r that were asked for and changed, and the faults of those that cannot be used.
func (t *table) decodeAll(source config.ConfigSource, r ads.Response, now time.Time) (arriving map[*child]*revision, faults []string) {
	arriving = make(map[*child]*revision)
	for _, res := range r.Resources {
		c := t.children[source.Key(res.Name)]
		if c == nil {
			continue
		}
		c.stats.UpdateAttempt++
		if c.held.same(res.Packed) {
			c.accept(res.Version, now)
			t.received(c, c.held, now)
			continue
		}
		value, err := t.decode(res.Message)
		if err == nil {
			err = t.m.checkNeeds(t.of(value, &need{}))
		}
		if err == nil && t.check != nil {
			err = t.check(source.Key(res.Name), value)
		}
		if err != nil {
			faults = append(faults, c.refuse(res.Packed, res.Version, now, err))
			continue
		}
		arriving[c] = &revision{value: value, packed: res.Packed, version: res.Version, updated: now}
	}
	return arriving, faults
}

func (c *child) accept(version string, now time.Time) {
	c.failure, c.failed = nil, false
	c.stats.UpdateSuccess++
	c.stats.UpdateTime = now
	c.stats.Version, c.stats.VersionText = ads.VersionHash(version), version
}

// refuse notes why a change of c was refused, and returns it as a part of an error text.
func (c *child) refuse(packed *anypb.Any, version string, now time.Time, why error) string {
	c.failure, c.failed = &failure{packed: packed, version: version, when: now, why: why.Error()}, true
	c.stats.UpdateRejected++
	return fmt.Sprintf("%s: %v", c.name, why)
}

// retain makes the children those that are wanted: it drops those that are not, and begins with new ones.
func (t *table) retain(wanted map[string]*need, now time.Time) {
	var held []string
	for key, c := range t.children {
		if wanted[key] != nil {
			continue
		}
		if c.held != nil {
			held = append(held, key)
		}
		delete(t.children, key)
		delete(t.staleAt, key)
	}
	if len(held) > 0 {
		var d config.Delta
		err := t.change(&d, nil, held)
		if err == nil {
			err = t.m.store.Apply(config.SourceXDS, d)
		}
		if err != nil {
			t.m.log.Error("resources without a referrer cannot be dropped", zap.Strings(t.noun, held), zap.Error(err))
		}
	}
	for key, n := range wanted {
		if t.children[key] == nil {
			t.children[key] = &child{name: n.name, source: n.Source, since: now, stats: ads.Stats{UpdateAttempt: 1}}
		}
	}
}

// bySource returns the names of the children, sorted, by where they are asked for.
func (t *table) bySource() map[config.ConfigSource][]string {
	names := make(map[config.ConfigSource][]string)
	for _, c := range t.children {
		if t.wildcard {
			names[c.source] = nil
			continue
		}
		names[c.source] = append(names[c.source], c.name)
	}
	for _, list := range names {
		slices.Sort(list)
	}
	return names
}

// lost counts the loss of a source for every child that comes from it. With final none of them is waited for.
func (t *table) lost(source config.ConfigSource, final bool) {
	for _, c := range t.children {
		if c.source == source {
			c.stats.UpdateAttempt++
			c.stats.UpdateFailure++
			c.failed = c.failed || final
		}
	}
}

// refused counts a response from a source that could not be decoded for every child that comes from it: which of them it was
// about cannot be told.
func (t *table) refused(source config.ConfigSource, why error) {
	for _, c := range t.children {
		if c.source == source {
			c.stats.UpdateAttempt++
			c.stats.UpdateRejected++
			c.failed = true
		}
	}
	t.m.log.Warn("response cannot be decoded", zap.String("kind", t.noun), zap.Error(why))
}
