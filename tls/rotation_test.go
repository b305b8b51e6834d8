package tls

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestRotationLooks takes a file over when it has changed and then held still, once, and tells of what has gone like of any change.
func TestRotationLooks(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(a, "1")
	write(b, "1")
	var r Rotation
	steps := []struct {
		what  string
		do    func()
		paths []string
		want  []string
	}{
		{"the first look", func() {}, []string{a, b}, nil},
		{"nothing changes", func() {}, []string{a, b}, nil},
		{"one changes", func() { write(a, "2") }, []string{a, b}, nil},
		{"and again", func() { write(a, "3") }, []string{a, b}, nil},
		{"it holds still", func() {}, []string{a, b}, []string{a}},
		{"it was told", func() {}, []string{a, b}, nil},
		{"it changes and changes back", func() { write(a, "4") }, []string{a, b}, nil},
		{"back", func() { write(a, "3") }, []string{a, b}, nil},
		{"as it was", func() {}, []string{a, b}, nil},
		{"both", func() { write(a, "5"); write(b, "5") }, []string{a, b}, nil},
		{"together", func() {}, []string{b, a}, []string{a, b}},
		{"one goes", func() { _ = os.Remove(b) }, []string{a, b}, nil},
		{"and stays away", func() {}, []string{a, b}, []string{b}},
		{"another is asked for", func() { write(b, "6") }, []string{a}, nil},
		{"and comes back as new", func() {}, []string{a, b}, nil},
		{"so it is not told", func() {}, []string{a, b}, nil},
	}
	for _, step := range steps {
		step.do()
		if got := r.Look(step.paths); !slices.Equal(got, step.want) {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
	}
}
