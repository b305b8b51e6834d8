package resource_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// corpus holds resources that control planes sent, where somebody has put them.
const corpus = "../../../shared/corpus/gateway-xds"

// TestCorpus decodes every resource of the corpus: it is accepted, or refused by its name and the path of a field.
func TestCorpus(t *testing.T) {
	kinds := map[string]struct {
		kind   string
		empty  proto.Message
		decode func(proto.Message) error
	}{
		"listeners": {"listener", &listenerv3.Listener{}, func(m proto.Message) error { _, err := resource.Listener(m.(*listenerv3.Listener)); return err }},
		"routes": {"route configuration", &routev3.RouteConfiguration{}, func(m proto.Message) error {
			_, err := resource.RouteConfiguration(m.(*routev3.RouteConfiguration))
			return err
		}},
		"clusters": {"cluster", &clusterv3.Cluster{}, func(m proto.Message) error { _, err := resource.Cluster(m.(*clusterv3.Cluster)); return err }},
		"endpoints": {"cluster load assignment", &endpointv3.ClusterLoadAssignment{}, func(m proto.Message) error {
			_, err := resource.Assignment(m.(*endpointv3.ClusterLoadAssignment))
			return err
		}},
	}
	for kind, k := range kinds {
		t.Run(kind, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(corpus, "*."+kind+".yaml"))
			if err != nil || len(files) == 0 {
				t.Skip("there is no corpus")
			}
			accepted, refused := 0, make(map[string]int)
			for _, file := range files {
				for _, item := range corpusItems(t, file) {
					m := proto.Clone(k.empty)
					if err := bootstrap.Unmarshal(item, bootstrap.JSON, m, false); err != nil {
						t.Errorf("%s: %v", file, err)
						continue
					}
					err := k.decode(m)
					if err == nil {
						accepted++
						continue
					}
					for _, line := range strings.Split(err.Error(), "\n") {
						reason, ok := strings.CutPrefix(line, k.kind+` "`+resource.Name(m)+`": `)
						if !ok || !strings.Contains(reason, ": ") {
							t.Errorf("%s: %s", file, line)
						}
						refused[reason[:min(len(reason), 220)]]++
					}
				}
			}
			t.Logf("%d accepted", accepted)
			for reason, n := range refused {
				t.Logf("%3d refused: %s", n, reason)
			}
		})
	}
}

// corpusItems returns the resources in a file, which holds a list.
func corpusItems(t *testing.T, file string) []json.RawMessage {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var items []json.RawMessage
	if err := yaml.Unmarshal(data, &items); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return items
}
