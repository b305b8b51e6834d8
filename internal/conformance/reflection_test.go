package conformance

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// serveReflection serves health checks, and descriptions of the service, by grpc-go.
func serveReflection(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// TestReflection makes a call as grpcurl does, which knows nothing of the service: what there is comes in a dialogue with the
// server's reflection service, and then the call is made of that.
func TestReflection(t *testing.T) {
	s := process.NewSetup()
	s.Clusters = []process.Fields{process.HTTP2Cluster(harness.ClusterName, nil, serveReflection(t))}
	p := s.Start(t)
	conn, err := grpc.NewClient("passthrough:///"+p.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Guard)
	defer cancel()
	method := describe(ctx, t, conn, "grpc.health.v1.Health", "Check")
	request, response := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	if err := conn.Invoke(ctx, "/grpc.health.v1.Health/Check", request, response); err != nil {
		t.Fatal(err)
	}
	status := response.Get(method.Output().Fields().ByName("status")).Enum()
	if status != protoreflect.EnumNumber(healthpb.HealthCheckResponse_SERVING) {
		t.Errorf("the answer is %v, want status SERVING", response)
	}
}

// describe asks the server's reflection service for its services and for a method of one.
func describe(ctx context.Context, t *testing.T, conn *grpc.ClientConn, service protoreflect.FullName, method protoreflect.Name) protoreflect.MethodDescriptor {
	t.Helper()
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	list := ask(t, stream, &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}).GetListServicesResponse().GetService()
	if !slices.ContainsFunc(list, func(s *reflectionpb.ServiceResponse) bool { return s.Name == string(service) }) {
		t.Fatalf("the services are %v, want %s among them", list, service)
	}
	files := ask(t, stream, &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: string(service)},
	}).GetFileDescriptorResponse().GetFileDescriptorProto()
	if len(files) != 1 {
		t.Fatalf("got %d files, want the one of %s, which imports none", len(files), service)
	}
	var description descriptorpb.FileDescriptorProto
	if err := proto.Unmarshal(files[0], &description); err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(&description, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Services().ByName(service.Name()).Methods().ByName(method)
}

// ask has one request of a dialogue answered.
func ask(t *testing.T, stream reflectionpb.ServerReflection_ServerReflectionInfoClient,
	request *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
	t.Helper()
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return response
}
