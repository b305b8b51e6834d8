package xds

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestPipeTarget holds that gRPC finds Unix domain sockets by their targets: absolute, relative, abstract.
func TestPipeTarget(t *testing.T) {
	const guard = 30 * time.Second
	dir := t.TempDir()
	t.Chdir(dir)
	absolute := filepath.Join(dir, "a%41 ?#b")
	for path, want := range map[string]string{
		absolute:     "unix://" + filepath.Dir(absolute) + "/a%2541%20%3F%23b",
		"./XDS":      "unix:./XDS",
		"@" + dir:    "unix-abstract:" + dir,
		dir + "/XD2": "unix://" + dir + "/XD2",
	} {
		a := config.Address{Path: path}
		if got := target(a); got != want {
			t.Errorf("target %q, want %q", got, want)
		}
		l, err := net.Listen(a.Network(), a.String())
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer()
		healthpb.RegisterHealthServer(server, health.NewServer())
		done := make(chan struct{})
		go func() { defer close(done); _ = server.Serve(l) }()
		conn, err := grpc.NewClient(target(a), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), guard)
		if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		cancel()
		_ = conn.Close()
		server.Stop()
		<-done
		if _, err := os.Stat(path); path[0] != '@' && err == nil {
			t.Errorf("%s is left behind", path)
		}
	}
	if got := target(config.Address{IP: "::1", Port: 80}); got != "[::1]:80" {
		t.Errorf("got %q", got)
	}
}
