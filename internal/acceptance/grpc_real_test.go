package acceptance

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// healthService is a server of grpc-go with the health service, which has unary and streaming calls.
func healthService(t *testing.T) (*health.Server, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, service := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(server, service)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return service, netip.MustParseAddrPort(l.Addr().String())
}

// Messages of the health service: a request for a service, and the answers.
const (
	askedForA  = "\n\x01a"
	serving    = "\x08\x01"
	notServing = "\x08\x02"
)

// realSetup leads to a server of grpc-go, also for browsers.
func realSetup(address netip.AddrPort) *harness.Setup {
	s := harness.NewSetup(address)
	speakHTTP2(s.Clusters[0])
	s.HTTP().Filters = []config.HTTPFilter{{Name: "web", Config: config.GRPCWeb{}}}
	return s
}

// TestGRPCWebWithGRPCGo holds that a server of grpc-go answers browsers of every kind.
func TestGRPCWebWithGRPCGo(t *testing.T) {
	service, address := healthService(t)
	service.SetServingStatus("a", healthpb.HealthCheckResponse_SERVING)
	s := realSetup(address)
	s.SetRoutes(harness.Forward("/", harness.ClusterName))
	s.Route(0).Forward.PrefixRewrite = "/grpc.health.v1.Health/Check"
	s.Route(0).Match.Path = "/s.S/M" // what browsers call
	p := s.Start(t)
	want := webFrame(0, serving) + webFrame(trailersFlag, "grpc-status:0\r\ngrpc-message:\r\n")
	short := webFrame(0, serving) + webFrame(trailersFlag, "grpc-status:0\r\n")
	for _, b := range browsers {
		if a := b.call(p, webFrame(0, askedForA), "content-type", webProto); a.status != 200 || a.body != want && a.body != short {
			t.Errorf("%s: got %+v", b.name, a)
		}
		if a := b.call(p, text64(webFrame(0, askedForA)), "content-type", webTextProto, "accept", webTextProto); a.status != 200 ||
			read64(t, a.body) != want && read64(t, a.body) != short {
			t.Errorf("%s: got %+v", b.name, a)
		}
		// An unknown service is an error, which grpc-go sends as trailers-only.
		if a := b.call(p, webFrame(0, "\n\x01b"), "content-type", webProto); a.status != 200 || a.body != "" || a.fields.Get("grpc-status") != "5" ||
			a.fields.Get("grpc-message") != "unknown service" {
			t.Errorf("%s: got %+v", b.name, a)
		}
	}
}

// TestGRPCWebStreamWithGRPCGo holds that a browser sees each message of a stream when it comes, and may leave.
func TestGRPCWebStreamWithGRPCGo(t *testing.T) {
	service, address := healthService(t)
	service.SetServingStatus("a", healthpb.HealthCheckResponse_SERVING)
	p := realSetup(address).Start(t)
	c := p.DialH2()
	id := c.Post("/grpc.health.v1.Health/Watch", webFrame(0, askedForA), "content-type", webProto)
	expectMessage(t, c, id, webFrame(0, serving))
	service.SetServingStatus("a", healthpb.HealthCheckResponse_NOT_SERVING)
	expectMessage(t, c, id, webFrame(0, notServing))
}

// TestGRPCGo holds that a client of grpc-go gets its answers and statuses, of its server and of the proxy.
func TestGRPCGo(t *testing.T) {
	service, address := healthService(t)
	service.SetServingStatus("a", healthpb.HealthCheckResponse_SERVING)
	s := realSetup(address)
	s.SetRoutes(harness.Forward("/grpc.health.v1.Health/Check", harness.ClusterName), harness.Forward("/grpc.health.v1.Health/Watch", harness.ClusterName))
	p := s.Start(t)
	conn, err := grpc.NewClient(p.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}()
	client := healthpb.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), harness.Guard)
	defer cancel()
	if got, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "a"}); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "b"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown service: got %v", err)
	}
	if _, err := client.List(ctx, &healthpb.HealthListRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a call without a route: got %v", err)
	}
	watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
		if got, err := watch.Recv(); err != nil || got.GetStatus() != want {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
		service.SetServingStatus("a", healthpb.HealthCheckResponse_NOT_SERVING)
	}
	cancel()
	if _, err := watch.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("a cancelled call ends with %v", err)
	}
	p.Sync()
}
