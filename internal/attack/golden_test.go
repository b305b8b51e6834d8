package attack

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is a file of named sections: what is expected of each variant of an attack.
type golden struct {
	path     string
	names    []string          // in the order of the file
	sections map[string]string // by name
}

// sectionMark begins the line that names a section.
const sectionMark = "== "

// openGolden reads a golden file. With -update it is written again when the test ends: sections that the test did not check,
// because only a part of it ran, stay as they were.
func openGolden(t *testing.T, path string) *golden {
	t.Helper()
	g := &golden{path: path, sections: make(map[string]string)}
	text, err := os.ReadFile(path)
	if err != nil && !(*update && errors.Is(err, fs.ErrNotExist)) {
		t.Fatal(err)
	}
	name := ""
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, sectionMark); ok {
			name = strings.TrimSuffix(rest, "\n")
			g.names = append(g.names, name)
			continue
		}
		g.sections[name] += line
	}
	if *update {
		t.Cleanup(func() { g.write(t) })
	}
	return g
}

// check compares a section, or takes it over with -update.
func (g *golden) check(t *testing.T, name, got string) {
	t.Helper()
	want, ok := g.sections[name]
	switch {
	case *update:
		if !ok {
			g.names = append(g.names, name)
		}
		g.sections[name] = got
	case !ok:
		t.Errorf("%s has no section %q; got\n%s", g.path, name, got)
	case got != want:
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func (g *golden) write(t *testing.T) {
	var b strings.Builder
	for _, name := range g.names {
		b.WriteString(sectionMark + name + "\n" + g.sections[name])
	}
	if err := os.WriteFile(g.path, []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
}
