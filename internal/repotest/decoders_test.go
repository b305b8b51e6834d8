package repotest

import (
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What a decoder does with a field, as the constants of xds/resource name it. A field that no table has is refused.
const (
	works     = "decoded"
	noEffect  = "noEffect"
	onlyTrue  = "onlyTrue"
	onlyFalse = "onlyFalse"
)

// fieldTable is the table of a decoder for one message.
type fieldTable struct {
	message string // full name of the protobuf message
	name    string // of the variable
	uses    map[string]fieldUse
}

// fieldUse is what becomes of a field, and why that is harmless.
type fieldUse struct{ use, reason string }

// decoderSource is a package of decoders, parsed and with its types.
type decoderSource struct {
	t     *testing.T
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
	pkg   *types.Package
}

// loadDecoders type-checks a package from its source, and what it imports from the compiler's export data.
func loadDecoders(t *testing.T, path string) *decoderSource {
	t.Helper()
	exports := make(map[string]string)
	s := &decoderSource{t: t, fset: token.NewFileSet(), info: &types.Info{
		Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object), Defs: make(map[*ast.Ident]types.Object),
	}}
	for _, p := range goList(t, "-export", "-deps", "./"+path) {
		exports[p.ImportPath] = p.Export
		if p.path() != path {
			continue
		}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(s.fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			s.files = append(s.files, file)
		}
	}
	open := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	config := types.Config{Importer: importer.ForCompiler(s.fset, "gc", open)}
	var err error
	if s.pkg, err = config.Check(module+"/"+path, s.fset, s.files, s.info); err != nil {
		t.Fatal(err)
	}
	return s
}

// tables returns the tables that calls of a method are given: only(message, table), fields(path, message, table). The
// message is the argument before the table.
func (s *decoderSource) tables(method string) []fieldTable {
	tables, used := s.callTables(method)
	for object := range s.literals() {
		if !used[object] {
			s.t.Errorf("%s: no call of %s uses the table %s", s.fset.Position(object.Pos()), method, object.Name())
		}
	}
	return tables
}

// callTables returns the tables that calls of a method are given, and the variables that hold them.
func (s *decoderSource) callTables(method string) (tables []fieldTable, used map[types.Object]bool) {
	literals := s.literals()
	used = make(map[types.Object]bool)
	for _, file := range s.files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != method {
				return true
			}
			name, ok := call.Args[len(call.Args)-1].(*ast.Ident)
			if !ok || literals[s.info.Uses[name]] == nil {
				return true // a table that is made on the spot
			}
			used[s.info.Uses[name]] = true
			message := s.messageName(call.Args[len(call.Args)-2])
			tables = append(tables, fieldTable{message, name.Name, s.uses(literals[s.info.Uses[name]])})
			return true
		})
	}
	return tables, used
}

// literals returns the tables of the package: its variables that are maps by protoreflect.Name.
func (s *decoderSource) literals() map[types.Object]*ast.CompositeLit {
	found := make(map[types.Object]*ast.CompositeLit)
	for _, file := range s.files {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != len(spec.Values) {
				return true
			}
			for i, name := range spec.Names {
				object := s.info.Defs[name]
				m, isMap := object.Type().Underlying().(*types.Map)
				literal, isLiteral := spec.Values[i].(*ast.CompositeLit)
				if object.Parent() == s.pkg.Scope() && isMap && isLiteral && strings.HasSuffix(m.Key().String(), "protoreflect.Name") {
					found[object] = literal
				}
			}
			return true
		})
	}
	return found
}

// messageName returns the protobuf name of the message that an expression is, from the name of its Go type:
// go-control-plane/envoy/config/route/v3.RouteAction_HashPolicy is envoy.config.route.v3.RouteAction.HashPolicy.
func (s *decoderSource) messageName(expr ast.Expr) string {
	pointer, ok := s.info.TypeOf(expr).(*types.Pointer)
	if !ok {
		s.t.Fatalf("%s: not a message", s.fset.Position(expr.Pos()))
	}
	named := pointer.Elem().(*types.Named).Obj()
	return protoPackage(named.Pkg().Path()) + "." + strings.ReplaceAll(named.Name(), "_", ".")
}

