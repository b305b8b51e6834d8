package main

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

// recorder is a ModuleService that keeps what it was asked and refuses routes other than "hello".
type recorder struct {
	marchproxypb.UnimplementedModuleServiceServer

	mu   sync.Mutex
	last proto.Message
}

func (r *recorder) record(m proto.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = m
}

func (r *recorder) SetTrafficWeight(_ context.Context, in *marchproxypb.TrafficWeightRequest) (*marchproxypb.TrafficWeightResponse, error) {
	r.record(in)
	if in.GetRouteName() != helloRoute {
		return &marchproxypb.TrafficWeightResponse{Message: "route_name: no such route"}, nil
	}
	return &marchproxypb.TrafficWeightResponse{Success: true, Message: "done", AppliedWeights: in.GetWeights()}, nil
}

func (r *recorder) ApplyRateLimit(_ context.Context, in *marchproxypb.RateLimitRequest) (*marchproxypb.RateLimitResponse, error) {
	r.record(in)
	if in.GetRouteName() != helloRoute {
		return &marchproxypb.RateLimitResponse{Message: "route_name: no such route"}, nil
	}
	return &marchproxypb.RateLimitResponse{Success: true}, nil
}

func startRecorder(t *testing.T) (*recorder, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, server := &recorder{}, grpc.NewServer()
	marchproxypb.RegisterModuleServiceServer(server, r)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return r, listener.Addr().String()
}

func TestCalls(t *testing.T) {
	r, addr := startRecorder(t)
	weights := []*marchproxypb.BackendWeight{{BackendName: "blue", Weight: 20}, {BackendName: "green", Weight: 80}}
	for _, test := range []struct {
		args   string
		want   proto.Message
		stdout string
	}{
		{"weight --grpc ADDR hello blue=20 green=80", &marchproxypb.TrafficWeightRequest{RouteName: "hello", Weights: weights}, "done\nblue=20\ngreen=80\n"},
		{"weight --grpc ADDR hello", &marchproxypb.TrafficWeightRequest{RouteName: "hello"}, "done\n"},
		{"limit --grpc ADDR hello 5", &marchproxypb.RateLimitRequest{
			RouteName: "hello", Config: &marchproxypb.RateLimitConfig{RequestsPerSecond: 5, BurstSize: 5, Enabled: true},
		}, ""},
		{"limit --grpc ADDR hello 5 10", &marchproxypb.RateLimitRequest{
			RouteName: "hello", Config: &marchproxypb.RateLimitConfig{RequestsPerSecond: 5, BurstSize: 10, Enabled: true},
		}, ""},
		{"limit --grpc ADDR hello off", &marchproxypb.RateLimitRequest{RouteName: "hello", Config: &marchproxypb.RateLimitConfig{}}, ""},
	} {
		var stdout, stderr output
		status := run(t.Context(), strings.Fields(strings.Replace(test.args, "ADDR", addr, 1)), &stdout, &stderr)
		if status != exitOK || stdout.String() != test.stdout {
			t.Errorf("%s: exit status %d, stdout %q, want %q, stderr %q", test.args, status, stdout.String(), test.stdout, stderr.String())
		}
		if !proto.Equal(r.last, test.want) {
			t.Errorf("%s: sent %v, want %v", test.args, r.last, test.want)
		}
	}
}

func TestCallRefusals(t *testing.T) {
	_, addr := startRecorder(t)
	nobody := "127.0.0.1:" + freePorts(t, 1)[0]
	for _, test := range []struct{ args, want string }{
		{"weight --grpc " + addr + " nope blue=1", "ModuleService at " + addr + ": route_name: no such route\n"},
		{"limit --grpc " + addr + " nope 5", "ModuleService at " + addr + ": route_name: no such route\n"},
		{"limit --grpc " + nobody + " hello 5", "connection refused"},
	} {
		var stdout, stderr output
		if status := run(t.Context(), strings.Fields(test.args), &stdout, &stderr); status != exitFailure || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%s: exit status %d, stderr %q, want %q", test.args, status, stderr.String(), test.want)
		}
	}
}
