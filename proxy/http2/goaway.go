package http2

import "golang.org/x/net/http2"

// closing is what a connection knows of its streams' identifiers and of its end.
type closing struct {
	lastID   uint32 // the highest stream that the peer has opened; as a client, that of a push, so always 0
	nextID   uint32 // of the next stream that we open; 0 as a server
	goneAway bool   // we have sent GOAWAY with lastID: what comes above is not processed
	peerGone bool   // the peer has sent GOAWAY: no stream is opened any more
	recent   recentStreams
}

// isIdle reports whether a stream that is not there was never opened.
func (c *conn) isIdle(id uint32) bool {
	ours := id&1 == 1 != c.server // a client's identifiers are odd (RFC 9113 section 5.1.1)
	if ours {
		return id >= c.nextID
	}
	return id > c.lastID
}

// recvGoAway takes a GOAWAY frame (RFC 9113 section 6.8): what it does not name was not processed.
func (c *conn) recvGoAway(frame *http2.GoAwayFrame) fault {
	c.peerGone = true
	last := frame.LastStreamID
	if !c.server {
		c.streams.each(func(s *Stream) {
			if s.id > last {
				s.lose(ErrRefused)
			}
		})
	}
	c.owner.draining()
	return fault{}
}

// recentSize is how many streams that ended are remembered: as many as a client may have open at a time by default would be
// too many to search, and what crosses the end of a stream comes soon after it.
const recentSize = 64

// recentStreams remembers the streams that ended last, and whether we have reset them: what the peer had sent before it knew
// is to be ignored then, and is a mistake otherwise (RFC 9113 section 5.1, "closed"). The zero value is empty.
type recentStreams struct {
	ring *[recentSize]uint32 // identifiers times two, plus one when reset
	next int
}

func (r *recentStreams) add(id uint32, reset bool) {
	if r.ring == nil {
		r.ring = new([recentSize]uint32)
	}
	v := id << 1
	if reset {
		v |= 1
	}
	r.ring[r.next%recentSize] = v
	r.next++
}

// wasReset reports whether we have reset the stream a short time ago.
func (r *recentStreams) wasReset(id uint32) bool { return r.has(id<<1 | 1) }

// hasEnded reports whether the stream has ended a short time ago, in whichever way.
func (r *recentStreams) hasEnded(id uint32) bool { return r.has(id<<1) || r.wasReset(id) }

func (r *recentStreams) has(v uint32) bool {
	if r.ring == nil {
		return false
	}
	for _, have := range r.ring {
		if have == v {
			return true
		}
	}
	return false
}
