package eventloop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// maskLayer is a Layer of records: two bytes of length, and that many bytes of content, masked. A record without content is
// the mark of the end; one that holds only "?" is answered with one of "!", on its own account.
type maskLayer struct {
	wire *Wire
	raw  []byte // read and not understood yet
	open []byte // content not taken yet
	end  bool
}

const mask = 0x5a

func masked(content []byte) []byte {
	record := binary.BigEndian.AppendUint16(nil, uint16(len(content)))
	for _, b := range content {
		record = append(record, b^mask)
	}
	return record
}

func (m *maskLayer) Read(b []byte) (int, error) {
	for len(m.open) == 0 {
		if m.end {
			return 0, io.EOF
		}
		if len(m.raw) < 2 || len(m.raw) < 2+int(binary.BigEndian.Uint16(m.raw)) {
			var more [700]byte
			n, err := m.wire.Read(more[:])
			if err != nil {
				return 0, err
			}
			m.raw = append(m.raw, more[:n]...)
			continue
		}
		size := 2 + int(binary.BigEndian.Uint16(m.raw))
		content := masked(m.raw[2:size])[2:]
		m.raw = m.raw[size:]
		m.end = len(content) == 0
		if string(content) == "?" {
			if _, err := m.Write([]byte("!")); err != nil {
				return 0, err
			}
			continue
		}
		m.open = content
	}
	n := copy(b, m.open)
	m.open = m.open[n:]
	return n, nil
}

