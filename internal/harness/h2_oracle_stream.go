package harness

import (
	"errors"
	"fmt"

	"golang.org/x/net/http2"
)

// h2Phase is how far the peer's message on a stream is.
type h2Phase uint8

const (
	phaseHead  h2Phase = iota // its head is to come; there may have been informational ones
	phaseBody                 // data or trailers are to come
	phaseEnded                // END_STREAM has come
)

// h2Stream is a stream that was mentioned.
type h2Stream struct {
	// What the peer did.
	phase    h2Phase
	resets   int
	head     h2Head
	body     int64 // bytes without padding
	bodyless bool  // whatever its length says, no data may come
	flow     h2Flow

	opened bool // by HEADERS of the client, whoever that is

	// What we did.
	method  string // of the request that was sent, "" when nobody knows
	ended   bool   // END_STREAM
	frames  int    // beside RST_STREAM
	resetAt int    // number of the first RST_STREAM, 0 before

	working bool // of streams that the peer opened: a response is to come
	closed  bool
}

// stream returns what is known of a stream.
func (o *h2Oracle) stream(id uint32) *h2Stream {
	s := o.streams[id]
	if s == nil {
		s = new(h2Stream)
		o.streams[id] = s
	}
	return s
}

// known returns a stream on which the peer may send anything at all.
func (o *h2Oracle) known(id uint32) (*h2Stream, error) {
	s := o.stream(id)
	idle := s.frames == 0 && s.resetAt == 0
	if !o.client {
		idle = id%2 == 0 || id > o.highest
	}
	if idle && !o.blind() {
		return nil, errors.New("a frame on an idle stream")
	}
	return s, nil
}

// resetSeen reports whether the peer has seen that we reset the stream.
func (s *h2Stream) resetSeen(o *h2Oracle) bool { return s.resetAt > 0 && s.resetAt < o.seen }

// writable checks that the peer may go on with its message.
func (o *h2Oracle) writable(id uint32, s *h2Stream) error {
	switch {
	case !s.opened && !o.blind():
		return errors.New("a frame of a response without a request")
	case s.resets > 0:
		return errors.New("a frame on a stream that it has reset")
	case s.phase == phaseEnded:
		return errors.New("a frame after END_STREAM")
	case s.resetSeen(o):
		return errors.New("a frame on a stream whose reset it has seen")
	case o.client && o.gone != nil && id > o.gone.LastStreamID:
		return fmt.Errorf("a frame on a stream that GOAWAY gave up: %v", o.gone)
	}
	return nil
}

// headers judges a field block.
func (o *h2Oracle) headers(f *H2Frame) error {
	if err := o.decode(f); err != nil {
		return err
	}
	if f.Flags.Has(http2.FlagHeadersPriority) && f.Priority.StreamDep == f.StreamID {
		return errors.New("a stream that depends on itself")
	}
	if !o.client && f.StreamID > o.highest {
		return o.request(f)
	}
	s, err := o.known(f.StreamID)
	if err != nil {
		return err
	}
	if err := o.writable(f.StreamID, s); err != nil {
		return err
	}
	if s.phase == phaseBody {
		if !f.EndStream() {
			return errors.New("trailers without END_STREAM")
		}
		if err := checkTrailers(f.Fields); err != nil {
			return err
		}
		return o.end(s)
	}
	return o.response(s, f)
}

// response judges the head of a response.
func (o *h2Oracle) response(s *h2Stream, f *H2Frame) error {
	var err error
	if s.head, err = checkResponse(f.Fields); err != nil {
		return err
	}
	if s.head.status < 200 {
		if f.EndStream() {
			return errors.New("an informational response with END_STREAM")
		}
		return nil
	}
	s.phase = phaseBody
	// Of these the length is that of another response (RFC 9110 section 8.6).
	s.bodyless = s.method == "HEAD" || s.head.status == 204 || s.head.status == 304
	if s.method == "" && f.EndStream() {
		s.bodyless = true // it may have been HEAD
	}
	if f.EndStream() {
		return o.end(s)
	}
	return nil
}

