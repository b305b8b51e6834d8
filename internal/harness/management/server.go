package management

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

const (
	// NodeID is the node that Bootstrap names.
	NodeID = "managed"
	// ClusterPrefix begins the names of the clusters of Bootstrap.
	ClusterPrefix = "ads-"
	// maxRequest is the largest request in bytes that is taken: one with some 100,000 names.
	maxRequest = 64 << 20
)

// Answer is what the proxy made of a response.
type Answer struct {
	TypeURL, Version string
	Names            []string // of the resources in the response
	Removed          []string
	Refusal          string // the text, empty when it was accepted
	After            time.Duration
}

// Server is the control plane. All methods may be called from any goroutine.
type Server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	t       testing.TB
	address string

	mu      sync.Mutex // guards what follows
	changed *sync.Cond
	rules   *Rules
	types   map[string]*collection // nil as long as nothing was set: then nobody is answered
	prefix  string                 // of versions
	version int                    // counts calls of Set
	streams map[*stream]bool
	begun   int // streams, ever
	opened  int // those of them on which something was said
	answers []Answer
	running *grpc.Server // nil while stopped
	serving sync.WaitGroup
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	return start(t, &Rules{Report: func(breach string) { t.Error("a rule of the conversation is broken: " + breach) }})
}

// Another starts another server that the same proxy may turn to. It knows what was said before.
func (s *Server) Another() *Server { return start(s.t, s.rules) }

// ownAddress is one that nothing else in the tests listens on or connects from. While the server is stopped, its port of 127.0.0.1
// could become that of any connection.
const ownAddress = "127.0.0.18:0"

func start(t testing.TB, rules *Rules) *Server {
	t.Helper()
	s := &Server{t: t, address: ownAddress, rules: rules, streams: make(map[*stream]bool)}
	s.changed = sync.NewCond(&s.mu)
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// Start serves on the address of before, after Stop.
func (s *Server) Start() {
	s.t.Helper()
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(maxRequest), grpc.WaitForHandlers(true))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address, s.running = l.Addr().String(), g
	s.serving.Go(func() { _ = g.Serve(l) })
}

// Stop breaks all streams and refuses new ones until Start.
func (s *Server) Stop() {
	s.mu.Lock()
	g := s.running
	s.running = nil
	s.mu.Unlock()
	if g != nil {
		g.Stop()
	}
	s.serving.Wait()
}

// Forget makes the server one that was started anew: it has nothing to serve, and what it will be given has other versions.
func (s *Server) Forget(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.types, s.prefix, s.version = nil, prefix, 0
}

// Address returns "ip:port".
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// Bootstrap returns a bootstrap in YAML that has clusters and listeners come from the servers over ADS, in the API type
// given. After a server that cannot be reached the next is asked, without much of a wait.
func Bootstrap(apiType string, servers ...*Server) string {
	var services, clusters strings.Builder
	for i, s := range servers {
		host, port, _ := net.SplitHostPort(s.Address())
		name := ClusterPrefix + strconv.Itoa(i)
		services.WriteString("\n    - envoy_grpc: {cluster_name: " + name + ", retry_policy: {retry_back_off: {base_interval: 0.05s, max_interval: 0.5s}}}")
		clusters.WriteString(strings.NewReplacer("%NAME%", name, "%HOST%", host, "%PORT%", port).Replace(cluster))
	}
	return strings.NewReplacer("%NODE%", NodeID, "%API%", apiType, "%SERVICES%", services.String()).Replace(bootstrap) + clusters.String()
}

const bootstrap = `
node: {id: %NODE%, cluster: test}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources:
  ads_config:
    api_type: %API%
    transport_api_version: V3
    grpc_services: %SERVICES%
  cds_config: {ads: {}, resource_api_version: V3}
  lds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
`

const cluster = `
  - name: %NAME%
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: %NAME%
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %HOST%, port_value: %PORT%}}}}]}]
`

// Bootstrap is the function of that name for this server alone.
func (s *Server) Bootstrap(apiType string) string { return Bootstrap(apiType, s) }

// Set serves these resources instead of those before.
func (s *Server) Set(resources ...Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := collect(resources)
	s.version++
	for url, c := range next {
		c.version = s.prefix + strconv.Itoa(s.version)
		if before := s.types[url]; before != nil && before.same(c) {
			c.version = before.version
		}
	}
	s.types = next
	for st := range s.streams {
		for _, url := range order {
			st.push(url)
		}
	}
}

// Settle waits until a stream is open and the proxy has answered everything on it.
func (s *Server) Settle() {
	s.t.Helper()
	s.await("everything to be answered", func() bool {
		settled := false
		for st := range s.streams {
			settled = settled || len(st.watches) > 0
			if len(st.queue) > 0 || st.unanswered > 0 {
				return false
			}
		}
		return settled
	})
}

// AwaitStreams waits until so many streams were opened, ever, and said something.
func (s *Server) AwaitStreams(n int) {
	s.t.Helper()
	s.await("stream "+strconv.Itoa(n), func() bool { return s.opened >= n })
}

func (s *Server) await(what string, reached func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(harness.Guard)
	guard := time.AfterFunc(harness.Guard, s.changed.Broadcast)
	defer guard.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !reached() {
		if time.Now().After(deadline) {
			s.t.Fatalf("the control plane waits for %s", what)
		}
		s.changed.Wait()
	}
}

// Answers returns what was answered since the last call.
func (s *Server) Answers() []Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	answers := s.answers
	s.answers = nil
	return answers
}

// StreamAggregatedResources implements the service.
func (s *Server) StreamAggregatedResources(rpc discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.serve(rpc.Context(), stateOfTheWorld(rpc))
}

// DeltaAggregatedResources implements the service.
func (s *Server) DeltaAggregatedResources(rpc discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return s.serve(rpc.Context(), incremental(rpc))
}
