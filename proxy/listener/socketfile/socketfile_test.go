package socketfile_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/listener/socketfile"
)

func listen(t *testing.T, path string, mode uint32) net.Listener {
	t.Helper()
	l, err := socketfile.Listen(path, mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// TestListen has the file have the mode, and go with the listener.
func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, mode := range []uint32{0, 0o600, 0o777} {
		l := listen(t, path, mode)
		at, err := os.Lstat(path)
		if err != nil || mode != 0 && at.Mode().Perm() != os.FileMode(mode) {
			t.Errorf("mode %#o: %v, %v", mode, at, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("mode %#o, after the end: %v", mode, err)
		}
	}
}

// TestListenAfter has who comes later have the path, which the end of the one before does not take away.
func TestListenAfter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first := listen(t, path, 0)
	second := listen(t, path, 0)
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
	if _, err := second.Accept(); err != nil {
		t.Error(err)
	}
}

// TestListenAbstract has no file, and is refused while somebody listens.
func TestListenAbstract(t *testing.T) {
	path := "@" + filepath.Join(t.TempDir(), "s")
	l := listen(t, path, 0)
	if second, err := socketfile.Listen(path, 0); err == nil {
		_ = second.Close()
		t.Error("two listen on the same name")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	listen(t, path, 0)
}

// TestListenOnFile leaves a file that is not a socket where it is.
func TestListenOnFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := socketfile.Listen(path, 0); err == nil || err.Error() != "listen on "+path+": there is a file that is not a socket" {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file has %q, %v", text, err)
	}
}
