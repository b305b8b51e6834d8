package harness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// H2Conn is what H2Client and H2Peer have in common: a connection on which a test speaks frames. It sends what it is told to,
// right or wrong, and judges all that the peer sends: a frame that the peer must not send fails the test, whoever reads it.
//
// Methods fail the test when something else happens than they ask for, and belong to the test's or the script's goroutine.
// Those that begin with Try return errors and may be used on other goroutines, as long as one sends and one reads.
//
// While frames are read, settings and pings of the peer are acknowledged and its flow control gets credit; NoAcks and NoCredit
// leave that to the test. WINDOW_UPDATE and acknowledgements of settings are taken as they come, and only WaitFrame and TryRead
// see them. All other frames wait for a method that asks for them.
type H2Conn struct {
	H2Writer

	name   string // in failures
	conn   *net.TCPConn
	script bool // it is a script that speaks

	// Of the goroutine that sends.
	bodies []h2Body // to be queued when what was gathered is sent
	trips  int

	// Of the goroutine that reads.
	buffered *bufio.Reader
	in       *http2.Framer
	kept     []*H2Frame // not asked for yet
	end      error

	mu       sync.Mutex // guards what follows
	oracle   *h2Oracle
	out      []byte // gathered
	writing  bool
	writeErr error
	queue    []*h2Body // bodies that are being sent
	answers  *http2.Framer
	noAcks   bool
	noCredit bool
}

// h2Gather gathers bytes that are to be sent. Whoever writes to it holds mu.
type h2Gather struct{ c *H2Conn }

func (g h2Gather) Write(b []byte) (int, error) {
	g.c.oracle.sent(b)
	g.c.out = append(g.c.out, b...)
	return len(b), nil
}

// maxKept bounds the frames that nobody has asked for.
const maxKept = 1 << 16

// start makes the connection ready. It stays where it is.
func (c *H2Conn) start(t testing.TB, conn *net.TCPConn, client bool, name string) {
	c.prepare(t)
	c.name, c.conn = name, conn
	c.buffered = bufio.NewReader(guarded{conn})
	c.in = http2.NewFramer(nil, c.buffered)
	c.oracle = newH2Oracle(client)
	c.answers = http2.NewFramer(h2Gather{c}, nil)
	c.framed = c.flushFramed
	c.opened = func(id uint32, method string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if s := c.oracle.stream(id); s.method == "" {
			s.method = method
		}
	}
}

// NoCredit leaves it to the test to return credit for the data it reads.
func (c *H2Conn) NoCredit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noCredit = true
}

// NoAcks leaves it to the test to acknowledge settings and pings.
func (c *H2Conn) NoAcks() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noAcks = true
}

// AnyCredit lets the peer return more credit than it got data. The protocol allows that, and other servers enlarge their windows
// so; the proxy does not.
func (c *H2Conn) AnyCredit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.oracle.growing = true
}

// AllowMetadata lets the peer send METADATA frames. The proxy may where its configuration allows them.
func (c *H2Conn) AllowMetadata() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.oracle.metadata = true
}

// fatalf fails the test and ends its goroutine or the script. A script that is left waiting when the test is over has not
// failed.
func (c *H2Conn) fatalf(format string, args ...any) {
	c.t.Helper()
	if !c.script {
		c.t.Fatalf(format, args...)
	}
	if c.t.Context().Err() == nil {
		c.t.Errorf("%s: %s", c.name, fmt.Sprintf(format, args...))
	}
	runtime.Goexit()
}

// Batch sends all frames that send makes in one write: one segment, if they fit into one.
func (c *H2Conn) Batch(send func()) {
	c.t.Helper()
	c.sent(c.TryBatch(send))
}

// TryBatch is Batch for frames that the proxy may not want to take. It blocks while the proxy does not read.
func (c *H2Conn) TryBatch(send func()) error {
	c.held++
	send()
	c.held--
	if c.held > 0 {
		return nil
	}
	return c.flush()
}

// flushFramed sends what a method has made.
func (c *H2Conn) flushFramed() {
	c.t.Helper()
	c.sent(c.flush())
}

// sent fails the test when a client could not send. A script whose connection is gone learns that when it reads.
func (c *H2Conn) sent(err error) {
	c.t.Helper()
	if err != nil && !c.script {
		c.fatalf("send: %v", err)
	}
}

func (c *H2Conn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = h2Gather{c}.Write(c.buf.Bytes())
	c.buf.Reset()
	c.enqueue()
	return c.write()
}

