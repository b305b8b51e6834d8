package repotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func isMarkdown(path string) bool { return strings.HasSuffix(path, ".md") }

// TestMakeTargets finds commands in documents and in the CI script that the Makefile does not have.
func TestMakeTargets(t *testing.T) {
	targets := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		for _, name := range strings.Fields(m[1]) {
			targets[name] = true
		}
	}
	command := regexp.MustCompile("(?m)(?:^|`|step [a-z]+ )make ([a-z][a-z-]*)")
	documents := append(files(t, isMarkdown), ".ci/run", "Dockerfile")
	for _, path := range documents {
		for _, m := range command.FindAllStringSubmatch(read(t, path), -1) {
			if !targets[m[1]] {
				t.Errorf("%s says `make %s`, which the Makefile does not have", path, m[1])
			}
		}
	}
	if ci := read(t, ".ci/run"); !strings.Contains(ci, "step test make test\n") || !strings.Contains(read(t, "README.md"), "\nmake test\n") {
		t.Error("the test command of .ci/run is not the one of README.md, make test")
	}
}

// TestLinks finds links in documents to files or headings that do not exist.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	for _, path := range files(t, isMarkdown) {
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := path
			if m[1] != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(path), m[1]))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, m[1])
				continue
			}
			if m[2] != "" && !slices.Contains(anchors(read(t, target)), m[2]) {
				t.Errorf("%s links to %s%s, and there is no such heading", path, m[1], m[2])
			}
		}
	}
}

// anchors returns the anchors of the headings of a document.
func anchors(text string) []string {
	var list []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		list = append(list, "#"+strings.ReplaceAll(strings.ToLower(m[1]), " ", "-"))
	}
	return list
}

// TestVariables compares the variables in README.md with those of the Dockerfile.
func TestVariables(t *testing.T) {
	documented := make(map[string]string)
	for _, row := range table(t, "README.md", "## Variables") {
		documented[code(row[0])[0]] = code(row[1])[0]
	}
	inImage := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^(?:ENV|   ) ([A-Z_]+)=(\S+)`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		inImage[m[1]] = m[2]
	}
	for name, value := range inImage {
		if documented[name] != value {
			t.Errorf("%s is %q in the Dockerfile and %q in README.md", name, value, documented[name])
		}
	}
	for name := range documented {
		if _, ok := inImage[name]; !ok {
			t.Errorf("README.md has the variable %s, which the Dockerfile does not set", name)
		}
		if !readsVariable(t, name) {
			t.Errorf("README.md has the variable %s, which no code reads", name)
		}
	}
}

// readsVariable reports whether a file of the program has the name as a string.
func readsVariable(t *testing.T, name string) bool {
	return slices.ContainsFunc(files(t, isGo), func(path string) bool {
		program := strings.HasPrefix(path, "cmd/proxy-alb/") || strings.HasPrefix(path, "xds/bootstrap/")
		return program && !strings.HasSuffix(path, "_test.go") && strings.Contains(read(t, path), strconv.Quote(name))
	})
}

// TestAdminPaths compares the table of paths in docs/operations.md with the commands of package admin.
func TestAdminPaths(t *testing.T) {
	const doc = "docs/operations.md"
	documented := make(map[string]bool)
	for _, row := range table(t, doc, "## Admin interface") {
		for _, path := range code(row[0]) {
			documented[path] = true
		}
	}
	commands := literalPaths(t, "admin/command.go")
	if len(commands) < 10 {
		t.Fatalf("admin/command.go names %d paths, which cannot be all", len(commands))
	}
	for path := range commands {
		if !documented[path] {
			t.Errorf("%s does not have %s", doc, path)
		}
	}
	for path := range documented {
		if !commands[path] {
			t.Errorf("%s has %s, which the admin interface does not", doc, path)
		}
	}
}

// TestTestsNamed finds tests that documents name and nobody has.
func TestTestsNamed(t *testing.T) {
	declared := make(map[string]bool)
	for _, path := range files(t, func(path string) bool { return strings.HasSuffix(path, "_test.go") }) {
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(read(t, path), -1) {
			declared[m[1]] = true
		}
	}
	named := 0
	for _, path := range files(t, isMarkdown) {
		for _, m := range regexp.MustCompile("`(Test[A-Z]\\w*)`").FindAllStringSubmatch(read(t, path), -1) {
			if named++; !declared[m[1]] {
				t.Errorf("%s names %s, and there is no such test", path, m[1])
			}
		}
	}
	if named == 0 {
		t.Error("no document names a test")
	}
}

// literalPaths returns the strings of a file that are paths.
func literalPaths(t *testing.T, path string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, read(t, path), 0)
	if err != nil {
		t.Fatal(err)
	}
	paths := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil && regexp.MustCompile(`^/[a-z_/]*$`).MatchString(text) {
				paths[text] = true
			}
		}
		return true
	})
	return paths
}
