package als

import (
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// guard bounds every wait of the tests. It is reached only by a test that has failed.
const guard = 30 * time.Second

// logServer takes what it is told.
type logServer struct {
	accesslogv3.UnimplementedAccessLogServiceServer
	told   chan *accesslogv3.StreamAccessLogsMessage
	begun  chan metadata.MD // has what each stream began with
	refuse chan error       // has an error for each stream that is to end after its first message
}

func (s *logServer) StreamAccessLogs(stream accesslogv3.AccessLogService_StreamAccessLogsServer) error {
	began, _ := metadata.FromIncomingContext(stream.Context())
	s.begun <- began
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil // the client says that nothing follows, or has gone
		}
		s.told <- m
		select {
		case err := <-s.refuse:
			return err
		default:
		}
	}
}

// serve starts a log server.
func serve(t *testing.T, pipe bool) (*logServer, config.Address) {
	t.Helper()
	at := config.Address{Path: filepath.Join(t.TempDir(), "s")}
	if !pipe {
		at = config.Address{IP: "127.0.0.1"}
	}
	l, err := net.Listen(at.Network(), at.String())
	if err != nil {
		t.Fatal(err)
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		at.Port = uint32(tcp.Port)
	}
	s := &logServer{told: make(chan *accesslogv3.StreamAccessLogsMessage, 1000), begun: make(chan metadata.MD, 100), refuse: make(chan error, 10)}
	server := grpc.NewServer()
	accesslogv3.RegisterAccessLogServiceServer(server, s)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return s, at
}

// next returns the next message.
func (s *logServer) next(t *testing.T) *accesslogv3.StreamAccessLogsMessage {
	t.Helper()
	select {
	case m := <-s.told:
		return m
	case <-time.After(guard):
		t.Fatal("nothing was told")
		return nil
	}
}

// client is a Client with what it counts.
type client struct {
	*Client
	cluster          *outbound.Cluster
	store            *stats.Store
	written, dropped stats.AtomicCounter
}

func newClient(t *testing.T, change func(*config.GRPCAccessLog), addresses ...config.Address) *client {
	t.Helper()
	c := &client{store: stats.NewStore(stats.Options{})}
	c.cluster = outbound.New(outbound.Scopes{Cluster: c.store.Scope("cluster.als.", stats.Cluster)})
	cfg := &config.GRPCAccessLog{LogName: "log", Cluster: "als", FlushInterval: time.Millisecond, BufferBytes: config.DefaultLogBufferBytes}
	if change != nil {
		change(cfg)
	}
	c.Client = New(cfg, Options{
		Node: &corev3.Node{Id: "n"}, Server: func() (out accesslog.Server) {
			out.Outbound = c.cluster
			for _, address := range addresses {
				out.Hosts = append(out.Hosts, accesslog.Host{Address: address})
			}
			return out
		},
		Logger: zap.NewNop(), Written: &c.written, Dropped: &c.dropped,
	})
	t.Cleanup(c.Close)
	return c
}

// entry is of a request for a path.
func entry(path string) *accesslog.Entry {
	return &accesslog.Entry{Request: &message.Request{Method: []byte("GET"), Path: []byte(path), Version: message.HTTP11}, Status: 200}
}

// paths returns the paths of the requests in a message.
func paths(m *accesslogv3.StreamAccessLogsMessage) (out []string) {
	for _, e := range m.GetHttpLogs().GetLogEntry() {
		out = append(out, e.GetRequest().GetPath())
	}
	return out
}

