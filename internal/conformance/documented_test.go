package conformance

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/document"
)

// TestDocumented compares what docs/compatibility.md says with what the other tests here want. With -update it is written.
func TestDocumented(t *testing.T) {
	path := filepath.Join(root, "docs", "compatibility.md")
	parts := map[string]string{"conformance": documentation(t)}
	document.Check(t, path, parts, *update, "go test ./internal/conformance -run TestDocumented -update")
}

// documentation returns a table of the suites.
func documentation(t *testing.T) string {
	h2spec, grpc := pinned(t, "github.com/summerwind/h2spec"), pinned(t, "google.golang.org/grpc")
	var b strings.Builder
	b.WriteString("| suite | what it is | passes |\n|---|---|---|\n")
	fmt.Fprintf(&b, "| h2spec %s, `--strict` | a client that breaks each rule in turn | %d of %d with `codec_type: HTTP2`, and with `AUTO` over TLS; %d with `AUTO` in cleartext: %s |\n",
		h2spec, h2specCases, h2specCases, h2specCases-len(leftOutOfAUTO), strings.Join(slices.Sorted(maps.Values(leftOutOfAUTO)), "; "))
	fmt.Fprintf(&b, "| h2specd %s | a host that does so | %d of %d |\n", h2spec, h2specdCases, h2specdCases)
	fmt.Fprintf(&b, "| grpc-go %s, interop | client and server, in cleartext and with TLS on both sides | `%s` |\n", grpc, strings.Join(interopCases, "`, `"))
	return b.String()
}

// pinned returns the version of a module in tools/go.mod.
func pinned(t *testing.T, module string) string {
	t.Helper()
	for line := range strings.Lines(readFile(t, filepath.Join(root, "tools", "go.mod"))) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == module {
			return strings.TrimSuffix(strings.TrimPrefix(fields[1], "v"), "+incompatible")
		}
	}
	t.Fatalf("tools/go.mod does not require %s", module)
	return ""
}
