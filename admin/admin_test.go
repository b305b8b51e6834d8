package admin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"go.uber.org/zap/zapcore"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestGolden(t *testing.T) {
	f := newFixture()
	p := f.admin(t)
	for _, tc := range []struct{ target, mediaType, file string }{
		{"/help", plainText, "help.txt"},
		{"/server_info", jsonText, "server_info.json"},
		{"/certs", jsonText, "certs.json"},
		{"/clusters", plainText, "clusters.txt"},
		{"/clusters?format=json", jsonText, "clusters.json"},
		{"/listeners", plainText, "listeners.txt"},
		{"/listeners?format=json", jsonText, "listeners.json"},
		{"/", htmlText, "index.html"},
	} {
		a := p.get(tc.target)
		if got := a.Header.Get("Content-Type"); a.StatusCode != 200 || got != tc.mediaType {
			t.Errorf("%s: %d %s, want 200 %s", tc.target, a.StatusCode, got, tc.mediaType)
		}
		golden(t, tc.file, a.body)
	}
}

func TestCertificates(t *testing.T) {
	f := newFixture()
	f.options.Certificates = func() []*adminv3.Certificate {
		return []*adminv3.Certificate{{
			CaCert: []*adminv3.CertificateDetails{{Path: "/etc/ca.pem", SerialNumber: "01"}},
			CertChain: []*adminv3.CertificateDetails{{
				Path: "/etc/cert.pem", SerialNumber: "0a02", DaysUntilExpiration: 41,
				SubjectAltNames: []*adminv3.SubjectAlternateName{
					{Name: &adminv3.SubjectAlternateName_Dns{Dns: "proxy.test"}},
					{Name: &adminv3.SubjectAlternateName_IpAddress{IpAddress: "10.0.0.1"}},
				},
				ValidFrom: timestamppb.New(f.options.Info.Start), ExpirationTime: timestamppb.New(f.options.Info.Start.Add(42 * 24 * time.Hour)),
			}},
		}}
	}
	golden(t, "certs_some.json", f.admin(t).get("/certs").body)
}

func TestEveryAnswerHasEnvoysFields(t *testing.T) {
	p := newFixture().admin(t)
	for _, tc := range [][2]string{
		{"GET", "/ready"}, {"GET", "/stats"}, {"GET", "/"}, {"GET", "/nothing"}, {"GET", "/logging"}, {"POST", "/reset_counters"},
		{"HEAD", "/memory"}, {"GET", "/stats?filter=("},
	} {
		a := p.do(tc[0], tc[1])
		if a.Header.Get("Cache-Control") != "no-cache, max-age=0" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%v: %v", tc, a.Header)
		}
	}
	if a := p.do("HEAD", "/ready"); a.StatusCode != 200 || a.body != "" || a.ContentLength != int64(len("LIVE\n")) {
		t.Errorf("HEAD: %d %q, length %d", a.StatusCode, a.body, a.ContentLength)
	}
}

