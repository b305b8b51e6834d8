package repotest

import (
	"slices"
	"strings"
	"testing"
)

// TestImportTable holds the packages against the table in docs/architecture.md. The arrows of the architecture are its
// worth: a package that is known to depend on little can be read, tested and replaced alone.
func TestImportTable(t *testing.T) {
	const doc, heading = "docs/architecture.md", "## Packages"
	allowed := make(map[string][]string)
	for _, row := range table(t, doc, heading) {
		name := code(row[0])
		if len(name) != 1 || len(row) != 3 {
			t.Fatalf("%s: row %q, want a package in backquotes, what it imports, what it owns", doc, row)
		}
		allowed[name[0]] = code(row[1])
	}
	seen := make(map[string]bool)
	for _, p := range goList(t, "./...") {
		seen[p.path()] = true
		want, listed := allowed[p.path()]
		if !listed {
			t.Errorf("package %s is not in the table of %s: say there what it owns and may import", p.path(), doc)
			continue
		}
		var got []string
		for _, path := range p.Imports {
			if strings.HasPrefix(path, module+"/") {
				got = append(got, strings.TrimPrefix(path, module+"/"))
			}
		}
		for _, path := range got {
			if !slices.Contains(want, path) {
				t.Errorf("%s imports %s, which the table of %s does not allow: imports go down only, as listed; find the "+
					"place where both are known already, or change the architecture on purpose", p.path(), path, doc)
			}
		}
		for _, path := range want {
			if !slices.Contains(got, path) {
				t.Errorf("the table of %s lets %s import %s, which it does not", doc, p.path(), path)
			}
		}
	}
	for name := range allowed {
		if !seen[name] {
			t.Errorf("the table of %s has %s, which does not exist", doc, name)
		}
	}
}

// confined lists imports that only some packages may have. "/..." stands for a path and all below it.
var confined = []struct {
	imports string
	only    []string // packages, with what is below them
	reason  string
}{
	{"crypto/tls", []string{"tls", "bench/load"},
		"certificates and keys have one owner; the load generator has none, and as a client it is to offer the same to every proxy"},
	{"net/http", []string{"xds/resource", "xds/rest", "internal", "bench"},
		"the data plane has its own codec, and everything else that speaks HTTP uses fasthttp; two HTTP stacks differ in what they accept. " +
			"A poll of the control plane is given up with its context, which fasthttp's client does not know, and may speak HTTP/2"},
	{"golang.org/x/sys/unix", []string{"proxy/eventloop", "proxy/listener", "inotify", "bench"},
		"the kernel interface stays where another one could replace it"},
	{"unsafe", []string{"proxy", "moduleservice/marchproxypb"},
		"memory safety is given up where the kernel asks for it or a copy per request is the alternative, with the argument beside it"},
	{"github.com/cilium/ebpf/...", []string{"proxy/listener"}, "programs in the kernel have one owner"},
	{"google.golang.org/protobuf/...", []string{"proxy/accesslog/als", "xds", "admin", "moduleservice", "proxy/health", "bench/peer", "cmd", "internal"},
		"configuration is plain Go below the decoders; gRPC health checks have a message each way; the load lab calls ModuleService"},
	{"github.com/envoyproxy/go-control-plane/...", []string{"proxy/accesslog/als", "xds", "admin", "cmd", "internal"},
		"Envoy's messages end at the decoders; log servers are told in them"},
	{"google.golang.org/grpc/...", []string{"proxy/accesslog/als", "outbound/grpcstats", "xds", "moduleservice", "proxy/health", "cmd", "internal"},
		"the data plane calls nobody: what it needs is in its generation; health checks and log servers, beside traffic, use its messages, " +
			"and what its clients do is counted"},
	{"github.com/valyala/fasthttp/...", []string{"admin", "proxy/health", "bench", "cmd", "internal"},
		"traffic goes through the codec of proxy/http1 only; health checks are beside traffic"},
	{"golang.org/x/time/...", []string{"ratelimit", "xds/ads"},
		"token buckets of traffic have one owner; those of requests to the control plane are beside traffic"},
	{"log", nil, "there is one logger, go.uber.org/zap"},
	{"log/slog", nil, "there is one logger, go.uber.org/zap"},
	{"math/rand", nil, "math/rand/v2 needs no seed and no lock"},
	{"io/ioutil", nil, "it is deprecated"},
	{"C", nil, "the binary is static: no cgo"},
}

// free lists imports that some packages must do without.
var free = []struct {
	packages []string
	without  []string
	reason   string
}{
	{[]string{"balancer"}, []string{"sync", "sync/atomic", "context", "net", "os"},
		"a picker never blocks or locks: it belongs to one worker"},
	{[]string{"proxy/http1", "proxy/http2/hpack", "proxy/message"}, []string{"net", "os", "sync", "context", "regexp", "time"},
		"codecs turn bytes into messages and back; they do no I/O, wait for nothing and decide nothing"},
	{[]string{"proxy/route"}, []string{"net", "os", "sync", "context"}, "a compiled table only answers"},
	{[]string{"config"}, []string{"os", "io"}, "what was asked is data: no I/O"},
}

func TestConfinedImports(t *testing.T) {
	for _, p := range goList(t, "./...") {
		for _, path := range p.Imports {
			for _, c := range confined {
				if matches(path, c.imports) && !withinAny(p.path(), c.only) {
					t.Errorf("%s imports %s, which is for %s only: %s", p.path(), path, orNobody(c.only), c.reason)
				}
			}
			for _, f := range free {
				if slices.Contains(f.packages, p.path()) && slices.Contains(f.without, path) {
					t.Errorf("%s imports %s: %s", p.path(), path, f.reason)
				}
			}
		}
	}
}

// matches reports whether an import is the one of the pattern.
func matches(path, pattern string) bool {
	if dir, all := strings.CutSuffix(pattern, "/..."); all {
		return within(path, dir)
	}
	return path == pattern
}

// within reports whether path is dir or below it.
func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func withinAny(path string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return within(path, dir) })
}

func orNobody(only []string) string {
	if len(only) == 0 {
		return "nobody"
	}
	return strings.Join(only, ", ")
}
