package acceptance

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
)

// logOfEnds keeps what an access log is told of the client's connection.
type logOfEnds chan string

func (l logOfEnds) Log(e *accesslog.Entry) {
	l <- e.DownstreamRemote.String() + " " + e.DownstreamLocal.String() + " " + e.DownstreamPath
}

func (l logOfEnds) Close() {}

// tellHead is a script that answers with what it was asked.
func tellHead(p *harness.Peer) {
	for {
		req, ok := p.ReadRequest()
		if !ok || !p.Write(harness.OK(req.Raw)) {
			return
		}
	}
}

// removeListeners takes all listeners away.
func removeListeners(p *harness.Proxy) {
	p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Replace: true}})
}

// TestPipeListener serves clients on Unix domain sockets, of a file and of an abstract name. They have no address that could be told.
func TestPipeListener(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s")
	origin := harness.NewOrigin(t, tellHead)
	for _, path := range []string{file, "@" + file} {
		t.Run(path[:1], func(t *testing.T) {
			s := harness.NewSetup(origin.Addr())
			s.Listener.Address = config.Address{Path: path}
			logged := make(logOfEnds, 1)
			s.Log, s.HTTP().AccessLogs = logged, []*config.AccessLog{{GRPC: &config.GRPCAccessLog{LogName: "l", Cluster: "c"}}}
			s.VirtualHost().RequestAdd = []config.HeaderValue{{Name: "x-ends", Value: "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS%"}}
			p := s.Start(t)
			c := p.Dial()
			c.Send("GET / HTTP/1.1\r\nhost: h\r\nx-envoy-external-address: 1.2.3.4\r\n\r\n")
			got := c.ReadResponse("GET")
			for _, field := range []string{"x-forwarded-for", "x-envoy-external-address", "x-envoy-internal"} {
				if strings.Contains(got.Body, field) {
					t.Errorf("the origin is told of %s: %q", field, got.Body)
				}
			}
			if !strings.Contains(got.Body, "x-ends: "+path+" "+path) {
				t.Errorf("the origin was told %q, want the path for both ends", got.Body)
			}
			if got, want := <-logged, "invalid AddrPort invalid AddrPort "+path; got != want {
				t.Errorf("logged %q, want %q", got, want)
			}
			if got := p.Stat("listener." + path + ".downstream_cx_active"); got != 1 {
				t.Errorf("%d connections are active, want 1", got)
			}
			if got := p.Server.Listeners()[0].Address; got != s.Listener.Address {
				t.Errorf("the listener is on %v", got)
			}
			removeListeners(p)
			if _, err := net.Dial("unix", path); !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("a listener that has gone: %v", err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file of a listener that has gone: %v", err)
			}
		})
	}
}

// TestPipeListenerInternal has clients on Unix domain sockets be internal where that is said, if nobody was in between.
func TestPipeListenerInternal(t *testing.T) {
	s := harness.NewSetup(harness.NewOrigin(t, tellHead).Addr())
	s.Listener.Address = config.Address{Path: filepath.Join(t.TempDir(), "s")}
	s.HTTP().InternalUnixSockets = true
	c := s.Start(t).Dial()
	if got := c.Get("/"); !strings.Contains(got.Body, "x-envoy-internal: true") {
		t.Errorf("the origin was told %q", got.Body)
	}
	c.Send("GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 1.2.3.4\r\n\r\n")
	if got := c.ReadResponse("GET"); strings.Contains(got.Body, "x-envoy-internal: true") {
		t.Errorf("through another proxy, the origin was told %q", got.Body)
	}
}

// TestPipeListenerSpreads gives each worker the same number of connections, whoever accepts them, and closes those of clients that leave.
func TestPipeListenerSpreads(t *testing.T) {
	const workers, each = 4, 8
	s := filterSetup(nil, answerChain("", config.ChainMatch{}, "hi"))
	s.Workers = workers
	s.Listener.Address = config.Address{Path: filepath.Join(t.TempDir(), "s")}
	p := s.Start(t)
	for round := range 2 {
		var clients []*harness.Client
		for range workers * each {
			c := p.Dial()
			if got := c.Get("/"); got.Body != "hi" {
				t.Fatalf("got %q", got.Raw)
			}
			clients = append(clients, c)
		}
		p.Sync()
		for _, name := range []string{"worker_0", "worker_1", "worker_2", "worker_3"} {
			if got := listenerStat(p, name+".downstream_cx_active"); got != each {
				t.Errorf("round %d: %s has %d connections, want %d", round, name, got, each)
			}
		}
		for _, c := range clients {
			c.Close()
		}
		for listenerStat(p, "downstream_cx_active") > 0 {
			p.Sync()
		}
	}
}