func TestPathsAndMethods(t *testing.T) {
	f := newFixture()
	p := f.admin(t)
	help := p.get("/help").body
	notFound := "invalid path. " + help
	const live = "LIVE\n"
	for _, tc := range []struct {
		method, target string
		status         int
		body           string
	}{
		{"GET", "/ready", 200, live},
		{"POST", "/ready", 200, live},
		{"GET", "//ready", 200, live},
		{"GET", "///x/..//./ready?", 200, live},
		{"GET", "/%72eady", 200, live},
		{"GET", "/../ready#x", 200, live},
		{"GET", "http://elsewhere:1//ready?x=y", 200, live},
		{"GET", "/ready/", 404, notFound},
		{"GET", "/READY", 404, notFound},
		{"GET", "/ready%2f", 404, notFound},
		{"GET", "/ready%zz", 404, notFound},
		{"GET", "/tap", 404, notFound},
		{"OPTIONS", "*", 404, notFound},
		{"POST", "/nothing", 404, notFound},
		{"GET", "/quitquitquit", 405, "Method GET not allowed, POST required."},
		{"PUT", "/healthcheck/fail", 405, "Method PUT not allowed, POST required."},
		{"GET", "//drain_listeners", 405, "Method GET not allowed, POST required."},
		{"HEAD", "/reset_counters", 405, ""},
		{"DELETE", "/logging", 405, "Method DELETE not allowed, POST required."},
		{"GET", "/hot_restart_version", 200, "disabled"},
	} {
		a := p.do(tc.method, tc.target)
		if a.StatusCode != tc.status || a.body != tc.body {
			t.Errorf("%s %s: %d %q, want %d %q", tc.method, tc.target, a.StatusCode, a.body, tc.status, tc.body)
		}
		if allow := a.Header.Get("Allow"); (allow == "POST") != (tc.status == 405) {
			t.Errorf("%s %s: allow %q", tc.method, tc.target, allow)
		}
	}
	if len(f.did) != 0 {
		t.Errorf("done without POST: %q", f.did)
	}
}

// TestReadOnly refuses what would change the server, whatever the method, and does not offer it.
func TestReadOnly(t *testing.T) {
	f := newFixture()
	f.options.ReadOnly = true
	p := f.admin(t)
	full := newFixture()
	refused := 0
	for _, c := range (&surface{Options: full.options}).newCommands() {
		if !c.mutates {
			continue
		}
		refused++
		for _, method := range []string{"POST", "GET"} {
			p.do(method, "/"+c.path+"?level=debug").want(t, 403, "the admin interface is read-only, "+c.path+" would change the server\n")
		}
	}
	if refused < 12 {
		t.Errorf("%d commands mutate", refused)
	}
	if help := p.get("/help").body; strings.Contains(help, "POST") || !strings.Contains(help, "/stats") {
		t.Errorf("help: %s", help)
	}
	if page := p.get("/").body; strings.Contains(page, "quitquitquit") || strings.Contains(page, "<h2>Change") {
		t.Errorf("page: %s", page)
	}
	p.get("/ready").want(t, 200, "LIVE\n")
	if len(f.did) != 0 {
		t.Errorf("done: %q", f.did)
	}
}

