package http2

import (
	"bytes"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// controlFrames reads and writes the frames that are not part of every request, with the Framer of x/net. One serves all
// connections of a worker: a frame is read and written whole.
type controlFrames struct {
	framer *http2.Framer
	in     bytes.Reader
	out    bytes.Buffer
}

func (k *controlFrames) init() {
	k.framer = http2.NewFramer(&k.out, &k.in)
	k.framer.SetMaxReadFrameSize(minMaxFrameSize)
}

// read parses a whole frame, header included. The result is valid until the next call.
func (k *controlFrames) read(frame []byte) (http2.Frame, fault) {
	k.in.Reset(frame)
	f, err := k.framer.ReadFrame()
	switch err := err.(type) {
	case nil:
		return f, fault{}
	case http2.ConnectionError:
		return nil, fault{http2.ErrCode(err), "malformed frame"}
	case http2.StreamError: // of a frame type that is about the connection
		return nil, fault{err.Code, "malformed frame"}
	default:
		return nil, faultFrameSize
	}
}

// flush gathers what the Framer has written.
func (k *controlFrames) flush(raw *eventloop.Conn) {
	raw.Write(k.out.Bytes())
	k.out.Reset()
}

// The Framer writes to memory: none of the calls below can fail but for an invalid argument, which would be a bug.

func (c *conn) writeSettings(settings ...http2.Setting) {
	c.countControl()
	k := &c.env.control
	_ = k.framer.WriteSettings(settings...)
	k.flush(c.raw)
}

func (c *conn) writeSettingsAck() {
	c.countControl()
	k := &c.env.control
	_ = k.framer.WriteSettingsAck()
	k.flush(c.raw)
}

func (c *conn) writePing(ack bool, data [8]byte) {
	c.countControl()
	k := &c.env.control
	_ = k.framer.WritePing(ack, data)
	k.flush(c.raw)
}

// writeGoAway says which streams may have been processed, and why it ends (RFC 9113 section 6.8).
func (c *conn) writeGoAway(last uint32, code http2.ErrCode, reason string) {
	k := &c.env.control
	_ = k.framer.WriteGoAway(last, code, []byte(reason))
	k.flush(c.raw)
	c.stats.Inc(statGoAwaySent)
}