// TestPipeListenerFile holds what becomes of what is at the path of a listener: a socket that was left there goes, another file does not.
func TestPipeListenerFile(t *testing.T) {
	dir := t.TempDir()
	stale, mine := filepath.Join(dir, "stale"), filepath.Join(dir, "mine")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	if err := os.WriteFile(mine, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := filterSetup(nil, answerChain("", config.ChainMatch{}, "hi"))
	s.Listener.Address, s.Listener.Socket.Mode = config.Address{Path: stale}, 0o622
	p := s.Start(t)
	if got := p.Dial().Get("/"); got.Body != "hi" {
		t.Errorf("got %q", got.Raw)
	}
	if at, err := os.Lstat(stale); err != nil || at.Mode().Perm() != 0o622 {
		t.Errorf("the file is %v, %v, want mode 0622 whatever the umask is", at, err)
	}
	for path, want := range map[string]string{
		mine:                           "listen on " + mine + ": there is a file that is not a socket",
		filepath.Join(dir, "none/s"):   "listen on " + filepath.Join(dir, "none/s") + ": bind: no such file or directory",
		filepath.Join(dir, "mine/s"):   "listen on " + filepath.Join(dir, "mine/s") + ": stat: not a directory",
		"/" + strings.Repeat("x", 108): "invalid argument",
	} {
		other := *s.Listener
		other.Name, other.Address = "other", config.Address{Path: path}
		delta := config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{"other": &other}}}
		if err := p.Server.Store().Apply(config.SourceFile, delta); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if text, err := os.ReadFile(mine); string(text) != "precious" {
		t.Errorf("the file has %q, %v", text, err)
	}
}

// TestPipeListenerTwice refuses the path of a listener to another one, and to its own second address. The file stays.
func TestPipeListenerTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := filterSetup(nil, answerChain("", config.ChainMatch{}, "hi"))
	s.Listener.Address = config.Address{Path: path}
	p := s.Start(t)
	for _, name := range []string{"a", "z"} { // before and after the listener that has it
		other := *s.Listener
		other.Name = name
		if name == "z" {
			other.Address = config.Address{IP: "127.0.0.1"}
			other.Additional = []config.ListenAddress{{Address: config.Address{Path: path}}}
		}
		delta := config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{name: &other}}}
		want := "address " + path + " is taken by listener "
		if err := p.Server.Store().Apply(config.SourceFile, delta); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if got := p.DialAddress(path).Get("/"); got.Body != "hi" {
			t.Errorf("after %s: %q", name, got.Raw)
		}
	}
}

// TestPipeListenerUpdated holds that a client that connects again and again is never refused while listeners take each other's place on
// the path, change chains, modes and other addresses, and that the file is one and the same.
func TestPipeListenerUpdated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := filterSetup(nil, answerChain("", config.ChainMatch{}, "hi"))
	s.Workers = 2
	s.Listener.Address, s.Listener.Socket.Mode = config.Address{Path: path}, 0o700
	p := s.Start(t)
	before, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	stop := reconnecting(t, p, path)
	for i := range 60 {
		next := *s.Listener
		switch i % 3 {
		case 0: // in place
			next.Default = answerChain("again", config.ChainMatch{}, "hi")
		case 1:
			next.Name = "renamed"
		case 2: // other addresses beside it
			next.Address, next.Socket = config.Address{IP: "127.0.0.1"}, config.SocketSettings{}
			next.Additional = []config.ListenAddress{{Address: s.Listener.Address, SocketSettings: s.Listener.Socket}}
		}
		p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{next.Name: &next}, Replace: true}})
	}
	t.Logf("%d connections were answered", stop())
	next := *s.Listener
	next.Socket.Mode, next.Socket.Backlog = 0o740, 5
	applyListener(p, &next)
	after, err := os.Lstat(path)
	if err != nil || !os.SameFile(before, after) || after.Mode().Perm() != 0o740 {
		t.Errorf("the file is %v, %v, want the same with mode 0740", after, err)
	}
	if got := p.DialAddress(path).Get("/"); got.Body != "hi" {
		t.Errorf("with another mode: %q", got.Raw)
	}
}
