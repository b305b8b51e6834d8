package harness

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/net/http2"
)

var errManyKept = errors.New("nobody asks for the frames that come")

// absorbed reports whether a frame is not kept for later: its effect is known, and there may be any number of them.
func absorbed(f *H2Frame) bool {
	return f.Type == http2.FrameWindowUpdate || f.Type == http2.FrameSettings && f.Ack()
}

// readLater reads a frame for later.
func (c *H2Conn) readLater() error {
	f, err := c.read()
	if err != nil {
		return err
	}
	return c.keep(f)
}

// keep keeps a frame for later.
func (c *H2Conn) keep(f *H2Frame) error {
	if absorbed(f) {
		return nil
	}
	if len(c.kept) == maxKept {
		c.end = errManyKept
		return c.end
	}
	c.kept = append(c.kept, f)
	return nil
}

// TryReadFrame returns the next frame of any kind that nobody has asked for. The error is io.EOF after a clean end of the
// connection, and an *H2Violation, which has failed the test already, for what the peer must not send.
func (c *H2Conn) TryReadFrame() (H2Frame, error) {
	return c.TryWaitFrame(func(*H2Frame) bool { return true })
}

// ReadFrame returns the next frame of any kind that nobody has asked for.
func (c *H2Conn) ReadFrame() H2Frame {
	c.t.Helper()
	return c.WaitFrame("a frame", func(*H2Frame) bool { return true })
}

// TryWaitFrame returns the first frame that matches, and keeps those before it for later.
func (c *H2Conn) TryWaitFrame(match func(*H2Frame) bool) (H2Frame, error) {
	for i, f := range c.kept {
		if match(f) {
			c.forget(i)
			return *f, nil
		}
	}
	for {
		f, err := c.read()
		if err != nil {
			return H2Frame{}, err
		}
		if match(f) {
			return *f, nil
		}
		if err := c.keep(f); err != nil {
			return H2Frame{}, err
		}
	}
}

// forget drops a kept frame. The first one is the usual case, and costs nothing.
func (c *H2Conn) forget(i int) {
	if i == 0 {
		c.kept[0] = nil
		c.kept = c.kept[1:]
		return
	}
	c.kept = slices.Delete(c.kept, i, i+1)
}

// WaitFrame is TryWaitFrame that must succeed. What says in failures what did not come.
func (c *H2Conn) WaitFrame(what string, match func(*H2Frame) bool) H2Frame {
	c.t.Helper()
	f, err := c.TryWaitFrame(match)
	if err != nil {
		c.fatalf("want %s: %v; %s", what, err, c.unread())
	}
	return f
}

// shownFrames is how many frames a failure shows of those that came first, and of those that came last.
const shownFrames = 5

// unread says what came that nobody has asked for.
func (c *H2Conn) unread() string {
	if len(c.kept) == 0 {
		return "no other frames came"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d frames are unread:", len(c.kept))
	for i, f := range c.kept {
		if i < shownFrames || i >= len(c.kept)-shownFrames {
			fmt.Fprintf(&b, "\n\t%v", f)
		} else if i == shownFrames {
			b.WriteString("\n\t...")
		}
	}
	return b.String()
}

// ExpectSettings waits for SETTINGS of the peer and returns them.
func (c *H2Conn) ExpectSettings() []http2.Setting {
	c.t.Helper()
	f := c.WaitFrame("SETTINGS", func(f *H2Frame) bool { return f.Type == http2.FrameSettings && !f.Ack() })
	return f.Settings
}

// ExpectSettingsAck waits until the peer has acknowledged all our settings.
func (c *H2Conn) ExpectSettingsAck() {
	c.t.Helper()
	if err := c.tryAcknowledged(); err != nil {
		c.fatalf("want an acknowledgement of settings: %v; %s", err, c.unread())
	}
}

func (c *H2Conn) tryAcknowledged() error {
	for c.unacknowledged() {
		if err := c.readLater(); err != nil {
			return err
		}
	}
	return nil
}

func (c *H2Conn) unacknowledged() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.oracle.grants.pending) > 0
}

// ExpectPing waits for a PING of the peer and returns its data.
func (c *H2Conn) ExpectPing() string {
	c.t.Helper()
	f := c.WaitFrame("PING", func(f *H2Frame) bool { return f.Type == http2.FramePing && !f.Ack() })
	return string(f.Payload)
}

