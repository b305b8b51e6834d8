// Package document keeps the generated parts of documents what they are generated from. A part is what stands between the
// lines
//
//	<!-- generated: NAME -->
//	<!-- end of NAME -->
package document

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Check compares the parts of a file, by name, with what they should be. With update it writes those that differ. command says
// in a failure how that is done.
func Check(t testing.TB, path string, parts map[string]string, update bool, command string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := string(data)
	want := got
	for name, text := range parts {
		if want, err = replace(want, name, text); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	switch {
	case got == want:
	case update:
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		n := firstDifference(got, want)
		t.Errorf("%s is not what it is generated from, from line %d on:\n%s\nrun: %s", path, n, strings.TrimSpace(lineAt(want, n)), command)
	}
}

// replace puts text between the marks of a part.
func replace(doc, name, text string) (string, error) {
	begin, end := "<!-- generated: "+name+" -->\n", "<!-- end of "+name+" -->\n"
	before, rest, found := strings.Cut(doc, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("there is no part between %q and %q", begin, end)
	}
	return before + begin + "\n" + text + "\n" + end + after, nil
}

// firstDifference returns the number of the first line, from 1, in which two texts differ.
func firstDifference(x, y string) int {
	a, b := strings.Split(x, "\n"), strings.Split(y, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i + 1
		}
	}
	return min(len(a), len(b)) + 1
}

func lineAt(text string, n int) string {
	lines := strings.Split(text, "\n")
	return lines[min(n, len(lines))-1]
}
