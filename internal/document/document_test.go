package document

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCheckUpdates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.md")
	doc := func(a, b string) string {
		return "x\n<!-- generated: a -->\n" + a + "<!-- end of a -->\ny\n<!-- generated: b -->\n" + b + "<!-- end of b -->\nz\n"
	}
	if err := os.WriteFile(path, []byte(doc("", "kept\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	Check(t, path, map[string]string{"a": "one\ntwo\n"}, true, "")
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := doc("\none\ntwo\n\n", "kept\n"); string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	Check(t, path, map[string]string{"a": "one\ntwo\n"}, false, "")
}

func TestReplaceWithoutMarks(t *testing.T) {
	for _, doc := range []string{"", "<!-- generated: a -->\n", "<!-- end of a -->\n", "<!-- end of a -->\n<!-- generated: a -->\n"} {
		if got, err := replace(doc, "a", "text"); err == nil {
			t.Errorf("%q became %q, want an error", doc, got)
		}
	}
}

func TestFirstDifference(t *testing.T) {
	for _, test := range []struct {
		x, y string
		want int
	}{{"a\nb", "a\nc", 2}, {"a", "a\nb", 2}, {"a\nb", "a", 2}, {"", "a", 1}} {
		if got := firstDifference(test.x, test.y); got != test.want {
			t.Errorf("%q and %q differ in line %d, want %d", test.x, test.y, got, test.want)
		}
	}
}
