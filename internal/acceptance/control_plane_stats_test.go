package acceptance

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// countingListener counts the bytes of its connections, and can cut them.
type countingListener struct {
	net.Listener
	read, written atomic.Uint64

	mu    sync.Mutex // guards conns
	conns []net.Conn
}

type countingConn struct {
	net.Conn
	l *countingListener
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
	return &countingConn{c, l}, nil
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.l.read.Add(uint64(n))
	return n, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.l.written.Add(uint64(n))
	return n, err
}

// cut ends every connection without a word.
func (l *countingListener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

// silentControlPlane takes streams and says nothing but their head.
type silentControlPlane struct {
	*countingListener
	server *grpc.Server
	opened chan struct{}
	end    chan error // ends a stream
}

func newSilentControlPlane(t *testing.T, options ...grpc.ServerOption) *silentControlPlane {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &silentControlPlane{countingListener: &countingListener{Listener: l}, opened: make(chan struct{}, 100), end: make(chan error)}
	c.server = grpc.NewServer(append(options, grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		if md, _ := metadata.FromIncomingContext(stream.Context()); !slices.Equal(md.Get(":authority"), []string{"ads"}) {
			return fmt.Errorf("asked as %q, want the name of the cluster", md.Get(":authority"))
		}
		if err := stream.SendHeader(metadata.MD{}); err != nil {
			return err
		}
		c.opened <- struct{}{}
		select {
		case err := <-c.end:
			return err
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}))...)
	var serving sync.WaitGroup
	serving.Go(func() { _ = c.server.Serve(c) })
	t.Cleanup(func() {
		c.server.Stop()
		serving.Wait()
	})
	return c
}

// bootstrap names the control plane, whose cluster has some more fields, if any.
func (c *silentControlPlane) bootstrap(more string) string {
	return fmt.Sprintf(`
node: {id: n, cluster: c}
dynamic_resources:
  ads_config:
    api_type: GRPC
    transport_api_version: V3
    grpc_services: [{envoy_grpc: {cluster_name: ads, retry_policy: {retry_back_off: {base_interval: 0.001s, max_interval: 0.002s}}}}]
  cds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0.001s}
static_resources:
  clusters:
  - name: ads
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: ads
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]
%s
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          route_config: {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: ads}}]}]}
`, c.Addr().(*net.TCPAddr).Port, more)
}

// count returns a statistic of the control plane's cluster, 0 where it has not come into being.
func count(p *harness.Proxy, name string) uint64 {
	ctx, cancel := context.WithTimeout(context.Background(), harness.Guard)
	defer cancel()
	n, _ := p.Store.Snapshot(ctx).Value("cluster.ads." + name)
	return n
}

// await fails the test when a statistic of the control plane's cluster does not become want.
func await(t *testing.T, p *harness.Proxy, want map[string]uint64) {
	t.Helper()
	awaitStats(t, p, "cluster.ads.", want)
}

// awaitStats fails the test when a statistic, whose names want has without the prefix, does not become want. One that has not come into
// being is 0.
func awaitStats(t *testing.T, p *harness.Proxy, prefix string, want map[string]uint64) {
	t.Helper()
	for deadline := time.Now().Add(harness.Guard); ; time.Sleep(time.Millisecond) {
		snapshot, wrong := p.Store.Snapshot(t.Context()), ""
		for name, n := range want {
			if got, _ := snapshot.Value(prefix + name); got != n {
				wrong += fmt.Sprintf("%s is %d, want %d\n", name, got, n)
			}
		}
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(wrong)
		}
	}
}

// awaitBytes fails the test when the cluster does not come to count the bytes that the control plane has read and written.
func (c *silentControlPlane) awaitBytes(t *testing.T, p *harness.Proxy) {
	t.Helper()
	for deadline := time.Now().Add(harness.Guard); ; time.Sleep(time.Millisecond) {
		rx, tx := count(p, "upstream_cx_rx_bytes_total"), count(p, "upstream_cx_tx_bytes_total")
		if rx == c.written.Load() && tx == c.read.Load() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes came and %d went, the control plane has sent %d and got %d", rx, tx, c.written.Load(), c.read.Load())
		}
	}
}

// hostStats returns what /clusters shows of the one host of the control plane's cluster.
func hostStats(t *testing.T, p *harness.Proxy) upstream.HostStats {
	t.Helper()
	for _, k := range p.Server.Clusters() {
		if k.Config.Name == "ads" && len(k.Hosts) == 1 {
			return k.Hosts[0].Stats
		}
	}
	t.Fatal("the cluster of the control plane is not there, or has no host")
	return upstream.HostStats{}
}

