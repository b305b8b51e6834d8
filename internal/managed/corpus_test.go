package managed

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/corpus"
	"github.com/penguintechinc/marchproxy-alb/internal/document"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/management"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// nouns are what errors call the resources of each kind.
var nouns = map[string]string{
	corpus.Listeners: "listener", corpus.Routes: "route configuration", corpus.Clusters: "cluster", corpus.Endpoints: "cluster load assignment",
}

// tally counts what became of the corpus.
type tally struct {
	scenarios        int
	served, accepted map[string]int
	reasons          map[string]map[string]int // of refusals, by kind
}

func newTally() *tally {
	n := &tally{served: make(map[string]int), accepted: make(map[string]int), reasons: make(map[string]map[string]int)}
	for _, kind := range corpus.Kinds {
		n.reasons[kind] = make(map[string]int)
	}
	return n
}

// TestCorpus serves every scenario of the corpus to a proxy, in both variants of the protocol. Each resource is acknowledged, or
// refused with its name, the path of a field and a reason. What is refused is held against docs/compatibility.md.
func TestCorpus(t *testing.T) {
	scenarios := corpus.Load(t, root)
	texts := make(map[string]string)
	for _, api := range []string{"GRPC", "DELTA_GRPC"} {
		t.Run(api, func(t *testing.T) {
			n := newTally()
			for _, s := range scenarios {
				t.Run(s.Name, func(t *testing.T) { n.serve(t, s, api) })
			}
			texts[api] = n.text()
			t.Log(n.summary())
		})
	}
	if t.Failed() {
		return
	}
	if texts["GRPC"] != texts["DELTA_GRPC"] {
		t.Errorf("the variants differ: %s\n%s", texts["GRPC"], texts["DELTA_GRPC"])
	}
	document.Check(t, filepath.Join(root, "docs", "compatibility.md"), map[string]string{"corpus": texts["GRPC"]}, *update,
		"go test ./internal/managed -run TestCorpus -update")
}

// serve serves a scenario and counts what became of it.
func (n *tally) serve(t *testing.T, s *corpus.Scenario, api string) {
	n.scenarios++
	server := management.New(t)
	server.Set(served(t, s)...)
	now := harness.StartBootstrap(t, 1, server.Bootstrap(api)).Server.Store().Current
	server.Settle()
	refusals := make(map[string]string) // by type URL
	answered := make(map[string]bool)   // type URL and name
	for _, a := range server.Answers() {
		if a.Refusal != "" {
			refusals[a.TypeURL] += a.Refusal + "\n"
		}
		for _, name := range a.Names {
			answered[a.TypeURL+name] = true
		}
	}
	for kind, messages := range s.Resources {
		for _, m := range messages {
			n.served[kind]++
			r := management.Pack(m)
			if !answered[r.TypeURL+r.Name] {
				t.Errorf("%s %q was never asked for", nouns[kind], r.Name)
			}
			accepted := n.note(t, kind, r.Name, refusals[r.TypeURL])
			if in := inForce(now(), m); in != accepted && !(accepted && waits(now(), m)) {
				t.Errorf("%s %q is in force: %v, want %v", nouns[kind], r.Name, in, accepted)
			}
		}
	}
	n.served[corpus.Secrets] += s.Secrets
}

// note finds in the text of a refusal what it says about a resource, and reports whether that is nothing.
func (n *tally) note(t *testing.T, kind, name, refusal string) (accepted bool) {
	said := nouns[kind] + ` "` + name + `": `
	reasons := 0
	for line := range strings.SplitSeq(refusal, "\n") {
		_, reason, about := strings.Cut(line, said)
		if !about {
			continue
		}
		reasons++
		if path, why, ok := strings.Cut(reason, ": "); !ok || path == "" || why == "" {
			t.Errorf("%s %q is refused with %q, want a field and a reason", kind, name, reason)
		}
		n.reasons[kind][general(reason)]++
	}
	switch {
	case reasons == 0 && strings.Contains(refusal, name+": "):
		t.Errorf("%s %q is refused without its name and a field: %s", kind, name, refusal)
	case reasons == 0:
		n.accepted[kind]++
		return true
	}
	return false
}

// inForce reports whether the proxy has a resource.
func inForce(now *config.Snapshot, m proto.Message) (in bool) {
	name := resource.Name(m)
	switch m.(type) {
	case *listenerv3.Listener:
		in = now.Listeners[name] != nil
	case *routev3.RouteConfiguration:
		in = now.Routes[name] != nil
	case *clusterv3.Cluster:
		in = now.Clusters[name] != nil
	case *endpointv3.ClusterLoadAssignment:
		in = now.Endpoints[name] != nil
	}
	return in
}

