package harness

import (
	"bytes"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// Driver sends one request over and over and reads fixed amounts, without allocating, so that a test can count what the
// proxy allocates. It reads and writes its socket directly and blocks its thread.
type Driver struct {
	t       testing.TB
	fd      int
	request []byte
	answer  []byte // room for one
	length  int    // of every answer
}

// NewDriver connects and has the request answered once, to learn how long the answer is: it must always be the same. The
// test closes the driver.
func (p *Proxy) NewDriver(request string) *Driver {
	p.t.Helper()
	d := &Driver{t: p.t, fd: p.dialBlocking(), request: []byte(request), answer: make([]byte, readSize)}
	d.learn()
	return d
}

// dialBlocking returns a blocking socket that is connected to the listener, whose reads end after Guard.
func (p *Proxy) dialBlocking() (fd int) {
	p.t.Helper()
	address := netip.MustParseAddrPort(p.Address())
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	guard := syscall.NsecToTimeval(Guard.Nanoseconds())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &guard); err != nil {
		p.t.Fatal(err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Addr: address.Addr().As4(), Port: int(address.Port())}); err != nil {
		p.t.Fatal(err)
	}
	return fd
}

// Close closes the connection.
func (d *Driver) Close() { _ = syscall.Close(d.fd) }

// learn reads the first answer to its end, which is known by its parse.
func (d *Driver) learn() {
	d.t.Helper()
	d.send()
	for end := time.Now().Add(Guard); time.Now().Before(end); {
		n, err := readRetrying(d.fd, d.answer[d.length:])
		if err != nil || n <= 0 {
			d.t.Fatalf("read: %d bytes, %v", n, err)
		}
		d.length += n
		s := stream{from: bytes.NewReader(d.answer[:d.length])}
		if resp, err := readResponse(&s, "GET"); err == nil && !resp.CloseDelimited {
			return
		}
	}
	d.t.Fatal("there was no answer")
}

func (d *Driver) send() {
	if n, err := syscall.Write(d.fd, d.request); n != len(d.request) || err != nil {
		d.t.Fatalf("write: %d bytes, %v", n, err)
	}
}

// readRetrying reads again when a signal, which the runtime sends to preempt goroutines, came between.
func readRetrying(fd int, b []byte) (n int, err error) {
	for {
		if n, err = syscall.Read(fd, b); err != syscall.EINTR {
			return n, err
		}
	}
}

// Do has the request answered n times.
func (d *Driver) Do(n int) {
	for range n {
		d.send()
		for got := 0; got < d.length; {
			k, err := readRetrying(d.fd, d.answer[got:d.length])
			if err != nil || k <= 0 {
				d.t.Fatalf("read: %d bytes, %v", k, err)
			}
			got += k
		}
		if string(d.answer[:8]) != "HTTP/1.1" {
			d.t.Fatalf("got %q", d.answer[:d.length])
		}
	}
}

// Server is an origin that answers without allocating: every segment that arrives is taken for a request. Its connections
// block threads.
type Server struct {
	t      testing.TB
	fd     int
	answer []byte
	ended  chan struct{}
}

// NewServer starts a Server for one connection, which gives every request the same answer.
func NewServer(t testing.TB, answer string) (*Server, netip.AddrPort) {
	t.Helper()
	fd, address := listenBlocking(t)
	s := &Server{t: t, fd: fd, answer: []byte(answer), ended: make(chan struct{})}
	go s.run()
	t.Cleanup(func() {
		_ = syscall.Shutdown(fd, syscall.SHUT_RDWR) // wakes an accept that nobody came to
		<-s.ended
		_ = syscall.Close(fd)
	})
	return s, address
}

// listenBlocking returns a blocking socket that listens on a free port of 127.0.0.1.
func listenBlocking(t testing.TB) (fd int, address netip.AddrPort) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	in := name.(*syscall.SockaddrInet4)
	return fd, netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port))
}

func (s *Server) run() {
	defer close(s.ended)
	conn, _, err := syscall.Accept(s.fd)
	if err != nil {
		return
	}
	defer func() { _ = syscall.Close(conn) }()
	buf := make([]byte, readSize)
	for {
		n, err := readRetrying(conn, buf)
		if err != nil || n <= 0 {
			return
		}
		if _, err := syscall.Write(conn, s.answer); err != nil {
			return
		}
	}
}
