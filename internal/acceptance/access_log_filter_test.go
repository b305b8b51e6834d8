package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/formatter"
)

// withFilter adds an access log of the name and the filter to a connection manager.
func (l logsByName) withFilter(m *config.HTTPConnectionManager, name string, f *config.LogFilter) {
	l[name] = newClosableLog()
	m.AccessLogs = append(m.AccessLogs, &config.AccessLog{Filter: f, GRPC: &config.GRPCAccessLog{LogName: name, Cluster: "c"}})
}

// TestAccessLogFilters holds that what the filters of access logs ask is known of requests: that they are health checks, what the
// host's trailers say, and what the runtime has when they begin.
func TestAccessLogFilters(t *testing.T) {
	origin := harness.NewH2Origin(t, harness.H2Respond(harness.H2Response{
		Status: 200, Fields: harness.Fields{{Name: "content-type", Value: "application/grpc"}}, Body: "x", Trailers: harness.Fields{{Name: "grpc-status", Value: "5"}},
	}))
	s := harness.NewSetup(origin.Addr())
	speakHTTP2(s.Clusters[0])
	s.SetRoutes(harness.Direct("/direct", 404, ""), harness.Forward("/", harness.ClusterName))
	s.HTTP().Filters = []config.HTTPFilter{{Name: "hc", Config: &config.HealthCheckFilter{
		Headers: []config.HeaderMatcher{{Name: ":path", Kind: config.HeaderString, String: config.StringMatcher{Value: "/ready"}}},
	}}}
	logs := logsByName{}
	logs.setup(s)
	logs.withFilter(s.HTTP(), "no checks", &config.LogFilter{Kind: config.LogFilterNotHealthCheck})
	logs.withFilter(s.HTTP(), "not found", &config.LogFilter{Kind: config.LogFilterGRPCStatus, GRPC: map[uint32]bool{5: true}})
	logs.withFilter(s.HTTP(), "status", &config.LogFilter{Kind: config.LogFilterStatus, Compare: config.LogComparison{
		Op: config.LogAtLeast, Default: 500, Key: "logged",
	}})
	p := s.Start(t)
	h := p.DialH2()
	get := func(path string, names ...string) {
		t.Helper()
		h.Response(h.Get(path))
		p.Outcome()
		for _, name := range names {
			logs[name].logged(t, path)
		}
		for _, l := range logs {
			l.open(t)
		}
	}
	get("/ready")
	get("/call", "no checks", "not found")
	get("/direct", "no checks")
	setRuntime(p, map[string]uint64{"logged": 404})
	get("/direct", "no checks", "status")
	get("/call", "no checks", "not found")
}

// formattingLog is a Logger that makes lines of what it is told, and keeps only the last.
type formattingLog struct {
	lines *formatter.Formatter
	last  []byte
}

func (l *formattingLog) Log(e *accesslog.Entry) { l.last = l.lines.Append(l.last[:0], e) }

func (l *formattingLog) Close() {}

// logsEverything has requests logged, with every operator of the default format and every filter that passes them, on one worker.
func logsEverything(s *harness.Setup) {
	status := &config.LogFilter{Kind: config.LogFilterStatus, Compare: config.LogComparison{Op: config.LogAtLeast, Default: 100}}
	s.HTTP().AccessLogs = []*config.AccessLog{{GRPC: &config.GRPCAccessLog{LogName: "l"}, Filter: &config.LogFilter{
		Kind: config.LogFilterAnd, Filters: []*config.LogFilter{status, {Kind: config.LogFilterOr, Filters: []*config.LogFilter{
			{Kind: config.LogFilterFlags}, {Kind: config.LogFilterGRPCStatus, Exclude: true},
		}}},
	}}}
	s.OpenLog = func(*config.AccessLog) (accesslog.Logger, error) {
		lines, err := formatter.Compile(&config.LogFormat{Text: config.DefaultLogFormat})
		return &formattingLog{lines: lines}, err
	}
}
