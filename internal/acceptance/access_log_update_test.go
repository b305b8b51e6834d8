package acceptance

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
)

// closableLog is a Logger that keeps the paths of what it is told, and says when it was closed.
type closableLog struct {
	paths  chan string
	closed chan struct{}
}

func newClosableLog() *closableLog {
	return &closableLog{paths: make(chan string, 100), closed: make(chan struct{})}
}

func (l *closableLog) Log(e *accesslog.Entry) {
	select {
	case <-l.closed:
		l.paths <- "too late: " + string(e.Request.Path)
	default:
		l.paths <- string(e.Request.Path)
	}
}

func (l *closableLog) Close() { close(l.closed) }

// logged holds that what was logged next is of the path.
func (l *closableLog) logged(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-l.paths:
		if got != want {
			t.Errorf("logged %q, want %q", got, want)
		}
	case <-time.After(harness.Guard):
		t.Fatalf("%q was not logged", want)
	}
}

// ends holds that the log is closed, with nothing that was not looked at.
func (l *closableLog) ends(t *testing.T) {
	t.Helper()
	select {
	case <-l.closed:
	case <-time.After(harness.Guard):
		t.Fatal("the log is not closed")
	}
	l.nothing(t)
}

// open holds that the log is not closed. It is told nothing meanwhile.
func (l *closableLog) open(t *testing.T) {
	t.Helper()
	select {
	case <-l.closed:
		t.Fatal("the log is closed, with requests left that are to be logged there")
	default:
	}
	l.nothing(t)
}

func (l *closableLog) nothing(t *testing.T) {
	t.Helper()
	select {
	case got := <-l.paths:
		t.Errorf("logged besides: %q", got)
	default:
	}
}

// logsByName are access logs by their names, and a listener with the one of a name.
type logsByName map[string]*closableLog

func (l logsByName) setup(s *harness.Setup) {
	s.OpenLog = func(cfg *config.AccessLog) (accesslog.Logger, error) { return l[cfg.GRPC.LogName], nil }
}

// listener returns a listener that sends everything to the cluster and has access logs of the names.
func (l logsByName) listener(names ...string) *config.Listener {
	out := harness.Listener(harness.Forward("/", harness.ClusterName))
	for _, name := range names {
		l[name] = newClosableLog()
		out.Default.HTTP.AccessLogs = append(out.Default.HTTP.AccessLogs, &config.AccessLog{GRPC: &config.GRPCAccessLog{LogName: name, Cluster: "c"}})
	}
	return out
}

// slowly is the script of an origin that tells of a request for /slow on asked, and answers it when it may by release.
func slowly(asked, release chan struct{}) func(*harness.Peer) {
	return func(p *harness.Peer) {
		for {
			r, ok := p.ReadRequest()
			if ok && r.Target == "/slow" {
				asked <- struct{}{}
				ok = p.Wait(release)
			}
			if !ok || !p.Write(harness.OK("x")) {
				return
			}
		}
	}
}

// TestAccessLogOfChangedChain holds that a request is logged where it would have been when it began, whatever the configuration
// has become since, and that a log is closed when the last of its requests has ended, and not before.
func TestAccessLogOfChangedChain(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	origin := harness.NewOrigin(t, slowly(asked, release))
	for name, protocol := range map[string]func(p *harness.Proxy) (ask, take func()){
		"HTTP/1": func(p *harness.Proxy) (ask, take func()) {
			c := p.Dial()
			return func() { c.Send("GET /slow HTTP/1.1\r\nhost: h\r\n\r\n") }, func() { c.ReadResponse("GET") }
		},
		"HTTP/2": func(p *harness.Proxy) (ask, take func()) {
			c := p.DialH2()
			var id uint32
			return func() { id = c.Get("/slow") }, func() { c.Response(id) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			logs, s := logsByName{}, harness.NewSetup(origin.Addr())
			s.Listener = logs.listener("old")
			logs.setup(s)
			p := s.Start(t)
			ask, take := protocol(p)
			ask()
			<-asked

			applyListener(p, logs.listener("new", "more"))
			logs["old"].open(t)
			p.Dial().Get("/after")
			logs["new"].logged(t, "/after")
			logs["more"].logged(t, "/after")
			logs["old"].open(t)

			release <- struct{}{}
			take()
			logs["old"].logged(t, "/slow")
			logs["old"].ends(t)
			logs["new"].open(t)
		})
	}
}

// TestAccessLogOfRemovedListener holds that the log of a listener that was removed takes what its connections still ask for, and is
// closed with the last of them, or when the time to drain is over.
func TestAccessLogOfRemovedListener(t *testing.T) {
	for name, end := range map[string]func(p *harness.Proxy, c *harness.Client, release chan struct{}){
		"answered": func(_ *harness.Proxy, c *harness.Client, release chan struct{}) {
			release <- struct{}{}
			c.ReadResponse("GET")
			c.Close()
		},
		"cut": func(p *harness.Proxy, _ *harness.Client, _ chan struct{}) { p.Advance(proxy.DefaultDrainTime) },
	} {
		t.Run(name, func(t *testing.T) {
			asked, release := make(chan struct{}), make(chan struct{})
			logs, s := logsByName{}, harness.NewSetup(harness.NewOrigin(t, slowly(asked, release)).Addr())
			s.Listener = logs.listener("old")
			s.VirtualHost().Routes[0].Forward.Timeout = 0
			s.HTTP().StreamIdle = 0
			logs.setup(s)
			p := s.Start(t)
			c := p.Dial()
			c.Send("GET /slow HTTP/1.1\r\nhost: h\r\n\r\n")
			<-asked
			p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Remove: []string{harness.ListenerName}}})
			logs["old"].open(t)
			end(p, c, release)
			logs["old"].logged(t, "/slow")
			logs["old"].ends(t)
		})
	}
}
