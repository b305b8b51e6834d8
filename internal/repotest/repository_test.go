package repotest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the path of the module and what its packages begin with.
const module = "github.com/penguintechinc/marchproxy-alb"

// root is the top directory as seen from the tests, which run in the directory of their package.
const root = "../.."

// goPackage is what go list says about a package.
type goPackage struct {
	ImportPath string
	Dir        string
	Name       string
	Doc        string
	Export     string // file with export data
	GoFiles    []string
	Imports    []string
}

// path is the import path below the module.
func (p goPackage) path() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// goList runs go list in the top directory.
func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Name,Doc,Export,GoFiles,Imports"}, args...)...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	var list []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		list = append(list, p)
	}
}

// files returns the paths, from the top directory and with slashes, of all files that are kept and that match accepts.
func files(t *testing.T, match func(path string) bool) []string {
	t.Helper()
	// Built, never kept: see .gitignore.
	built := []string{".git", "bin", "bench/out"}
	var list []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case slices.Contains(built, rel) && d.IsDir():
			return filepath.SkipDir
		case rel == ".git": // a file in a linked worktree
			return nil
		case d.Type().IsRegular() && match(rel):
			list = append(list, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func isGo(path string) bool { return strings.HasSuffix(path, ".go") }

// read returns the text of a file, by its path from the top directory.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// table returns the rows of the first markdown table below a heading, cell by cell, without its own head.
func table(t *testing.T, path, heading string) [][]string {
	t.Helper()
	_, text, found := strings.Cut(read(t, path), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", path, heading)
	}
	var rows [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		inTable := strings.HasPrefix(line, "|")
		if !inTable && len(rows) > 0 || strings.HasPrefix(line, "#") {
			break
		}
		if inTable {
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	if len(rows) < 3 {
		t.Fatalf("%s has no table below %q", path, heading)
	}
	return rows[2:]
}

// code returns what is in backquotes in a cell.
func code(cell string) []string {
	var words []string
	for i, part := range strings.Split(cell, "`") {
		if i%2 == 1 {
			words = append(words, part)
		}
	}
	return words
}