// uses reads a table.
func (s *decoderSource) uses(literal *ast.CompositeLit) map[string]fieldUse {
	reasons := s.reasons(literal)
	uses := make(map[string]fieldUse)
	for _, element := range literal.Elts {
		entry := element.(*ast.KeyValueExpr)
		field := constant.StringVal(s.info.Types[entry.Key].Value)
		if text := s.info.Types[entry.Value].Value; text.Kind() == constant.String {
			// A table of the bootstrap: nothing, or why nothing happens.
			uses[field] = fieldUse{works, ""}
			if why := constant.StringVal(text); why != "" {
				uses[field] = fieldUse{noEffect, why}
			}
			continue
		}
		use := fieldUse{use: entry.Value.(*ast.Ident).Name}
		if use.use == noEffect {
			use.reason = reasons[s.line(entry.Pos())]
		}
		uses[field] = use
	}
	return uses
}

func (s *decoderSource) line(pos token.Pos) int { return s.fset.Position(pos).Line }

// reasons returns, for each line of a table, the comment at its end, else the one right above it and the lines between.
func (s *decoderSource) reasons(literal *ast.CompositeLit) map[int]string {
	entries := make(map[int]bool)
	for _, e := range literal.Elts {
		entries[s.line(e.Pos())] = true
	}
	atEnd, above := make(map[int]string), make(map[int]string)
	for _, file := range s.files {
		for _, group := range file.Comments {
			if group.Pos() < literal.Pos() || group.End() > literal.End() {
				continue
			}
			text := reason(group.Text())
			if entries[s.line(group.Pos())] {
				atEnd[s.line(group.Pos())] = text
			} else {
				above[s.line(group.End())+1] = text
			}
		}
	}
	reasons := maps.Clone(atEnd)
	for _, line := range slices.Sorted(maps.Keys(entries)) {
		if above[line] == "" && entries[line-1] {
			above[line] = above[line-1]
		}
		if reasons[line] == "" {
			reasons[line] = above[line]
		}
	}
	return reasons
}

// reason makes a comment what can stand in parentheses: one line, no full stop, no capital that only begins a sentence.
func reason(comment string) string {
	text := strings.TrimSuffix(strings.Join(strings.Fields(comment), " "), ".")
	if first, _, _ := strings.Cut(text, " "); first != strings.ToUpper(first) || len(first) == 1 {
		text = strings.ToLower(text[:1]) + text[1:]
	}
	return text
}

// keys returns the keys of a variable that is a map by string.
func (s *decoderSource) keys(variable string) (keys []string) {
	for _, file := range s.files {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || spec.Names[0].Name != variable || len(spec.Values) != 1 {
				return true
			}
			for _, element := range spec.Values[0].(*ast.CompositeLit).Elts {
				keys = append(keys, constant.StringVal(s.info.Types[element.(*ast.KeyValueExpr).Key].Value))
			}
			return false
		})
	}
	if keys == nil {
		s.t.Errorf("%s has no variable %s with keys", s.pkg.Path(), variable)
	}
	slices.Sort(keys)
	return keys
}

// extensions returns the full names of the messages that the package's constants name.
func (s *decoderSource) extensions() []string {
	var names []string
	for _, name := range s.pkg.Scope().Names() {
		c, ok := s.pkg.Scope().Lookup(name).(*types.Const)
		if !ok || c.Val().Kind() != constant.String {
			continue
		}
		text, err := strconv.Unquote(c.Val().ExactString())
		if err == nil && strings.HasPrefix(text, "envoy.extensions.") && !strings.HasSuffix(text, ".") {
			names = append(names, text)
		}
	}
	slices.Sort(names)
	return names
}
