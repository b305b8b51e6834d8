// Package corpus reads resources that control planes have sent, where somebody has put them: beside the repository, in a
// directory of files NAME.listeners.yaml, NAME.routes.yaml, NAME.clusters.yaml, NAME.endpoints.yaml and NAME.secrets.yaml,
// each a list. The files of one name are a scenario. It is not a part of the repository.
package corpus

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// directory is where it is, seen from the top of the repository.
const directory = "../shared/corpus/gateway-xds"

// Kinds of resources, as file names have them.
const (
	Listeners = "listeners"
	Routes    = "routes"
	Clusters  = "clusters"
	Endpoints = "endpoints"
	Secrets   = "secrets"
)

// Kinds are all of them, in the order in which their lists are shown.
var Kinds = []string{Listeners, Routes, Clusters, Endpoints, Secrets}

// Scenario is what one control plane sent at a time.
type Scenario struct {
	Name      string
	Resources map[string][]proto.Message // by kind
}

// Load returns the scenarios, by name. root is the top directory of the repository as seen from the test, which is
// skipped when there is no corpus.
func Load(t testing.TB, root string) []*Scenario {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(directory), "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Skipf("there is no corpus in %s beside the repository", directory)
	}
	byName := make(map[string]*Scenario)
	var scenarios []*Scenario
	for _, file := range files {
		name, rest, _ := strings.Cut(filepath.Base(file), ".")
		kind := strings.TrimSuffix(rest, ".yaml")
		s := byName[name]
		if s == nil {
			s = &Scenario{Name: name, Resources: make(map[string][]proto.Message)}
			byName[name] = s
			scenarios = append(scenarios, s)
		}
		s.read(t, file, kind)
	}
	slices.SortFunc(scenarios, func(x, y *Scenario) int { return strings.Compare(x.Name, y.Name) })
	return scenarios
}

// read adds the resources of a file.
func (s *Scenario) read(t testing.TB, file, kind string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var items []json.RawMessage
	if err := yaml.Unmarshal(data, &items); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, item := range items {
		m := newMessage(kind)
		if m == nil {
			t.Fatalf("%s: resources of the kind %q are not known", file, kind)
		}
		if _, err := protofile.Unmarshal(item, protofile.JSON, m, protofile.Options{}); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		s.Resources[kind] = append(s.Resources[kind], m)
	}
}

func newMessage(kind string) proto.Message {
	switch kind {
	case Listeners:
		return &listenerv3.Listener{}
	case Routes:
		return &routev3.RouteConfiguration{}
	case Clusters:
		return &clusterv3.Cluster{}
	case Endpoints:
		return &endpointv3.ClusterLoadAssignment{}
	case Secrets:
		return &tlsv3.Secret{}
	default:
		return nil
	}
}
