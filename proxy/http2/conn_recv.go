package http2

import (
	"io"
	"math"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// maxUnsent is how much may wait for a client that does not read before what it sends is not read either. (A host that does
// not read is read from all the same: two that wait for each other would never end.)
const maxUnsent = 1 << 20

// input is what a connection has read and not dealt with.
type input struct {
	buf        []byte // nil when there is nothing
	start, end int    // buf[start:end] is not parsed yet
	large      bool   // reads are large: the last one would have filled a small buffer
	hasRead    bool   // in this turn
	preface    int    // bytes of the client's preface that are still to come
	data       dataFrame
	block      partialBlock
	headSince  int64     // since when the peer owes the rest of what it has begun, 0 when it does not
	borrowers  []*Stream // that have borrowed from buf in this turn
}

// dataFrame is the DATA frame whose payload is arriving: it is passed on as it comes.
type dataFrame struct {
	id     uint32 // of the stream
	wanted bool   // by somebody
	left   int    // bytes of the body
	pad    int    // bytes of padding after that
	end    bool   // END_STREAM
	open   bool
}

// receive reads once and parses what came.
func (c *conn) receive() {
	if c.hasRead || !c.raw.Readable() {
		return
	}
	if c.heldUp() {
		return
	}
	c.hasRead = true
	c.makeRoom()
	room := len(c.buf) - c.end
	n, err := c.raw.Read(c.buf[c.end:])
	switch err {
	case nil:
		c.large = n >= eventloop.ReadBufferSize || n == room
		c.end += n
		c.heard(c.loop.Now())
		c.parse()
	case eventloop.ErrWouldBlock:
	case io.EOF:
		c.terminate(ErrClosed) // nobody is there to be told
	default:
		c.terminate(err)
	}
}

// heldUp reports whether so much waits for a client that nothing is read from it. The connection is told when less does.
func (c *conn) heldUp() bool {
	if !c.server || c.raw.Buffered() <= maxUnsent {
		return false
	}
	c.raw.NotifyBelow(maxUnsent / 2)
	return true
}

// makeRoom sees to a buffer that has room for more. A frame that is not parsed in parts has to be whole in it; with its
// header it may exceed the smaller buffers.
func (c *conn) makeRoom() {
	size := len(c.buf)
	if size > smallPiece && c.end < size && c.wanted() <= size {
		return
	}
	if c.large || size > smallPiece || c.wanted() > eventloop.ReadBufferSize {
		c.useBuffer(c.loop.AcquireBuffer(eventloop.LargeBufferSize))
	} else {
		c.useBuffer(c.loop.AcquireBuffer(eventloop.ReadBufferSize))
	}
}

// useBuffer has b hold what is not parsed.
func (c *conn) useBuffer(b []byte) {
	n := 0
	if c.buf != nil {
		n = copy(b, c.buf[c.start:c.end])
		c.env.pieces.put(c.buf)
	}
	c.buf, c.start, c.end = b, 0, n
}

// wanted returns the size of the frame at the start of what is unparsed, as far as it is known.
func (c *conn) wanted() int {
	if c.preface > 0 || c.end-c.start < frameHeaderSize {
		return frameHeaderSize
	}
	return frameHeaderSize + int(parseFrameHeader(c.buf[c.start:]).length)
}

// endRead ends the reading of a turn: what was borrowed and not taken is copied, and the buffer given back if nothing
// unparsed is in it, or exchanged for a small one if little is.
func (c *conn) endRead() {
	c.hasRead = false
	for i, s := range c.borrowers {
		c.borrowers[i] = nil
		s.recv.keep(&c.env.pieces)
	}
	c.borrowers = c.borrowers[:0]
	c.noteHead()
	if c.buf == nil {
		return
	}
	switch left := c.end - c.start; {
	case c.dead || left == 0:
		c.env.pieces.put(c.buf)
		c.buf, c.start, c.end = nil, 0, 0
	case left <= smallPiece && len(c.buf) > smallPiece:
		c.useBuffer(c.env.pieces.get(true)) // who sends a bit of something and stops does not hold much
	case c.start > 0:
		c.end = copy(c.buf, c.buf[c.start:c.end])
		c.start = 0
	}
	if !c.dead && c.raw.Readable() && !c.heldUp() {
		c.raw.NotifyBelow(math.MaxInt) // there is more: come again in the next turn
	}
}

// noteHead notes whether the peer owes us the rest of something, which must not take for ever.
func (c *conn) noteHead() {
	switch owed := c.start < c.end && !c.data.open || c.block.open || !c.peer.received; {
	case !owed:
		c.headSince = 0
	case c.headSince == 0 && !c.dead:
		c.headSince = c.loop.Now()
		c.owner.late()
	}
}

// parse deals with every frame that is there, and with the part of a DATA frame that is.
func (c *conn) parse() {
	for !c.dead && !c.flood.verdict.is() {
		f, more := c.parseOne()
		if f.is() {
			c.fail(f, ErrProtocol)
			return
		}
		if !more {
			return
		}
	}
}

func (c *conn) parseOne() (f fault, more bool) {
	if c.preface > 0 {
		return c.recvPreface()
	}
	if c.data.open {
		return fault{}, c.recvDataBytes()
	}
	unparsed := c.buf[c.start:c.end]
	if len(unparsed) < frameHeaderSize {
		return fault{}, false
	}
	h := parseFrameHeader(unparsed)
	if f := c.checkHeader(h); f.is() {
		return f, false
	}
	if h.kind == http2.FrameData {
		return c.recvDataHeader(h, unparsed)
	}
	size := frameHeaderSize + int(h.length)
	if len(unparsed) < size {
		return fault{}, false
	}
	c.start += size
	f = c.recvFrame(h, unparsed[:size:size])
	if !c.block.open {
		c.headSince = 0 // what comes next has a time of its own
	}
	return f, true
}

// recvPreface takes the client's connection preface (RFC 9113 section 3.4).
func (c *conn) recvPreface() (f fault, more bool) {
	unparsed := c.buf[c.start:c.end]
	want := http2.ClientPreface[len(http2.ClientPreface)-c.preface:]
	n := min(len(unparsed), len(want))
	if string(unparsed[:n]) != want[:n] {
		return fault{http2.ErrCodeProtocol, "invalid connection preface"}, false
	}
	c.start += n
	c.preface -= n
	return fault{}, c.preface == 0
}

// checkHeader checks what is wrong with a frame whatever is in it.
func (c *conn) checkHeader(h frameHeader) fault {
	switch {
	case h.length > minMaxFrameSize:
		return fault{http2.ErrCodeFrameSize, "frame exceeds SETTINGS_MAX_FRAME_SIZE"}
	case c.block.open && (h.kind != http2.FrameContinuation || h.stream != c.block.header.stream):
		return fault{http2.ErrCodeProtocol, "field block is interrupted"} // RFC 9113 section 4.3
	case !c.block.open && h.kind == http2.FrameContinuation:
		return fault{http2.ErrCodeProtocol, "CONTINUATION without HEADERS"}
	case h.kind == http2.FrameSettings && h.flags&http2.FlagSettingsAck != 0 && h.length > 0: // RFC 9113 section 6.5
		return fault{http2.ErrCodeFrameSize, "acknowledgement of SETTINGS has a payload"}
	case !c.peer.received && (h.kind != http2.FrameSettings || h.flags&http2.FlagSettingsAck != 0):
		return fault{http2.ErrCodeProtocol, "first frame is not SETTINGS"} // RFC 9113 section 3.4
	}
	return fault{}
}

// recvFrame takes a whole frame.
func (c *conn) recvFrame(h frameHeader, frame []byte) fault {
	payload := frame[frameHeaderSize:]
	switch h.kind {
	case http2.FrameHeaders:
		return c.recvHeaders(h, payload)
	case http2.FrameContinuation:
		return c.recvContinuation(h, payload)
	case http2.FrameRSTStream:
		return c.recvReset(h, payload)
	case http2.FrameWindowUpdate:
		return c.recvWindowUpdate(h, payload)
	case http2.FrameSettings, http2.FramePing, http2.FrameGoAway, http2.FramePriority:
		return c.recvControl(frame)
	case http2.FramePushPromise:
		return fault{http2.ErrCodeProtocol, "PUSH_PROMISE without push"} // RFC 9113 section 8.4
	case frameMetadata:
		return c.recvMetadata(h, payload)
	default:
		return fault{} // RFC 9113 section 5.5: of a type that we do not know
	}
}

// recvControl takes a frame that the Framer of x/net parses.
func (c *conn) recvControl(frame []byte) fault {
	parsed, f := c.env.control.read(frame)
	if f.is() {
		return f
	}
	switch parsed := parsed.(type) {
	case *http2.SettingsFrame:
		return c.recvSettings(parsed)
	case *http2.PingFrame:
		return c.recvPing(parsed)
	case *http2.GoAwayFrame:
		return c.recvGoAway(parsed)
	case *http2.PriorityFrame:
		return c.recvPriority(parsed)
	default:
		return fault{}
	}
}
