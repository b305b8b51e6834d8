package route

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

func TestScopes(t *testing.T) {
	index := func(i uint32, separator string) []config.ScopeFragment {
		return []config.ScopeFragment{{Header: "x", ElementSeparator: separator, Index: i}}
	}
	element := []config.ScopeFragment{{Header: "x", ElementSeparator: ";", Element: &config.ScopeElement{Separator: "=", Key: "k"}}}
	two := []config.ScopeFragment{{Header: ":authority"}, {Header: "x"}}
	for _, test := range []struct {
		name  string
		key   []config.ScopeFragment
		value []string // fields of the request
		scope []string // whose key is looked for
		found bool
	}{
		{"the whole value", index(0, ""), []string{"x", "a,b"}, []string{"a,b"}, true},
		{"no field", index(0, ""), nil, []string{"a"}, false},
		{"an empty field", index(0, ""), []string{"x", ""}, []string{""}, true},
		{"another value", index(0, ""), []string{"x", "b"}, []string{"a"}, false},
		{"the first of two fields", index(0, ""), []string{"x", "a", "x", "b"}, []string{"a"}, true},
		{"an element", index(1, ","), []string{"x", "a,b,c"}, []string{"b"}, true},
		{"the last element", index(2, ","), []string{"x", "a,b,c"}, []string{"c"}, true},
		{"an element too far", index(3, ","), []string{"x", "a,b,c"}, []string{""}, false},
		{"an empty element", index(1, ","), []string{"x", "a,"}, []string{""}, true},
		{"a key", element, []string{"x", "j=1;k=2;k=3"}, []string{"2"}, true},
		{"a key with the separator in its value", element, []string{"x", "k=a=b"}, []string{"a=b"}, true},
		{"a key without a value", element, []string{"x", "j=1;k"}, []string{""}, true},
		{"no such key", element, []string{"x", "j=1;kk=2"}, []string{"2"}, false},
		{"two fragments", two, []string{"x", "a"}, []string{"h.example", "a"}, true},
		{"two fragments, the second differs", two, []string{"x", "b"}, []string{"h.example", "a"}, false},
		{"a scope with another number of fragments", two, []string{"x", "a"}, []string{"h.example"}, false},
	} {
		scoped := &config.ScopedRoutes{Key: test.key}
		scopes := CompileScopes(scoped, []*config.Scope{{Key: []string{"other", "key", "s"}}, {Key: test.scope}})
		want := -1
		if test.found {
			want = 1
		}
		request := newRequest("h.example", "/", test.value...)
		if got := scopes.Find(request); got != want {
			t.Errorf("%s: scope %d, want %d", test.name, got, want)
		}
		if allocs := testing.AllocsPerRun(10, func() { scopes.Find(request) }); allocs != 0 {
			t.Errorf("%s: %v allocations", test.name, allocs)
		}
	}
}
