package xds

import (
	"fmt"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// need is a resource that another asks for by discovery, and in general waits for.
type need struct {
	url, name string // type and name
	config.Discovery
	field string // that asks, for errors
	scope string // of the statistics of who asks, where that is needed
	// types are the messages that the configuration of a filter may be, nil for other resources.
	types []string
	// unawaited tells that who asks does not wait.
	unawaited bool
	// routes tells where the route configurations of scopes are asked for.
	routes     config.Discovery
	statPrefix string // of the statistics of the subscription
}

// key is the name under which a snapshot holds the resource.
func (n *need) key() string { return n.Source.Key(n.name) }

// deadline returns when who waits since then gives up, zero for never.
func (n *need) deadline(since time.Time) time.Time {
	if n.FetchTimeout == 0 {
		return time.Time{}
	}
	return since.Add(n.FetchTimeout)
}

// overdue reports whether who waits since then has waited long enough.
func (n *need) overdue(since, now time.Time) bool {
	return n.FetchTimeout > 0 && !now.Before(since.Add(n.FetchTimeout))
}

// missing is a need that is not met yet, and since when it is waited for.
type missing struct {
	*need
	since time.Time
}

// unmet returns those of needs, and of what those that are held need themselves, that nothing is known of. Children that
// arrive count as held.
func (m *Manager) unmet(needs []need, since time.Time, arriving map[*child]*revision) (found []missing) {
	for i := range needs { // by index: there are tens of thousands, most of them met
		n := &needs[i]
		if n.unawaited {
			continue
		}
		t := m.tables[n.url]
		c := m.child(n)
		if c == nil {
			found = append(found, missing{n, since})
			continue
		}
		held := c.held
		if r := arriving[c]; r != nil {
			held = r
		}
		switch {
		case held != nil:
			found = append(found, m.unmet(t.of(held.value, n), c.since, arriving)...)
		case !c.absent && !c.failed:
			found = append(found, missing{n, since})
		}
	}
	return found
}

// child returns what is known of a need, nil while it was not asked for.
func (m *Manager) child(n *need) *child { return m.tables[n.url].children[n.key()] }

// wanted returns every need of anything in force or warming, and of what those ask for in turn: by type, then by key.
func (m *Manager) wanted() map[string]map[string]*need {
	wanted := make(map[string]map[string]*need, len(m.tables))
	for url := range m.tables {
		wanted[url] = make(map[string]*need)
	}
	var want func(needs []need)
	want = func(needs []need) {
		for i := range needs {
			n := &needs[i]
			key := n.key()
			if wanted[n.url][key] == nil {
				wanted[n.url][key] = n
			}
			t := m.tables[n.url]
			if c := t.children[key]; c != nil && c.held != nil && t.needs != nil {
				want(t.of(c.held.value, n))
			}
		}
	}
	for _, w := range m.worlds() {
		w.eachNeeds(want)
	}
	return wanted
}

// checkNeeds reports why something of needs cannot be asked for.
func (m *Manager) checkNeeds(needs []need) error {
	for _, n := range needs {
		err := m.sources.check(n.Source, n.url)
		if accepts := m.tables[n.url].accepts; err == nil && accepts != nil {
			err = accepts(n.Source)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", n.field, err)
		}
		if n.url != resource.ScopeType {
			continue
		}
		if err := m.sources.check(n.routes.Source, resource.RouteType); err != nil {
			return fmt.Errorf("%s: %w", scopedRoutesField, err)
		}
	}
	return nil
}
