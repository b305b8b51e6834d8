package route

import (
	"cmp"
	"slices"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// minIndexedRoutes is the number of routes from which a virtual host is searched by index: below, walking the list
// costs less than the two lookups.
const minIndexedRoutes = 8

// pathIndex finds the first route as written whose path and other conditions match, without a walk over all routes.
//
// Exact paths are in a map, prefixes in a radix tree, and what fits neither (regular expressions and paths compared
// without case) in a list. Each keeps positions of routes in ascending order. The lists that a path leads to are not
// merged: each in turn is asked for its first match below the best one so far, and the lowest of all is the first as
// written, because conditions depend on nothing but the request.
type pathIndex struct {
	routes []*Route
	exact  map[string]span
	nodes  []pathNode // nodes[0] is the root; the children of a node follow each other
	list   []int32    // positions in routes; spans are parts of it
	others span
}

// span is list[start:end].
type span struct{ start, end int32 }

// pathNode is a node of the radix tree. It is 56 bytes, so that a step down touches one cache line or two.
type pathNode struct {
	label     string // bytes between the parent and this node
	firsts    string // first bytes of the children's labels
	child     int32  // position of the first child in nodes
	prefix    span   // routes whose prefix ends here
	separated span   // routes whose path-separated prefix ends here
}

// find returns the route for a path, nil when there is none.
func (x *pathIndex) find(path []byte, h *head) *Route {
	best := int32(len(x.routes))
	if len(x.exact) > 0 {
		if s, ok := x.exact[string(path)]; ok {
			best = x.first(s, best, h)
		}
	}
	best = x.descend(path, best, h)
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

// descend walks down the tree along path and asks the routes of all nodes it comes by.
func (x *pathIndex) descend(path []byte, best int32, h *head) int32 {
	node := &x.nodes[0]
	for {
		best = x.first(node.prefix, best, h)
		if len(path) == 0 || path[0] == '/' {
			best = x.first(node.separated, best, h)
		}
		if len(path) == 0 {
			return best
		}
		i := strings.IndexByte(node.firsts, path[0])
		if i < 0 {
			return best
		}
		node = &x.nodes[int(node.child)+i]
		if !hasPrefix(path, node.label, false) {
			return best
		}
		path = path[len(node.label):]
	}
}

// first returns the lowest position in s below best whose conditions match, else best.
func (x *pathIndex) first(s span, best int32, h *head) int32 {
	for _, i := range x.list[s.start:s.end] {
		if i >= best {
			break
		}
		if x.routes[i].conditions.match(h) {
			return i
		}
	}
	return best
}

// treeNode is a node of the radix tree while it is built.
type treeNode struct {
	label             string
	children          []*treeNode
	prefix, separated []int32
}

func newPathIndex(routes []*Route) *pathIndex {
	x := &pathIndex{routes: routes, exact: make(map[string]span)}
	exact, root := make(map[string][]int32), &treeNode{}
	var others []int32
	for i, r := range routes {
		position := int32(i)
		switch p := &r.path; {
		case p.ignoreCase || p.kind == config.PathRegex:
			others = append(others, position)
		case p.kind == config.PathExact:
			exact[p.value] = x.reachable(exact[p.value], position)
		case p.kind == config.PathSeparatedPrefix:
			n := root.at(p.value)
			n.separated = x.reachable(n.separated, position)
		default:
			n := root.at(p.value)
			n.prefix = x.reachable(n.prefix, position)
		}
	}
	for path, list := range exact {
		x.exact[path] = x.store(list)
	}
	x.others = x.store(others)
	x.flatten(root)
	return x
}

// reachable appends i to a list of routes with one and the same path, unless one without further conditions is before
// it: that one takes every request that i could get.
func (x *pathIndex) reachable(list []int32, i int32) []int32 {
	if len(list) > 0 && x.routes[list[len(list)-1]].conditions.none {
		return list
	}
	return append(list, i)
}

func (x *pathIndex) store(list []int32) span {
	start := int32(len(x.list))
	x.list = append(x.list, list...)
	return span{start, int32(len(x.list))}
}

// at returns the node of a prefix below n, which it makes when there is none.
func (n *treeNode) at(prefix string) *treeNode {
	for prefix != "" {
		i, found := slices.BinarySearchFunc(n.children, prefix[0], func(c *treeNode, first byte) int {
			return cmp.Compare(c.label[0], first)
		})
		if !found {
			child := &treeNode{label: prefix}
			n.children = slices.Insert(n.children, i, child)
			return child
		}
		common := commonPrefix(n.children[i].label, prefix)
		if common < len(n.children[i].label) {
			n.children[i] = n.children[i].split(common)
		}
		n, prefix = n.children[i], prefix[common:]
	}
	return n
}

// split puts a node between n and its parent that takes the first length bytes of n's label.
func (n *treeNode) split(length int) *treeNode {
	upper := &treeNode{label: n.label[:length], children: []*treeNode{n}}
	n.label = n.label[length:]
	return upper
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// flatten lays the tree out level by level, so that the children of a node follow each other.
func (x *pathIndex) flatten(root *treeNode) {
	queue := []*treeNode{root}
	for i := 0; i < len(queue); i++ {
		n := queue[i]
		firsts := make([]byte, len(n.children))
		for j, child := range n.children {
			firsts[j] = child.label[0]
		}
		x.nodes = append(x.nodes, pathNode{
			label:     n.label,
			firsts:    string(firsts),
			child:     int32(len(queue)),
			prefix:    x.store(n.prefix),
			separated: x.store(n.separated),
		})
		queue = append(queue, n.children...)
	}
}
