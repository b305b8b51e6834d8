package route

import "github.com/penguintechinc/marchproxy-alb/config"

// minIndexedRoutes is the number of routes from which a virtual host is searched by index: below, walking the list
// costs less than the two lookups.
const minIndexedRoutes = 8

// pathIndex finds the first route as written whose path and other conditions match, without a walk over all routes.
//
// Exact paths are in a map, prefixes in a table of their own, and what fits neither (regular expressions and paths
// compared without case) in a list. Each keeps positions of routes in ascending order. The lists that a path leads to
// are not merged: each in turn is asked for its first match below the best one so far, and the lowest of all is the
// first as written, because conditions depend on nothing but the request.
type pathIndex struct {
	routes   []*Route
	plain    []bool // by position: routes without further conditions, so that the route itself need not be read
	exact    map[string]span
	prefixes prefixTable
	list     []int32 // positions in routes; spans are parts of it
	others   span
}

// span is list[start:end].
type span struct{ start, end int32 }

// find returns the route for a path, nil when there is none.
func (x *pathIndex) find(path []byte, h *head) *Route {
	best := int32(len(x.routes))
	if len(x.exact) > 0 {
		if s, ok := x.exact[string(path)]; ok {
			best = x.first(s, best, h)
		}
	}
	best = x.findPrefixes(path, best, h)
	for _, i := range x.list[x.others.start:x.others.end] {
		if i >= best {
			break
		}
		if r := x.routes[i]; r.path.match(path) && r.conditions.match(h) {
			best = i
			break
		}
	}
	if int(best) == len(x.routes) {
		return nil
	}
	return x.routes[best]
}

// findPrefixes asks the routes of all prefixes that path has.
func (x *pathIndex) findPrefixes(path []byte, best int32, h *head) int32 {
	hash, hashed := uint64(fnvOffset), 0
	for _, n := range x.prefixes.lengths {
		if n > len(path) {
			break
		}
		for _, b := range path[hashed:n] {
			hash = hashByte(hash, b)
		}
		hashed = n
		g := x.prefixes.find(path[:n], hash)
		if g == nil {
			continue
		}
		best = x.first(g.prefix, best, h)
		if n == len(path) || path[n] == '/' {
			best = x.first(g.separated, best, h)
		}
	}
	return best
}

// first returns the lowest position in s below best whose conditions match, else best.
func (x *pathIndex) first(s span, best int32, h *head) int32 {
	for _, i := range x.list[s.start:s.end] {
		if i >= best {
			break
		}
		if x.plain[i] || x.routes[i].conditions.matchAll(h) {
			return i
		}
	}
	return best
}

func newPathIndex(routes []*Route) *pathIndex {
	x := &pathIndex{routes: routes, plain: make([]bool, len(routes)), exact: make(map[string]span)}
	exact, prefix, separated := make(map[string][]int32), make(map[string][]int32), make(map[string][]int32)
	var others []int32
	for i, r := range routes {
		position := int32(i)
		x.plain[i] = r.conditions.none
		switch p := &r.path; {
		case p.kind == config.PathConnect: // is not found by path
		case p.ignoreCase || p.kind == config.PathRegex:
			others = append(others, position)
		case p.kind == config.PathExact:
			exact[p.value] = x.reachable(exact[p.value], position)
		case p.kind == config.PathSeparatedPrefix:
			separated[p.value] = x.reachable(separated[p.value], position)
		default:
			prefix[p.value] = x.reachable(prefix[p.value], position)
		}
	}
	x.others = x.store(others)
	for path, list := range exact {
		x.exact[path] = x.store(list)
	}
	var groups []prefixGroup
	for value, list := range prefix {
		groups = append(groups, prefixGroup{value: value, prefix: x.store(list), separated: x.store(separated[value])})
		delete(separated, value)
	}
	for value, list := range separated {
		groups = append(groups, prefixGroup{value: value, separated: x.store(list)})
	}
	x.prefixes = newPrefixTable(groups)
	return x
}

// reachable appends i to a list of routes with one and the same path, unless one without further conditions is before
// it: that one takes every request that i could get.
func (x *pathIndex) reachable(list []int32, i int32) []int32 {
	if len(list) > 0 && x.plain[list[len(list)-1]] {
		return list
	}
	return append(list, i)
}

func (x *pathIndex) store(list []int32) span {
	start := int32(len(x.list))
	x.list = append(x.list, list...)
	return span{start, int32(len(x.list))}
}