// TestControlPlaneStatistics counts for the cluster of the control plane as for any other, through connects and disconnects.
func TestControlPlaneStatistics(t *testing.T) {
	c := newSilentControlPlane(t)
	p := harness.StartBootstrap(t, 1, c.bootstrap(""))
	<-c.opened
	await(t, p, map[string]uint64{
		"upstream_cx_total": 1, "upstream_cx_active": 1, "upstream_cx_http2_total": 1, "upstream_cx_destroy": 0,
		"upstream_rq_total": 1, "upstream_rq_active": 1, "upstream_rq_pending_total": 1, "upstream_rq_pending_active": 0,
		"upstream_rq_completed": 1, "upstream_rq_200": 1, "upstream_rq_2xx": 1, "http2.streams_active": 1,
		"membership_total": 1, "membership_healthy": 1,
	})
	c.awaitBytes(t, p)
	if got, want := hostStats(t, p), (upstream.HostStats{CxTotal: 1, CxActive: 1, RqTotal: 1, RqActive: 1}); got != want {
		t.Errorf("host %+v, want %+v", got, want)
	}

	c.end <- status.Error(codes.Unavailable, "going away")
	<-c.opened
	await(t, p, map[string]uint64{
		"upstream_cx_total": 2, "upstream_cx_active": 1, "upstream_cx_destroy": 1, "upstream_cx_destroy_local": 1,
		"upstream_cx_destroy_with_active_rq": 0, "upstream_rq_total": 2, "upstream_rq_active": 1, "upstream_rq_200": 2,
	})
	c.awaitBytes(t, p)

	c.cut()
	<-c.opened
	await(t, p, map[string]uint64{
		"upstream_cx_total": 3, "upstream_cx_active": 1, "upstream_cx_destroy": 2, "upstream_cx_destroy_remote": 1,
		"upstream_cx_destroy_with_active_rq": 1, "upstream_cx_destroy_remote_with_active_rq": 1, "upstream_cx_connect_fail": 0,
		"upstream_rq_total": 3, "upstream_rq_active": 1, "upstream_rq_200": 3, "upstream_rq_503": 0,
	})
	if got, want := hostStats(t, p), (upstream.HostStats{CxTotal: 3, CxActive: 1, RqTotal: 3, RqActive: 1, RqError: 2}); got != want {
		t.Errorf("host %+v, want %+v", got, want)
	}

	c.server.Stop()
	await(t, p, map[string]uint64{"upstream_cx_active": 0, "upstream_rq_active": 0})
	deadline := time.Now().Add(harness.Guard)
	for _, name := range []string{"upstream_cx_connect_fail", "upstream_rq_503", "upstream_rq_pending_failure_eject"} {
		for count(p, name) < 2 { // it asks again and again
			if time.Now().After(deadline) {
				t.Fatalf("attempts without a connection do not count in %s", name)
			}
			time.Sleep(time.Millisecond)
		}
	}
	if got := count(p, "upstream_rq_total"); got != 3 {
		t.Errorf("%d requests, want the 3 that had a connection", got)
	}
}

// TestControlPlaneClusterCarriesTraffic has a route name the cluster of the control plane.
func TestControlPlaneClusterCarriesTraffic(t *testing.T) {
	c := newSilentControlPlane(t)
	p := harness.StartBootstrap(t, 1, c.bootstrap(""))
	<-c.opened
	p.For(t).Dial().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if o := p.Outcome(); o.Status == 503 || o.Cluster != "ads" {
		t.Errorf("%s of cluster %q", o, o.Cluster)
	}
}

// TestControlPlaneClusterWithoutTraffic has a route name the cluster of a control plane that only the control plane's client can speak to
// as the cluster asks. It counts all the same.
func TestControlPlaneClusterWithoutTraffic(t *testing.T) {
	c := newSilentControlPlane(t)
	p := harness.StartBootstrap(t, 1, c.bootstrap("    use_tcp_for_dns_lookups: true\n"))
	<-c.opened
	p.For(t).Dial().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if o := p.Outcome(); o.String() != "503 NC cluster_not_found" {
		t.Error(o)
	}
	await(t, p, map[string]uint64{"upstream_cx_active": 1, "upstream_rq_total": 1, "membership_total": 1})
	if got, want := hostStats(t, p), (upstream.HostStats{CxTotal: 1, CxActive: 1, RqTotal: 1, RqActive: 1}); got != want {
		t.Errorf("host %+v, want %+v", got, want)
	}
}

// TestControlPlaneTLSStatistics counts handshakes.
func TestControlPlaneTLSStatistics(t *testing.T) {
	a := harness.NewAuthority(t)
	cert, err := tls.X509KeyPair(a.Issue("ads.test", "127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	c := newSilentControlPlane(t, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}})))
	p := harness.StartBootstrap(t, 1, c.bootstrap(fmt.Sprintf(`    transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context: {validation_context: {trusted_ca: {inline_string: %q}}}
`, a.CA())))
	<-c.opened
	await(t, p, map[string]uint64{
		"ssl.handshake": 1, "ssl.connection_error": 0, "ssl.versions.TLSv1.2": 1,
		"upstream_cx_total": 1, "upstream_cx_active": 1, "upstream_cx_connect_fail": 0, "upstream_rq_active": 1,
	})
	if got, want := hostStats(t, p), (upstream.HostStats{CxTotal: 1, CxActive: 1, RqTotal: 1, RqActive: 1}); got != want {
		t.Errorf("host %+v, want %+v", got, want)
	}
}
