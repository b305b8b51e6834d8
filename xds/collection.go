package xds

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
)

// gather returns the collections that r, which came from source, changes, and the faults of resources that cannot be used. In
// the place of one that cannot, the collection keeps what it had.
func (t *table) gather(source config.ConfigSource, r ads.Response, now time.Time) (arriving map[*child]*revision, faults []string) {
	arriving = make(map[*child]*revision)
	came := make(map[*child][]ads.Resource)
	for _, res := range r.Resources {
		if c := t.children[source.Key(t.collection(res.Name))]; c != nil {
			came[c] = append(came[c], res)
		}
	}
	gone := make(map[*child][]string)
	for _, name := range r.Removed {
		if c := t.children[source.Key(t.collection(name))]; c != nil {
			gone[c] = append(gone[c], name)
		}
	}
	for _, c := range t.from(source) {
		if r.Incremental && len(came[c])+len(gone[c]) == 0 && (c.held != nil || len(r.Resources)+len(r.Removed) > 0) {
			continue // nothing is said of it; an empty response says that what was asked for is empty
		}
		next, refused := t.changed(c, came[c], gone[c], &r, now)
		faults = append(faults, refused...)
		if next != nil {
			arriving[c] = next
		}
	}
	return arriving, faults
}

// changed returns what becomes of c when resources come and others go, nil when nothing does, and the faults of those that
// cannot be used.
func (t *table) changed(c *child, came []ads.Resource, gone []string, r *ads.Response, now time.Time) (next *revision, faults []string) {
	c.stats.UpdateAttempt++
	var before map[string]*revision
	if c.held != nil {
		before = c.held.members
	}
	next = &revision{version: r.Version, updated: now, members: make(map[string]*revision)}
	if r.Incremental {
		maps.Copy(next.members, before)
	}
	for _, name := range gone {
		delete(next.members, name)
	}
	for _, res := range came {
		if held := before[res.Name]; held.same(res.Packed) {
			next.members[res.Name] = held
			continue
		}
		value, err := t.decode(res.Message)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", res.Name, err))
			c.failure, c.failed = &failure{packed: res.Packed, version: res.Version, when: now, why: err.Error()}, true
			if held := before[res.Name]; held != nil {
				next.members[res.Name] = held
			}
			continue
		}
		next.members[res.Name] = &revision{value: value, packed: res.Packed, version: res.Version, updated: now}
	}
	if next.partial = len(faults) > 0; next.partial {
		c.stats.UpdateRejected++
	}
	if c.held != nil && maps.Equal(before, next.members) {
		if !next.partial {
			c.accept(r.Version, now)
		}
		return nil, faults
	}
	if err := t.complete(next); err != nil {
		return nil, append(faults, c.refuse(nil, r.Version, now, err))
	}
	return next, faults
}

// complete makes the value of a collection of its members.
func (t *table) complete(r *revision) error {
	values := make([]any, 0, len(r.members))
	for _, member := range byName(r.members) {
		values = append(values, member.value)
	}
	var err error
	r.value, err = t.compose(values)
	return err
}

// from returns the children that come from source, in order of their names.
func (t *table) from(source config.ConfigSource) []*child {
	var found []*child
	for _, c := range t.children {
		if c.source == source {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *child) int { return cmp.Compare(a.name, b.name) })
	return found
}
