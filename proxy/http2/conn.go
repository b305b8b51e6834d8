package http2

import (
	"math"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2/hpack"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// gatherStreams is the number of open streams from which on a connection is likely to have more to say a moment later.
const gatherStreams = 16

// conn is an HTTP/2 connection, whichever side of it we are. All of it belongs to the loop's thread.
type conn struct {
	raw   *eventloop.Conn
	loop  *eventloop.Loop
	env   *Env
	opts  *Options
	stats *stats.Block // of stats.HTTP2Codec
	owner owner

	streams streamTable
	peer    peerSettings
	decoder hpack.Decoder
	encoder hpack.Encoder
	inflow  inflow

	input
	output
	closing
	flood     flood
	keepalive keepalive

	metadataSize int // of all streams
	cut          int // streams that were open when the connection ended

	server     bool // we are the server
	connecting bool // and have dialled, and the connection is not there yet
	turnAsked  bool // TurnEnded is going to be called
	dead       bool // nothing is read, written or called any more
}

// owner is who is told of what happens to a connection, on the loop's thread. It must not call the connection from there,
// unless it says so.
type owner interface {
	// newBlock takes the field block of a stream that is not there. It may make one, and has to decode the block in any case.
	// selfDependent says that the stream claims to depend on itself.
	newBlock(h frameHeader, block []byte, selfDependent bool) fault
	// streamGone is told that a stream is not in the table any more.
	streamGone(s *Stream)
	// established is told that the connection, which we have dialled, is there.
	established()
	// settled is told that the peer's first SETTINGS frame has come, or one that allows more streams.
	settled()
	// late is told that the peer has begun something and not finished it by the end of the turn.
	late()
	// draining is told that the peer has sent GOAWAY.
	draining()
	// ended is told that the connection is over, and why: what there is to say to the peer is gathered. The socket is to be
	// closed.
	ended(err error)
}

// peerSettings are the peer's, as far as they concern us (RFC 9113 section 6.5.2).
type peerSettings struct {
	received   bool // its first SETTINGS frame has come
	window     int64
	maxFrame   int
	maxStreams uint32
	connect    bool // SETTINGS_ENABLE_CONNECT_PROTOCOL
}

// init begins a connection on raw. Our SETTINGS are gathered; a client's preface is before them.
func (c *conn) init(raw *eventloop.Conn, env *Env, opts *Options, block *stats.Block, o owner, slack int64) {
	c.raw, c.loop, c.env, c.opts, c.stats, c.owner = raw, raw.Loop(), env, opts, block, o
	c.peer = peerSettings{window: initialWindow, maxFrame: minMaxFrameSize, maxStreams: math.MaxUint32}
	// A peer may use the default table until it has acknowledged that it may not (RFC 7541 section 4.2).
	c.decoder.Init(max(opts.TableSize, defaultTableSize))
	c.encoder.Init()
	c.window = initialWindow
	c.inflow = inflow{size: max(int64(opts.ConnWindow), initialWindow), window: initialWindow, slack: slack}
	c.flood.init(c.loop.Now())
	raw.SetIdleHandler(c)
	raw.SetWaker(nil)
}

// announce gathers our settings and opens the window of the connection.
func (c *conn) announce(settings []http2.Setting) {
	o := c.opts
	settings = append(settings, http2.Setting{ID: http2.SettingInitialWindowSize, Val: o.StreamWindow})
	if size := min(o.TableSize, hpack.MaxTableSize); size != defaultTableSize {
		settings = append(settings, http2.Setting{ID: http2.SettingHeaderTableSize, Val: size})
	}
	c.writeSettings(settings...)
	if more := c.inflow.size - c.inflow.window; more > 0 {
		c.inflow.window += more
		c.raw.Commit(appendUint32Frame(c.raw.AppendBuffer(), http2.FrameWindowUpdate, 0, uint32(more)))
	}
	c.startKeepalive()
}

// Ready implements eventloop.IdleHandler.
func (c *conn) Ready(*eventloop.Conn) {
	if c.dead {
		return
	}
	c.touch()
	whole := false
	defer c.endIfPanicked(&whole)
	if c.connecting {
		c.checkConnected()
	}
	if !c.dead {
		c.receive()
	}
	whole = true
}

// checkConnected looks whether a connection that was dialled is there.
func (c *conn) checkConnected() {
	done, err := c.raw.Connected()
	switch {
	case err != nil:
		c.terminate(err)
	case done:
		c.connecting = false
		c.owner.established()
		c.streams.each((*Stream).wake) // who wrote a request waits to hear it
	}
}

// endIfPanicked ends the connection of code that panicked: nobody knows what state it is in.
func (c *conn) endIfPanicked(whole *bool) {
	if !*whole {
		c.terminate(ErrClosed)
	}
}

// touch has the end of this turn told.
func (c *conn) touch() {
	if !c.turnAsked {
		c.turnAsked = true
		c.loop.AtTurnEnd(c)
	}
}

// TurnEnded implements eventloop.TurnEnder: body bytes that wait are shared out, and what was read and not taken is kept.
func (c *conn) TurnEnded() {
	c.turnAsked = false
	whole := false
	defer c.endIfPanicked(&whole)
	if f := c.flood.verdict; f.is() {
		c.fail(f, c.flood.verdictErr)
	}
	if !c.dead {
		c.shareOut()
	}
	if c.streams.count >= gatherStreams {
		c.loop.Gather()
	}
	c.endRead()
	whole = true
}

// fail ends the connection for a fault of the peer, which is told.
func (c *conn) fail(f fault, err error) {
	if c.dead {
		return
	}
	c.writeGoAway(c.lastID, f.code, f.reason)
	c.terminate(err)
}

// terminate ends the connection: all streams are over.
func (c *conn) terminate(err error) {
	if c.dead {
		return
	}
	c.dead = true
	c.loop.StopTimer(&c.keepalive.timer)
	why := ErrClosed
	if e, ok := err.(Error); ok {
		why = e
	}
	c.cut = c.streams.count
	c.streams.each(func(s *Stream) { s.lose(why) })
	c.touch() // the read buffer may be borrowed until then
	c.owner.ended(err)
}

// release lets go of everything but the socket, which is its owner's to close. The streams are over, and nobody is told.
func (c *conn) release() {
	c.owner = released{}
	c.terminate(ErrClosed)
}

// released is the owner of a connection whose owner has gone.
type released struct{}

func (released) newBlock(frameHeader, []byte, bool) fault { return fault{} }
func (released) streamGone(*Stream)                       {}
func (released) established()                             {}
func (released) settled()                                 {}
func (released) late()                                    {}
func (released) draining()                                {}
func (released) ended(error)                              {}

// Conn returns the connection underneath.
func (c *conn) Conn() *eventloop.Conn { return c.raw }

// Streams returns the number of streams that are open.
func (c *conn) Streams() int { return c.streams.count }

// CutStreams returns the number of streams that were open when the connection ended.
func (c *conn) CutStreams() int { return c.cut }
