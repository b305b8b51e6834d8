package bulk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// Steps of the control plane, each the path of a POST to its HTTP server. They are taken in this order.
const (
	// Small waits until the proxy has one cluster and the route to it.
	Small = "/small"
	// Prepare makes all of the configuration ready to be sent.
	Prepare = "/prepare"
	// Large sends it, and waits until the proxy has acknowledged everything.
	Large = "/large"
	// Move sends that the last cluster has other endpoints, and waits for nothing.
	Move = "/move"
	// Churn sends all routes, one cluster and the endpoints of the last one anew, each other than before, and waits until the proxy has
	// acknowledged them. It may be taken again and again.
	Churn = "/churn"
)

// What the origin answers: before the last cluster has moved, and there.
const (
	Before = "before"
	After  = "after"
)

// maxRequest is the largest request in bytes that is taken: one with some 100,000 names.
const maxRequest = 64 << 20

// types are the resource types in the order in which they are sent.
var types = []string{resource.ClusterType, resource.AssignmentType, resource.ListenerType, resource.RouteType}

// Server is the control plane, and the origin behind the clusters that are asked for: the first and the last.
type Server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	size Size
	port uint16 // of all endpoints

	listener netip.AddrPort // of the proxy

	mu        sync.Mutex // guards what follows
	changed   *sync.Cond
	now       map[string][]*discoveryv3.Resource
	stream    *stream
	prepared  map[string]*grpc.PreparedMsg
	refused   string // the first refusal
	responses int
	churned   int // steps so far
}

// stream is that of the proxy. Server.mu guards it.
type stream struct {
	rpc        discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
	asked      map[string]bool
	acked      map[string]string // version by type
	unanswered map[string]string // version by nonce
	queue      []any
	wake       chan struct{}
}

// New makes a server for a proxy that is to listen at the address.
func New(size Size, listener netip.AddrPort) *Server {
	s := &Server{size: size, listener: listener}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// Serve serves ADS on xds and the steps on steps, and the origin, until ctx is done.
func (s *Server) Serve(ctx context.Context, xds, steps net.Listener) error {
	origin, err := s.listenOrigin()
	if err != nil {
		return errors.Join(err, xds.Close(), steps.Close())
	}
	s.mu.Lock()
	s.now = s.world("small", 1)
	s.mu.Unlock()
	g := grpc.NewServer(grpc.MaxRecvMsgSize(maxRequest))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
	h := &http.Server{Handler: s.steps()}
	var running sync.WaitGroup
	running.Go(func() { _ = g.Serve(xds) })
	running.Go(func() { _ = h.Serve(steps) })
	stop := context.AfterFunc(ctx, func() {
		g.Stop()
		_ = h.Close()
		s.changed.Broadcast()
		for _, o := range origin {
			_ = o.Close()
		}
	})
	defer stop()
	running.Wait()
	return nil
}

// listenOrigin listens on every address of the first and the last cluster, and where that moves to, on one port.
func (s *Server) listenOrigin() (servers []*http.Server, err error) {
	listen := func(ip netip.Addr, body string) error {
		l, err := net.Listen("tcp", netip.AddrPortFrom(ip, s.port).String())
		if err != nil {
			return fmt.Errorf("origin: %w", err)
		}
		s.port = netip.MustParseAddrPort(l.Addr().String()).Port()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })}
		servers = append(servers, server)
		go func() { _ = server.Serve(l) }()
		return nil
	}
	for _, ip := range append(s.size.addresses(0), s.size.addresses(s.size.Clusters-1)...) {
		err = errors.Join(err, listen(ip, Before))
	}
	return servers, errors.Join(err, listen(s.size.moved(), After))
}

// world is the configuration with so many clusters.
func (s *Server) world(version string, n int) map[string][]*discoveryv3.Resource {
	name := func(m proto.Message) string { return resource.Name(m) }
	return map[string][]*discoveryv3.Resource{
		resource.ClusterType:    wrap(version, name, clusters(n)...),
		resource.AssignmentType: wrap(version, name, s.size.assignments(n, s.port)...),
		resource.ListenerType:   wrap("small", name, listener(s.listener)),
		resource.RouteType:      wrap(version, name, s.size.routes(n)),
	}
}

