package harness

import "golang.org/x/net/http2"

// h2Body is a body on its way, with the trailers behind it.
type h2Body struct {
	streamID uint32
	rest     string
	trailers []string
	part     bool // more follows: it does not end the stream
}

// SendBody sends a body and ends the stream, with trailers if there are some, as names and values in turn. What the windows
// do not allow yet follows while frames are read.
func (c *H2Conn) SendBody(streamID uint32, body string, trailers ...string) {
	c.t.Helper()
	c.bodies = append(c.bodies, h2Body{streamID: streamID, rest: body, trailers: trailers})
	c.wrote(nil)
}

// SendPart is SendBody for a part after which more follows, once WaitSent has returned.
func (c *H2Conn) SendPart(streamID uint32, part string) {
	c.t.Helper()
	c.bodies = append(c.bodies, h2Body{streamID: streamID, rest: part, part: true})
	c.wrote(nil)
}

// WaitSent reads until all bodies are sent or their streams are reset.
func (c *H2Conn) WaitSent() {
	c.t.Helper()
	if err := c.TryWaitSent(); err != nil {
		c.fatalf("a body cannot be sent: %v; %s", err, c.unread())
	}
}

// TryWaitSent is WaitSent for any goroutine.
func (c *H2Conn) TryWaitSent() error {
	for c.sending() {
		if err := c.readLater(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writeErr
}

func (c *H2Conn) sending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) > 0 && c.writeErr == nil
}

// enqueue takes over the bodies that were given since the last flush. The caller holds mu.
func (c *H2Conn) enqueue() {
	for i := range c.bodies {
		c.queue = append(c.queue, &c.bodies[i])
	}
	if len(c.bodies) > 0 {
		c.bodies = nil
		c.sendQueued(0)
	}
}

// advance sends what a frame of the peer allows. The caller holds mu.
func (c *H2Conn) advance(f *H2Frame) {
	switch f.Type {
	case http2.FrameWindowUpdate, http2.FrameRSTStream:
		c.sendQueued(f.StreamID)
	case http2.FrameSettings:
		c.sendQueued(0)
	}
}

// sendQueued sends what the windows allow of the body on a stream, or of all.
func (c *H2Conn) sendQueued(streamID uint32) {
	waiting := c.queue[:0]
	for _, b := range c.queue {
		if streamID != 0 && b.streamID != streamID || !c.sendBody(b) {
			waiting = append(waiting, b)
		}
	}
	clear(c.queue[len(waiting):])
	c.queue = waiting
}

// sendBody sends what the windows allow, and reports whether nothing is left to do.
func (c *H2Conn) sendBody(b *h2Body) (done bool) {
	for stream := c.oracle.stream(b.streamID); stream.resets == 0 && stream.resetAt == 0; {
		n := min(int64(len(b.rest)), c.oracle.sendWindow(b.streamID), int64(c.oracle.theirs.frame))
		if n <= 0 && b.rest != "" {
			return false
		}
		part := b.rest[:max(n, 0)]
		b.rest = b.rest[len(part):]
		ended := b.rest == ""
		if part != "" || len(b.trailers) == 0 {
			_ = c.answers.WriteData(b.streamID, ended && len(b.trailers) == 0 && !b.part, []byte(part))
		}
		if ended && len(b.trailers) > 0 {
			// The encoder is elsewhere, and may have made blocks since the body was given.
			writeBlock(c.answers, int(c.oracle.theirs.frame), b.streamID, true, H2Literals(b.trailers...))
		}
		if ended {
			return true
		}
	}
	return true
}
