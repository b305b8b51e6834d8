package acceptance

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/file"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// logLines is a Logger that keeps what it is told as text.
type logLines chan string

func (l logLines) Log(e *accesslog.Entry) {
	agent, _ := e.Request.Fields.GetName([]byte("user-agent"))
	text := fmt.Sprintf("%s %s%s %q %d %s %s %s/%s attempts %d, in %d, out %d", e.Request.Method, e.Request.Authority, e.Request.Path, agent,
		e.Status, e.Details, strings.Join(e.Flags, ","), e.Route, e.Cluster, e.Attempts, e.BytesReceived, e.BytesSent)
	if e.Response != nil {
		value, _ := e.Response.Fields.GetName([]byte("x-a"))
		text += fmt.Sprintf(" x-a %q", value)
	}
	if e.Duration < e.At[accesslog.RequestEnded] || time.Since(e.Start) < 0 {
		text += fmt.Sprintf(" start %v, duration %v, points %v", e.Start, e.Duration, e.At)
	}
	if !e.DownstreamRemote.IsValid() || !e.DownstreamLocal.IsValid() || e.UpstreamRemote.IsValid() != (e.Attempts > 0) {
		text += fmt.Sprintf(" addresses %v %v %v", e.DownstreamRemote, e.DownstreamLocal, e.UpstreamRemote)
	}
	l <- text
}

func (l logLines) Close() {}

func (l logLines) next(t *testing.T) string {
	t.Helper()
	select {
	case text := <-l:
		return text
	case <-time.After(harness.Guard):
		t.Fatal("nothing was logged")
		return ""
	}
}

// TestAccessLog tells every request once, whatever became of it, over HTTP/1 and HTTP/2.
func TestAccessLog(t *testing.T) {
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		for {
			r, ok := p.ReadRequest()
			if !ok || r.Target == "/gone" {
				return
			}
			if !p.Write("HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 5\r\n\r\nhello") {
				return
			}
		}
	})
	s := harness.NewSetup(origin.Addr())
	s.SetRoutes(harness.Direct("/direct", 201, "own"), harness.Forward("/", harness.ClusterName))
	logged := make(logLines, 100)
	s.Log, s.HTTP().AccessLogs = logged, []*config.AccessLog{{GRPC: &config.GRPCAccessLog{LogName: "l", Cluster: "c"}}}
	p := s.Start(t)
	c := p.Dial()
	c.Send("POST /a HTTP/1.1\r\nhost: h\r\nuser-agent: u\r\ncontent-length: 3\r\n\r\nabc")
	c.ReadResponse("POST")
	want := `POST h/a "u" 200 via_upstream  all //c attempts 1, in 3, out 5 x-a "b"`
	if got := logged.next(t); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c.Get("/direct")
	want = `GET a/direct "" 201 direct_response  all /direct/ attempts 0, in 0, out 3 x-a ""`
	if got := logged.next(t); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c.Get("/gone")
	if got := logged.next(t); !strings.Contains(got, "GET a/gone") || !strings.Contains(got, " 503 ") || !strings.Contains(got, " UC ") {
		t.Errorf("got %s", got)
	}
	h := p.DialH2()
	h.Response(h.Get("/b"))
	want = `GET a/b "" 200 via_upstream  all //c attempts 1, in 0, out 5 x-a "b"`
	if got := logged.next(t); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	h.Close()
	c.Close()
	p.Sync()
	select {
	case more := <-logged:
		t.Errorf("logged besides: %s", more)
	default:
	}
}

// TestFileAccessLog has a line for every request over HTTP/1 and HTTP/2.
func TestFileAccessLog(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	s.SetRoutes(harness.Direct("/direct", 201, "own"), harness.Forward("/", harness.ClusterName))
	files := file.New(file.Options{
		Workers: 1, FlushInterval: time.Hour, FlushBytes: 1 << 20, Logger: zap.NewNop(),
		Stats: stats.NewStore(stats.Options{}).Scope("filesystem.", stats.Filesystem),
	})
	path := filepath.Join(t.TempDir(), "log")
	var err error
	s.Log, err = files.Open(&config.FileAccessLog{Path: path, Format: config.LogFormat{JSON: map[string]any{
		"line":   "%REQ(:METHOD)% %REQ(:AUTHORITY)%%REQ(:PATH)% %PROTOCOL% %REQ(USER-AGENT)%",
		"answer": "%RESPONSE_CODE%", "details": "%RESPONSE_CODE_DETAILS%", "host": "%UPSTREAM_HOST%", "received": "%BYTES_RECEIVED%",
		"name": "%HOSTNAME%",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Workers, s.HTTP().AccessLogs = 1, []*config.AccessLog{{File: &config.FileAccessLog{Path: path}}}
	p := s.Start(t)
	c := p.Dial()
	c.Send("POST /a HTTP/1.1\r\nhost: h\r\nuser-agent: a\"b\r\ncontent-length: 3\r\n\r\nabc")
	c.ReadResponse("POST")
	p.Outcome()
	c.Get("/direct")
	p.Outcome()
	h := p.DialH2()
	h.Response(h.Get("/b"))
	p.Outcome()
	files.Close()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"answer":200,"details":"via_upstream","host":"` + origin.Addr().String() + `","line":"POST h/a HTTP/1.1 a\"b","name":"proxy.test","received":3}
{"answer":201,"details":"direct_response","host":null,"line":"GET a/direct HTTP/1.1 -","name":"proxy.test","received":0}
{"answer":200,"details":"via_upstream","host":"` + origin.Addr().String() + `","line":"GET a/b HTTP/2 -","name":"proxy.test","received":0}
`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// heldLog is a Logger whose closing takes until it is released.
type heldLog struct{ closing, release chan struct{} }

func (heldLog) Log(*accesslog.Entry) {}

func (l heldLog) Close() {
	l.closing <- struct{}{}
	<-l.release
}

// TestAccessLogClosed holds that a log is closed that nobody has a use for any more, or never had as its listener was refused, and
// that a new configuration does not wait for the end of that.
func TestAccessLogClosed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := harness.NewSetup()
	log := heldLog{make(chan struct{}, 10), make(chan struct{})}
	s.Log = log
	p := s.Start(t)
	with := func() *config.Listener {
		l := harness.Listener(harness.Direct("/", 200, ""))
		l.Default.HTTP.AccessLogs = []*config.AccessLog{{GRPC: &config.GRPCAccessLog{LogName: "l", Cluster: "c"}}}
		return l
	}
	defer close(log.release)
	closes := func(what string) {
		t.Helper()
		select {
		case <-log.closing:
		case <-time.After(harness.Guard):
			t.Fatalf("%s: the log is not closed", what)
		}
	}
	last := harness.Listener(harness.Direct("/", 200, ""))
	last.Name, last.Address = "zz", config.Address{IP: "127.0.0.1", Port: uint32(taken.Addr().(*net.TCPAddr).Port)}
	first := with()
	set := map[string]*config.Listener{first.Name: first, last.Name: last}
	if err := p.Server.Store().Apply(config.SourceFile, config.Delta{Listeners: config.Changes[*config.Listener]{Set: set}}); err == nil {
		t.Fatal("a listener was bound to an address that is taken")
	}
	closes("refused")
	applyListener(p, with())
	applyListener(p, harness.Listener(harness.Direct("/", 200, "")))
	closes("removed")
}
