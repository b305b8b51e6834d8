package repotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// codeDocuments are about the code and name its parts.
var codeDocuments = []string{"docs/architecture.md", "docs/life-of-a-request.md", "docs/performance.md", "CONTRIBUTING.md"}

// TestNames finds files and identifiers in documents about the code that are not there (any more).
func TestNames(t *testing.T) {
	code := declarations(t)
	word := regexp.MustCompile("`([A-Za-z0-9_./-]+)`")
	qualified := regexp.MustCompile(`\b((?:[a-z0-9]+|[a-zA-Z0-9]*[A-Z][a-zA-Z0-9]*)\.[A-Za-z]\w+)\b`)
	camel := regexp.MustCompile(`^[a-z]+[0-9]*[A-Z]\w*$`)
	for _, path := range codeDocuments {
		text := read(t, path)
		for _, m := range word.FindAllStringSubmatch(text, -1) {
			name := m[1]
			switch {
			case strings.HasSuffix(name, ".go") && strings.Contains(name, "/"):
				if _, err := os.Stat(filepath.Join(root, name)); err != nil {
					t.Errorf("%s names the file %s, which does not exist", path, name)
				}
			case qualified.FindString(name) == name && !notGo[name]:
				if !code.has(name) {
					t.Errorf("%s names %s, which does not exist", path, name)
				}
			case camel.MatchString(name) && !code.names[name]:
				t.Errorf("%s names %s, which is declared nowhere", path, name)
			}
		}
		for _, chart := range charts(text) {
			for _, name := range qualified.FindAllString(chart, -1) {
				if !code.has(name) {
					t.Errorf("a chart of %s names %s, which does not exist", path, name)
				}
			}
		}
	}
}

// notGo are words in the documents that only look like names of ours: of the standard library, a statistic, a service.
var notGo = map[string]bool{"iter.Pull": true, "server.worker_panics": true, "marchproxy.ModuleService": true}

// charts returns the code blocks of a document that are drawings.
func charts(text string) (list []string) {
	for i, block := range strings.Split(text, "```") {
		if i%2 == 1 && strings.Contains(block, "│") {
			list = append(list, block)
		}
	}
	return list
}

// declared holds what the code declares: names, and names in a package or of a type.
type declared struct{ names, qualified map[string]bool }

// has reports whether "package.Name", "Type.method" or "package.Type" is declared.
func (d declared) has(name string) bool { return d.qualified[name] }

// declarations parses all packages of the module.
func declarations(t *testing.T) declared {
	t.Helper()
	d := declared{make(map[string]bool), make(map[string]bool)}
	fset := token.NewFileSet()
	for _, path := range files(t, isGo) {
		file, err := parser.ParseFile(fset, path, read(t, path), parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			switch declaration := declaration.(type) {
			case *ast.FuncDecl:
				d.add(file.Name.Name, declaration.Name.Name)
				if declaration.Recv != nil {
					d.add(receiver(declaration.Recv.List[0].Type), declaration.Name.Name)
				}
			case *ast.GenDecl:
				d.addSpecs(file.Name.Name, declaration.Specs)
			}
		}
	}
	return d
}

func (d declared) add(in, name string) { d.names[name], d.qualified[in+"."+name] = true, true }

func (d declared) addSpecs(pkg string, specs []ast.Spec) {
	for _, spec := range specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			d.add(pkg, spec.Name.Name)
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				d.add(pkg, name.Name)
			}
		}
	}
}

// receiver returns the name of a method's type.
func receiver(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.StarExpr:
		return receiver(expr.X)
	case *ast.IndexExpr:
		return receiver(expr.X)
	case *ast.IndexListExpr:
		return receiver(expr.X)
	case *ast.Ident:
		return expr.Name
	}
	return ""
}