// request judges the head of a request, which opens a stream.
func (o *h2Oracle) request(f *H2Frame) error {
	limit := o.grants.now().streams
	switch {
	case f.StreamID%2 == 0:
		return errors.New("a request on an even stream")
	case o.goneAt > 0 && o.goneAt < o.seen && f.StreamID > o.goneLast:
		return errors.New("a request after a GOAWAY that it has seen")
	case uint32(o.open) >= limit:
		return fmt.Errorf("stream number %d at a time, we allow %d", o.open+1, limit)
	}
	head, err := checkRequest(f.Fields)
	if err != nil {
		return err
	}
	s := o.stream(f.StreamID)
	s.opened, s.head, s.phase, s.working = true, head, phaseBody, true
	o.highest = f.StreamID
	o.open++
	o.event(h2Started)
	if f.EndStream() {
		return o.end(s)
	}
	return nil
}

// data judges a DATA frame.
func (o *h2Oracle) data(f *H2Frame) error {
	s, err := o.known(f.StreamID)
	if err != nil {
		return err
	}
	if err := o.spend(s, f); err != nil {
		return err
	}
	if err := o.writable(f.StreamID, s); err != nil {
		return err
	}
	s.body += int64(len(f.Payload))
	switch {
	case s.phase == phaseHead:
		return errors.New("data before a head")
	case s.bodyless && len(f.Payload) > 0:
		return fmt.Errorf("data in a response to %s with status %d", s.method, s.head.status)
	case !s.bodyless && s.head.length >= 0 && s.body > s.head.length:
		return fmt.Errorf("%d bytes of a body whose content-length is %d", s.body, s.head.length)
	}
	if f.EndStream() {
		return o.end(s)
	}
	return nil
}

// end takes the end of the peer's message.
func (o *h2Oracle) end(s *h2Stream) error {
	s.phase = phaseEnded
	o.settle(s)
	if !s.bodyless && s.head.length >= 0 && s.body != s.head.length {
		return fmt.Errorf("%d bytes of a body whose content-length is %d", s.body, s.head.length)
	}
	return nil
}

// reset judges a RST_STREAM. One that follows another may answer what we sent meanwhile, but there cannot be more of them than
// frames that they answer; the first of a client needs no reason.
func (o *h2Oracle) reset(f *H2Frame) error {
	s, err := o.known(f.StreamID)
	if err != nil {
		return err
	}
	s.resets++
	allowed := s.frames
	if !o.client {
		allowed++
	}
	if s.resets > allowed && !o.blind() {
		return fmt.Errorf("RST_STREAM number %d on a stream with %d frames of ours", s.resets, s.frames)
	}
	if s.working {
		s.working = false
		o.event(h2Reset)
	}
	o.settle(s)
	return nil
}

// sentOnStream takes a frame of ours.
func (o *h2Oracle) sentOnStream(f sentFrame) {
	s := o.stream(f.streamID)
	if f.kind != http2.FrameRSTStream {
		s.frames++
	} else if s.resetAt == 0 {
		s.resetAt = o.frames
	}
	switch f.kind {
	case http2.FrameHeaders:
		s.opened = s.opened || o.client
	case http2.FrameData:
		o.flow.sent += int64(f.length)
		s.flow.sent += int64(f.length)
	}
	ends := f.kind == http2.FrameHeaders || f.kind == http2.FrameData
	s.ended = s.ended || ends && f.flags.Has(http2.FlagDataEndStream)
	if s.working && (s.ended || s.resetAt > 0) {
		s.working = false
		o.event(h2Finished)
	}
	o.settle(s)
}

// settle finds out whether a stream that the peer opened is closed.
func (o *h2Oracle) settle(s *h2Stream) {
	over := s.phase == phaseEnded && s.ended || s.resets > 0 || s.resetAt > 0
	if over && s.opened && !s.closed && !o.client {
		s.closed = true
		o.open--
	}
}

func (o *h2Oracle) event(e h2Event) {
	if o.peerEvents != nil {
		o.peerEvents(e)
	}
}
