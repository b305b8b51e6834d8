package repotest

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// withoutTable are fields that nothing reads, of messages that have no table, with the reason why nothing is lost.
// The name of a message stands for all of its fields.
var withoutTable = map[string]string{
	"envoy.config.core.v3.Node":                                             "it is sent to the control plane as it is",
	"envoy.service.discovery.v3.DiscoveryResponse":                          "it is no configuration, and what it is about is package ads's",
	"envoy.service.discovery.v3.Resource":                                   "it is no configuration, and what it is about is package ads's",
	"envoy.config.core.v3.TransportSocket.name":                             "extensions are found by the type of their configuration",
	"xds.core.v3.TypedExtensionConfig.name":                                 "extensions are found by the type of their configuration",
	"xds.type.matcher.v3.RegexMatcher.google_re2":                           "RE2 is the only engine",
	"envoy.type.matcher.v3.RegexMatcher.google_re2":                         "RE2 is the only engine",
	"envoy.config.core.v3.RuntimeDouble.runtime_key":                        "the tables of docs/compatibility.md say that default_value holds",
	"envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig": "how to ask is the resolver's own affair, whom is refused",
}

// readElsewhere are fields that tables call decoded and that no getter reads, with the way in which they are.
var readElsewhere = map[string]string{
	"envoy.config.bootstrap.v3.Admin.ignore_global_conn_limit":        "the admin server does not know the limit",
	"envoy.config.core.v3.GrpcService.EnvoyGrpc.skip_envoy_headers":   "none are sent",
	"envoy.config.metrics.v3.StatsConfig.allow_default_tag_overrides": "tags of the configuration are tried before the default ones",
}

// TestTablesAreRead holds the tables of decoders against their code: a field that a table calls decoded is read somewhere, and of a
// message that is read and has no table all fields are, for any other would be passed over in silence.
func TestTablesAreRead(t *testing.T) {
	packages := []string{"xds/resource", "xds/bootstrap", "xds/credentials"}
	names := goNames()
	read, maybe := make(map[string]map[string]bool), make(map[string]map[string]bool)
	tables := make(map[string]map[string]fieldUse)
	for _, path := range packages {
		source := loadDecoders(t, path)
		source.reads(names, read, maybe)
		for _, method := range []string{"only", "fields"} {
			found, _ := source.callTables(method)
			for _, table := range found {
				if tables[table.message] == nil {
					tables[table.message] = make(map[string]fieldUse)
				}
				for field, use := range table.uses {
					tables[table.message][field] = use
				}
			}
		}
	}
	unneeded := make(map[string]bool)
	for name := range withoutTable {
		unneeded[name] = true
	}
	for name := range readElsewhere {
		unneeded[name] = true
	}
	for message, fields := range read {
		if tables[message] != nil {
			continue
		}
		if withoutTable[message] != "" {
			delete(unneeded, message)
			continue
		}
		for _, field := range names.fields(message) {
			key := message + "." + field
			if !fields[field] && withoutTable[key] == "" {
				t.Errorf("%s is not read and has no place in a table, so it is lost without a word", key)
			}
			if !fields[field] {
				delete(unneeded, key)
			}
		}
	}
	for message, fields := range tables {
		for field, use := range fields {
			key := message + "." + field
			if use.use != works || read[message][field] || maybe[message][field] {
				continue
			}
			if readElsewhere[key] == "" {
				t.Errorf("%s is decoded, says its table, and nothing reads it", key)
			}
			delete(unneeded, key)
		}
	}
	for name := range unneeded {
		t.Errorf("%s is an exception that is not needed", name)
	}
}

// fields returns the fields of a message.
func (n messageNames) fields(message string) (fields []string) {
	for _, names := range n.getters[message] {
		fields = append(fields, names...)
	}
	slices.Sort(fields)
	return fields
}

// messageNames are the names that generated code has for what is in messages, by the message's Go name after its package: of getters, and
// of the types of oneofs.
type messageNames struct {
	getters  map[string]map[string][]string // full name of the message: getter: fields
	wrappers map[string][2]string           // Go name with its import path: full name of the message, field
}

