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

// ownDeadline is the case in which the client's deadline of a millisecond is to end a call. The server has the same deadline by
// grpc-timeout, and resets the stream at it. The proxy answers a reset by a host with UNAVAILABLE, as Envoy does, which on a busy
// machine is there before the client has looked at its clock. So the server is not told.
const ownDeadline = "timeout_on_sleeping_server"

// interopCases are the test cases of gRPC's interoperability suite that need neither TLS nor credentials nor several servers.
var interopCases = []string{
	"empty_unary",
	"large_unary",
	"client_streaming",
	"server_streaming",
	"ping_pong",
	"empty_stream",
	ownDeadline,
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
	patient := process.NewListener("patient", process.Route("/", harness.ClusterName))
	patient.Routes[0]["request_headers_to_remove"] = []string{"grpc-timeout"}
	s.Listeners = append(s.Listeners, patient)
	p := s.Start(t)
	client := tool(t, interopClient)
	passed := 0
	for _, name := range interopCases {
		if t.Run(name, func(t *testing.T) {
			address := p.Address()
			if name == ownDeadline {
				address = p.ListenerAddress("patient")
			}
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				t.Fatal(err)
			}
			mustOutput(t, client, "-server_host", host, "-server_port", port, "-test_case", name,
				"-soak_per_iteration_max_acceptable_latency_ms", soakLatency, "-soak_overall_timeout_seconds", soakTimeout)
		}) {
			passed++
		}
	}
	// The millisecond of ownDeadline may be over before anything was sent.
	if got, want := p.HTTPStat("downstream_rq_total"), uint64(len(interopCases)-1); got < want {
		t.Errorf("the proxy saw %d requests, want %d or more", got, want)
	}
	t.Logf("interop: %d of %d passed", passed, len(interopCases))
}
