package conformance

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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

// TestGRPCInterop has grpc-go's interoperability client talk to grpc-go's server through the proxy, in cleartext and with TLS
// on both sides. The client checks every answer, and ends with another status than 0 when one is wrong.
func TestGRPCInterop(t *testing.T) {
	t.Run("cleartext", func(t *testing.T) { interop(t, false) })
	t.Run("TLS", func(t *testing.T) { interop(t, true) })
}

func interop(t *testing.T, secure bool) {
	address := process.FreeAddress(t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	s := process.NewSetup()
	s.Clusters = []process.Fields{process.HTTP2Cluster(harness.ClusterName, nil, netip.MustParseAddrPort(address))}
	patient := process.NewListener("patient", process.Route("/", harness.ClusterName))
	patient.Routes[0]["request_headers_to_remove"] = []string{"grpc-timeout"}
	s.Listeners = append(s.Listeners, patient)
	serverArgs, clientArgs := []string{"-port", port}, []string{"-server_host", host}
	if secure {
		more, own := secured(t, s)
		serverArgs, clientArgs = append(serverArgs, more...), append(clientArgs, own...)
	}
	server := process.Run(t, process.Command{Path: tool(t, interopServer), Args: serverArgs})
	server.WaitListening(address)
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
			mustOutput(t, client, append(slices.Clone(clientArgs), "-server_port", port, "-test_case", name,
				"-soak_per_iteration_max_acceptable_latency_ms", soakLatency, "-soak_overall_timeout_seconds", soakTimeout)...)
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

// secured has all sides speak TLS, and returns what server and client need for that on the command line.
func secured(t *testing.T, s *process.Setup) (server, client []string) {
	t.Helper()
	authority, dir := harness.NewAuthority(t), t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := authority.Issue("origin.test")
	server = []string{"-use_tls", "-tls_cert_file", file("cert.pem", cert), "-tls_key_file", file("key.pem", key)}
	s.Clusters[0]["transport_socket"] = process.UpstreamTLS("origin.test", authority.CA())
	for _, l := range s.Listeners {
		l.Chain = process.Fields{"transport_socket": process.DownstreamTLS(authority.Issue("proxy.test"))}
	}
	client = []string{"-use_tls", "-use_test_ca", "-ca_file", file("ca.pem", authority.CA()), "-server_host_override", "proxy.test"}
	return server, client
}
