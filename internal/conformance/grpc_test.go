package conformance

import (
	"net"
	"net/netip"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

const (
	interopClient = "google.golang.org/grpc/interop/client"
	interopServer = "google.golang.org/grpc/interop/server"
)

// The soak tests are about correctness here: a busy machine may take its time.
const (
	soakLatency = "15000" // milliseconds a call
	soakTimeout = "15"    // seconds
)

// interopCases are the test cases of gRPC's interoperability suite that need neither TLS nor credentials nor several servers.
var interopCases = []string{
	"empty_unary",
	"large_unary",
	"client_streaming",
	"server_streaming",
	"ping_pong",
	"empty_stream",
	"timeout_on_sleeping_server",
	"cancel_after_begin",
	"cancel_after_first_response",
	"status_code_and_message",
	"special_status_message",
	"custom_metadata",
	"unimplemented_method",
	"unimplemented_service",
	"rpc_soak",
	"channel_soak",
}

// TestGRPCInterop has grpc-go's interoperability client talk to grpc-go's server through the proxy. The client checks every
// answer, and ends with another status than 0 when one is wrong.
func TestGRPCInterop(t *testing.T) {
	address := process.FreeAddress(t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	server := process.Run(t, process.Command{Path: tool(t, interopServer), Args: []string{"-port", port}})
	server.WaitListening(address)
	s := process.NewSetup()
	s.Clusters = []process.Fields{process.HTTP2Cluster(harness.ClusterName, nil, netip.MustParseAddrPort(address))}
	p := s.Start(t)
	_, port, err = net.SplitHostPort(p.Address())
	if err != nil {
		t.Fatal(err)
	}
	client := tool(t, interopClient)
	passed := 0
	for _, name := range interopCases {
		if t.Run(name, func(t *testing.T) {
			mustOutput(t, client, "-server_host", host, "-server_port", port, "-test_case", name,
				"-soak_per_iteration_max_acceptable_latency_ms", soakLatency, "-soak_overall_timeout_seconds", soakTimeout)
		}) {
			passed++
		}
	}
	// The millisecond of timeout_on_sleeping_server may be over before it has sent anything.
	if got, want := p.HTTPStat("downstream_rq_total"), uint64(len(interopCases)-1); got < want {
		t.Errorf("the proxy saw %d requests, want %d or more", got, want)
	}
	t.Logf("interop: %d of %d passed", passed, len(interopCases))
}
