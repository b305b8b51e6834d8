package eventloop

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDial connects to a listener of the same loop, with output gathered before the connection is established.
func TestDial(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(text, func(t *testing.T) {
			s := newSteppedLoop(t)
			fd, err := ListenSocket(netip.MustParseAddrPort(text), ListenOptions{IPv6Only: true})
			if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
				t.Skip("no IPv6 here")
			}
			if err != nil {
				t.Fatal(err)
			}
			address := SocketAddress(fd)
			var server *Conn
			if _, err := s.Listen(fd, acceptFunc(func(c *Conn) { server = c })); err != nil {
				t.Fatal(err)
			}
			c, err := s.Dial(address)
			if err != nil {
				t.Fatal(err)
			}
			pending := connectPending(t, c)
			woken := false
			c.SetIdleHandler(readyFunc(func(*Conn) { woken = true }))
			c.Write([]byte("early"))
			c.Write(make([]byte, directWrite)) // must not overtake
			if pending && c.BytesWritten() != 0 {
				t.Error("sent before the connection is established")
			}
			c.ShutdownWrite()
			s.until("news of the connection", func() bool { return woken })
			if ok, err := c.Connected(); !ok || err != nil {
				t.Errorf("Connected: %v, %v", ok, err)
			}
			s.until("everything is sent", c.Flushed)
			s.until("accept", func() bool { return server != nil })
			if server.RemoteAddr() != c.LocalAddr() || c.RemoteAddr() != address || server.LocalAddr() != address {
				t.Errorf("%v - %v on one side, %v - %v on the other", c.LocalAddr(), c.RemoteAddr(), server.RemoteAddr(), server.LocalAddr())
			}
			var got []byte
			server.SetWaker(s.Spawn(runnerFunc(func(task *Task) { got, _ = readAll(task, server) })))
			s.until("all bytes", func() bool { return len(got) == 5+directWrite })
			if string(got[:5]) != "early" {
				t.Errorf("got %q", got[:5])
			}
		})
	}
}

func connectPending(t *testing.T, c *Conn) bool {
	t.Helper()
	ok, err := c.Connected()
	if err != nil {
		t.Fatal(err)
	}
	return !ok
}

// TestShutdownWhileConnecting sends FIN on a connection that was given nothing else, once it is established.
func TestShutdownWhileConnecting(t *testing.T) {
	s := newSteppedLoop(t)
	fd, address := listenSocket(t)
	var server *Conn
	if _, err := s.Listen(fd, acceptFunc(func(c *Conn) { server = c })); err != nil {
		t.Fatal(err)
	}
	c, err := s.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	if !connectPending(t, c) {
		t.Fatal("connected at once: nothing is proved")
	}
	c.ShutdownWrite()
	s.flushDirty() // the turn ends before the connection is established
	if c.Flushed() {
		t.Error("FIN was sent on a connection that is not established")
	}
	s.until("FIN arrives", func() bool { return server != nil && server.PeerGone() })
}

// TestUnusedAppendBufferWhileConnecting gives the buffer back once the connection is established.
func TestUnusedAppendBufferWhileConnecting(t *testing.T) {
	s := newSteppedLoop(t)
	fd, address := listenSocket(t)
	if _, err := s.Listen(fd, acceptFunc(func(*Conn) {})); err != nil {
		t.Fatal(err)
	}
	c, err := s.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	c.AppendBuffer()
	s.flushDirty()
	s.until("connection", func() bool { ok, _ := c.Connected(); return ok })
	s.step()
	if c.out.head != nil {
		t.Error("the connection holds a buffer")
	}
}

func TestDialRefused(t *testing.T) {
	s := newSteppedLoop(t)
	fd, address := listenSocket(t)
	_ = unix.Close(fd)
	c, err := s.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	woken := false
	c.SetWaker(s.Spawn(runnerFunc(func(task *Task) {
		for ok, err := c.Connected(); !ok && err == nil; ok, err = c.Connected() {
			task.Park()
		}
		woken = true
	})))
	c.Write([]byte("lost"))
	c.ShutdownWrite()
	s.until("wake-up", func() bool { return woken })
	if ok, err := c.Connected(); ok || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Connected: %v, %v", ok, err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Read: %v", err)
	}
	if !errors.Is(c.WriteErr(), syscall.ECONNREFUSED) || c.Buffered() != 0 || len(s.chunks.idle) != 1 {
		t.Errorf("WriteErr %v, %d bytes gathered, %d chunks in the pool", c.WriteErr(), c.Buffered(), len(s.chunks.idle))
	}
	c.Close()
}

func TestDialImpossible(t *testing.T) {
	s := newSteppedLoop(t)
	before := openDescriptors()
	for _, address := range []netip.AddrPort{
		netip.MustParseAddrPort("255.255.255.255:80"),
		netip.MustParseAddrPort("[ff02::1]:80"),
	} {
		if c, err := s.Dial(address); err == nil {
			t.Errorf("%v: connected or pending", address)
			c.Close()
		}
	}
	if got := openDescriptors(); got != before {
		t.Errorf("%d descriptors are open, %d were before", got, before)
	}
}
