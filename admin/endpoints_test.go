package admin

import (
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy"
)

// assignmentText is an assignment in protobuf's text format.
func assignmentText(t *testing.T, text string) *endpointv3.ClusterLoadAssignment {
	t.Helper()
	var a endpointv3.ClusterLoadAssignment
	if err := prototext.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	return &a
}

const onePlace = `endpoint { address { socket_address { address: "10.0.0.1" port_value: 80 } } }`

func TestLiveEndpoints(t *testing.T) {
	hosts := func(health config.HealthStatus, active config.HostHealth) []proxy.HostStatus {
		return []proxy.HostStatus{{Address: "10.0.0.1:80", Weight: 3, EDSHealth: health, ActiveHealth: active}}
	}
	tests := map[string]struct {
		cluster  config.Cluster
		hosts    []proxy.HostStatus
		received string
		want     string
	}{
		"healthy": {config.Cluster{Name: "c"}, hosts(config.HealthUnknown, 0),
			`cluster_name: "c" endpoints { lb_endpoints { ` + onePlace + ` } }`,
			`cluster_name: "c" endpoints { lb_endpoints { ` + onePlace + ` health_status: HEALTHY } }`},
		"failed its checks, known by another name": {config.Cluster{Name: "c", Type: config.ClusterEDS, EDSName: "e"}, hosts(config.HealthUnknown, config.FailedActiveHC),
			`cluster_name: "e" endpoints { lb_endpoints { ` + onePlace + ` } lb_endpoints { endpoint { address { pipe { path: "/x" } } } } }`,
			`cluster_name: "e" endpoints { lb_endpoints { ` + onePlace + ` health_status: UNHEALTHY } lb_endpoints { endpoint { address { pipe { path: "/x" } } } } }`},
		"degraded": {config.Cluster{Name: "c"}, hosts(config.HealthDegraded, 0),
			`cluster_name: "c" endpoints { lb_endpoints { ` + onePlace + ` health_status: DEGRADED } }`,
			`cluster_name: "c" endpoints { lb_endpoints { ` + onePlace + ` health_status: DEGRADED } }`},
		"a pipe": {config.Cluster{Name: "c"}, []proxy.HostStatus{{Address: "@x", Weight: 1}},
			`cluster_name: "c" endpoints { lb_endpoints { endpoint { address { pipe { path: "@x" mode: 384 } } } } }`,
			`cluster_name: "c" endpoints { lb_endpoints { endpoint { address { pipe { path: "@x" mode: 384 } } } health_status: HEALTHY } }`},
		"nobody's": {config.Cluster{Name: "other"}, nil,
			`cluster_name: "c" endpoints { lb_endpoints { ` + onePlace + ` } }`,
			`cluster_name: "c" endpoints { lb_endpoints { ` + onePlace + ` } }`},
		"resolved": {config.Cluster{Name: "c", Type: config.ClusterStrictDNS}, []proxy.HostStatus{
			{Address: "10.0.0.9:80", Hostname: "web", Weight: 1, Priority: 1},
			{Address: "10.0.0.1:80", Hostname: "web", Weight: 3, Locality: balancer.Locality{Zone: "z"}},
			{Address: "10.0.0.2:80", Hostname: "web", Weight: 3, Locality: balancer.Locality{Zone: "z"}, EDSHealth: config.HealthUnhealthy},
		},
			`cluster_name: "c" policy {} endpoints { lb_endpoints { endpoint { address { socket_address { address: "web" port_value: 80 } } } } }`,
			`cluster_name: "c" policy {}
			endpoints { locality { zone: "z" }
			  lb_endpoints { endpoint { address { socket_address { address: "10.0.0.1" port_value: 80 } } hostname: "web" } health_status: HEALTHY load_balancing_weight { value: 3 } }
			  lb_endpoints { endpoint { address { socket_address { address: "10.0.0.2" port_value: 80 } } hostname: "web" } health_status: UNHEALTHY load_balancing_weight { value: 3 } } }
			endpoints { locality {} priority: 1
			  lb_endpoints { endpoint { address { socket_address { address: "10.0.0.9" port_value: 80 } } hostname: "web" } health_status: HEALTHY load_balancing_weight { value: 1 } } }`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			received := pack(assignmentText(t, test.received))
			dump := &adminv3.EndpointsConfigDump{
				StaticEndpointConfigs:  []*adminv3.EndpointsConfigDump_StaticEndpointConfig{{EndpointConfig: received}},
				DynamicEndpointConfigs: []*adminv3.EndpointsConfigDump_DynamicEndpointConfig{{EndpointConfig: received}},
			}
			liveEndpoints(dump, []proxy.ClusterStatus{{Config: &test.cluster, Hosts: test.hosts}})
			for _, packed := range []*anypb.Any{dump.StaticEndpointConfigs[0].EndpointConfig, dump.DynamicEndpointConfigs[0].EndpointConfig} {
				var got endpointv3.ClusterLoadAssignment
				if err := packed.UnmarshalTo(&got); err != nil {
					t.Fatal(err)
				}
				if want := assignmentText(t, test.want); !proto.Equal(&got, want) {
					t.Errorf("got  %v\nwant %v", &got, want)
				}
			}
		})
	}
}

// TestConfigDumpShowsHealth looks for it in the answer.
func TestConfigDumpShowsHealth(t *testing.T) {
	f := newFixture()
	f.dump = &adminv3.ConfigDump{Configs: []*anypb.Any{pack(&adminv3.EndpointsConfigDump{DynamicEndpointConfigs: []*adminv3.EndpointsConfigDump_DynamicEndpointConfig{
		{EndpointConfig: pack(assignmentText(t, `cluster_name: "blue-eds" endpoints { lb_endpoints { endpoint { address { socket_address { address: "10.0.0.2" port_value: 8080 } } } } }`))},
	}})}}
	a := f.admin(t).get("/config_dump?include_eds&resource=dynamic_endpoint_configs&mask=endpoint_config.endpoints")
	const want = `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.EndpointsConfigDump.DynamicEndpointConfig","endpoint_config":{"@type":` +
		`"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment","endpoints":[{"lb_endpoints":[{"endpoint":{"address":` +
		`{"socket_address":{"address":"10.0.0.2","port_value":8080}}},"health_status":"UNHEALTHY"}]}]}}]}`
	if got := compact(t, a.body); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