// ExpectPingAck waits for the answer to the PING with the data.
func (c *H2Conn) ExpectPingAck(data string) {
	c.t.Helper()
	c.WaitFrame("an answer to PING "+strconv.Quote(data), pingAck(data))
}

func pingAck(data string) func(*H2Frame) bool {
	want := pingData(data)
	return func(f *H2Frame) bool {
		return f.Type == http2.FramePing && f.Ack() && string(f.Payload) == string(want[:])
	}
}

// RoundTrip has the peer answer a PING: it has seen all that was sent before, and all that it sent before its answer is there.
func (c *H2Conn) RoundTrip() {
	c.t.Helper()
	if err := c.TryRoundTrip(); err != nil {
		c.fatalf("have a PING answered: %v; %s", err, c.unread())
	}
}

// TryRoundTrip is RoundTrip for any goroutine that sends and reads.
func (c *H2Conn) TryRoundTrip() error {
	c.trips++
	data := fmt.Sprintf("trip%4d", c.trips)
	if err := c.TryBatch(func() { c.Ping(data) }); err != nil {
		return err
	}
	_, err := c.TryWaitFrame(pingAck(data))
	return err
}

// ExpectGoAway waits for a GOAWAY, which must have the code, and returns its last stream and debug data.
func (c *H2Conn) ExpectGoAway(code http2.ErrCode) (lastStreamID uint32, debug string) {
	c.t.Helper()
	f := c.WaitFrame("GOAWAY with "+code.String(), func(f *H2Frame) bool { return f.Type == http2.FrameGoAway })
	if f.Code != code {
		c.fatalf("got %v, want %v", f, code)
	}
	return f.LastStreamID, string(f.Payload)
}

// ExpectReset waits for the RST_STREAM of a stream, which must have the code. What else came of the stream stays.
func (c *H2Conn) ExpectReset(streamID uint32, code http2.ErrCode) {
	c.t.Helper()
	f := c.WaitFrame(fmt.Sprintf("RST_STREAM of %d with %v", streamID, code), func(f *H2Frame) bool {
		return f.Type == http2.FrameRSTStream && f.StreamID == streamID
	})
	if f.Code != code {
		c.fatalf("got %v, want %v", f, code)
	}
}

// ReadAll reads up to the end of the connection, and returns the frames that nobody has asked for and how the connection
// ended: nil after a clean end.
func (c *H2Conn) ReadAll() ([]H2Frame, error) {
	var err error
	for err == nil {
		err = c.readLater()
	}
	frames := make([]H2Frame, len(c.kept))
	for i, f := range c.kept {
		frames[i] = *f
	}
	c.kept = nil
	if err == io.EOF {
		err = nil
	}
	return frames, err
}

// Drain reads and drops what comes until the connection ends. It may be called on any goroutine, while another one sends.
func (c *H2Conn) Drain() {
	c.kept = nil
	for {
		if _, err := c.read(); err != nil {
			return
		}
	}
}

// ExpectClosed waits for a clean end of the connection, with no frame before it that nobody has asked for.
func (c *H2Conn) ExpectClosed() {
	c.t.Helper()
	c.expectEnd("the end of the connection", func(err error) bool { return err == nil })
}

// ExpectAborted waits for a reset of the connection, with no frame before it that nobody has asked for.
func (c *H2Conn) ExpectAborted() {
	c.t.Helper()
	c.expectEnd("a reset of the connection", func(err error) bool { return errors.Is(err, syscall.ECONNRESET) })
}

// ExpectEnd waits for the end of the connection, clean or not, whatever comes before it.
func (c *H2Conn) ExpectEnd() []H2Frame {
	c.t.Helper()
	frames, err := c.ReadAll()
	if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.ErrUnexpectedEOF) {
		c.fatalf("want the end of the connection: %v", err)
	}
	return frames
}

func (c *H2Conn) expectEnd(want string, ok func(error) bool) {
	c.t.Helper()
	for c.end == nil {
		_ = c.readLater()
	}
	err := c.end
	if err == io.EOF {
		err = nil
	}
	if len(c.kept) > 0 || !ok(err) {
		c.fatalf("got %v, want %s; %s", err, want, c.unread())
	}
}