func (s *Server) steps() http.Handler {
	mux := http.NewServeMux()
	step := func(path string, do func(context.Context) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r.Context()); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	step(Small, func(ctx context.Context) error { return s.acknowledged(ctx, "small") })
	step(Prepare, func(context.Context) error { return s.prepare() })
	step(Large, func(ctx context.Context) error {
		s.large()
		return s.acknowledged(ctx, "large")
	})
	step(Move, func(context.Context) error { return s.move() })
	step(Churn, s.churn)
	return mux
}

// acknowledged waits until the proxy has everything that can be asked for in the version.
func (s *Server) acknowledged(ctx context.Context, version string) error {
	return s.await(ctx, func() bool { return s.has(version) })
}

// await waits until done, which is asked with mu held, the proxy has refused something, or ctx is over.
func (s *Server) await(ctx context.Context, done func() bool) error {
	defer context.AfterFunc(ctx, s.changed.Broadcast)()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.refused != "" {
			return errors.New(s.refused)
		}
		if done() {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s.changed.Wait()
	}
}

func (s *Server) has(version string) bool {
	if s.stream == nil {
		return false
	}
	for _, url := range types {
		if url != resource.ListenerType && s.stream.acked[url] != version {
			return false
		}
	}
	return true
}

// prepare encodes the responses of Large, so that their encoding is not in what is measured.
func (s *Server) prepare() error {
	world := s.world("large", s.size.Clusters)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream == nil {
		return errors.New("there is no stream")
	}
	s.prepared = make(map[string]*grpc.PreparedMsg)
	for _, url := range types {
		if url == resource.ListenerType {
			continue
		}
		message := &grpc.PreparedMsg{}
		if err := message.Encode(s.stream.rpc, s.response(url, "large", world[url])); err != nil {
			return err
		}
		s.prepared[url] = message
	}
	s.now = world
	return nil
}

// response makes a response and notes that it has to be answered. The caller holds the mutex.
func (s *Server) response(url, version string, resources []*discoveryv3.Resource) *discoveryv3.DeltaDiscoveryResponse {
	s.responses++
	nonce := strconv.Itoa(s.responses)
	s.stream.unanswered[nonce] = version
	return &discoveryv3.DeltaDiscoveryResponse{TypeUrl: url, Nonce: nonce, SystemVersionInfo: version, Resources: resources}
}

// large sends what was prepared. The endpoints go out when they are asked for.
func (s *Server) large() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream != nil {
		s.stream.send(s.prepared[resource.ClusterType])
		s.stream.send(s.prepared[resource.RouteType])
	}
}

// move sends the endpoints of the last cluster anew.
func (s *Server) move() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream == nil {
		return errors.New("there is no stream")
	}
	moved := assignment(s.size.Clusters-1, s.port, s.size.moved())
	s.stream.send(s.response(resource.AssignmentType, "moved", wrap("moved", resource.Name, moved)))
	return nil
}

// send queues a message. The caller holds the mutex.
func (st *stream) send(message any) {
	st.queue = append(st.queue, message)
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// DeltaAggregatedResources implements the service.
func (s *Server) DeltaAggregatedResources(rpc discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	st := &stream{
		rpc: rpc, asked: make(map[string]bool), acked: make(map[string]string), unanswered: make(map[string]string),
		wake: make(chan struct{}, 1),
	}
	s.mu.Lock()
	s.stream = st
	s.mu.Unlock()
	go func() {
		for {
			q, err := rpc.Recv()
			if err != nil {
				return
			}
			s.take(st, q)
		}
	}()
	for {
		s.mu.Lock()
		queue := st.queue
		st.queue = nil
		s.mu.Unlock()
		for _, message := range queue {
			if err := rpc.SendMsg(message); err != nil {
				return err
			}
		}
		select {
		case <-st.wake:
		case <-rpc.Context().Done():
			return nil
		}
	}
}

// take takes a request.
func (s *Server) take(st *stream, q *discoveryv3.DeltaDiscoveryRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	url := q.GetTypeUrl()
	if version, ok := st.unanswered[q.GetResponseNonce()]; ok {
		delete(st.unanswered, q.GetResponseNonce())
		st.acked[url] = version
		if d := q.GetErrorDetail(); d != nil && s.refused == "" {
			s.refused = fmt.Sprintf("%s is refused: %s", url, d.GetMessage())
		}
	}
	switch {
	case !st.asked[url]:
		st.asked[url] = true
		st.send(s.response(url, "small", s.now[url]))
	case len(q.GetResourceNamesSubscribe()) > 0 && s.prepared[url] != nil:
		st.send(s.prepared[url])
	}
}
