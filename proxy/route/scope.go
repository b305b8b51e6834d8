package route

import (
	"bytes"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Scopes finds the scope of a request (HttpConnectionManager.scoped_routes). It is immutable.
type Scopes struct {
	fragments []scopeFragment
	root      scopeNode
}

// scopeNode is the scopes whose keys begin alike.
type scopeNode struct {
	next  map[string]*scopeNode // by the fragment that follows
	index int                   // of the scope whose key ends here, -1 for none
}

// scopeFragment takes a part of the key from a request.
type scopeFragment struct {
	field     requestField
	separator []byte // between elements, empty for one element
	index     uint32
	keyed     bool // the element is found by key instead of by index
	key       []byte
	between   []byte // key and value
}

// CompileScopes makes scopes ready. When two have the same key, the later one counts.
func CompileScopes(scoped *config.ScopedRoutes, scopes []*config.Scope) *Scopes {
	s := &Scopes{root: scopeNode{index: -1}}
	for _, f := range scoped.Key {
		compiled := scopeFragment{field: newRequestField(f.Header), separator: []byte(f.ElementSeparator), index: f.Index}
		if f.Element != nil {
			compiled.keyed, compiled.key, compiled.between = true, []byte(f.Element.Key), []byte(f.Element.Separator)
		}
		s.fragments = append(s.fragments, compiled)
	}
	for i, scope := range scopes {
		if len(scope.Key) != len(s.fragments) {
			continue // no request has such a key
		}
		node := &s.root
		for _, fragment := range scope.Key {
			if node.next == nil {
				node.next = make(map[string]*scopeNode)
			}
			if node.next[fragment] == nil {
				node.next[fragment] = &scopeNode{index: -1}
			}
			node = node.next[fragment]
		}
		node.index = i
	}
	return s
}

// Find returns the index of the request's scope among those that were compiled, -1 when it is in none.
func (s *Scopes) Find(req *message.Request) int {
	node := &s.root
	for i := range s.fragments {
		value, ok := s.fragments[i].of(req)
		if !ok {
			return -1
		}
		if node = node.next[string(value)]; node == nil {
			return -1
		}
	}
	return node.index
}

// of returns the fragment of a request's key.
func (f *scopeFragment) of(req *message.Request) (value []byte, ok bool) {
	rest, count := f.field.values(req)
	if count == 0 {
		return nil, false
	}
	for i := uint32(0); ; i++ {
		element, more := rest, false
		if len(f.separator) > 0 {
			element, rest, more = bytes.Cut(rest, f.separator)
		}
		switch {
		case !f.keyed && i == f.index:
			return element, true
		case f.keyed:
			if value, ok := f.keyedValue(element); ok {
				return value, true
			}
		}
		if !more {
			return nil, false
		}
	}
}

// keyedValue returns what is behind the first separator of an element whose key is the one looked for. An element without a
// separator is a key whose value is empty.
func (f *scopeFragment) keyedValue(element []byte) (value []byte, ok bool) {
	key, value, _ := bytes.Cut(element, f.between)
	return value, bytes.Equal(key, f.key)
}