// write sends what was gathered. The caller holds mu, which is free while the socket takes the bytes. When another goroutine
// is writing, that one goes on with these.
func (c *H2Conn) write() error {
	for len(c.out) > 0 && !c.writing && c.writeErr == nil {
		b := c.out
		c.out = nil
		c.writing = true
		c.mu.Unlock()
		err := c.conn.SetWriteDeadline(time.Now().Add(Guard))
		if err == nil {
			_, err = c.conn.Write(b)
		}
		c.mu.Lock()
		c.writing, c.writeErr = false, err
	}
	if c.writeErr != nil {
		c.out = nil
	}
	return c.writeErr
}

// read reads a frame, judges it and answers it.
func (c *H2Conn) read() (*H2Frame, error) {
	if c.end != nil {
		return nil, c.end
	}
	f, err := c.readBlock()
	if err == nil {
		err = c.take(f)
	}
	if v := (*H2Violation)(nil); errors.As(err, &v) {
		if v.Frame == "" && f != nil {
			v.Frame = f.String()
		}
		c.t.Errorf("%s: %v", c.name, v)
	}
	c.end = err
	return f, err
}

// readBlock reads a frame, and those that continue its field block.
func (c *H2Conn) readBlock() (*H2Frame, error) {
	f, err := c.readFrame()
	if err != nil || f.Type != http2.FrameHeaders {
		return f, err
	}
	for ended := f.Flags.Has(http2.FlagHeadersEndHeaders); !ended; {
		more, err := c.readFrame()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return f, err
		}
		f.Payload = append(f.Payload, more.Payload...)
		f.Length += more.Length
		f.Continuations++
		ended = more.Flags.Has(http2.FlagContinuationEndHeaders)
	}
	return f, nil
}

// readFrame reads a frame. What the framer refuses is a violation.
func (c *H2Conn) readFrame() (*H2Frame, error) {
	h, err := c.in.ReadFrameHeader()
	if err == nil {
		c.mu.Lock()
		why := c.oracle.header(h)
		c.mu.Unlock()
		if why != nil {
			return nil, &H2Violation{Frame: h.String(), Why: why.Error()}
		}
		var frame http2.Frame
		if frame, err = c.in.ReadFrameForHeader(h); err == nil {
			return copyFrame(frame), nil
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	var connection http2.ConnectionError
	var stream http2.StreamError
	if errors.As(err, &connection) || errors.As(err, &stream) {
		return nil, &H2Violation{Frame: h.String(), Why: fmt.Sprintf("%v, %v", err, c.in.ErrorDetail())}
	}
	return nil, err
}

// take has a frame judged and answered.
func (c *H2Conn) take(f *H2Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.oracle.received(f); err != nil {
		return &H2Violation{Why: err.Error()}
	}
	if f.Type == http2.FrameSettings {
		c.peerTable.Store(c.oracle.theirs.table)
		c.peerFrame.Store(c.oracle.theirs.frame)
	}
	c.answer(f)
	c.advance(f)
	_ = c.write() // who goes on reading sees how the connection ended
	return nil
}

// answer acknowledges a frame or returns credit for it. Before we have sent settings nothing may be answered.
func (c *H2Conn) answer(f *H2Frame) {
	acks := !c.noAcks && c.oracle.settings && !f.Ack()
	switch {
	case f.Type == http2.FrameSettings && acks:
		_ = c.answers.WriteSettingsAck()
	case f.Type == http2.FramePing && acks:
		_ = c.answers.WritePing(true, pingData(string(f.Payload)))
	case f.Type == http2.FrameData && f.Length > 0 && !c.noCredit:
		_ = c.answers.WriteWindowUpdate(0, uint32(f.Length))
		if c.oracle.answerable(f) {
			_ = c.answers.WriteWindowUpdate(f.StreamID, uint32(f.Length))
		}
	}
}

// SendWindow returns how much data may be sent on a stream, as far as is known from the frames that were read.
func (c *H2Conn) SendWindow(streamID uint32) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.oracle.sendWindow(streamID)
}

// Sent returns how many frames of a type were sent, CONTINUATION among them.
func (c *H2Conn) Sent(kind http2.FrameType) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.oracle.sentKind[kind]
}

// Received returns how many frames of a type were read.
func (c *H2Conn) Received(kind http2.FrameType) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.oracle.gotKind[kind]
}

// SetReceiveBuffer is ReceiveBuffer for a connection that is there.
func (c *H2Conn) SetReceiveBuffer(n int) error { return c.conn.SetReadBuffer(n) }

// CloseWrite sends FIN and goes on reading.
func (c *H2Conn) CloseWrite() { _ = c.conn.CloseWrite() }

// Close closes the connection. Closing twice does nothing.
func (c *H2Conn) Close() { _ = c.conn.Close() }

// Abort closes the connection with a reset.
func (c *H2Conn) Abort() {
	_ = c.conn.SetLinger(0)
	c.Close()
}
