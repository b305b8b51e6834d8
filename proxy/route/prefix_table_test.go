package route

import (
	"fmt"
	"testing"
)

func hashOf(s string) uint64 {
	hash := uint64(fnvOffset)
	for i := range len(s) {
		hash = hashByte(hash, s[i])
	}
	return hash
}

func TestPrefixTable(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 1000} {
		var groups []prefixGroup
		for i := range n {
			groups = append(groups, prefixGroup{value: fmt.Sprintf("/%d", i)})
		}
		table := newPrefixTable(groups)
		for i := range groups {
			if g := table.find([]byte(groups[i].value), hashOf(groups[i].value)); g != &table.groups[i] {
				t.Errorf("%d prefixes: %q is not found", n, groups[i].value)
			}
		}
		if g := table.find([]byte("/none"), hashOf("/none")); g != nil {
			t.Errorf("%d prefixes: found %q for /none", n, g.value)
		}
	}
}

// A prefix whose hash is another's must not be taken for it.
func TestPrefixTableComparesBytes(t *testing.T) {
	table := newPrefixTable([]prefixGroup{{value: "/a"}})
	if g := table.find([]byte("/b"), hashOf("/a")); g != nil {
		t.Errorf("found %q for /b", g.value)
	}
}
