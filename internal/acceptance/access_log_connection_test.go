package acceptance

import (
	"net"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/formatter"
)

// lineLogs are Loggers that keep lines of what they are told, by their names.
type lineLogs struct {
	format string
	lines  map[string]chan string
}

func newLineLogs(s *harness.Setup, format string) *lineLogs {
	l := &lineLogs{format: format, lines: make(map[string]chan string)}
	s.OpenLog = func(cfg *config.AccessLog) (accesslog.Logger, error) {
		lines, err := formatter.Compile(&config.LogFormat{Text: format})
		return &lineLog{lines: lines, to: l.lines[cfg.GRPC.LogName]}, err
	}
	return l
}

// log returns the access log of the name, with a filter that may be nil.
func (l *lineLogs) log(name string, f *config.LogFilter) *config.AccessLog {
	l.lines[name] = make(chan string, 100)
	return &config.AccessLog{GRPC: &config.GRPCAccessLog{LogName: name, Cluster: "c"}, Filter: f}
}

// next holds that the next line of the log of the name is want.
func (l *lineLogs) next(t *testing.T, name, want string) {
	t.Helper()
	select {
	case got := <-l.lines[name]:
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	case <-time.After(harness.Guard):
		t.Fatalf("%s: nothing was logged, want %q", name, want)
	}
}

// nothing holds that nothing was logged besides, by workers that are through with what they were asked.
func (l *lineLogs) nothing(t *testing.T) {
	t.Helper()
	for name, lines := range l.lines {
		select {
		case got := <-lines:
			t.Errorf("%s: %q was logged besides", name, got)
		default:
		}
	}
}

type lineLog struct {
	lines *formatter.Formatter
	to    chan string
}

func (l *lineLog) Log(e *accesslog.Entry) { l.to <- string(l.lines.Append(nil, e)) }

func (l *lineLog) Close() {}

// noRoute passes what has the flag NR.
var noRoute = &config.LogFilter{Kind: config.LogFilterFlags, Flags: []string{"NR"}}

// TestListenerAccessLog holds that the logs of a listener are told of the end of every connection: of those that are for no filter
// chain, of those that do not get as far, and of those that are served.
func TestListenerAccessLog(t *testing.T) {
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/", 200, ""))
	logs := newLineLogs(s, "%ACCESS_LOG_TYPE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %PROTOCOL% %RESPONSE_CODE% %REQ(:PATH)% %BYTES_SENT% %DURATION%")
	s.Listener.AccessLogs = []*config.AccessLog{logs.log("all", nil), logs.log("none", noRoute)}
	s.HTTP().AccessLogs = []*config.AccessLog{logs.log("requests", nil)}
	s.Listener.Filters = []config.ListenerFilter{{Name: "http", Config: config.HTTPInspector{}}}
	s.Listener.Chains, s.Listener.Default = []*config.FilterChain{s.Listener.Default}, nil
	s.Listener.Chains[0].Match.ApplicationProtocols = []string{"http/1.1"}
	p := s.Start(t)

	c := p.Dial()
	c.Send("no HTTP\r\n\r\n")
	c.ReadAll()
	logs.next(t, "all", "NotSet NR filter_chain_not_found - 0 - 0 0")
	logs.next(t, "none", "NotSet NR filter_chain_not_found - 0 - 0 0")

	c = p.Dial()
	c.Send("GET / HT")
	p.Sync()
	c.Close()
	logs.next(t, "all", "NotSet - - - 0 - 0 0")

	c = p.Dial()
	c.Get("/x")
	logs.next(t, "requests", "DownstreamEnd - direct_response HTTP/1.1 200 /x 0 0")
	p.Advance(time.Second)
	logs.nothing(t)
	c.Close()
	logs.next(t, "all", "NotSet - - - 0 - 0 1000")
	p.Sync()
	logs.nothing(t)
}

