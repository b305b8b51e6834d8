package eventloop

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDialPath connects to Unix domain sockets, of files and abstract. Options of TCP, which these do not have, are no error.
func TestDialPath(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "s"), "@" + filepath.Base(os.Args[0]) + t.Name()} {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s := newSteppedLoop(t)
		c, err := s.DialPath(path, DialOption{Level: unix.SOL_SOCKET, Name: unix.SO_SNDBUF, Value: 8192}, DialOption{Level: unix.IPPROTO_TCP, Name: unix.TCP_KEEPIDLE, Value: 7})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF); err != nil || n != 2*8192 {
			t.Errorf("SO_SNDBUF is %d, %v, want what was asked for, which the kernel doubles", n, err)
		}
		if ok, err := c.Connected(); !ok || err != nil {
			t.Errorf("%s: Connected: %v, %v", path, ok, err)
		}
		if c.RemoteAddr().IsValid() || c.LocalAddr().IsValid() {
			t.Errorf("%s: addresses %v, %v, want none", path, c.RemoteAddr(), c.LocalAddr())
		}
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("question"))
		c.ShutdownWrite()
		s.until("everything is sent", c.Flushed)
		if got, err := io.ReadAll(peer); string(got) != "question" || err != nil {
			t.Errorf("%s: the peer got %q, %v", path, got, err)
		}
		if _, err := io.WriteString(peer, "answer"); err != nil {
			t.Fatal(err)
		}
		_ = peer.Close()
		var got []byte
		var done bool
		c.SetWaker(s.Spawn(runnerFunc(func(task *Task) { got, _ = readAll(task, c); done = true })))
		s.until("the end", func() bool { return done })
		if string(got) != "answer" {
			t.Errorf("%s: got %q", path, got)
		}
		c.Close()
	}
}

// TestDialPathRefused names the socket that cannot be connected to, and leaves no descriptor behind.
func TestDialPathRefused(t *testing.T) {
	s := newSteppedLoop(t)
	path := filepath.Join(t.TempDir(), "none")
	if _, err := s.DialPath(path); !errors.Is(err, syscall.ENOENT) || err.Error() != "connect to "+path+": no such file or directory" {
		t.Errorf("no file: %v", err)
	}
	if _, err := s.DialPath("@" + path); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err := s.DialPath("/" + string(make([]byte, 108))); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("too long: %v", err)
	}
}
