package managed

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
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
	corpus.Secrets: "secret",
}

// tally counts what became of the corpus.
type tally struct {
	scenarios                 int
	served, accepted, refused map[string]int
	reasons                   map[string]map[string]int // of refusals, by kind
}

func newTally() *tally {
	n := &tally{served: make(map[string]int), accepted: make(map[string]int), refused: make(map[string]int), reasons: make(map[string]map[string]int)}
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
	setup := &harness.Setup{Workers: 1, NoWarmup: true}
	now := setup.StartBootstrap(t, server.Bootstrap(api)).Server.Store().Current
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

	refused := make(map[string]bool)
	var waiting []proto.Message
	for kind, messages := range s.Resources {
		for _, m := range messages {
			r := management.Pack(m)
			n.served[kind]++
			switch {
			case !answered[r.TypeURL+r.Name] && askable(m):
				t.Errorf("%s %q was never asked for", nouns[kind], r.Name)
			case !answered[r.TypeURL+r.Name]:
			case !n.note(t, kind, r.Name, refusals[r.TypeURL]):
				refused[r.Name] = true
				if inForce(now(), m) {
					t.Errorf("%s %q is refused and in force", nouns[kind], r.Name)
				}
			case !inForce(now(), m):
				waiting = append(waiting, m)
			}
		}
	}
	for _, m := range waiting {
		if !refersTo(m, refused) {
			t.Errorf("%T %q is accepted and not in force", m, resource.Name(m))
		}
	}
}

// askable reports whether anything asks for resources of the kind: nothing does for secrets that are neither a certificate
// nor what certificates are held against.
func askable(m proto.Message) bool {
	s, ok := m.(*tlsv3.Secret)
	return !ok || s.GetTlsCertificate() != nil || s.GetValidationContext() != nil
}

// refersTo reports whether a resource has one of the names in it.
func refersTo(m proto.Message, names map[string]bool) bool {
	text := protojson.Format(m)
	for name := range names {
		if strings.Contains(text, strconv.Quote(name)) {
			return true
		}
	}
	return false
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
	default:
		n.refused[kind]++
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
	case *tlsv3.Secret:
		in = now.Secrets[name] != nil
	}
	return in
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
			case corpus.Secrets:
				if askable(m) {
					all = append(all, management.Pack(userOf(t, m.(*tlsv3.Secret))))
				}
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

// userOf is a cluster with TLS that uses a secret.
func userOf(t *testing.T, s *tlsv3.Secret) proto.Message {
	use := "tls_certificate_sds_secret_configs:"
	if s.GetValidationContext() != nil {
		use = "validation_context_sds_secret_config:"
	}
	return harness.Resource[clusterv3.Cluster](t, fmt.Sprintf(`
name: parent of %[1]s
type: STATIC
transport_socket:
  name: tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    common_tls_context: {%[2]s {name: %[1]s, sds_config: {ads: {}, resource_api_version: V3}}}
`, s.GetName(), use))
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
	b.WriteString("| resources | served | acknowledged | refused | of no use here |\n|---|---|---|---|---|\n")
	for _, kind := range corpus.Kinds {
		refused := n.refused[kind]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", kind, n.served[kind], n.accepted[kind], refused, n.served[kind]-n.accepted[kind]-refused)
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
