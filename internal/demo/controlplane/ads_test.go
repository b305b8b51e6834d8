package controlplane

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// patience bounds a test that would otherwise wait for ever; nothing is measured with it.
const patience = 20 * time.Second

func dial(t *testing.T, server *Server) (context.Context, discovery.AggregatedDiscoveryServiceClient) {
	t.Helper()
	conn, err := grpc.NewClient(server.ADSAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(func() {
		cancel()
		conn.Close()
	})
	return ctx, discovery.NewAggregatedDiscoveryServiceClient(conn)
}

// adsClient is a state-of-the-world client that says exactly what a test tells it to.
type adsClient struct {
	t      *testing.T
	node   string
	stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient
}

func newADSClient(t *testing.T, server *Server, node string) *adsClient {
	t.Helper()
	ctx, client := dial(t, server)
	stream, err := client.StreamAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &adsClient{t: t, node: node, stream: stream}
}

// request asks for names of a type, acknowledging last when it is not nil.
func (c *adsClient) request(typeURL string, last *discovery.DiscoveryResponse, names ...string) {
	c.t.Helper()
	req := &discovery.DiscoveryRequest{
		Node: &core.Node{Id: c.node}, TypeUrl: typeURL, ResourceNames: names,
		VersionInfo: last.GetVersionInfo(), ResponseNonce: last.GetNonce(),
	}
	if err := c.stream.Send(req); err != nil {
		c.t.Fatal(err)
	}
}

// want receives the next response and checks its type and the names of its resources.
func (c *adsClient) want(typeURL string, names ...string) *discovery.DiscoveryResponse {
	c.t.Helper()
	response, err := c.stream.Recv()
	if err != nil {
		c.t.Fatal(err)
	}
	var got []string
	for _, packed := range response.GetResources() {
		message, err := packed.UnmarshalNew()
		if err != nil {
			c.t.Fatal(err)
		}
		got = append(got, cache.GetResourceName(message.(types.Resource)))
	}
	slices.Sort(got)
	if response.GetTypeUrl() != typeURL || !slices.Equal(got, names) {
		c.t.Fatalf("got %s %v, want %s %v", response.GetTypeUrl(), got, typeURL, names)
	}
	return response
}

func TestADSServesEveryNode(t *testing.T) {
	server := start(t, Options{ListenerPort: 12345})
	if err := server.Apply(mustDecode(t, twoServices)); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"alb-node", "another", ""} {
		client := newADSClient(t, server, node)
		client.request(resource.ClusterType, nil)
		clusters := client.want(resource.ClusterType, "blue", "green")
		client.request(resource.ClusterType, clusters)
		client.request(resource.EndpointType, nil, "blue", "green")
		client.want(resource.EndpointType, "blue", "green")
		client.request(resource.ListenerType, nil)
		client.want(resource.ListenerType, ListenerName)
		client.request(resource.RouteType, nil, RouteName)
		client.want(resource.RouteType, RouteName)
	}
}

// TestADSUpdateOrder has a client subscribe to everything and apply a new configuration: clusters come before the routes that name them.
func TestADSUpdateOrder(t *testing.T) {
	server := start(t, Options{})
	if err := server.Apply(mustDecode(t, twoServices)); err != nil {
		t.Fatal(err)
	}
	client := newADSClient(t, server, "alb-node")
	names := map[string][]string{resource.EndpointType: {"blue", "green"}, resource.RouteType: {RouteName}}
	expect := map[string][]string{
		resource.ClusterType: {"blue", "green"}, resource.EndpointType: {"blue", "green"},
		resource.ListenerType: {ListenerName}, resource.RouteType: {RouteName},
	}
	order := []string{resource.ClusterType, resource.EndpointType, resource.ListenerType, resource.RouteType}
	first := map[string]string{}
	for _, typeURL := range order {
		client.request(typeURL, nil, names[typeURL]...)
		response := client.want(typeURL, expect[typeURL]...)
		client.request(typeURL, response, names[typeURL]...)
		first[typeURL] = response.GetVersionInfo()
	}
	// The acknowledgements are on their way; only once they are processed does the next snapshot find the client waiting.
	waitForWatches(t, server, order)
	if err := server.Apply(mustDecode(t, strings.Replace(twoServices, "18081", "18083", 1))); err != nil {
		t.Fatal(err)
	}
	for _, typeURL := range order {
		if response := client.want(typeURL, expect[typeURL]...); response.GetVersionInfo() <= first[typeURL] {
			t.Errorf("%s: version %s does not come after %s", typeURL, response.GetVersionInfo(), first[typeURL])
		}
	}
}

