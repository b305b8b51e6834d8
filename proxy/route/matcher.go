package route

import (
	"fmt"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// matcher is a compiled config.RouteMatcher that leads to values of a type.
type matcher[T any] struct {
	branches  []branch[T]
	tree      *matchTree[T]
	otherwise *outcome[T] // nil for nowhere
}

// branch is a compiled config.RouteBranch.
type branch[T any] struct {
	when predicate
	then outcome[T]
}

// outcome is a compiled config.RouteOutcome.
type outcome[T any] struct {
	matcher *matcher[T]
	leads   []T // instead of matcher
}

// matchTree is a compiled config.RouteTree.
type matchTree[T any] struct {
	field    requestField
	outcomes map[string]*outcome[T]
	lengths  []int // of the prefixes, descending, each once; nil when values are whole
}

// predicate is a compiled config.RoutePredicate.
type predicate struct {
	header *headerMatcher // instead of the others
	parts  []predicate
	any    bool // one of parts has to hold, and not all of them
	not    bool // the one of parts must not hold
}

// compileMatcher compiles a matcher that leads to what is in the list.
func compileMatcher[T any](c *config.RouteMatcher, list []T) (*matcher[T], error) {
	m := &matcher[T]{}
	for i := range c.Branches {
		var b branch[T]
		var err error
		if b.when, err = compilePredicate(&c.Branches[i].When); err != nil {
			return nil, fmt.Errorf("matchers[%d]: %w", i, err)
		}
		if b.then, err = compileOutcome(&c.Branches[i].Then, list); err != nil {
			return nil, fmt.Errorf("matchers[%d]: %w", i, err)
		}
		m.branches = append(m.branches, b)
	}
	if c.Tree != nil {
		var err error
		if m.tree, err = compileMatchTree(c.Tree, list); err != nil {
			return nil, err
		}
	}
	if c.Otherwise != nil {
		otherwise, err := compileOutcome(c.Otherwise, list)
		if err != nil {
			return nil, fmt.Errorf("on_no_match: %w", err)
		}
		m.otherwise = &otherwise
	}
	return m, nil
}

func compileOutcome[T any](c *config.RouteOutcome, list []T) (o outcome[T], err error) {
	switch {
	case c.Matcher != nil:
		o.matcher, err = compileMatcher(c.Matcher, list)
	case c.First < 0 || c.First > c.End || c.End > len(list):
		err = fmt.Errorf("what it leads to is from %d to %d of %d", c.First, c.End, len(list))
	default:
		o.leads = list[c.First:c.End:c.End]
	}
	return o, err
}

func compileMatchTree[T any](c *config.RouteTree, list []T) (*matchTree[T], error) {
	t := &matchTree[T]{field: newRequestField(c.Header), outcomes: make(map[string]*outcome[T], len(c.Outcomes))}
	for value := range c.Outcomes {
		one := c.Outcomes[value]
		compiled, err := compileOutcome(&one, list)
		if err != nil {
			return nil, fmt.Errorf("map[%q]: %w", value, err)
		}
		t.outcomes[value] = &compiled
		if c.Prefixes {
			t.lengths = append(t.lengths, len(value))
		}
	}
	slices.Sort(t.lengths)
	t.lengths = slices.Compact(t.lengths)
	slices.Reverse(t.lengths)
	return t, nil
}

func compilePredicate(c *config.RoutePredicate) (p predicate, err error) {
	parts := c.All
	switch {
	case c.Header != nil:
		header, err := compileHeader(c.Header)
		header.joined = true
		p.header = &header
		return p, err
	case c.Not != nil:
		p.not, parts = true, []config.RoutePredicate{*c.Not}
	case len(c.Any) > 0:
		p.any, parts = true, c.Any
	}
	for i := range parts {
		part, err := compilePredicate(&parts[i])
		if err != nil {
			return p, err
		}
		p.parts = append(p.parts, part)
	}
	return p, nil
}

// holds reports whether the condition is met.
func (p *predicate) holds(h *head) bool {
	switch {
	case p.header != nil:
		return p.header.match(h.request)
	case p.not:
		return !p.parts[0].holds(h)
	}
	for i := range p.parts {
		if p.parts[i].holds(h) == p.any {
			return p.any
		}
	}
	return !p.any
}

// find returns what the request leads to. What leads to a matcher that leads nowhere is passed over. ok is false when
// nothing is left.
func (m *matcher[T]) find(h *head) (leads []T, ok bool) {
	for i := range m.branches {
		b := &m.branches[i]
		if !b.when.holds(h) {
			continue
		}
		if leads, ok = b.then.find(h); ok {
			return leads, true
		}
	}
	if m.tree != nil {
		if leads, ok = m.tree.find(h); ok {
			return leads, true
		}
	}
	return m.otherwise.find(h)
}

func (o *outcome[T]) find(h *head) (leads []T, ok bool) {
	switch {
	case o == nil:
		return nil, false
	case o.matcher != nil:
		return o.matcher.find(h)
	}
	return o.leads, true
}

func (t *matchTree[T]) find(h *head) (leads []T, ok bool) {
	value, count := t.field.values(h.request)
	var buffer [joinBuffer]byte
	switch {
	case count == 0:
		return nil, false
	case count > 1:
		value = t.field.appendJoined(buffer[:0], &h.request.Fields)
	}
	if t.lengths == nil {
		return t.outcomes[string(value)].find(h)
	}
	for _, n := range t.lengths {
		if n > len(value) {
			continue
		}
		if leads, ok = t.outcomes[string(value[:n])].find(h); ok {
			return leads, true
		}
	}
	return nil, false
}

// matchTree returns the route that the matcher leads to, nil when there is none.
func (vh *VirtualHost) matchTree(h *head, path []byte) *Route {
	connect := len(h.request.Path) == 0
	routes, _ := vh.matcher.find(h)
	for _, r := range routes {
		fits := r.path.kind == config.PathConnect
		if !connect {
			fits = r.path.match(path)
		}
		if fits && r.conditions.match(h) {
			return r
		}
	}
	return nil
}
