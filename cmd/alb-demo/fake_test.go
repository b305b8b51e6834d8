package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// fakeEnv turns the test binary into a fake proxy; its value says how it behaves.
const fakeEnv = "ALB_DEMO_FAKE_PROXY"

// How a fake proxy behaves.
const (
	fakeGood     = "good"      // reads its clusters over ADS, becomes ready, ends on SIGTERM
	fakeNotReady = "not ready" // answers 503 at /ready
	fakeExits    = "exits"     // ends at once with status 3
	fakeDies     = "dies"      // becomes ready, then ends with status 4
	fakeDeaf     = "deaf"      // becomes ready, ignores SIGTERM, and has a child that does too
	fakeChild    = "child"     // is the child
)

// fakeLife bounds how long a fake proxy lives should a test leave it behind.
const fakeLife = time.Minute

func TestMain(m *testing.M) {
	if behaviour := os.Getenv(fakeEnv); behaviour != "" {
		os.Exit(fakeProxy(behaviour))
	}
	os.Exit(m.Run())
}

func fakeProxy(behaviour string) int {
	fmt.Println("fake proxy", behaviour)
	switch behaviour {
	case fakeExits:
		fmt.Fprintln(os.Stderr, "cannot read the bootstrap")
		return 3
	case fakeDeaf:
		signal.Ignore(syscall.SIGTERM)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), fakeEnv+"="+fakeChild)
		if err := child.Start(); err != nil {
			return 1
		}
		fmt.Printf("child %d\n", child.Process.Pid)
	case fakeChild:
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(fakeLife)
		return 0
	case fakeGood:
		if err := readClusters(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	terminated := context.Background()
	if behaviour != fakeDeaf { // to be told of a signal is not to ignore it
		var stop func()
		terminated, stop = signal.NotifyContext(terminated, syscall.SIGTERM)
		defer stop()
	}
	answered := make(chan struct{})
	var once sync.Once
	http.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		if behaviour == fakeNotReady {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, "state of "+behaviour)
		once.Do(func() { close(answered) })
	})
	go http.ListenAndServe("127.0.0.1:"+os.Getenv("ENVOY_ADMIN_PORT"), nil)
	if behaviour == fakeDies {
		<-answered
		time.Sleep(50 * time.Millisecond) // for the answer to leave
		return 4
	}
	select {
	case <-terminated.Done():
	case <-time.After(fakeLife):
	}
	return 0
}

// readClusters is as much of the proxy as shows that it can find its control plane.
func readClusters() error {
	if _, err := os.Stat(os.Getenv("ENVOY_CONFIG_PATH")); !os.IsNotExist(err) {
		return fmt.Errorf("ENVOY_CONFIG_PATH names a file: %w", err)
	}
	conn, err := grpc.NewClient(os.Getenv("XDS_SERVER"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(context.Background())
	if err != nil {
		return err
	}
	if err := stream.Send(&discovery.DiscoveryRequest{Node: &core.Node{Id: "alb-node"}, TypeUrl: resource.ClusterType}); err != nil {
		return err
	}
	response, err := stream.Recv()
	if err != nil {
		return err
	}
	fmt.Printf("clusters: %d\n", len(response.GetResources()))
	return nil
}

// freePorts returns ports that nothing listens on. Another process may take one in between, which the demo would report.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	ports := make([]string, n)
	for i := range ports {
		listener, err := net.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close() // at the end, so that no port comes twice
		_, ports[i], err = net.SplitHostPort(listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
	}
	return ports
}

// output is what a program writes from several goroutines.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