func TestNormalizePath(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "//": "/", "": "", "*": "*", "/a//b": "/a/b", "/a/./b/../c": "/a/c", "/..": "/", "/a/..": "/", "/a/b/..": "/a/",
		"/a/.": "/a/", "/a/": "/a/", "/a//": "/a/", "/%61%2F%2e%2e/%7e": "/a%2F../~", "/a%": "/a%", "/a%6": "/a%6", "/%+1": "/%+1",
	} {
		if got := normalizePath(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func FuzzNormalizePath(f *testing.F) {
	for _, s := range []string{"/", "//stats", "/a/../b/./", "/%2e%2E/%25", "*", "/a%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := normalizePath(path)
		if strings.HasPrefix(path, "/") != strings.HasPrefix(got, "/") {
			t.Fatalf("%q became %q", path, got)
		}
		if !strings.HasPrefix(got, "/") {
			return
		}
		if strings.Contains(got, "//") || slices.ContainsFunc(strings.Split(got, "/"), func(s string) bool { return s == "." || s == ".." }) {
			t.Fatalf("%q became %q", path, got)
		}
	})
}

func TestReadyFollowsState(t *testing.T) {
	f := newFixture()
	p := f.admin(t)
	for _, tc := range []struct {
		state  adminv3.ServerInfo_State
		status int
		body   string
	}{
		{adminv3.ServerInfo_PRE_INITIALIZING, 503, "PRE_INITIALIZING\n"},
		{adminv3.ServerInfo_INITIALIZING, 503, "INITIALIZING\n"},
		{adminv3.ServerInfo_LIVE, 200, "LIVE\n"},
		{adminv3.ServerInfo_DRAINING, 503, "DRAINING\n"},
	} {
		f.state = tc.state
		p.get("/ready").want(t, tc.status, tc.body)
	}
}

func TestControlCommands(t *testing.T) {
	f := newFixture()
	p := f.admin(t)
	const form = "Content-Type: application/x-www-form-urlencoded"
	for _, tc := range []struct {
		target, body string
		status       int
		want, did    string
	}{
		{"/healthcheck/fail", "", 200, "OK\n", "fail true"},
		{"/healthcheck/ok", "", 200, "OK\n", "fail false"},
		{"/drain_listeners", "", 200, "OK\n", "drain {Graceful:false SkipExit:false InboundOnly:false}"},
		{"/drain_listeners?graceful&skip_exit", "", 200, "OK\n", "drain {Graceful:true SkipExit:true InboundOnly:false}"},
		{"/drain_listeners", "graceful=true&inboundonly=true", 200, "OK\n", "drain {Graceful:true SkipExit:false InboundOnly:true}"},
		{"/drain_listeners?skip_exit", "", 400, "skip_exit requires graceful\n", ""},
		{"/reopen_logs", "", 200, "OK\n", "reopen"},
		{"/quitquitquit", "", 200, "OK\n", "quit"},
	} {
		f.did = nil
		a := p.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n%s", tc.target, form, len(tc.body), tc.body))
		a.want(t, tc.status, tc.want)
		if got := strings.Join(f.did, ", "); got != tc.did {
			t.Errorf("%s %s did %q, want %q", tc.target, tc.body, got, tc.did)
		}
	}
	f.options.ReopenLogs = func() error { return errors.New("open /var/log/x: no space") }
	f.admin(t).do("POST", "/reopen_logs").want(t, 500, "open /var/log/x: no space\n")
}

func TestCommandsWithoutFunctionDoNotExist(t *testing.T) {
	f := newFixture()
	f.options = Options{Stats: f.options.Stats, State: f.options.State}
	p := f.admin(t)
	for _, path := range []string{
		"/clusters", "/listeners", "/config_dump", "/logging", "/healthcheck/fail", "/healthcheck/ok", "/drain_listeners",
		"/quitquitquit", "/reopen_logs",
	} {
		if a := p.do("POST", path); a.StatusCode != 404 || strings.Contains(a.body, path) {
			t.Errorf("%s: %d %q", path, a.StatusCode, a.body)
		}
	}
	for _, path := range []string{"/", "/server_info", "/stats", "/memory", "/certs"} {
		if a := p.get(path); a.StatusCode != 200 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	for _, make := range []func(Options) (*Server, error){New, NewMetrics, NewHealth} {
		if _, err := make(Options{}); err == nil {
			t.Error("no error without Stats and State")
		}
	}
}

func TestOrigin(t *testing.T) {
	f := newFixture()
	p := f.admin(t)
	for _, tc := range []struct {
		host, origin, site string
		status             int
	}{
		{"proxy:9901", "", "", 200},
		{"localhost:9901", "http://localhost:9901", "same-origin", 200},
		{"127.0.0.1:9901", "http://127.0.0.1:9901", "", 200},
		{"[::1]:9901", "http://[::1]:9901", "same-origin", 200},
		{"10.0.0.1", "http://10.0.0.1", "same-origin", 200},
		{"localhost:9901", "", "none", 200},
		{"localhost:9901", "http://evil.example", "cross-site", 403},
		{"localhost:9901", "http://evil.example", "", 403},
		{"localhost:9901", "http://localhost:8080", "same-site", 403},
		{"localhost:9901", "http://localhost:8080", "", 403},
		{"localhost:9901", "null", "", 403},
		{"localhost:9901", "", "cross-site", 403},
		{"localhost:9901", "://", "", 403},
		{"evil.example:9901", "http://evil.example:9901", "same-origin", 403}, // a name pointed here
		{"evil.example:9901", "", "same-origin", 403},
	} {
		f.did = nil
		request := "POST /quitquitquit HTTP/1.1\r\nContent-Length: 0\r\nHost: " + tc.host + "\r\n"
		if tc.origin != "" {
			request += "Origin: " + tc.origin + "\r\n"
		}
		if tc.site != "" {
			request += "Sec-Fetch-Site: " + tc.site + "\r\n"
		}
		if a := p.send(request + "\r\n"); a.StatusCode != tc.status || (len(f.did) > 0) != (tc.status == 200) {
			t.Errorf("%+v: %d %q, did %q", tc, a.StatusCode, a.body, f.did)
		}
	}
}

func TestLogging(t *testing.T) {
	f := newFixture()
	p := f.admin(t)
	for _, tc := range []struct {
		query  string
		status int
		begin  string
		level  zapcore.Level
	}{
		{"", 200, "active loggers:\n  main: info\n", zapcore.InfoLevel},
		{"?level=trace", 200, "active loggers:\n  main: debug\n", zapcore.DebugLevel},
		{"?level=warning&paths=", 200, "active loggers:\n  main: warning\n", zapcore.WarnLevel},
		{"?main=error", 200, "active loggers:\n  main: error\n", zapcore.ErrorLevel},
		{"?paths=main:critical", 200, "active loggers:\n  main: critical\n", zapcore.DPanicLevel},
		{"?level=off", 200, "active loggers:\n  main: off\n", levelOff},
		{"?level=loud", 400, "error: unknown logger level \"loud\"\nusage: ", levelOff},
		{"?http=info", 400, "error: unknown logger name \"http\", the only one is main\nusage: ", levelOff},
		{"?paths=main", 400, "error: \"main\" is not <name>:<level>\nusage: ", levelOff},
		{"?paths=main:info,http:info", 400, "error: unknown logger name \"http\"", levelOff},
		{"?level=info&main=debug", 400, "error: more than one parameter: \"level\" and \"main\"\n", levelOff},
		{"?level=%0a", 400, "error: unknown logger level \"", levelOff},
		{"?level=info", 200, "active loggers:\n  main: info\n", zapcore.InfoLevel},
	} {
		a := p.do("POST", "/logging"+tc.query)
		if a.StatusCode != tc.status || !strings.HasPrefix(a.body, tc.begin) {
			t.Errorf("%s: %d %q", tc.query, a.StatusCode, a.body)
		}
		if got := f.options.Level.Level(); got != tc.level {
			t.Errorf("%s: level is %s, want %s", tc.query, got, tc.level)
		}
	}
}

func TestMemory(t *testing.T) {
	a := newFixture().admin(t).get("/memory")
	var got map[string]string
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"allocated", "heap_size", "pageheap_unmapped", "pageheap_free", "total_thread_cache", "total_physical_bytes",
	} {
		if got[name] == "" {
			t.Errorf("no %s in %s", name, a.body)
		}
	}
	if got["allocated"] == "0" || got["total_physical_bytes"] == "0" {
		t.Errorf("a running process uses no memory: %s", a.body)
	}
}

func TestPagesEscapeAndLoadNothing(t *testing.T) {
	const evil = `<script>alert("1")</script>'`
	f := newFixture()
	f.state, f.reason = adminv3.ServerInfo_DRAINING, evil
	f.options.Info.Version = evil
	f.options.Info.Node.Id = evil
	f.options.Stats.Text("evil", func() string { return evil })
	f.options.Stats.Counter("</pre>" + evil).Inc()
	p := f.admin(t)
	for _, target := range []string{"/", "/stats?format=html", "/stats?format=html&filter=%22%3E%3Cscript%3E", "/stats?format=active-html"} {
		a := p.get(target)
		if a.StatusCode != 200 || strings.Contains(a.body, "<script") || strings.Count(a.body, "</pre>") > 1 {
			t.Errorf("%s: %d %s", target, a.StatusCode, a.body)
		}
		_, css, _ := strings.Cut(a.body, "<style>")
		css, _, _ = strings.Cut(css, "</style>")
		hash := sha256.Sum256([]byte(css))
		policy := a.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'; ") {
			t.Errorf("%s: policy %q does not admit the style of the page", target, policy)
		}
	}
	for _, target := range []string{"/%3Cscript%3E", "/<script>", "/stats?filter=(<script>", "/config_dump?resource=<script>"} {
		if a := p.get(target); a.Header.Get("Content-Type") != plainText {
			t.Errorf("%s: %s", target, a.Header.Get("Content-Type"))
		}
	}
}

