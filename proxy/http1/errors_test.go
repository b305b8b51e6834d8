package http1

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files instead of comparing with them")

// TestErrorAnswers compares what every Error answers with testdata/errors.golden.
func TestErrorAnswers(t *testing.T) {
	const file = "testdata/errors.golden"
	var s strings.Builder
	for e := noError + 1; e < errorCount; e++ {
		fmt.Fprintf(&s, "%d | %s | %q | %s\n", e.Status(), e.Details(), e.Body(), e.Error())
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(s.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if s.String() != string(want) {
		t.Errorf("answers differ from %s (-rewrite writes it):\n%s", file, s.String())
	}
}

func TestErrorsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for e := noError + 1; e < errorCount; e++ {
		if e.Status() < 400 || e.Status() > 599 || ReasonPhrase(e.Status()) == "Unknown" || e.Details() == "" || strings.Contains(e.Details(), " ") {
			t.Errorf("error %d: status %d, details %q", e, e.Status(), e.Details())
		}
		if seen[e.Error()] || e.Error() == "" {
			t.Errorf("error %d: text %q is empty or another's", e, e.Error())
		}
		seen[e.Error()] = true
	}
}