// waitForWatches waits until a watch is open for each type, so that the next snapshot goes to all of them.
func waitForWatches(t *testing.T, server *Server, typeURLs []string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for _, typeURL := range typeURLs {
		for {
			info := server.caches.byType[typeURL].GetStatusInfo(nodeKey)
			if info != nil && info.GetNumWatches()+info.GetNumDeltaWatches() > 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("no watch for %s", typeURL)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// TestADSSecretsOneByOne is a client that warms clusters before it asks for listeners, and so first knows of one secret only.
func TestADSSecretsOneByOne(t *testing.T) {
	f := newFixture(t)
	server := start(t, Options{})
	config := f.fill(doc("", "", `{"name":"site","cert_chain":"@chain","private_key":"@key"},{"name":"upstream","ca_cert":"@ca"}`))
	if err := server.Apply(mustDecode(t, config)); err != nil {
		t.Fatal(err)
	}
	client := newADSClient(t, server, "alb-node")
	client.request(resource.SecretType, nil, "upstream_validation")
	response := client.want(resource.SecretType, "upstream_validation")
	client.request(resource.SecretType, response, "site", "upstream_validation")
	client.want(resource.SecretType, "site", "upstream_validation")
}

// TestADSUnknownType checks that asking for a type nobody serves does not end the stream.
func TestADSUnknownType(t *testing.T) {
	server := start(t, Options{})
	if err := server.Apply(mustDecode(t, twoServices)); err != nil {
		t.Fatal(err)
	}
	client := newADSClient(t, server, "alb-node")
	client.request(resource.RuntimeType, nil, "rtds")
	client.request(resource.ClusterType, nil)
	client.want(resource.ClusterType, "blue", "green")
}

// TestADSWaitsForFirstConfig connects before there is anything to serve.
func TestADSWaitsForFirstConfig(t *testing.T) {
	server := start(t, Options{})
	client := newADSClient(t, server, "alb-node")
	client.request(resource.ClusterType, nil)
	waitForWatches(t, server, []string{resource.ClusterType})
	if err := server.Apply(mustDecode(t, twoServices)); err != nil {
		t.Fatal(err)
	}
	client.want(resource.ClusterType, "blue", "green")
}

func TestADSReportsRefusal(t *testing.T) {
	var mu sync.Mutex
	lines := make(chan string, 16)
	server := start(t, Options{Logf: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		lines <- fmt.Sprintf(format, args...)
	}})
	if err := server.Apply(mustDecode(t, twoServices)); err != nil {
		t.Fatal(err)
	}
	<-lines // serving
	client := newADSClient(t, server, "alb-node")
	client.request(resource.ClusterType, nil)
	response := client.want(resource.ClusterType, "blue", "green")
	if err := client.stream.Send(&discovery.DiscoveryRequest{
		Node: &core.Node{Id: "alb-node"}, TypeUrl: resource.ClusterType, ResponseNonce: response.GetNonce(),
		ErrorDetail: &status.Status{Message: "cannot use it"},
	}); err != nil {
		t.Fatal(err)
	}
	if got, want := <-lines, `control plane: node "alb-node" refuses `+resource.ClusterType+": cannot use it"; got != want {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func TestDeltaADS(t *testing.T) {
	server := start(t, Options{})
	if err := server.Apply(mustDecode(t, twoServices)); err != nil {
		t.Fatal(err)
	}
	ctx, client := dial(t, server)
	stream, err := client.DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	receive := func() (map[string]*cluster.Cluster, []string) {
		t.Helper()
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		clusters := map[string]*cluster.Cluster{}
		for _, r := range response.GetResources() {
			c := &cluster.Cluster{}
			if err := r.GetResource().UnmarshalTo(c); err != nil {
				t.Fatal(err)
			}
			clusters[r.GetName()] = c
		}
		ack := &discovery.DeltaDiscoveryRequest{TypeUrl: resource.ClusterType, ResponseNonce: response.GetNonce()}
		if err := stream.Send(ack); err != nil {
			t.Fatal(err)
		}
		return clusters, response.GetRemovedResources()
	}
	if err := stream.Send(&discovery.DeltaDiscoveryRequest{Node: &core.Node{Id: "alb-node"}, TypeUrl: resource.ClusterType}); err != nil {
		t.Fatal(err)
	}
	if got, _ := receive(); !slices.Equal(slices.Sorted(maps.Keys(got)), []string{"blue", "green"}) {
		t.Fatalf("first response has %v", got)
	}
	waitForWatches(t, server, []string{resource.ClusterType})
	// green goes, red comes, and blue, which stays as it is, is not sent again.
	next := doc(serviceJSON(`"name":"blue","hosts":["127.0.0.1"],"port":18081`)+","+serviceJSON(`"name":"red"`), "", "")
	if err := server.Apply(mustDecode(t, next)); err != nil {
		t.Fatal(err)
	}
	got, removed := receive()
	if !slices.Equal(slices.Sorted(maps.Keys(got)), []string{"red"}) || !slices.Equal(removed, []string{"green"}) {
		t.Errorf("update has %v and removes %v, want red and green", got, removed)
	}
}