func TestTextOfNamesHasNoControlCharacters(t *testing.T) {
	for c := range rune(256) {
		got := visible("a" + string(c) + "b")
		if strings.ContainsFunc(got, isControl) || !strings.HasPrefix(got, "a") || !strings.HasSuffix(got, "b") {
			t.Errorf("%U became %q", c, got)
		}
		if c >= ' ' && c < 0x7f && got != "a"+string(c)+"b" {
			t.Errorf("%U became %q", c, got)
		}
	}
	for c := range 256 {
		if got := visible("a" + string([]byte{byte(c)}) + "b"); !utf8.ValidString(got) || strings.ContainsFunc(got, isControl) {
			t.Errorf("byte %#x became %q", c, got)
		}
	}
}

func TestUnreadableRequests(t *testing.T) {
	p := newFixture().admin(t)
	for _, tc := range []struct {
		name, request string
		status        int
	}{
		{"no HTTP", "hello\r\n\r\n", 400},
		{"large fields", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", maxHeaderBytes) + "\r\n\r\n", 431},
		{"large body", fmt.Sprintf("POST /logging HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", maxBodyBytes+1), 413},
	} {
		a := p.send(tc.request)
		if a.StatusCode != tc.status || a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %q", tc.name, a.StatusCode, a.body)
		}
	}
}