var rds = regexp.MustCompile(`"route_?[cC]onfig_?[nN]ame": *"([^"]*)"`)

// waits reports whether a listener waits for routes that are not in force.
func waits(now *config.Snapshot, m proto.Message) bool {
	l, ok := m.(*listenerv3.Listener)
	if !ok {
		return false
	}
	for _, found := range rds.FindAllStringSubmatch(protojson.Format(l), -1) {
		if now.Routes[found[1]] == nil {
			return true
		}
	}
	return false
}

var (
	indexes   = regexp.MustCompile(`\[[^\]]*\]`)
	quoted    = regexp.MustCompile(`"[^"]*"`)
	extension = regexp.MustCompile(`type URL:? 'type\.googleapis\.com/([^']*)'`)
)

// general makes a reason one that is the same for all resources with the same fault: without positions and names.
func general(reason string) string {
	path, why, _ := strings.Cut(reason, ": ")
	path = indexes.ReplaceAllString(path, "")
	if found := extension.FindStringSubmatch(why); found != nil {
		return fmt.Sprintf("`%s`: `%s`", path, found[1])
	}
	return fmt.Sprintf("`%s`: %s", path, quoted.ReplaceAllString(why, "..."))
}

// served returns the resources of a scenario, and a parent for every one that a proxy asks for by name: it would not ask for those whose own parent
// it has refused.
func served(t *testing.T, s *corpus.Scenario) (all []management.Resource) {
	for kind, messages := range s.Resources {
		for _, m := range messages {
			switch kind {
			case corpus.Listeners:
				bindAnywhere(m.(*listenerv3.Listener))
			case corpus.Endpoints:
				all = append(all, management.Pack(clusterOf(t, resource.Name(m))))
			case corpus.Routes:
				all = append(all, management.Pack(listenerOf(t, resource.Name(m))))
			}
			all = append(all, management.Pack(m))
		}
	}
	return all
}

// bindAnywhere moves a listener to free ports of the loopback interface.
func bindAnywhere(l *listenerv3.Listener) {
	addresses := []*corev3.Address{l.GetAddress()}
	for _, additional := range l.GetAdditionalAddresses() {
		addresses = append(addresses, additional.GetAddress())
	}
	for _, a := range addresses {
		if at := a.GetSocketAddress(); at != nil {
			at.Address, at.PortSpecifier = "127.0.0.1", &corev3.SocketAddress_PortValue{PortValue: 0}
		}
	}
}

func clusterOf(t *testing.T, endpoints string) proto.Message {
	c := harness.Resource[clusterv3.Cluster](t, "{type: EDS, eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}}}")
	c.Name, c.EdsClusterConfig.ServiceName = "parent of "+endpoints, endpoints
	return c
}

func listenerOf(t *testing.T, routes string) proto.Message {
	l := harness.Resource[listenerv3.Listener](t, fmt.Sprintf(`
name: parent of %[1]s
address: {socket_address: {address: 127.0.0.1, port_value: 0}}
filter_chains:
- filters:
  - name: http
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: parent
      rds: {route_config_name: %[1]s, config_source: {ads: {}, resource_api_version: V3}}
      http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
`, routes))
	return l
}

// text is the part of the document.
func (n *tally) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d scenarios:\n\n", n.scenarios)
	b.WriteString("| resources | served | acknowledged | refused |\n|---|---|---|---|\n")
	for _, kind := range corpus.Kinds {
		if kind == corpus.Secrets {
			fmt.Fprintf(&b, "| %s | %d | not asked for | |\n", kind, n.served[kind])
			continue
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", kind, n.served[kind], n.accepted[kind], n.served[kind]-n.accepted[kind])
	}
	b.WriteString("\nRefused, and how often (a resource may have several reasons):\n\n")
	for _, kind := range corpus.Kinds {
		for _, reason := range slices.Sorted(maps.Keys(n.reasons[kind])) {
			fmt.Fprintf(&b, "- %s, %d: %s\n", kind, n.reasons[kind][reason], reason)
		}
	}
	return b.String()
}

// summary says the counts in a line.
func (n *tally) summary() string {
	var parts []string
	for _, kind := range corpus.Kinds {
		parts = append(parts, fmt.Sprintf("%s %d of %d", kind, n.accepted[kind], n.served[kind]))
	}
	return "acknowledged: " + strings.Join(parts, ", ")
}
