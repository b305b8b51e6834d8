package http2

import (
	"slices"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Pool is told what happens to a ClientConn, on the loop's thread.
type Pool interface {
	// Established is told that the connection is there.
	Established()
	// Changed is told that there may be room for another stream: one has ended, or the host has told how many it takes.
	Changed()
	// Draining is told that no stream can be opened any more. Those that are open go on.
	Draining()
	// Ended is told that the connection is over, and why.
	Ended(err error)
}

// ClientConn is the client's side of an HTTP/2 connection.
type ClientConn struct {
	conn
	pool     Pool
	reserved int       // streams that are going to be opened
	awaiting []*Stream // those of them that wait for the host's settings
	answered bool      // some response has come whole
}

// ClientStream is a stream to a host. It is a handle, to be copied at will.
type ClientStream struct{ *Stream }

// Init makes k the client's side of a connection, which may still be being established. opts is shared and read-only. block
// counts, with stats.HTTP2Codec.
func (k *ClientConn) Init(raw *eventloop.Conn, env *Env, opts *Options, block *stats.Block, p Pool) {
	k.pool = p
	k.nextID = 1
	k.connecting = true
	k.init(raw, env, opts, block, k, maxSlack)
	raw.Write([]byte(http2.ClientPreface))
	k.announce([]http2.Setting{{ID: http2.SettingEnablePush, Val: 0}})
}

// Release lets go of everything but the socket. The streams are over; the pool is not told.
func (k *ClientConn) Release() {
	k.release()
	k.wakeAwaiting()
}

// GoAway tells the host that nothing more comes.
func (k *ClientConn) GoAway() {
	if !k.dead {
		k.writeGoAway(0, http2.ErrCodeNo, "")
	}
}

// Room returns how many more streams may be opened now. Until the host has told how many it takes, that is what is assumed, or
// what we allow ourselves; what is too many then is refused and can be sent again.
func (k *ClientConn) Room() int {
	if k.dead || k.peerGone || k.raw.WriteErr() != nil {
		return 0
	}
	limit := min(int64(k.opts.MaxStreams), int64(k.peer.maxStreams)) - int64(k.streams.count)
	ids := (maxStreamID + 2 - int64(k.nextID)) / 2
	return int(max(0, min(limit, ids)-int64(k.reserved)))
}

// Crowded reports whether streams that nobody reads hold so much of what the host may send that new ones are better opened
// elsewhere.
func (k *ClientConn) Crowded() bool { return k.inflow.unread > k.inflow.size/2 }

// Exhausted reports whether the connection has used up its stream identifiers.
func (k *ClientConn) Exhausted() bool { return k.nextID > maxStreamID }

// Settled reports whether the host has told how many streams it takes.
func (k *ClientConn) Settled() bool { return k.peer.received }

// PeerStreams returns how many streams the host takes at a time, as far as is known.
func (k *ClientConn) PeerStreams() uint32 { return k.peer.maxStreams }

// AssumePeerStreams has the connection open no more than n streams until the host has told how many it takes.
func (k *ClientConn) AssumePeerStreams(n uint32) {
	if !k.peer.received {
		k.peer.maxStreams = n
	}
}

// TakesNone reports whether the host has told that it takes no streams.
func (k *ClientConn) TakesNone() bool { return k.peer.received && k.peer.maxStreams == 0 }

// Idle reports whether no stream is open or going to be.
func (k *ClientConn) Idle() bool { return k.streams.count+k.reserved == 0 }

// Answered reports whether some response has come whole.
func (k *ClientConn) Answered() bool { return k.answered }

// Reserve makes a stream for a request, whose response head is going to be put into resp; w is woken by what happens. It is
// opened when the head of the request is written, because identifiers must go up.
func (k *ClientConn) Reserve(w eventloop.Waker, resp *message.Response) ClientStream {
	k.reserved++
	s := k.env.get()
	s.conn, s.waker, s.response = &k.conn, w, resp
	s.declared = -1
	return ClientStream{s}
}

// AwaitSettings reports whether the host's settings are known, or never will be. Otherwise the waker of a stream that was
// reserved and is not opened is woken when they are.
func (k *ClientConn) AwaitSettings(s ClientStream) bool {
	if k.peer.received || k.dead {
		return true
	}
	if !slices.Contains(k.awaiting, s.Stream) {
		k.awaiting = append(k.awaiting, s.Stream)
	}
	return false
}

func (k *ClientConn) wakeAwaiting() {
	for _, s := range k.awaiting {
		s.wake()
	}
	k.awaiting = nil
}

// RefusesConnect reports whether the host has settings that do not allow extended CONNECT (RFC 8441 section 3).
func (k *ClientConn) RefusesConnect() bool { return k.peer.received && !k.peer.connect }

// WriteHead opens the stream and gathers the request head. Without a body (req.EndStream) that is the whole request. req is
// used until the stream ends.
func (k *ClientConn) WriteHead(s ClientStream, req *message.Request) {
	k.reserved--
	if k.dead || k.peerGone || k.Exhausted() {
		s.fail(ErrRefused) // between Reserve and now
		return
	}
	k.pingIfIdle()
	id := k.nextID
	k.nextID += 2
	k.open(s.Stream, id)
	s.request = req
	s.noBody = string(req.Method) == "HEAD"
	s.tunnel = len(req.Upgrade) > 0 || string(req.Method) == "CONNECT"
	end := req.EndStream && !s.tunnel
	k.commitBlock(k.appendRequestHead(k.beginBlock(), req), id, end)
	s.state, _ = s.state.sendHeaders()
	if end {
		s.state, _ = s.state.sendEnd()
	}
}

// ReadHead returns nil when resp, which is the response that the stream was reserved for, has been filled with a head; after
// an informational one it is called again. It returns eventloop.ErrWouldBlock while there is none, and an Error when the
// stream has ended before its time.
func (s ClientStream) ReadHead(resp *message.Response) error {
	switch {
	case s.heads == 0 && s.err != noError:
		return s.err
	case s.heads == 0:
		return eventloop.ErrWouldBlock
	}
	s.heads--
	if s.rare != nil && s.heads < len(s.rare.heads) {
		// The first was read before: the next one takes its place.
		*resp = *s.rare.heads[0]
		s.rare.heads = s.rare.heads[1:]
	}
	return nil
}

// ResponseStarted reports whether some of the response has come.
func (s ClientStream) ResponseStarted() bool { return s.headDone || s.heads > 0 }

// End ends the part of who sent the request. Unless the whole request went out and the whole response came, the host is told
// that it is not wanted any more, which End reports. The stream must not be used after that.
func (k *ClientConn) End(s ClientStream) (reset bool) {
	if s.id == 0 { // it was reserved and never opened
		if s.err == noError {
			k.reserved--
		}
		if i := slices.Index(k.awaiting, s.Stream); i >= 0 {
			k.awaiting = slices.Delete(k.awaiting, i, i+1)
		}
		k.env.put(s.Stream)
		return false
	}
	if s.ended {
		k.answered = true
	}
	code := http2.ErrCodeCancel
	if s.ended {
		code = http2.ErrCodeNo
	}
	reset = s.inTable
	s.detach(false, code, 0)
	return reset
}

// newBlock implements owner: a host opens no streams.
func (k *ClientConn) newBlock(h frameHeader, block []byte, _ bool) fault {
	switch {
	case k.isIdle(h.stream):
		return faultIdleStream
	case k.mayBeIgnored(h.stream):
		return k.skipBlock(block)
	default:
		return faultStreamClosed
	}
}

// established, settled, late, draining, streamGone and ended implement owner.

func (k *ClientConn) established()    { k.pool.Established() }
func (k *ClientConn) settled()        { k.wakeAwaiting(); k.pool.Changed() }
func (k *ClientConn) late()           {}
func (k *ClientConn) draining()       { k.pool.Draining() }
func (k *ClientConn) ended(err error) { k.wakeAwaiting(); k.pool.Ended(err) }

// streamGone tells of room, which there is none of when the connection is over: the pool is told that instead.
func (k *ClientConn) streamGone(*Stream) {
	if !k.dead {
		k.pool.Changed()
	}
}
