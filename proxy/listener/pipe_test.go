package listener

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// release closes a worker's socket, as a listener that goes does.
func release(s *Sockets, worker int) {
	fd, _ := s.Take(worker)
	_ = unix.Close(fd)
	s.Share(worker).Release()
}

// TestBindPath has the file go with the last worker's socket, of whichever Sockets were bound last, and hold no descriptor then.
func TestBindPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	descriptors := openDescriptors()
	a := config.ListenAddress{Address: config.Address{Path: path}}
	first, err := BindPath(a, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Backlog = 7
	second, err := BindPath(a, 2, first)
	if err != nil {
		t.Fatal(err)
	}
	for worker := range 2 {
		release(first, worker)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the file went with the sockets that others have replaced: %v", err)
	}
	release(second, 0)
	second.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
	third, err := BindPath(a, 1, second) // of which nothing is left to take over
	if err != nil {
		t.Fatal(err)
	}
	third.Close()
	if got := openDescriptors(); got != descriptors {
		t.Errorf("%d descriptors are open, %d were before", got, descriptors)
	}
}

// TestBindPathOptions names the option that a Unix domain socket does not have, and leaves what was there as it is.
func TestBindPathOptions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := config.ListenAddress{Address: config.Address{Path: path}}
	s, err := BindPath(a, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a.Options = []config.SocketOption{{Level: unix.IPPROTO_TCP, Name: unix.TCP_NODELAY, Int: 1}}
	want := "listen on " + path + ": setsockopt level 6, name 1: operation not supported"
	if _, err := BindPath(a, 1, s); err == nil || err.Error() != want {
		t.Errorf("on the same path: %v, want %s", err, want)
	}
	a.Path += "2"
	if _, err := BindPath(a, 1, nil); err == nil {
		t.Error("on another path, it is taken")
	}
	if _, err := os.Lstat(a.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its file is left: %v", err)
	}
}

// TestShareFewest gives connections to whom has the fewest, itself where no other has fewer, and never to who has gone.
func TestShareFewest(t *testing.T) {
	s := newShares(&pipe{fd: -1, users: 2}, 3)
	open := func(counts ...int64) {
		for worker, n := range counts {
			s.all[worker].open.Store(n)
		}
	}
	for _, tt := range []struct {
		counts []int64
		at     int
		want   int
	}{{[]int64{0, 0, 0}, 1, 1}, {[]int64{1, 1, 1}, 2, 2}, {[]int64{2, 1, 1}, 2, 2}, {[]int64{2, 1, 1}, 0, 1}, {[]int64{0, 1, 1}, 2, 0}} {
		open(tt.counts...)
		if got := s.all[tt.at].Fewest(); got != tt.want {
			t.Errorf("%v, accepted by %d: it goes to %d, want %d", tt.counts, tt.at, got, tt.want)
		}
	}
	open(0, 3, 4)
	s.all[0].Release()
	if got := s.all[2].Fewest(); got != 1 {
		t.Errorf("it goes to %d, want 1", got)
	}
	if s.all[2].Hand(0, -1) {
		t.Error("who has gone takes a connection")
	}
}

// TestShareReleased closes what was handed to a worker that goes.
func TestShareReleased(t *testing.T) {
	s := newShares(&pipe{fd: -1, users: 2}, 2)
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	for _, fd := range ends {
		if !s.all[0].Hand(1, fd) {
			t.Fatal("the worker takes nothing")
		}
	}
	if got := s.all[1].open.Load(); got != 2 {
		t.Errorf("%d connections are counted, want 2", got)
	}
	s.all[1].Release()
	s.all[1].Release()
	for _, fd := range ends {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
			t.Errorf("descriptor %d: %v, want it closed", fd, err)
		}
	}
	var none *Share
	none.Opened()
	none.Closed()
	none.Release()
	if none.Take() != nil {
		t.Error("no share has connections")
	}
}