// TestStream tells every request, in order, and who tells with the first message only.
func TestStream(t *testing.T) {
	s, address := serve(t, false)
	c := newClient(t, nil, address)
	const count = 500
	for i := range count {
		c.Log(entry("/" + strconv.Itoa(i)))
	}
	first, got := true, 0
	for got < count {
		m := s.next(t)
		if (m.GetIdentifier() != nil) != first {
			t.Errorf("identifier %v, in the first message: %t", m.GetIdentifier(), first)
		}
		if first && (m.GetIdentifier().GetLogName() != "log" || m.GetIdentifier().GetNode().GetId() != "n") {
			t.Errorf("identifier %v", m.GetIdentifier())
		}
		for _, path := range paths(m) {
			if path != "/"+strconv.Itoa(got) {
				t.Fatalf("%s at place %d", path, got)
			}
			got++
		}
		first = false
	}
	c.Close()
	if w, d := c.written.Value(), c.dropped.Value(); w != count || d != 0 {
		t.Errorf("%d are written and %d dropped", w, d)
	}
	want := outbound.HostStats{CxTotal: 1, RqTotal: 1, RqError: 1} // the server has no answer to the whole
	if got := c.cluster.Host(address.String()); got != want {
		t.Errorf("host %+v, want %+v", got, want)
	}
	if n, _ := c.store.Snapshot(t.Context()).Value("cluster.als.upstream_cx_http2_total"); n != 1 {
		t.Errorf("%d connections of HTTP/2, want 1", n)
	}
}

// TestMetadata begins streams as the configuration says.
func TestMetadata(t *testing.T) {
	for authority, want := range map[string]string{"": "als", "logs.test": "logs.test"} {
		s, address := serve(t, false)
		c := newClient(t, func(l *config.GRPCAccessLog) {
			l.Authority, l.Metadata = authority, []config.Metadata{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}, {Key: "b-bin", Value: "\x00"}}
		}, address)
		c.Log(entry("/"))
		s.next(t)
		began := <-s.begun
		for key, want := range map[string][]string{":authority": {want}, "a": {"1", "2"}, "b-bin": {"\x00"}} {
			if got := began.Get(key); !slices.Equal(got, want) {
				t.Errorf("%s is %q, want %q", key, got, want)
			}
		}
	}
}

// TestBatchSize sends no message that is much larger than it may be.
func TestBatchSize(t *testing.T) {
	s, address := serve(t, false)
	c := newClient(t, func(l *config.GRPCAccessLog) { l.BufferBytes, l.FlushInterval = 1, time.Hour }, address)
	for i := range 5 {
		c.Log(entry("/" + strconv.Itoa(i)))
	}
	for i := range 5 {
		if got := paths(s.next(t)); len(got) != 1 || got[0] != "/"+strconv.Itoa(i) {
			t.Errorf("message %d has %q", i, got)
		}
	}
}

// TestServerComesBack begins a new stream, with who tells, after one that broke.
func TestServerComesBack(t *testing.T) {
	s, address := serve(t, false)
	c := newClient(t, nil, address)
	for i := range 3 {
		s.refuse <- net.ErrClosed
		for told := false; !told; {
			c.Log(entry("/" + strconv.Itoa(i)))
			select {
			case m := <-s.told:
				told = m.GetIdentifier() != nil
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// TestQueueIsBounded drops and counts what comes while the server is not there, and lets nobody wait.
func TestQueueIsBounded(t *testing.T) {
	c := newClient(t, nil) // without an address
	const more = 100
	for range maxQueued + more {
		c.Log(entry("/"))
	}
	c.Close()
	if w, d := c.written.Value(), c.dropped.Value(); w != 0 || d != maxQueued+more {
		t.Errorf("%d are written and %d dropped", w, d)
	}
}

// TestCloseSendsWhatWaits tells what has not been told when the log is closed.
func TestCloseSendsWhatWaits(t *testing.T) {
	s, address := serve(t, false)
	c := newClient(t, func(l *config.GRPCAccessLog) { l.FlushInterval = time.Hour }, address)
	c.Log(entry("/first"))
	for len(c.queue) > 0 { // until the stream has begun with it
		runtime.Gosched()
	}
	c.Log(entry("/second"))
	c.Close()
	var got []string
	for len(got) < 2 {
		got = append(got, paths(s.next(t))...)
	}
	if got[0] != "/first" || got[1] != "/second" {
		t.Errorf("told %q", got)
	}
}

// TestPipe tells a server on a Unix domain socket of a host on another.
func TestPipe(t *testing.T) {
	s, address := serve(t, true)
	c := newClient(t, nil, address)
	e := entry("/")
	e.UpstreamPath = "@host"
	c.Log(e)
	logged := s.next(t).GetHttpLogs().GetLogEntry()
	if len(logged) != 1 || logged[0].GetCommonProperties().GetUpstreamRemoteAddress().GetPipe().GetPath() != "@host" {
		t.Errorf("got %v", logged)
	}
}