func (m *maskLayer) Write(b []byte) (int, error) {
	if _, err := m.wire.Write(masked(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (m *maskLayer) CloseWrite() error {
	_, err := m.wire.Write(masked(nil))
	return err
}

// layeredPair is a pair whose Conn has a maskLayer.
func (s *steppedLoop) layeredPair() (c *Conn, peer int) {
	s.t.Helper()
	c, peer = s.pair()
	c.Handshake(func(w *Wire) (Layer, error) { return &maskLayer{wire: w}, nil })
	s.step()
	return c, peer
}

// give has the peer send b.
func give(t testing.TB, peer int, b []byte) {
	t.Helper()
	for len(b) > 0 {
		n, err := unix.Write(peer, b)
		if err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
}

// taken returns what the peer can read now, with the records taken apart. end tells that the mark of the end is the last.
func taken(t *testing.T, peer int) (content []byte, end bool) {
	t.Helper()
	var raw []byte
	b := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(peer, b, unix.MSG_DONTWAIT)
		if err != nil || n == 0 {
			break
		}
		raw = append(raw, b[:n]...)
	}
	for len(raw) >= 2 {
		size := 2 + int(binary.BigEndian.Uint16(raw))
		if len(raw) < size || end {
			t.Fatalf("%d bytes that are no record, after the end: %t", len(raw), end)
		}
		end = size == 2
		content = append(content, masked(raw[2:size])[2:]...)
		raw = raw[size:]
	}
	return content, end
}

// TestLayerReadsAtEverySplit gives two records and the end in two pieces, split everywhere, to readers of several sizes.
func TestLayerReadsAtEverySplit(t *testing.T) {
	first, second := make([]byte, 900), []byte("second")
	pattern(first, 0)
	want := slices.Concat(first, second)
	wire := slices.Concat(masked(first), masked(second), masked(nil))
	for _, size := range []int{1, 899, 900, 4096} {
		for split := 0; split <= len(wire); split += max(1, size/64) {
			s := newSteppedLoop(t)
			c, peer := s.layeredPair()
			var got []byte
			var end error
			read := func() {
				b := make([]byte, size)
				for end == nil && c.Readable() {
					n, err := c.Read(b)
					got = append(got, b[:n]...)
					if err != nil && err != ErrWouldBlock {
						end = err
					}
				}
			}
			c.SetIdleHandler(readyFunc(func(*Conn) { read() }))
			give(t, peer, wire[:split])
			s.step()
			give(t, peer, wire[split:])
			s.step()
			if end != io.EOF || !c.EOF() || !bytes.Equal(got, want) {
				t.Fatalf("split at %d, reads of %d: %d bytes of %d, then %v", split, size, len(got), len(want), end)
			}
		}
	}
}

// TestLayerShortReadTellsAll has one read take what several records hold, and tell by its length that there is no more.
func TestLayerShortReadTellsAll(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.layeredPair()
	give(t, peer, slices.Concat(masked([]byte("one ")), masked([]byte("two ")), masked([]byte("three"))))
	s.step()
	b := make([]byte, 64)
	n, err := c.Read(b)
	if got := string(b[:n]); got != "one two three" || err != nil || c.Readable() {
		t.Errorf("read %q, %v, readable: %t", got, err, c.Readable())
	}
	if _, err := c.Read(b); err != ErrWouldBlock {
		t.Errorf("the next read: %v", err)
	}
}

// TestLayerTruncated tells the end of the bytes from the end that the peer marks.
func TestLayerTruncated(t *testing.T) {
	for _, wire := range [][]byte{nil, masked([]byte("whole")), masked([]byte("a part"))[:5]} {
		s := newSteppedLoop(t)
		c, peer := s.layeredPair()
		give(t, peer, wire)
		if err := unix.Shutdown(peer, unix.SHUT_WR); err != nil {
			t.Fatal(err)
		}
		s.step()
		var err error
		for b := make([]byte, 64); err == nil; {
			_, err = c.Read(b)
		}
		if !errors.Is(err, ErrTruncated) || c.EOF() || c.Err() == nil {
			t.Errorf("after %q: %v, an end: %t", wire, err, c.EOF())
		}
	}
}

// TestLayerSeals sends every size of output whole, and the mark of the end after it.
func TestLayerSeals(t *testing.T) {
	for _, size := range borderSizes() {
		s := newSteppedLoop(t)
		c, peer := s.layeredPair()
		want := make([]byte, size)
		pattern(want, 0)
		c.Write(want[:size/3])
		c.Commit(append(c.AppendBuffer(), want[size/3:]...))
		c.ShutdownWrite()
		if c.Flushed() || c.Buffered() < size {
			t.Fatalf("%d bytes: flushed: %t, %d gathered", size, c.Flushed(), c.Buffered())
		}
		var got []byte
		ended := false
		s.until("everything is sent", func() bool {
			b := make([]byte, 1<<20)
			for {
				n, _, err := unix.Recvfrom(peer, b, unix.MSG_DONTWAIT)
				if err != nil {
					return false
				}
				if n == 0 {
					ended = true
					return true
				}
				got = append(got, b[:n]...)
			}
		})
		var content []byte
		for len(got) > 2 {
			n := 2 + int(binary.BigEndian.Uint16(got))
			content = append(content, masked(got[2:n])[2:]...)
			got = got[n:]
		}
		if !ended || len(got) != 2 || !bytes.Equal(content, want) {
			t.Fatalf("%d bytes: %d came, %d bytes after them, FIN: %t", size, len(content), len(got), ended)
		}
		if !c.Flushed() || c.out.head != nil || c.over.sealed.head != nil {
			t.Fatalf("%d bytes: something is left", size)
		}
	}
}

// TestLayerSealsWhatTheKernelTakes seals no more than a bound while the peer does not read, and wakes below what was asked for.
func TestLayerSealsWhatTheKernelTakes(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.layeredPair()
	c.Write(make([]byte, 4<<20))
	s.step()
	if c.flags&flagBlocked == 0 {
		t.Fatal("the kernel has taken 4 MiB")
	}
	if n := c.over.sealed.bytes; n > maxSealed+2*ReadBufferSize {
		t.Errorf("%d bytes are sealed", n)
	}
	woken := 0
	c.SetIdleHandler(readyFunc(func(c *Conn) {
		if c.Buffered() < 1000 {
			woken++
		}
	}))
	c.NotifyBelow(1000)
	total := 0
	b := make([]byte, 1<<20)
	s.until("woken", func() bool {
		n, _, err := unix.Recvfrom(peer, b, unix.MSG_DONTWAIT)
		if err == nil {
			total += n
		}
		return woken > 0
	})
	if c.Buffered() >= 1000 {
		t.Errorf("woken with %d bytes gathered", c.Buffered())
	}
}

// TestLayerAnswersOnItsOwn sends what the layer says in the course of a read, and cuts a peer off that does not read it.
func TestLayerAnswersOnItsOwn(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.layeredPair()
	b := make([]byte, 64)
	give(t, peer, masked([]byte("?")))
	s.step()
	if _, err := c.Read(b); err != ErrWouldBlock {
		t.Fatalf("read: %v", err)
	}
	s.step()
	if got, _ := taken(t, peer); string(got) != "!" {
		t.Fatalf("the answer is %q", got)
	}
	c.over.sealed.add(&s.chunks, make([]byte, maxUnsentReplies+1))
	give(t, peer, masked([]byte("?")))
	s.mailbox.ring()
	c.flags |= flagReadable
	if _, err := c.Read(b); err != errUnread || c.Err() != errUnread {
		t.Errorf("read: %v, the connection: %v", err, c.Err())
	}
}

// TestLayerClose tells the peer the end also when the connection is closed at once, and not when it is aborted.
func TestLayerClose(t *testing.T) {
	for _, test := range []struct {
		how  func(*Conn)
		want string
		end  bool
	}{{(*Conn).Close, "last words", true}, {(*Conn).Abort, "", false}} {
		s := newSteppedLoop(t)
		c, peer := s.layeredPair()
		c.Write([]byte("last words"))
		test.how(c)
		if got, end := taken(t, peer); string(got) != test.want || end != test.end {
			t.Errorf("%q came, the end: %t; want %q, %t", got, end, test.want, test.end)
		}
	}
}

// helloLayer is a maskLayer after a handshake: the peer says "hello", and hears "HELLO".
func helloLayer(w *Wire) (Layer, error) {
	b := make([]byte, 5)
	for n := 0; n < len(b); {
		m, err := w.Read(b[n:])
		if err != nil {
			return nil, err
		}
		n += m
	}
	if string(b) != "hello" {
		return nil, errors.New("it says " + string(b))
	}
	_, err := w.Write([]byte("HELLO"))
	return &maskLayer{wire: w}, err
}

// TestHandshakeOfAccepted has a handshake that reads like blocking code. Its owner is told when it is over, and finds what
// came with its last bytes; what it has written before goes out after it.
func TestHandshakeOfAccepted(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	told := 0
	c.SetIdleHandler(readyFunc(func(*Conn) { told++ }))
	c.Handshake(helloLayer)
	c.Write([]byte("early"))
	c.NotifyBelow(1)
	for _, piece := range []string{"", "he", "l"} {
		give(t, peer, []byte(piece))
		s.step()
		s.step()
		if done, err := c.Connected(); done || err != nil || told != 0 || c.Readable() {
			t.Fatalf("after %q: connected: %t, %v; told %d times, readable: %t", piece, done, err, told, c.Readable())
		}
		if _, err := c.Read(make([]byte, 9)); err != ErrWouldBlock {
			t.Fatalf("after %q: read: %v", piece, err)
		}
	}
	give(t, peer, append([]byte("lo"), masked([]byte("with it"))...))
	s.until("the owner is told", func() bool { return told > 0 })
	b := make([]byte, 64)
	n, err := c.Read(b)
	if done, _ := c.Connected(); !done || err != nil || string(b[:n]) != "with it" {
		t.Fatalf("connected: %t; read %q, %v", done, b[:n], err)
	}
	s.step()
	if n, err := unix.Read(peer, b); err != nil || string(b[:n]) != "HELLO"+string(masked([]byte("early"))) {
		t.Errorf("the peer got %q, %v", b[:max(n, 0)], err)
	}
}

// TestHandshakeOfDialled begins when the connection is there, and counts as a part of connecting.
func TestHandshakeOfDialled(t *testing.T) {
	s := newSteppedLoop(t)
	fd, address := listenSocket(t)
	var peer *Conn
	if _, err := s.Listen(fd, acceptFunc(func(accepted *Conn) { peer = accepted })); err != nil {
		t.Fatal(err)
	}
	c, err := s.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	c.SetIdleHandler(readyFunc(func(*Conn) { told++ }))
	c.Handshake(helloLayer)
	c.Write([]byte("early"))
	s.until("accept", func() bool { return peer != nil })
	s.step()
	if done, err := c.Connected(); done || err != nil || told != 0 {
		t.Fatalf("before the handshake: connected: %t, %v; told %d times", done, err, told)
	}
	peer.Write([]byte("hello"))
	s.until("the owner is told", func() bool { return told > 0 })
	if done, err := c.Connected(); !done || err != nil {
		t.Errorf("connected: %t, %v", done, err)
	}
	var got []byte
	s.until("what was written has come", func() bool {
		b := make([]byte, 64)
		n, _ := peer.Read(b)
		got = append(got, b[:n]...)
		return string(got) == "HELLO"+string(masked([]byte("early")))
	})
}

// TestHandshakeFails has the connection fail with what the handshake says, or because of a panic in it.
func TestHandshakeFails(t *testing.T) {
	for said, want := range map[string]string{"hullo": "it says hullo", "": ErrTruncated.Error(), "panic": errHandshakePanicked.Error()} {
		s := newSteppedLoop(t)
		c, peer := s.pair()
		told := 0
		c.SetIdleHandler(readyFunc(func(*Conn) { told++ }))
		c.Handshake(func(w *Wire) (Layer, error) {
			if said == "panic" {
				panic(said)
			}
			return helloLayer(w)
		})
		c.Write([]byte("early"))
		give(t, peer, []byte(said))
		if err := unix.Shutdown(peer, unix.SHUT_WR); err != nil {
			t.Fatal(err)
		}
		s.until("the owner is told", func() bool { return told > 0 })
		if _, err := c.Connected(); err == nil || err.Error() != want || c.Buffered() != 0 {
			t.Errorf("%q: %v, %d bytes gathered; want %s", said, err, c.Buffered(), want)
		}
		if said == "panic" && len(s.fatal) == 1 {
			s.fatal = nil
		}
	}
}

// TestLayerSaysWhyItFails holds that what a layer has to say of its failure is sent, as an alert of TLS is.
func TestLayerSaysWhyItFails(t *testing.T) {
	failure := errors.New("it fails")
	t.Run("handshake", func(t *testing.T) {
		s := newSteppedLoop(t)
		c, peer := s.pair()
		c.SetIdleHandler(readyFunc((*Conn).Close))
		c.Handshake(func(w *Wire) (Layer, error) {
			_, _ = w.Write(masked([]byte("alert")))
			return nil, failure
		})
		s.until("the owner closes", c.Closed)
		if got, _ := taken(t, peer); string(got) != "alert" {
			t.Errorf("the peer is told %q", got)
		}
	})
	t.Run("read", func(t *testing.T) {
		s := newSteppedLoop(t)
		c, peer := s.pair()
		c.Handshake(func(w *Wire) (Layer, error) { return &failingLayer{maskLayer{wire: w}, failure}, nil })
		s.step()
		if _, err := c.Read(make([]byte, 64)); err != failure {
			t.Errorf("read: %v", err)
		}
		c.Close()
		if got, _ := taken(t, peer); string(got) != "alert" {
			t.Errorf("the peer is told %q", got)
		}
	})
}

// failingLayer is a layer that fails to read, and says so to the peer.
type failingLayer struct {
	maskLayer
	failure error
}

func (f *failingLayer) Read([]byte) (int, error) {
	_, _ = f.wire.Write(masked([]byte("alert")))
	return 0, f.failure
}

// TestCloseWhileHandshaking leaves nothing behind.
func TestCloseWhileHandshaking(t *testing.T) {
	for _, how := range []func(*Conn){(*Conn).Close, (*Conn).Abort} {
		s := newSteppedLoop(t)
		c, _ := s.pair()
		var end error
		c.Handshake(func(w *Wire) (Layer, error) {
			layer, err := helloLayer(w)
			end = err
			return layer, err
		})
		s.step()
		how(c)
		s.until("the handshake ends", func() bool { return end != nil })
		if end != ErrClosed || len(s.tasks.idle) != 1 {
			t.Errorf("it ends with %v, %d tasks are idle", end, len(s.tasks.idle))
		}
	}
}

// TestHandshakeAwaits lets the loop go on while the handshake waits for something that takes its time.
func TestHandshakeAwaits(t *testing.T) {
	s := newSteppedLoop(t)
	c, _ := s.pair()
	release, told := make(chan struct{}), 0
	c.SetIdleHandler(readyFunc(func(*Conn) { told++ }))
	c.Handshake(func(w *Wire) (Layer, error) {
		w.Await(func() { <-release })
		return &maskLayer{wire: w}, nil
	})
	for range 5 {
		s.step()
	}
	if told != 0 {
		t.Fatal("hands are shaken")
	}
	close(release)
	s.until("the owner is told", func() bool { return told > 0 })
}

// TestHandshakeLingers sends the peer what it is to know and the end, and throws away what it still sends, up to a limit or its end.
func TestHandshakeLingers(t *testing.T) {
	refused := errors.New("refused")
	for name, end := range map[string]func(peer int){
		"the peer closes": func(peer int) { _ = unix.Shutdown(peer, unix.SHUT_WR) },
		"the limit":       func(peer int) { _, _ = unix.Write(peer, make([]byte, 100)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteppedLoop(t)
			c, peer := s.pair()
			told := 0
			c.SetIdleHandler(readyFunc(func(*Conn) { told++ }))
			c.Handshake(func(w *Wire) (Layer, error) {
				if _, err := w.Write([]byte("why")); err != nil {
					t.Error(err)
				}
				w.Linger(100)
				return nil, refused
			})
			s.step()
			var got [8]byte
			if n, err := unix.Read(peer, got[:]); string(got[:max(n, 0)]) != "why" || err != nil {
				t.Errorf("%q, %v", got[:max(n, 0)], err)
			}
			if n, err := unix.Read(peer, got[:]); n != 0 || err != nil {
				t.Errorf("no end, but %d bytes, %v", n, err)
			}
			if _, err := unix.Write(peer, make([]byte, 99)); err != nil {
				t.Error(err)
			}
			for range 3 {
				s.step()
			}
			if told > 0 {
				t.Fatal("it does not wait for the peer")
			}
			end(peer)
			s.until("the handshake has failed", func() bool { return told > 0 })
			if _, err := c.Connected(); !errors.Is(err, refused) {
				t.Errorf("it has failed with %v", err)
			}
		})
	}
}
