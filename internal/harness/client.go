package harness

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Client is a raw connection to the proxy, over TCP or a Unix domain socket. Its methods fail the test when something else happens than they ask for,
// and belong to the test's goroutine; Write, TryResponse and Close may be used by others.
type Client struct {
	t     testing.TB
	proxy *Proxy
	conn  streamConn
	in    stream
}

// streamConn is a TCP connection, or one over a Unix domain socket.
type streamConn interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// DialOption changes how a Client connects.
type DialOption func(*net.Dialer)

// ReceiveBuffer asks for a receive buffer of n bytes, which the kernel doubles and holds to a minimum: a client that does
// not read then takes little before its peer has to keep what it writes.
func ReceiveBuffer(n int) DialOption {
	return func(d *net.Dialer) {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			var err error
			if e := raw.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, n)
			}); e != nil {
				return e
			}
			return err
		}
	}
}

// Dial connects to the listener. The connection is closed with the test at the latest.
func (p *Proxy) Dial(options ...DialOption) *Client {
	p.t.Helper()
	return p.DialAddress(p.Address(), options...)
}

// DialAddress is Dial for a listener of another address, which may be the path of a Unix domain socket.
func (p *Proxy) DialAddress(address string, options ...DialOption) *Client {
	p.t.Helper()
	c, err := p.TryDial(address, options...)
	if err != nil {
		p.t.Fatalf("connect to the proxy: %v", err)
	}
	return c
}

// TryDial is DialAddress for any goroutine, which then uses Write, TryResponse and Close only.
func (p *Proxy) TryDial(address string, options ...DialOption) (*Client, error) {
	d := net.Dialer{Timeout: Guard}
	for _, o := range options {
		o(&d)
	}
	network := "tcp"
	if strings.HasPrefix(address, "/") || strings.HasPrefix(address, "@") {
		network = "unix"
	}
	conn, err := d.DialContext(p.t.Context(), network, address)
	if err != nil {
		return nil, err
	}
	c := &Client{t: p.t, proxy: p, conn: conn.(streamConn)}
	c.in.from = guarded{c.conn}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients = append(p.clients, c)
	return c, nil
}

// guarded reads with a deadline.
type guarded struct{ net.Conn }

func (g guarded) Read(b []byte) (int, error) {
	if err := g.SetReadDeadline(time.Now().Add(Guard)); err != nil {
		return 0, err
	}
	return g.Conn.Read(b)
}

// Send writes the parts in one segment, if they fit into one.
func (c *Client) Send(parts ...string) {
	c.t.Helper()
	if err := c.Write(strings.Join(parts, "")); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// LocalAddr returns the address that the proxy sees the client at, empty for a Unix domain socket.
func (c *Client) LocalAddr() string { return c.conn.LocalAddr().String() }

// Write writes s and returns how that went. It may be called on any goroutine.
func (c *Client) Write(s string) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(Guard)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, s)
	return err
}

// SendSplit writes s in pieces that end at the given offsets, and lets the proxy look at what it got after each but the
// last. A proxy that has refused the beginning may have closed the connection to the rest.
func (c *Client) SendSplit(s string, at ...int) {
	c.t.Helper()
	start := 0
	for _, end := range at {
		c.sendUnlessClosed(s[start:end])
		c.proxy.Sync()
		start = end
	}
	c.sendUnlessClosed(s[start:])
}

func (c *Client) sendUnlessClosed(s string) {
	c.t.Helper()
	err := c.Write(s)
	if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("send: %v", err)
	}
}

// maxSplit is the length up to which EachSplit splits an input at every offset; longer ones are split at manySplits.
const (
	maxSplit   = 200
	manySplits = 32
	batchSize  = 64 // connections at a time
)

// EachSplit sends s on a connection of its own for each way to send it: in one piece, and in two that the proxy sees one
// after the other, split at every offset from first on. Each connection is handed to test and closed after that.
func (p *Proxy) EachSplit(s string, first int, test func(how string, c *Client)) {
	p.t.Helper()
	whole := p.Dial()
	whole.SendSplit(s)
	test("in one piece", whole)
	whole.Close()
	first = max(first, 1)
	step := 1
	if len(s)-first > maxSplit {
		step = (len(s) - first) / manySplits
	}
	for start := first; start < len(s); start += step * batchSize {
		p.splitBatch(s, start, step, test)
	}
}

// splitBatch sends s split at batchSize offsets.
func (p *Proxy) splitBatch(s string, start, step int, test func(how string, c *Client)) {
	p.t.Helper()
	var batch []*Client
	for i := range batchSize {
		if at := start + i*step; at < len(s) {
			c := p.Dial()
			c.Send(s[:at])
			batch = append(batch, c)
		}
	}
	p.Sync()
	for i, c := range batch {
		at := start + i*step
		c.sendUnlessClosed(s[at:])
		test("split at "+strconv.Itoa(at), c)
		c.Close()
	}
}

