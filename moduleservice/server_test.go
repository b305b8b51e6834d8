package moduleservice

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

func TestNewWantsItsOptions(t *testing.T) {
	_, err := New(Options{})
	if err == nil || !strings.Contains(err.Error(), "must all be given") {
		t.Errorf("error %v", err)
	}
}

// countedHandshakes are credentials that secure nothing, and count or refuse connections.
type countedHandshakes struct {
	credentials.TransportCredentials
	refuse error
	count  atomic.Int64
}

func (c *countedHandshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c.count.Add(1)
	if c.refuse != nil {
		return nil, nil, c.refuse
	}
	return c.TransportCredentials.ServerHandshake(conn)
}

func TestCredentials(t *testing.T) {
	for _, refuse := range []error{nil, errors.New("not you")} {
		c := &countedHandshakes{TransportCredentials: insecure.NewCredentials(), refuse: refuse}
		f := start(t, func(o *Options) { o.Credentials = c })
		_, err := f.GetStatus(t.Context(), &marchproxypb.StatusRequest{})
		if (err == nil) != (refuse == nil) || c.count.Load() == 0 {
			t.Errorf("handshake answers %v: call %v, %d handshakes", refuse, err, c.count.Load())
		}
	}
}

// Clients ping every ten seconds on connections without calls; two such pings must not be taken for abuse.
func TestClientsMayPing(t *testing.T) {
	policy := keepalivePolicy()
	if policy.MinTime >= pingInterval || !policy.PermitWithoutStream {
		t.Errorf("policy %+v", policy)
	}
}

func TestHealth(t *testing.T) {
	f := start(t)
	client := grpc_health_v1.NewHealthClient(f.connection)
	for _, c := range []struct {
		service, unhealthy string
		want               grpc_health_v1.HealthCheckResponse_ServingStatus
	}{
		{"", "", grpc_health_v1.HealthCheckResponse_SERVING},
		{"marchproxy.ModuleService", "", grpc_health_v1.HealthCheckResponse_SERVING},
		{"", "no control plane", grpc_health_v1.HealthCheckResponse_NOT_SERVING},
		{"marchproxy.ModuleService", "no control plane", grpc_health_v1.HealthCheckResponse_NOT_SERVING},
	} {
		f.set(func() { f.unhealthy = c.unhealthy })
		got, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: c.service})
		if err != nil || got.GetStatus() != c.want {
			t.Errorf("%q: %v, %v, want %v", c.service, got, err, c.want)
		}
		all, err := client.List(t.Context(), &grpc_health_v1.HealthListRequest{})
		if err != nil || len(all.GetStatuses()) != 2 || all.GetStatuses()[c.service].GetStatus() != c.want {
			t.Errorf("list: %v, %v", all, err)
		}
	}
	_, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "other"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("unknown service: %v, want NOT_FOUND", err)
	}
}

func TestHealthWatchEndsWithTheServer(t *testing.T) {
	f := start(t)
	client := grpc_health_v1.NewHealthClient(f.connection)
	watch, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		unhealthy string
		want      grpc_health_v1.HealthCheckResponse_ServingStatus
	}{
		{"", grpc_health_v1.HealthCheckResponse_SERVING},
		{"drain", grpc_health_v1.HealthCheckResponse_NOT_SERVING},
		{"", grpc_health_v1.HealthCheckResponse_SERVING},
	} {
		f.set(func() { f.unhealthy = step.unhealthy })
		if got, err := watch.Recv(); err != nil || got.GetStatus() != step.want {
			t.Fatalf("watch: %v, %v, want %v", got, err, step.want)
		}
	}
	unknown, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "other"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unknown.Recv(); err != nil || got.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN {
		t.Errorf("watch of an unknown service: %v, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := f.server.Shutdown(ctx); err != nil {
		t.Fatalf("Shutdown: %v", err)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("watch after the end: %v", err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	f := start(t)
	begun, release := make(chan struct{}), make(chan struct{})
	f.set(func() { f.reload = func(bool) error { close(begun); <-release; return nil } })
	answered := make(chan error)
	go func() {
		_, err := f.Reload(context.Background(), &marchproxypb.ReloadRequest{})
		answered <- err
	}()
	<-begun
	ctx, cancel := context.WithCancelCause(t.Context())
	shut := make(chan error)
	go func() { shut <- f.server.Shutdown(ctx) }()
	enough := errors.New("enough waiting")
	cancel(enough)
	if err := <-shut; !errors.Is(err, enough) {
		t.Errorf("Shutdown: %v, want %v", err, enough)
	}
	if err := <-answered; status.Code(err) != codes.Unavailable {
		t.Errorf("the call that was cut: %v", err)
	}
	close(release)
}

func TestReflection(t *testing.T) {
	f := start(t)
	want := []string{"grpc.health.v1.Health", "marchproxy.ModuleService"}
	v1, err := reflectionv1.NewServerReflectionClient(f.connection).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := v1.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	got, err := v1.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range got.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	for _, name := range want {
		if !slices.Contains(names, name) {
			t.Errorf("v1 lists %v, want %s", names, name)
		}
	}
	// The messages of v1alpha are those of v1 under another name.
	alpha, err := f.connection.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
	if err != nil {
		t.Fatal(err)
	}
	symbol := &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "marchproxy.ModuleService"}
	if err := alpha.SendMsg(&reflectionv1.ServerReflectionRequest{MessageRequest: symbol}); err != nil {
		t.Fatal(err)
	}
	var file reflectionv1.ServerReflectionResponse
	if err := alpha.RecvMsg(&file); err != nil || len(file.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("v1alpha: %v, %v", &file, err)
	}
}

func TestMessageSize(t *testing.T) {
	f := start(t)
	for size, want := range map[int]codes.Code{maxMessage - 1<<10: codes.OK, maxMessage + 1<<10: codes.ResourceExhausted} {
		_, err := f.ApplyRateLimit(t.Context(), rateLimit(strings.Repeat("x", size), 1, 1))
		if status.Code(err) != want {
			t.Errorf("a message of %d bytes: %v, want %v", size, err, want)
		}
	}
}
