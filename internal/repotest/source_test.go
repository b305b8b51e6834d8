package repotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Budgets. What is longer cannot be read in one go, and hides where the control flow is.
const (
	maxFileLines     = 1000
	maxFunctionLines = 150
)

// namesSayNothing are names of packages that do not say what the package owns, so that everything ends up in them.
var namesSayNothing = map[string]bool{
	"util": true, "utils": true, "common": true, "helper": true, "helpers": true, "misc": true, "manager": true,
	"base": true, "shared": true, "lib": true,
}

func TestPackages(t *testing.T) {
	for _, p := range goList(t, "./...") {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment: say what it owns", p.path())
		}
		if namesSayNothing[p.Name] || namesSayNothing[filepath.Base(p.Dir)] {
			t.Errorf("%s: the name says nothing about what the package owns", p.path())
		}
	}
}

func TestSizes(t *testing.T) {
	fset := token.NewFileSet()
	for _, path := range files(t, isGo) {
		text := read(t, path)
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			t.Error(err)
			continue
		}
		if ast.IsGenerated(file) {
			continue
		}
		if n := strings.Count(text, "\n"); n > maxFileLines {
			t.Errorf("%s has %d lines, at most %d are allowed: one file, one mechanism", path, n, maxFileLines)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1; n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, at most %d are allowed", fset.Position(f.Pos()), f.Name.Name, n, maxFunctionLines)
			}
			if f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s: init runs in an order that nobody sees; make what it makes where it is needed", fset.Position(f.Pos()))
			}
		}
	}
}

// TestWords finds what must not be in a file that others read: marks of unfinished work, and paths of a machine.
func TestWords(t *testing.T) {
	// Written apart, so that this file does not find itself.
	unfinished := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)
	machine := regexp.MustCompile(`(^|[\s"'=(` + "`" + `])/(wo` + `rk|ro` + `ot|ho` + `me)/`)
	for _, path := range files(t, isText) {
		n := 0
		for line := range strings.Lines(read(t, path)) {
			n++
			for _, r := range []*regexp.Regexp{unfinished, machine} {
				if found := r.FindString(line); found != "" {
					t.Errorf("%s:%d: %q", path, n, strings.TrimSpace(found))
				}
			}
		}
	}
}

// isText reports whether a file is ours to word. The licence is not, and corpora hold what others sent.
func isText(path string) bool {
	switch {
	case path == "LICENSE", strings.HasSuffix(path, ".pb.go"), strings.Contains(path, "testdata/"), strings.HasSuffix(path, ".sum"):
		return false
	}
	return true
}

func TestLicense(t *testing.T) {
	const first = "GNU AFFERO GENERAL PUBLIC LICENSE"
	if text := read(t, "LICENSE"); !strings.Contains(text, first) || !strings.Contains(text, "Version 3") {
		t.Errorf("LICENSE is not the %s, version 3", first)
	}
	if !strings.Contains(read(t, "README.md"), "AGPL-3.0") {
		t.Error("README.md does not name the licence, AGPL-3.0")
	}
}