// TryResponse reads a response to a request of the given method, or fails.
func (c *Client) TryResponse(method string) (Response, error) { return readResponse(&c.in, method) }

// ReadResponse reads a whole response to a request of the given method.
func (c *Client) ReadResponse(method string) Response {
	c.t.Helper()
	resp, err := c.TryResponse(method)
	if err != nil {
		c.t.Fatalf("read the response: %v; got %q", err, resp.Raw+string(c.in.raw)+string(c.in.buf))
	}
	return resp
}

// ReadHead reads a response head as it came, and leaves the body.
func (c *Client) ReadHead() string {
	c.t.Helper()
	_, err := c.in.head()
	raw := c.in.takeRaw()
	if err != nil {
		c.t.Fatalf("read the head of a response: %v; got %q", err, raw+string(c.in.buf))
	}
	return raw
}

// Get sends a GET for the path with the field lines, and reads the response.
func (c *Client) Get(path string, fields ...string) Response {
	c.t.Helper()
	c.Send(Get(path, fields...))
	return c.ReadResponse("GET")
}

// Get returns a GET for the path, with the field lines.
func Get(path string, fields ...string) string { return Head("GET "+path, fields...) }

// Head returns a request head of the request line, given without its version, with Host: a and the field lines.
func Head(line string, fields ...string) string {
	return strings.Join(append([]string{line + " HTTP/1.1", "Host: a"}, fields...), "\r\n") + "\r\n\r\n"
}

// Expect reads exactly want.
func (c *Client) Expect(want string) {
	c.t.Helper()
	got, err := c.in.exactly(len(want))
	c.in.takeRaw()
	if got != want {
		c.t.Fatalf("got %q, want %q (%v)", got, want, err)
	}
}

// Await waits until want is what comes next, and leaves it for the next read.
func (c *Client) Await(want string) {
	c.t.Helper()
	for len(c.in.buf) < len(want) {
		if err := c.in.fill(); err != nil {
			c.t.Fatalf("got %q, want %q (%v)", c.in.buf, want, err)
		}
	}
	if got := string(c.in.buf[:len(want)]); got != want {
		c.t.Fatalf("got %q, want %q", got, want)
	}
}

// Skip reads n bytes and throws them away.
func (c *Client) Skip(n int) {
	c.t.Helper()
	for n > 0 {
		if len(c.in.buf) == 0 {
			if err := c.in.fill(); err != nil {
				c.t.Fatalf("%d bytes are missing: %v", n, err)
			}
		}
		step := min(n, len(c.in.buf))
		c.in.buf = c.in.buf[step:]
		n -= step
	}
}

// ReadAll reads up to the end of the connection, which must be a clean one.
func (c *Client) ReadAll() string {
	c.t.Helper()
	all, err := c.in.rest()
	if err != nil {
		c.t.Fatalf("read to the end: %v; got %q", err, all)
	}
	return all
}

// ExpectClosed waits for the end of the connection, with not a byte before it.
func (c *Client) ExpectClosed() {
	c.t.Helper()
	if rest := c.ReadAll(); rest != "" {
		c.t.Fatalf("got %q, want the end of the connection", rest)
	}
}

// ExpectReset waits for a reset, with not a byte before it.
func (c *Client) ExpectReset() {
	c.t.Helper()
	rest, err := c.in.rest()
	if rest != "" || !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("got %q and %v, want a reset", rest, err)
	}
}

// ExpectOpen fails when the proxy has closed the connection or sent something, after turns of its loops.
func (c *Client) ExpectOpen() {
	c.t.Helper()
	c.proxy.Sync()
	raw, err := c.conn.SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	var b [1]byte
	n, errno := 0, error(nil)
	if err := raw.Control(func(fd uintptr) {
		n, _, errno = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	}); err != nil {
		c.t.Fatal(err)
	}
	if len(c.in.buf) > 0 || errno != syscall.EAGAIN {
		c.t.Fatalf("got %d bytes and %v, want an open connection with nothing to read (%q is unread)", n, errno, c.in.buf)
	}
}

// CloseWrite sends FIN and goes on reading.
func (c *Client) CloseWrite() {
	c.t.Helper()
	if err := c.conn.CloseWrite(); err != nil {
		c.t.Fatalf("close the sending side: %v", err)
	}
}

// Close closes the connection. Closing twice does nothing.
func (c *Client) Close() { _ = c.conn.Close() }

// Reset closes the connection with a reset.
func (c *Client) Reset() {
	c.t.Helper()
	if err := c.conn.(*net.TCPConn).SetLinger(0); err != nil {
		c.t.Fatalf("set linger: %v", err)
	}
	c.Close()
}
