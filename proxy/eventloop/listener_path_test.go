package eventloop

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// sharedListeners have two loops accept from one Unix domain socket, each by a descriptor of its own.
func sharedListeners(t *testing.T, path string, hand func(fd int) bool) (loops [2]*steppedLoop, logs [2]*acceptLog, listeners [2]*Listener) {
	t.Helper()
	fd, err := ListenPath(path, ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, fd := range []int{fd, second} {
		loops[i], logs[i] = newSteppedLoop(t), &acceptLog{}
		if listeners[i], err = loops[i].ListenShared(fd, logs[i], hand); err != nil {
			t.Fatal(err)
		}
	}
	return loops, logs, listeners
}

// TestListenShared has a connection be accepted by whichever loop looks, and by the other when one has closed its descriptor.
func TestListenShared(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "s"), "@" + filepath.Base(os.Args[0]) + t.Name()} {
		loops, logs, listeners := sharedListeners(t, path, func(int) bool { return false })
		dial := func() {
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
		}
		dial()
		loops[1].step()
		loops[0].step()
		if len(logs[0].conns) != 0 || len(logs[1].conns) != 1 {
			t.Errorf("%d and %d connections were accepted, want the second loop to have the only one", len(logs[0].conns), len(logs[1].conns))
		}
		listeners[1].Close()
		dial()
		loops[1].step()
		loops[0].step()
		if len(logs[0].conns) != 1 || len(logs[1].conns) != 1 {
			t.Errorf("%d and %d connections were accepted, want one each", len(logs[0].conns), len(logs[1].conns))
		}
		c := logs[0].conns[0]
		if c.RemoteAddr().IsValid() || c.LocalAddr().IsValid() {
			t.Errorf("addresses %v, %v, want none", c.RemoteAddr(), c.LocalAddr())
		}
		if _, ok := c.OriginalDst(); ok {
			t.Error("there is an original destination")
		}
	}
}

// TestListenSharedHandsOn has another loop take a connection that the first has accepted, as long as it listens.
func TestListenSharedHandsOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var handed []int
	loops, logs, listeners := sharedListeners(t, path, func(fd int) bool { handed = append(handed, fd); return true })
	for range 2 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	loops[0].step()
	if len(handed) != 2 || len(logs[0].conns) != 0 {
		t.Fatalf("%d handed on, %d kept, want 2 and none", len(handed), len(logs[0].conns))
	}
	listeners[1].Adopt(handed[0])
	listeners[1].Close()
	listeners[1].Adopt(handed[1])
	if len(logs[1].conns) != 1 {
		t.Errorf("%d connections were adopted, want the one before the listener was closed", len(logs[1].conns))
	}
	if _, err := unix.FcntlInt(uintptr(handed[1]), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the other one: %v, want it closed", err)
	}
}

// TestListenPathFails leaves neither a file nor a descriptor.
func TestListenPathFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	o := ListenOptions{}
	o.Set[2] = func(int) error { return unix.EPERM }
	if _, err := ListenPath(path, o); err == nil || err.Error() != "listen on "+path+": operation not permitted" {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file: %v", err)
	}
}
