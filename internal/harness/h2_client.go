package harness

import (
	"fmt"
	"net"
	"syscall"
	"testing"

	"golang.org/x/net/http2"
)

// H2Client is a raw HTTP/2 connection to a proxy: the test decides about every frame. See H2Conn for what goes by itself.
//
//	c := p.DialH2()
//	id := c.Request(false, harness.H2Head("POST", "/")...)
//	c.Batch(func() {
//		c.Data(id, false, "part")
//		c.Reset(id, http2.ErrCodeCancel)
//	})
//	c.RoundTrip()
//	c.ExpectIdle()
type H2Client struct {
	H2Conn
	proxy *Proxy // nil for one in another process
	next  uint32 // stream
}

// DialH2 connects to the listener, and exchanges settings: ours are empty, and the proxy's were taken and acknowledged. The
// connection is closed with the test at the latest.
func (p *Proxy) DialH2(options ...DialOption) *H2Client {
	p.t.Helper()
	c := p.DialH2Raw(options...)
	c.Handshake()
	return c
}

// DialH2Raw connects to the listener and sends nothing.
func (p *Proxy) DialH2Raw(options ...DialOption) *H2Client {
	p.t.Helper()
	c := DialH2AddressRaw(p.t, p.Address(), options...)
	c.proxy = p
	return c
}

// DialH2Address is DialH2 for what listens at an address: a second listener, a proxy in another process, an H2Origin.
func DialH2Address(t testing.TB, address string, options ...DialOption) *H2Client {
	t.Helper()
	c := DialH2AddressRaw(t, address, options...)
	c.Handshake()
	return c
}

// DialH2AddressRaw is DialH2Raw for what listens at an address.
func DialH2AddressRaw(t testing.TB, address string, options ...DialOption) *H2Client {
	t.Helper()
	c, err := TryDialH2(t, address, options...)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return c
}

// TryDialH2 is DialH2AddressRaw for any goroutine, which then uses methods that begin with Try.
func TryDialH2(t testing.TB, address string, options ...DialOption) (*H2Client, error) {
	d := net.Dialer{Timeout: Guard}
	for _, o := range options {
		o(&d)
	}
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &H2Client{next: 1}
	c.start(t, conn.(*net.TCPConn), true, "the client of "+address)
	t.Cleanup(c.Close)
	return c, nil
}

// Handshake sends the preface and settings, and waits for the peer's settings and its acknowledgement of ours.
func (c *H2Client) Handshake(settings ...http2.Setting) {
	c.t.Helper()
	if err := c.TryHandshake(settings...); err != nil {
		c.fatalf("exchange settings: %v; %s", err, c.unread())
	}
}

// TryHandshake is Handshake for any goroutine.
func (c *H2Client) TryHandshake(settings ...http2.Setting) error {
	err := c.TryBatch(func() {
		c.Preface()
		c.Settings(settings...)
	})
	if err != nil {
		return err
	}
	if _, err := c.TryWaitFrame(func(f *H2Frame) bool { return f.Type == http2.FrameSettings && !f.Ack() }); err != nil {
		return err
	}
	return c.tryAcknowledged()
}

// NextID returns the number of the next stream, for a request that is made by hand.
func (c *H2Client) NextID() uint32 {
	id := c.next
	c.next += 2
	return id
}

// Request opens the next stream with a head of the fields, names and values in turn.
func (c *H2Client) Request(endStream bool, fields ...string) (streamID uint32) {
	c.t.Helper()
	id := c.NextID()
	c.Headers(id, endStream, fields...)
	return id
}

// Get opens the next stream with a GET for the path.
func (c *H2Client) Get(path string, fields ...string) (streamID uint32) {
	c.t.Helper()
	return c.Request(true, H2Head("GET", path, fields...)...)
}

// Post opens the next stream with a POST, and sends the body as SendBody does.
func (c *H2Client) Post(path, body string, fields ...string) (streamID uint32) {
	c.t.Helper()
	c.Batch(func() {
		streamID = c.Request(false, H2Head("POST", path, fields...)...)
		c.SendBody(streamID, body)
	})
	return streamID
}

// Response reads the response on a stream, up to its end or reset. Frames of other streams stay for later.
func (c *H2Client) Response(streamID uint32) H2Response {
	c.t.Helper()
	r, err := c.TryResponse(streamID)
	if err != nil {
		c.fatalf("read the response on stream %d: %v; got %v; %s", streamID, err, r, c.unread())
	}
	return r
}

// TryResponse is Response for any goroutine. With the error it returns what had come.
func (c *H2Client) TryResponse(streamID uint32) (r H2Response, err error) {
	defer func() { r.Body = string(r.body) }()
	match := ofStream(streamID)
	for !r.EndStream && !r.Reset {
		f, err := c.TryWaitFrame(match)
		if err != nil {
			return r, err
		}
		r.add(&f)
	}
	return r, nil
}

// ExpectOpen fails when the proxy has closed the connection, after all that follows from what was sent. Frames that came stay
// for later. A proxy in another process has to answer a PING for that.
func (c *H2Client) ExpectOpen() {
	c.t.Helper()
	if c.proxy != nil {
		c.proxy.Sync()
	} else {
		c.RoundTrip()
	}
	for {
		n, err := c.readable()
		if err == syscall.EAGAIN {
			return
		}
		if err == nil && n > 0 {
			err = c.readLater()
		} else if err == nil {
			err = fmt.Errorf("the proxy has closed it")
		}
		if err != nil {
			c.fatalf("want an open connection: %v; %s", err, c.unread())
		}
	}
}

// ExpectIdle is ExpectOpen with no frame that nobody has asked for.
func (c *H2Client) ExpectIdle() {
	c.t.Helper()
	c.ExpectOpen()
	if len(c.kept) > 0 {
		c.fatalf("want no frames; %s", c.unread())
	}
}

// readable returns how many bytes can be read without waiting: 0 at the end of the connection, and EAGAIN when there are none.
func (c *H2Conn) readable() (n int, err error) {
	if n := c.buffered.Buffered(); n > 0 {
		return n, nil
	}
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var b [1]byte
	if e := raw.Control(func(fd uintptr) {
		n, _, err = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	}); e != nil {
		return 0, e
	}
	return n, err
}

// H2Canary is Canary over HTTP/2.
func (p *Proxy) H2Canary(n int) {
	p.t.Helper()
	c := p.DialH2()
	defer c.Close()
	c.Canary(n)
}

// Canary has n requests answered as Proxy.Canary does, on streams of this connection: whatever happened to others, it lives.
func (c *H2Client) Canary(n int) {
	c.t.Helper()
	for range n {
		resp := c.Response(c.Post(canaryPath, "alive", "content-length", "5"))
		if want := "POST " + canaryPath + " alive"; resp.Status != 200 || resp.Body != want || !resp.EndStream {
			c.fatalf("the canary got %v", resp)
		}
	}
}
