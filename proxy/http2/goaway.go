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

// isIdle reports whether a stream that is not there was never opened. Past our GOAWAY nobody knows: what the peer opened
// before it read that was ignored (RFC 9113 section 6.8).
func (c *conn) isIdle(id uint32) bool {
	if c.isOurs(id) {
		return id >= c.nextID
	}
	return id > c.lastID && !c.goneAway
}

// isOurs reports whether a stream is one that we open: a client's identifiers are odd (RFC 9113 section 5.1.1).
func (c *conn) isOurs(id uint32) bool { return id&1 == 1 != c.server }

// mayBeIgnored reports whether frames on a stream that is not there may have been sent before the peer knew that they are not
// wanted: we have reset it, or our GOAWAY says that it is not processed.
func (c *conn) mayBeIgnored(id uint32) bool {
	return c.recent.wasReset(id) || c.goneAway && !c.isOurs(id) && id > c.lastID
}

// recvGoAway takes a GOAWAY frame (RFC 9113 section 6.8): what it does not name was not processed.
func (c *conn) recvGoAway(frame *http2.GoAwayFrame) fault {
	first := !c.peerGone
	c.peerGone = true
	last := frame.LastStreamID
	if !c.server {
		c.streams.each(func(s *Stream) {
			if s.id > last {
				s.lose(ErrRefused)
			}
		})
	}
	if first { // the second one of a graceful end says no more than which streams it serves
		c.owner.draining()
	}
	return fault{}
}
