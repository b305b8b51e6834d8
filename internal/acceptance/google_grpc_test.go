package acceptance

import (
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// googleBootstrap reaches the control plane by google_grpc, with some credentials.
func (c *silentControlPlane) googleBootstrap(credentials string) string {
	return fmt.Sprintf(`
node: {id: n, cluster: c}
dynamic_resources:
  ads_config:
    api_type: GRPC
    transport_api_version: V3
    grpc_services: [{google_grpc: {target_uri: "%s", stat_prefix: cp, channel_args: {args: {grpc.default_authority: {string_value: ads}}}, channel_credentials: {%s}}}]
  cds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0.001s}
`, c.Addr(), credentials)
}

// awaitGoogle fails the test when a statistic of the control plane does not become want.
func awaitGoogle(t *testing.T, p *harness.Proxy, want map[string]uint64) {
	t.Helper()
	awaitStats(t, p, "grpc.cp.", want)
}

// TestGoogleGRPC reaches control planes without a cluster, by google_grpc, and counts their streams.
func TestGoogleGRPC(t *testing.T) {
	a := harness.NewAuthority(t)
	cert, err := tls.X509KeyPair(a.Issue("ads.test", "127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	secured := grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
	for name, test := range map[string]struct {
		server      []grpc.ServerOption
		credentials string
	}{
		"plaintext": {nil, "local_credentials: {}"},
		"TLS":       {[]grpc.ServerOption{secured}, fmt.Sprintf("ssl_credentials: {root_certs: {inline_string: %q}}", a.CA())},
	} {
		t.Run(name, func(t *testing.T) {
			c := newSilentControlPlane(t, test.server...)
			p := harness.StartBootstrap(t, 1, c.googleBootstrap(test.credentials))
			<-c.opened
			awaitGoogle(t, p, map[string]uint64{"streams_total": 1, "streams_closed_0": 0, "streams_closed_14": 0})
			c.end <- status.Error(codes.Unavailable, "going away")
			<-c.opened
			awaitGoogle(t, p, map[string]uint64{"streams_total": 2, "streams_closed_0": 0, "streams_closed_14": 1})
		})
	}
}

// TestGoogleGRPCIdentity trusts no server whose certificate is for another address, or of another authority.
func TestGoogleGRPCIdentity(t *testing.T) {
	right, other := harness.NewAuthority(t), harness.NewAuthority(t)
	for name, issue := range map[string]func() (cert, key []byte){
		"other address":   func() (cert, key []byte) { return right.Issue("ads.test", "127.0.0.2") },
		"other authority": func() (cert, key []byte) { return other.Issue("ads.test", "127.0.0.1") },
	} {
		t.Run(name, func(t *testing.T) {
			cert, err := tls.X509KeyPair(issue())
			if err != nil {
				t.Fatal(err)
			}
			c := newSilentControlPlane(t, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}})))
			p := harness.StartBootstrap(t, 1, c.googleBootstrap(fmt.Sprintf("ssl_credentials: {root_certs: {inline_string: %q}}", right.CA())))
			for deadline := time.Now().Add(harness.Guard); ; time.Sleep(time.Millisecond) {
				if n, _ := p.Store.Snapshot(t.Context()).Value("grpc.cp.streams_closed_14"); n > 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("no stream has failed")
				}
			}
			select {
			case <-c.opened:
				t.Error("a stream was opened to a server that is somebody else")
			default:
			}
		})
	}
}
