package main

import (
	"fmt"
	"strings"
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

const dumpedYAML = `
  clusters:
  - name: web
    load_assignment:
      cluster_name: web
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9}}}}]}]
`

// unpacked decodes what an Any holds.
func unpacked[M proto.Message](t *testing.T, packed *anypb.Any, m M) M {
	t.Helper()
	if err := packed.UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestDumpsReadBack asks a process for what it runs, and decodes the answers as tools do that know Envoy's messages.
func TestDumpsReadBack(t *testing.T) {
	r := startProxy(t, write(t, "node: {id: n}\n"+fmt.Sprintf(listenerYAML+dumpedYAML, 0, "hi")))
	read := func(path string, m proto.Message) {
		t.Helper()
		if text := r.get(r.admin, path); protojson.Unmarshal([]byte(text), m) != nil {
			t.Fatalf("%s is not a %s: %s", path, m.ProtoReflect().Descriptor().FullName(), text)
		}
	}
	var dump adminv3.ConfigDump
	read("/config_dump?include_eds", &dump)
	var found []string
	for _, packed := range dump.GetConfigs() {
		part, err := packed.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		switch part := part.(type) {
		case *adminv3.BootstrapConfigDump:
			found = append(found, "bootstrap of "+part.GetBootstrap().GetNode().GetId())
		case *adminv3.ClustersConfigDump:
			for _, c := range part.GetStaticClusters() {
				found = append(found, "cluster "+unpacked(t, c.GetCluster(), &clusterv3.Cluster{}).GetName())
			}
		case *adminv3.EndpointsConfigDump:
			for _, e := range part.GetStaticEndpointConfigs() {
				found = append(found, "endpoints "+unpacked(t, e.GetEndpointConfig(), &endpointv3.ClusterLoadAssignment{}).GetClusterName())
			}
		case *adminv3.ListenersConfigDump:
			for _, l := range part.GetStaticListeners() {
				found = append(found, "listener "+unpacked(t, l.GetListener(), &listenerv3.Listener{}).GetName())
			}
		case *adminv3.ScopedRoutesConfigDump:
			found = append(found, "scoped routes")
		case *adminv3.RoutesConfigDump:
			for _, c := range part.GetStaticRouteConfigs() {
				found = append(found, "routes "+unpacked(t, c.GetRouteConfig(), &routev3.RouteConfiguration{}).GetName())
			}
		case *adminv3.SecretsConfigDump:
			found = append(found, "secrets")
		default:
			t.Errorf("a %T in the dump", part)
		}
	}
	if got, want := strings.Join(found, ", "), "bootstrap of n, cluster web, endpoints web, listener main, scoped routes, routes routes, secrets"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}

	var clusters adminv3.Clusters
	read("/clusters?format=json", &clusters)
	if c := clusters.GetClusterStatuses(); len(c) != 1 || c[0].GetName() != "web" || len(c[0].GetHostStatuses()) != 1 ||
		c[0].GetHostStatuses()[0].GetAddress().GetSocketAddress().GetPortValue() != 9 {
		t.Errorf("clusters: %v", &clusters)
	}
	var listeners adminv3.Listeners
	read("/listeners?format=json", &listeners)
	if l := listeners.GetListenerStatuses(); len(l) != 1 || l[0].GetName() != "main" || l[0].GetLocalAddress().GetSocketAddress().GetPortValue() == 0 {
		t.Errorf("listeners: %v", &listeners)
	}
	var info adminv3.ServerInfo
	read("/server_info", &info)
	if info.GetState() != adminv3.ServerInfo_LIVE || info.GetNode().GetId() != "n" || info.GetCommandLineOptions().GetConcurrency() != 1 {
		t.Errorf("server info: %v", &info)
	}
	read("/init_dump", &adminv3.UnreadyTargetsDumps{})
	read("/memory", &adminv3.Memory{})
	read("/certs", &adminv3.Certificates{})
}