// TestListenerAccessLogUpdate holds that connections are logged where they would have been when they were accepted.
func TestListenerAccessLogUpdate(t *testing.T) {
	s := harness.NewSetup()
	logs := logsByName{}
	logs.setup(s)
	with := func(name string) *config.Listener {
		logs[name] = newClosableLog()
		l := harness.Listener(harness.Direct("/", 200, ""))
		l.AccessLogs = []*config.AccessLog{{GRPC: &config.GRPCAccessLog{LogName: name, Cluster: "c"}}}
		return l
	}
	s.Listener = with("old")
	p := s.Start(t)
	c := p.Dial()
	c.Get("/")

	again := harness.Listener(harness.Direct("/", 201, ""))
	again.AccessLogs = []*config.AccessLog{{GRPC: &config.GRPCAccessLog{LogName: "old", Cluster: "c"}}}
	applyListener(p, again) // with the same log, which stays open
	logs["old"].open(t)
	applyListener(p, with("new"))
	logs["old"].open(t)
	c.Close()
	logs["old"].logged(t, "")
	logs["old"].ends(t)
	p.Dial().Close()
	logs["new"].logged(t, "")
}

const tcpLogFormat = "%ACCESS_LOG_TYPE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %DURATION%"

// TestTCPAccessLog holds what the access logs of a TCP proxy are told, and when.
func TestTCPAccessLog(t *testing.T) {
	origin := harness.NewOrigin(t, reverse)
	s := tcpSetup(origin.Addr())
	logs := newLineLogs(s, tcpLogFormat)
	s.TCP().AccessLogs = []*config.AccessLog{logs.log("proxy", nil), logs.log("none", noRoute)}
	s.Listener.AccessLogs = []*config.AccessLog{logs.log("listener", nil)}
	s.TCP().LogOnStart, s.TCP().LogOnConnected, s.TCP().LogInterval = true, true, time.Minute
	p := s.Start(t)
	c := p.Dial()
	host := origin.Addr().String()
	logs.next(t, "proxy", "TcpConnectionStart - 0 0 - - 0 0")
	logs.next(t, "proxy", "TcpUpstreamConnected - 0 0 c "+host+" 1 0")
	c.Send("abc")
	origin.WaitCaptured(3)
	p.Advance(time.Minute)
	logs.next(t, "proxy", "TcpPeriodic - 3 0 c "+host+" 1 60000")
	p.Advance(time.Minute)
	logs.next(t, "proxy", "TcpPeriodic - 3 0 c "+host+" 1 120000")
	c.CloseWrite()
	c.ReadAll()
	c.Close()
	logs.next(t, "proxy", "TcpConnectionEnd - 3 3 c "+host+" 1 120000")
	logs.next(t, "listener", "NotSet - 3 3 c "+host+" 1 120000")
	p.Advance(time.Hour)
	logs.nothing(t)
}

// TestTCPAccessLogFlags holds the response flags of connections that fail.
func TestTCPAccessLogFlags(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().(*net.TCPAddr).AddrPort()
	closed.Close()
	for _, test := range []struct {
		name  string
		setup func() *harness.Setup
		want  string
	}{
		{"refused", func() *harness.Setup { return tcpSetup(nobody) }, "TcpConnectionEnd UF,URX 0 0 c " + nobody.String() + " 1 0"},
		{"no hosts", func() *harness.Setup { return tcpSetup() }, "TcpConnectionEnd UH 0 0 c - 1 0"},
		{"no cluster", func() *harness.Setup {
			s := tcpSetup(nobody)
			s.TCP().Clusters[0].Name = "other"
			return s
		}, "TcpConnectionEnd NC 0 0 - - 0 0"},
		{"too many", func() *harness.Setup {
			s := tcpSetup(nobody)
			s.Clusters[0].Breakers.MaxRequests = 0
			return s
		}, "TcpConnectionEnd UO 0 0 c " + nobody.String() + " 1 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := test.setup()
			logs := newLineLogs(s, tcpLogFormat)
			s.TCP().AccessLogs = []*config.AccessLog{logs.log("proxy", nil)}
			p := s.Start(t)
			p.Dial().ReadAll()
			logs.next(t, "proxy", test.want)
		})
	}
}

// TestTCPAccessLogDuration holds the flag of a connection whose time is up.
func TestTCPAccessLogDuration(t *testing.T) {
	origin := harness.NewOrigin(t, reverse)
	s := tcpSetup(origin.Addr())
	logs := newLineLogs(s, tcpLogFormat)
	s.TCP().AccessLogs, s.TCP().MaxConnectionDuration = []*config.AccessLog{logs.log("proxy", nil)}, time.Second
	p := s.Start(t)
	c := p.Dial()
	for p.ClusterStat("upstream_cx_total") == 0 {
		p.Sync()
	}
	p.Advance(2 * time.Second)
	c.ReadAll()
	logs.next(t, "proxy", "TcpConnectionEnd DT 0 0 c "+origin.Addr().String()+" 1 2000")
}