func TestPanicIsAnswered(t *testing.T) {
	f := newFixture()
	f.options.Quit = func() { panic("boom") }
	p := f.admin(t)
	p.do("POST", "/quitquitquit").want(t, 500, "internal error, see the log\n")
	p.get("/ready").want(t, 200, "LIVE\n")
	if n, _ := f.options.Stats.Snapshot(t.Context()).Value("http.admin.downstream_rq_5xx"); n != 1 {
		t.Errorf("%d responses of 5xx were counted, want 1", n)
	}
}

// closeRecorder is a listener that nobody connects to.
type closeRecorder struct {
	net.Listener
	closed bool
}

func (l *closeRecorder) Close() error { l.closed = true; return nil }

func TestShutdownBeforeServe(t *testing.T) {
	s, err := NewHealth(newFixture().options)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := &closeRecorder{}
	if err := s.Serve(l); err != nil || !l.closed {
		t.Errorf("%v, closed %t", err, l.closed)
	}
}

func TestOwnTrafficIsCounted(t *testing.T) {
	f := newFixture()
	p := f.admin(t)
	p.get("/ready")
	p.get("/nothing")
	sn := f.options.Stats.Snapshot(t.Context())
	for name, want := range map[string]uint64{
		"http.admin.downstream_rq_total":                    2,
		"http.admin.downstream_rq_2xx":                      1,
		"http.admin.downstream_rq_4xx":                      1,
		"http.admin.downstream_rq_active":                   0,
		"http.admin.downstream_cx_total":                    2,
		"listener.admin.downstream_cx_total":                2,
		"listener.admin.http.admin.downstream_rq_completed": 2,
	} {
		if got, ok := sn.Value(name); !ok || got != want {
			t.Errorf("%s is %d (%t), want %d", name, got, ok, want)
		}
	}
}
