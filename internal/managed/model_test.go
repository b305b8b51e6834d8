package managed

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/management"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// thing is a resource of a random world, and what is known of it without decoding it.
type thing struct {
	management.Resource
	bad         bool              // no proxy can use it
	undecodable bool              // its response cannot be taken at all
	child       string            // that it refers to, of a cluster or listener
	answers     string            // of a static cluster or endpoints: the origin behind
	routes      map[string]string // of routes, or of a listener with its own: clusters by prefix
}

// side is one half of the model: parents, and the children that they refer to.
type side struct {
	active, warming map[string]*thing
	children        map[string]*thing
	failed          map[string]bool // children of which what came last could not be used, which ends the wait for a first one
}

// model says from what was sent what has to be in force, and which responses are refused. It knows the rules of xDS only:
// nothing of how the proxy decodes or keeps resources.
type model struct {
	clusters, listeners side
}

func newModel() *model {
	fresh := func() side {
		return side{make(map[string]*thing), make(map[string]*thing), make(map[string]*thing), make(map[string]bool)}
	}
	return &model{fresh(), fresh()}
}

// takes takes the response that a answers, whose resources are those of the world. It returns whether that is to be refused.
func (m *model) takes(a *management.Answer, world *world, incremental bool) (refused bool) {
	wanted := m.wanted(a.TypeURL)
	sent := make([]*thing, len(a.Names))
	for i, name := range a.Names {
		sent[i] = world.get(a.TypeURL, name)
		switch {
		case sent[i].undecodable:
			m.cannotDecode(a.TypeURL)
			return wanted == nil || len(wanted) > 0
		case sent[i].bad:
			refused = refused || wanted == nil || wanted[name]
		}
	}
	switch a.TypeURL {
	case resource.ClusterType:
		m.clusters.takeParents(sent, a.Removed, incremental)
	case resource.AssignmentType:
		m.clusters.takeChildren(sent)
	case resource.ListenerType:
		m.listeners.takeParents(sent, a.Removed, incremental)
	case resource.RouteType:
		m.listeners.takeChildren(sent)
	}
	return refused
}

// wanted returns the names of the type that are asked for, nil for all.
func (m *model) wanted(url string) map[string]bool {
	switch url {
	case resource.AssignmentType:
		return m.clusters.wanted()
	case resource.RouteType:
		return m.listeners.wanted()
	default:
		return nil
	}
}

// cannotDecode takes a response that nothing can be taken of: which children it was about cannot be told.
func (m *model) cannotDecode(url string) {
	s := &m.clusters
	switch url {
	case resource.AssignmentType:
	case resource.RouteType:
		s = &m.listeners
	default:
		return
	}
	for name := range s.wanted() {
		s.failed[name] = true
	}
	s.settle()
}

func (s *side) takeParents(sent []*thing, removed []string, incremental bool) {
	there := make(map[string]bool)
	for _, t := range sent {
		there[t.Name] = true
		switch {
		case t.bad:
		case s.active[t.Name].same(t):
			delete(s.warming, t.Name)
		default:
			s.warming[t.Name] = t
		}
	}
	gone := func(name string) bool { return !there[name] }
	if incremental {
		gone = func(name string) bool { return slices.Contains(removed, name) }
	}
	for _, parents := range []map[string]*thing{s.active, s.warming} {
		maps.DeleteFunc(parents, func(name string, _ *thing) bool { return gone(name) })
	}
	s.settle()
}

// same reports whether two are the same resource in the same version.
func (t *thing) same(other *thing) bool {
	return t != nil && string(t.Body.GetValue()) == string(other.Body.GetValue())
}

func (s *side) takeChildren(sent []*thing) {
	wanted := s.wanted()
	for _, t := range sent {
		if !wanted[t.Name] {
			continue
		}
		s.failed[t.Name] = t.bad
		if !t.bad {
			s.children[t.Name] = t
		}
	}
	s.settle()
}

// settle ends the warming of parents that have what they refer to or do not wait for it any longer, and drops children that nobody refers to.
func (s *side) settle() {
	for name, t := range s.warming {
		if t.child == "" || s.children[t.child] != nil || s.failed[t.child] {
			s.active[name] = t
			delete(s.warming, name)
		}
	}
	wanted := s.wanted()
	maps.DeleteFunc(s.children, func(name string, _ *thing) bool { return !wanted[name] })
	maps.DeleteFunc(s.failed, func(name string, _ bool) bool { return !wanted[name] })
}

func (s *side) wanted() map[string]bool {
	wanted := make(map[string]bool)
	for _, parents := range []map[string]*thing{s.active, s.warming} {
		for _, t := range parents {
			if t.child != "" {
				wanted[t.child] = true
			}
		}
	}
	return wanted
}

// differences says what of a snapshot is not as the model has it. Static resources are not the model's.
func (m *model) differences(now *config.Snapshot, static func(name string) bool) (all []string) {
	all = append(all, compare("clusters", m.clusters.active, now.Clusters, static)...)
	all = append(all, compare("endpoints", m.clusters.children, now.Endpoints, static)...)
	all = append(all, compare("listeners", m.listeners.active, now.Listeners, static)...)
	return append(all, compare("routes", m.listeners.children, now.Routes, static)...)
}

func compare[T any](what string, want map[string]*thing, got map[string]T, static func(name string) bool) []string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(got)), static)
	if wanted := slices.Sorted(maps.Keys(want)); !slices.Equal(names, wanted) {
		return []string{fmt.Sprintf("%s in force: %s, want %s", what, strings.Join(names, " "), strings.Join(wanted, " "))}
	}
	return nil
}

// expects returns what a request gets on a listener: the origin that answers, empty when a cluster is missing or has no
// endpoints.
// ok is false where there is no route.
func (m *model) expects(listener, prefix string) (origin string, ok bool) {
	routes := m.listeners.active[listener]
	if routes.child != "" {
		routes = m.listeners.children[routes.child]
	}
	if routes == nil {
		return "", false
	}
	cluster, ok := routes.routes[prefix]
	if !ok {
		return "", false
	}
	switch c := m.clusters.active[cluster]; {
	case c == nil:
		return "", true
	case c.child == "":
		return c.answers, true
	case m.clusters.children[c.child] == nil:
		return "", true
	default:
		return m.clusters.children[c.child].answers, true
	}
}
