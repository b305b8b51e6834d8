package controlplane

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

var update = flag.Bool("update", false, "rewrite the golden files; commit them only when every change in them is wanted")

// TestTranslate compares the resources of every testdata/translate/*.json with the golden file beside it.
func TestTranslate(t *testing.T) {
	files, err := filepath.Glob("testdata/translate/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	f := newFixture(t)
	for _, file := range files {
		name := strings.TrimSuffix(file, ".json")
		t.Run(filepath.Base(name), func(t *testing.T) {
			input, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			resources := Resources(mustDecode(t, f.fill(string(input))), DefaultListenerAddress, DefaultListenerPort)
			if _, err := newSnapshot("1", resources); err != nil {
				t.Errorf("snapshot: %v", err)
			}
			validateAll(t, resources)
			got := f.strip(render(t, resources))
			golden := name + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("resources differ from %s (run with -update to see how):\n%s", golden, got)
			}
		})
	}
}

// validateAll runs the checks that the API's own annotations ask for.
func validateAll(t *testing.T, resources map[resource.Type][]types.Resource) {
	t.Helper()
	for typeURL, list := range resources {
		for _, one := range list {
			if err := one.(interface{ ValidateAll() error }).ValidateAll(); err != nil {
				t.Errorf("%s: %v", typeURL, err)
			}
		}
	}
}

// render prints resources type by type. protojson varies its white space on purpose, hence the second formatting.
func render(t *testing.T, resources map[resource.Type][]types.Resource) string {
	t.Helper()
	var out bytes.Buffer
	for _, typeURL := range servedTypes() {
		for _, one := range resources[typeURL] {
			data, err := protojson.Marshal(one)
			if err != nil {
				t.Fatal(err)
			}
			out.WriteString("# " + typeURL + "\n")
			if err := json.Indent(&out, data, "", "  "); err != nil {
				t.Fatal(err)
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// TestResourcesAreDeterministic guards incremental clients: a resource that changes without reason is sent, and warmed, again.
func TestResourcesAreDeterministic(t *testing.T) {
	f := newFixture(t)
	for _, file := range []string{"hosts", "upstreams", "certificates"} {
		input, err := os.ReadFile("testdata/translate/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		config := mustDecode(t, f.fill(string(input)))
		first := render(t, Resources(config, DefaultListenerAddress, DefaultListenerPort))
		for range 20 {
			if again := render(t, Resources(config, DefaultListenerAddress, DefaultListenerPort)); again != first {
				t.Fatalf("%s: resources differ between two translations", file)
			}
		}
	}
}

func TestDomainsOccurOnce(t *testing.T) {
	config := mustDecode(t, `{"services":[{"name":"a","hosts":["10.0.0.1"],"port":80}],"routes":[
		{"name":"1","prefix":"/","cluster_name":"a","hosts":["x.test","x.test:80","y.test"]},
		{"name":"2","prefix":"/b","cluster_name":"a","hosts":["x.test:*","*.x.test","*.x.test:80"]},
		{"name":"3","prefix":"/","cluster_name":"a"},
		{"name":"4","prefix":"/c","cluster_name":"a","hosts":["y.test","*"]}]}`)
	seen := map[string]string{}
	names := map[string]bool{}
	for _, host := range Resources(config, DefaultListenerAddress, 80)[resource.RouteType][0].(*route.RouteConfiguration).GetVirtualHosts() {
		if names[host.GetName()] {
			t.Errorf("virtual host %q occurs twice", host.GetName())
		}
		names[host.GetName()] = true
		for _, domain := range host.GetDomains() {
			if other, ok := seen[domain]; ok {
				t.Errorf("domain %q is in virtual hosts %q and %q", domain, other, host.GetName())
			}
			seen[domain] = host.GetName()
		}
	}
	for _, domain := range []string{"*", "x.test", "x.test:80", "x.test:*", "*.x.test", "*.x.test:80", "y.test", "y.test:80", "y.test:*"} {
		if _, ok := seen[domain]; !ok {
			t.Errorf("domain %q is in no virtual host", domain)
		}
	}
}
