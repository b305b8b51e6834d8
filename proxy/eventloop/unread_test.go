package eventloop

import (
	"errors"
	"io"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnread holds that bytes given back are read again before others, in pieces of any size, and counted once.
func TestUnread(t *testing.T) {
	for size := 1; size <= 8; size++ {
		s := newSteppedLoop(t)
		c, peer := s.pair()
		write := func(text string) {
			if _, err := unix.Write(peer, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		write("begin")
		s.until("bytes come", c.Readable)
		b := make([]byte, 16)
		n, err := c.Read(b)
		if n != 5 || err != nil || c.Readable() {
			t.Fatalf("%d bytes, %v, readable %t", n, err, c.Readable())
		}
		c.Unread(b[2:5])
		if !c.Readable() {
			t.Fatal("nothing to read after bytes were given back")
		}
		write(" and go on")
		if err := unix.Shutdown(peer, unix.SHUT_WR); err != nil {
			t.Fatal(err)
		}
		var got []byte
		s.until("the end", func() bool {
			part := make([]byte, size)
			for {
				n, err := c.Read(part)
				got = append(got, part[:n]...)
				if errors.Is(err, ErrWouldBlock) {
					return false
				}
				if err == io.EOF {
					return true
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		})
		if string(got) != "gin and go on" || c.BytesRead() != uint64(len("begin and go on")) {
			t.Errorf("%d at a time: got %q, %d bytes counted", size, got, c.BytesRead())
		}
	}
}

// TestUnreadUnderLayer holds that a layer reads what was given back.
func TestUnreadUnderLayer(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	record := masked([]byte("hello"))
	if _, err := unix.Write(peer, record); err != nil {
		t.Fatal(err)
	}
	s.until("bytes come", c.Readable)
	b := make([]byte, 16)
	n, err := c.Read(b)
	if n != len(record) || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	c.Unread(b[:n])
	c.Handshake(func(w *Wire) (Layer, error) { return &maskLayer{wire: w}, nil })
	got := make([]byte, 16)
	s.until("the layer has read", func() bool {
		n, err = c.Read(got)
		return !errors.Is(err, ErrWouldBlock)
	})
	if string(got[:n]) != "hello" || err != nil {
		t.Errorf("got %q, %v", got[:n], err)
	}
}

// TestBreak holds that who waits for a connection is woken when somebody else ends it, and finds why.
func TestBreak(t *testing.T) {
	s := newSteppedLoop(t)
	c, _ := s.pair()
	told := false
	c.SetIdleHandler(readyFunc(func(*Conn) { told = true }))
	c.Write([]byte("never sent"))
	why := errors.New("why")
	c.Break(why)
	if _, err := c.Read(make([]byte, 1)); !told || err != why || c.WriteErr() != why || c.Buffered() != 0 || !c.PeerGone() {
		t.Errorf("told %t, read: %v, write: %v, %d bytes are gathered", told, err, c.WriteErr(), c.Buffered())
	}
}

// TestOriginalDstUnknown holds that a connection that was not translated has no other destination than its own.
func TestOriginalDstUnknown(t *testing.T) {
	s := newSteppedLoop(t)
	c, _ := s.connect()
	if at, ok := c.OriginalDst(); ok && at != c.RemoteAddr() && at != c.LocalAddr() {
		t.Errorf("got %s for a connection from %s to %s", at, c.LocalAddr(), c.RemoteAddr())
	}
}