func goNames() messageNames {
	n := messageNames{make(map[string]map[string][]string), make(map[string][2]string)}
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		n.add(mt.Descriptor())
		return true
	})
	return n
}

func (n messageNames) add(md protoreflect.MessageDescriptor) {
	full := string(md.FullName())
	if !strings.HasPrefix(full, "envoy.") && !strings.HasPrefix(full, "xds.") {
		return
	}
	pkg := string(md.ParentFile().Package())
	goType := strings.ReplaceAll(strings.TrimPrefix(full, pkg+"."), ".", "_")
	getters := make(map[string][]string)
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		name := goCamelCase(string(fd.Name()))
		getters["Get"+name] = append(getters["Get"+name], string(fd.Name()))
		if oneof := fd.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() {
			for _, suffix := range []string{"", "_"} {
				n.wrappers[pkg+"/"+goType+"_"+name+suffix] = [2]string{full, string(fd.Name())}
			}
		}
	}
	n.getters[full] = getters
}

// goCamelCase is the name of a field in generated code.
func goCamelCase(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '_' && (i == 0 || i+1 < len(s) && s[i+1] >= 'a' && s[i+1] <= 'z'):
			if i == 0 {
				b.WriteByte('X')
			}
		case (i == 0 || s[i-1] == '_' || s[i-1] >= '0' && s[i-1] <= '9') && c >= 'a' && c <= 'z':
			b.WriteByte(c - 'a' + 'A')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// reads adds the fields that the package reads to read, by message: those whose getters it calls, and those of oneofs whose types it
// names. What is called through an interface may be of any message that has its methods, and goes to maybe.
func (s *decoderSource) reads(names messageNames, read, maybe map[string]map[string]bool) {
	note := func(found map[string]map[string]bool, message, field string) {
		if found[message] == nil {
			found[message] = make(map[string]bool)
		}
		found[message][field] = true
	}
	for _, file := range s.files {
		ast.Inspect(file, func(node ast.Node) bool {
			selector, ok := node.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if object, ok := s.info.Uses[selector.Sel].(*types.TypeName); ok && object.Pkg() != nil {
				if wrapper, ok := names.wrappers[protoPackage(object.Pkg().Path())+"/"+object.Name()]; ok {
					note(read, wrapper[0], wrapper[1])
				}
				return true
			}
			messages, sure := names.receivers(s.info.TypeOf(selector.X))
			found := maybe
			if sure {
				found = read
			}
			for _, message := range messages {
				for _, field := range names.getters[message][selector.Sel.Name] {
					note(found, message, field)
				}
			}
			return true
		})
	}
}

// receivers returns the messages that a value of a type can be: one for sure, or all that have the methods of an interface.
func (n messageNames) receivers(of types.Type) (messages []string, sure bool) {
	if of == nil {
		return nil, false
	}
	if pointer, ok := of.(*types.Pointer); ok {
		of = pointer.Elem()
	}
	if of, ok := of.Underlying().(*types.Interface); ok && of.NumMethods() > 0 {
		for message, getters := range n.getters {
			all := true
			for i := range of.NumMethods() {
				all = all && getters[of.Method(i).Name()] != nil
			}
			if all {
				messages = append(messages, message)
			}
		}
		return messages, false
	}
	named, ok := of.(*types.Named)
	if !ok || named.Obj().Pkg() == nil {
		return nil, false
	}
	return []string{protoPackage(named.Obj().Pkg().Path()) + "." + strings.ReplaceAll(named.Obj().Name(), "_", ".")}, true
}

// protoPackage is the protobuf package of a package of generated code.
func protoPackage(path string) string {
	for _, root := range []string{"github.com/envoyproxy/go-control-plane/", "github.com/cncf/xds/go/"} {
		path = strings.TrimPrefix(path, root)
	}
	return strings.ReplaceAll(path, "/", ".")
}
