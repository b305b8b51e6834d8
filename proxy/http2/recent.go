package http2

// recentSize is how many streams that ended are remembered: as many as a client may have open at a time by default would be
// too many to search, and what crosses the end of a stream comes soon after it.
const recentSize = 64

// recentStreams remembers the streams that ended last, and whether we have reset them: what the peer had sent before it knew
// is to be ignored then, and is a mistake otherwise (RFC 9113 section 5.1, "closed"). The zero value is empty.
type recentStreams struct {
	ring      *[recentSize]uint32 // identifiers times two, plus one when reset
	next      int
	forgotten uint32 // the highest stream that we have reset and do not remember any more
}

func (r *recentStreams) add(id uint32, reset bool) {
	if r.ring == nil {
		r.ring = new([recentSize]uint32)
	}
	v := id << 1
	if reset {
		v |= 1
	}
	slot := &r.ring[r.next%recentSize]
	if *slot&1 == 1 {
		r.forgotten = max(r.forgotten, *slot>>1)
	}
	*slot = v
	r.next++
}

// wasReset reports whether we have reset a stream that has ended, or may have: when many are reset at once, those that are
// not remembered get the benefit of the doubt.
func (r *recentStreams) wasReset(id uint32) bool {
	return r.has(id<<1|1) || id <= r.forgotten && !r.has(id<<1)
}

// hasEnded reports whether the stream is remembered to have ended, in whichever way.
func (r *recentStreams) hasEnded(id uint32) bool { return r.has(id<<1) || r.has(id<<1|1) }

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
