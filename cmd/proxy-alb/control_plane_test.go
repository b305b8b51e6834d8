package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
)

// TestSilentControlPlane has a control plane that takes the subscription and says nothing, as many do for a node that they do not know.
// The process says that it waits for it, and for what.
func TestSilentControlPlane(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 1)
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-stream.Context().Done()
		return stream.Context().Err()
	}))
	go func() { _ = server.Serve(socket) }()
	defer server.Stop()

	address := filepath.Join(t.TempDir(), "admin")
	path := write(t, "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n")
	cmd := command(t, append([]string{"XDS_SERVER=" + socket.Addr().String()}, freePorts...), "-c", path, "--admin-address-path", address, "--concurrency", "1")
	r := &running{cmd: cmd, stderr: new(bytes.Buffer)}
	cmd.Stderr = r.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	<-asked
	want := fmt.Sprintf("waiting for the control plane at %s: connected, no answer yet for clusters", socket.Addr())
	r.eventually(t, func() bool {
		text, err := os.ReadFile(address)
		r.admin = string(text)
		return err == nil && r.get(r.admin, "/ready") == "PRE_INITIALIZING\n" && strings.Contains(r.get(r.admin, "/"), want)
	})
}
