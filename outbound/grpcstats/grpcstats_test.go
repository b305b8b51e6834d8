package grpcstats

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// recorder counts for a cluster, and tells what it has counted.
type recorder struct {
	store   *stats.Store
	cluster *outbound.Cluster
}

func newRecorder() *recorder {
	store := stats.NewStore(stats.Options{})
	return &recorder{store, outbound.New(outbound.Scopes{
		Cluster: store.Scope("c.", stats.Cluster), HTTP2: store.Scope("c.http2.", stats.HTTP2Codec),
	})}
}

func (r *recorder) value(name string) uint64 {
	n, _ := r.store.Snapshot(context.Background()).Value("c." + name)
	return n
}

// call makes one call to target over a connection of its own.
func (r *recorder) call(ctx context.Context, t *testing.T, target string) error {
	t.Helper()
	conn, err := grpc.NewClient(target, append(DialOptions(func() *outbound.Cluster { return r.cluster }, &net.Dialer{}),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/a.B/C")
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil && err != io.EOF {
		return err
	}
	for {
		switch err := stream.RecvMsg(&emptypb.Empty{}); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// serve answers calls on a listener of the network.
func serve(t *testing.T, network, address string, answer func(grpc.ServerStream) error) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return answer(stream) }))
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l
}

// TestOutcomes counts calls by how they end.
func TestOutcomes(t *testing.T) {
	release := make(chan struct{}) // not the deadline of the call, at which server and client would race
	wait := func(grpc.ServerStream) error { <-release; return nil }
	t.Cleanup(func() { close(release) })
	tests := map[string]struct {
		answer func(grpc.ServerStream) error
		within time.Duration
		host   outbound.HostStats
		counts map[string]uint64
	}{
		"success": {
			func(s grpc.ServerStream) error { return s.SendMsg(&emptypb.Empty{}) }, time.Minute,
			outbound.HostStats{RqSuccess: 1}, map[string]uint64{"upstream_rq_200": 1},
		},
		"failure": {
			func(grpc.ServerStream) error { return status.Error(codes.Unavailable, "no") }, time.Minute,
			outbound.HostStats{RqError: 1}, map[string]uint64{"upstream_rq_200": 1},
		},
		"refusal": {
			func(grpc.ServerStream) error { return status.Error(codes.PermissionDenied, "no") }, time.Minute,
			outbound.HostStats{RqSuccess: 1}, map[string]uint64{"upstream_rq_200": 1},
		},
		"timeout": {
			wait, 50 * time.Millisecond,
			outbound.HostStats{RqError: 1, RqTimeout: 1},
			map[string]uint64{"upstream_rq_504": 1, "upstream_rq_timeout": 1, "upstream_rq_tx_reset": 1, "http2.tx_reset": 1},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRecorder()
			l := serve(t, "tcp", "127.0.0.1:0", test.answer)
			ctx, cancel := context.WithTimeout(t.Context(), test.within)
			defer cancel()
			_ = r.call(ctx, t, l.Addr().String())
			test.host.CxTotal, test.host.RqTotal = 1, 1
			if got := r.cluster.Host(l.Addr().String()); got != test.host {
				t.Errorf("host %+v, want %+v", got, test.host)
			}
			test.counts["upstream_cx_total"], test.counts["upstream_cx_http2_total"], test.counts["upstream_cx_destroy_local"] = 1, 1, 1
			test.counts["upstream_rq_total"], test.counts["upstream_rq_completed"] = 1, 1
			for _, zero := range []string{"upstream_cx_active", "upstream_rq_active", "upstream_rq_pending_active", "upstream_cx_connect_fail", "http2.streams_active"} {
				test.counts[zero] = 0
			}
			for name, want := range test.counts {
				if got := r.value(name); got != want {
					t.Errorf("%s is %d, want %d", name, got, want)
				}
			}
		})
	}
}

// TestReset counts a stream that the host alone has reset.
func TestReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- resetFirst(l) }()
	r := newRecorder()
	_ = r.call(t.Context(), t, l.Addr().String())
	_ = l.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if rx, status := r.value("upstream_rq_rx_reset"), r.value("upstream_rq_503"); rx != 1 || status != 1 || r.value("http2.rx_reset") != 1 {
		t.Errorf("%d resets and %d answers of 503, want one each", rx, status)
	}
}

// resetFirst resets the first stream of a connection, and reads on until it ends.
func resetFirst(l net.Listener) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := c.Read(preface); err != nil {
		return err
	}
	f := http2.NewFramer(c, c)
	if err := f.WriteSettings(); err != nil {
		return err
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return nil // the client has gone
		}
		if frame.Header().Type == http2.FrameHeaders {
			if err := f.WriteRSTStream(frame.Header().StreamID, http2.ErrCodeInternal); err != nil {
				return err
			}
		}
	}
}

// TestUnreachable counts a call for which there is no connection.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	r := newRecorder()
	if err := r.call(t.Context(), t, l.Addr().String()); status.Code(err) != codes.Unavailable {
		t.Fatal(err)
	}
	if got, want := r.cluster.Host(l.Addr().String()), (outbound.HostStats{CxTotal: 1, CxConnectFail: 1}); got != want {
		t.Errorf("host %+v, want %+v", got, want)
	}
	for name, want := range map[string]uint64{
		"upstream_cx_connect_fail": 1, "upstream_cx_destroy_remote": 1, "upstream_cx_active": 0, "upstream_rq_total": 0,
		"upstream_rq_pending_failure_eject": 1, "upstream_rq_503": 1, "upstream_rq_pending_active": 0,
	} {
		if got := r.value(name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}

// TestPipes reaches hosts at Unix domain sockets, which are told apart by what /clusters calls them.
func TestPipes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	abstract := fmt.Sprintf("@grpcstats-%d", time.Now().UnixNano())
	for target, address := range map[string]string{"unix://" + path: path, "unix-abstract:" + abstract[1:]: abstract} {
		serve(t, "unix", address, func(s grpc.ServerStream) error { return s.SendMsg(&emptypb.Empty{}) })
		r := newRecorder()
		if err := r.call(t.Context(), t, target); err != nil {
			t.Fatal(err)
		}
		if got, want := r.cluster.Host(address), (outbound.HostStats{CxTotal: 1, RqTotal: 1, RqSuccess: 1}); got != want {
			t.Errorf("%s: host %+v, want %+v", address, got, want)
		}
	}
}

// TestNobodyCounts makes calls while there is no cluster to count for.
func TestNobodyCounts(t *testing.T) {
	l := serve(t, "tcp", "127.0.0.1:0", func(s grpc.ServerStream) error { return s.SendMsg(&emptypb.Empty{}) })
	if err := (&recorder{}).call(t.Context(), t, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
}
