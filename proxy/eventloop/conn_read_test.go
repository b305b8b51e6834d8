package eventloop

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadStates(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	b := make([]byte, 4)
	read := func(want string, wantErr error, readable bool) {
		t.Helper()
		n, err := c.Read(b)
		if string(b[:n]) != want || !errors.Is(err, wantErr) || c.Readable() != readable {
			t.Errorf("read %q, %v, then readable: %v; want %q, %v, %v", b[:n], err, c.Readable(), want, wantErr, readable)
		}
	}
	send := func(text string) {
		t.Helper()
		if _, err := unix.Write(peer, []byte(text)); err != nil {
			t.Fatal(err)
		}
		s.turnOnce()
	}
	read("", ErrWouldBlock, false)
	send("abcdef")
	read("abcd", nil, true)
	read("ef", nil, false) // a short read: no need to ask the kernel again
	read("", ErrWouldBlock, false)
	send("abcd")
	read("abcd", nil, true) // whether there is more is not known
	read("", ErrWouldBlock, false)
	send("abc")
	send("def")
	read("abcd", nil, true)
	read("ef", nil, false)
	if c.PeerGone() || c.EOF() || c.BytesRead() != 16 {
		t.Errorf("PeerGone %v, EOF %v, %d bytes read; want false, false, 16", c.PeerGone(), c.EOF(), c.BytesRead())
	}
	_ = unix.Shutdown(peer, unix.SHUT_WR)
	s.turnOnce()
	if !c.PeerGone() || c.EOF() || !c.Readable() {
		t.Error("FIN is not noticed")
	}
	read("", io.EOF, true)
	read("", io.EOF, true)
	if !c.EOF() || c.Err() != nil {
		t.Errorf("EOF %v, Err %v; want true, nil", c.EOF(), c.Err())
	}
}

// TestFINWithData covers a FIN that epoll reports together with the last bytes: no second event announces it, so a short
// read must not be taken for the end of what there is.
func TestFINWithData(t *testing.T) {
	tests := map[string]func(s *steppedLoop, c *Conn, send, fin func()){
		"one event":         func(s *steppedLoop, c *Conn, send, fin func()) { send(); fin(); s.turnOnce() },
		"event, then FIN":   func(s *steppedLoop, c *Conn, send, fin func()) { send(); s.turnOnce(); fin() },
		"two events":        func(s *steppedLoop, c *Conn, send, fin func()) { send(); s.turnOnce(); fin(); s.turnOnce() },
		"FIN after reading": func(s *steppedLoop, c *Conn, send, fin func()) { send(); s.turnOnce(); s.step(); fin() },
	}
	for name, play := range tests {
		for _, size := range []int{1, 10, 4095, 4096, 4097} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				s := newSteppedLoop(t)
				c, peer := s.connect()
				var got []byte
				var err error
				ended := false
				task := s.Spawn(runnerFunc(func(task *Task) {
					got, err = readAll(task, c)
					ended = true
				}))
				c.SetWaker(task)
				play(s, c, func() { _, _ = peer.Write(make([]byte, size)) }, func() { _ = peer.CloseWrite() })
				s.until("end of input", func() bool { return ended })
				if err != nil || len(got) != size {
					t.Errorf("read %d bytes, %v; want %d", len(got), err, size)
				}
			})
		}
	}
}

// TestReadNeverStalls has readers with buffers of random sizes take streams of random pieces: an edge that is missed leaves
// one parked for ever.
func TestReadNeverStalls(t *testing.T) {
	const conns, total = 8, 512 << 10
	l := startLoop(t, Options{})
	done := make(chan error, conns)
	seed := uint64(0)
	address := serveTask(t, l, func(task *Task, c *Conn) {
		seed++
		r := rand.New(rand.NewPCG(seed, 4))
		b := make([]byte, 20_000)
		offset := 0
		for {
			n, err := c.Read(b[:1+r.IntN(1<<(1+r.IntN(14)))])
			if bad := checkPattern(b[:n], offset); bad != nil {
				err = bad
			}
			offset += n
			switch {
			case errors.Is(err, ErrWouldBlock):
				task.Park()
			case errors.Is(err, io.EOF) && offset == total:
				done <- nil
				return
			case err != nil:
				done <- fmt.Errorf("after %d bytes: %w", offset, err)
				return
			case r.IntN(8) == 0:
				task.Yield()
			}
		}
	})
	for i := range conns {
		peer := dial(t, address)
		go func() {
			r := rand.New(rand.NewPCG(uint64(i), 6))
			b := make([]byte, 20_000)
			for sent := 0; sent < total; {
				n := min(1+r.IntN(1<<(1+r.IntN(14))), total-sent)
				pattern(b[:n], sent)
				if _, err := peer.Write(b[:n]); err != nil {
					done <- err
					return
				}
				sent += n
			}
			_ = peer.CloseWrite()
		}()
	}
	for range conns {
		if err := receive(t, done); err != nil {
			t.Error(err)
		}
	}
}

// TestUrgentData covers the one exception to "a short read has emptied the socket": a read stops before a byte that was
// sent as urgent (RFC 9293 section 3.8.5), and what follows it announces itself no more.
func TestUrgentData(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.connect()
	raw, err := peer.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	send := func(text string, flags int) {
		if err := raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), []byte(text), flags, nil) }); err != nil {
			t.Fatal(err)
		}
	}
	send("before", 0)
	send("!", unix.MSG_OOB)
	send("after", 0)
	var got []byte
	c.SetWaker(s.Spawn(runnerFunc(func(task *Task) {
		b := make([]byte, 11)
		if err := readFull(task, c, b); err != nil {
			t.Error(err)
		}
		got = b
	})))
	s.until("everything but the urgent byte", func() bool { return got != nil })
	if string(got) != "beforeafter" {
		t.Errorf("read %q", got)
	}
}

// TestIdleHandler is told of events only while there is no task.
func TestIdleHandler(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	told, woken := 0, 0
	c.SetIdleHandler(readyFunc(func(got *Conn) {
		if got != c {
			t.Error("told of another connection")
		}
		told++
	}))
	send := func() {
		t.Helper()
		if _, err := unix.Write(peer, []byte("x")); err != nil {
			t.Fatal(err)
		}
		s.turnOnce()
	}
	send()
	task := s.Spawn(runnerFunc(func(task *Task) {
		for {
			woken++
			task.Park()
		}
	}))
	c.SetWaker(task)
	s.step()
	send()
	c.SetWaker(nil)
	send()
	if told != 2 || woken != 2 {
		t.Errorf("the handler was told %d times, the task ran %d times; want 2, 2", told, woken)
	}
	c.SetIdleHandler(nil)
	send()
	if c.Loop() != s.Loop || task.Loop() != s.Loop {
		t.Error("another loop")
	}
}
