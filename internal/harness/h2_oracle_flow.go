package harness

import (
	"errors"
	"fmt"

	"golang.org/x/net/http2"
)

// h2Flow counts what flow control is about, of a connection or a stream, from the initial windows on (RFC 9113 section 5.2).
type h2Flow struct {
	granted  int64 // to the peer, by WINDOW_UPDATE
	received int64
	sent     int64
	initial  int64 // credit of a connection beyond the initial window, before there was anything to return
	returned int64 // credit for what was sent
}

// window returns how much the peer may send.
func (f *h2Flow) window(initial uint32) int64 { return int64(initial) + f.granted - f.received }

// sendWindow returns how much we may send.
func (f *h2Flow) sendWindow(initial uint32) int64 {
	return int64(initial) + f.initial + f.returned - f.sent
}

// granted counts a WINDOW_UPDATE of ours.
func (o *h2Oracle) granted(streamID uint32, n int64) {
	if streamID == 0 {
		o.flow.granted += n
		return
	}
	o.stream(streamID).flow.granted += n
}

// spend counts a DATA frame of the peer against the windows. Padding counts.
func (o *h2Oracle) spend(s *h2Stream, f *H2Frame) error {
	n := int64(f.Length)
	connection, stream := o.flow.window(defaultWindow), s.flow.window(o.grants.now().window)
	o.flow.received += n
	s.flow.received += n
	switch {
	case n == 0 || o.blind():
		return nil
	case n > connection:
		return fmt.Errorf("%d bytes where the window of the connection is %d", n, connection)
	case n > stream:
		return fmt.Errorf("%d bytes where the window of the stream is %d", n, stream)
	}
	return nil
}

// credit takes a WINDOW_UPDATE of the peer.
func (o *h2Oracle) credit(f *H2Frame) error {
	n := int64(f.Increment)
	if f.StreamID == 0 {
		return o.creditConnection(n)
	}
	return o.creditStream(f.StreamID, n)
}

// creditConnection takes credit of the connection. What comes before the peer can have seen anything is how it enlarges the
// window, since no setting can (RFC 9113 section 6.9.2).
func (o *h2Oracle) creditConnection(n int64) error {
	if o.flow.sent == 0 || !o.settled {
		o.flow.initial += n
	} else {
		o.flow.returned += n
	}
	// Also without data a window must not exceed this (RFC 9113 section 6.9.1).
	if window := o.flow.sendWindow(defaultWindow); window > maxWindow {
		return fmt.Errorf("a window of the connection of %d bytes", window)
	}
	return o.checkReturned(&o.flow)
}

func (o *h2Oracle) creditStream(id uint32, n int64) error {
	s, err := o.known(id)
	if err != nil {
		return err
	}
	s.flow.returned += n
	switch {
	case s.resets > 0:
		return errors.New("credit for a stream that it has reset")
	case s.resetSeen(o):
		return errors.New("credit for a stream whose reset it has seen")
	}
	return o.checkReturned(&s.flow)
}

// checkReturned demands that no more credit was returned than was used: a window never grows beyond what it was at first, and
// so never beyond what the protocol allows.
func (o *h2Oracle) checkReturned(f *h2Flow) error {
	if f.returned > f.sent && !o.growing && !o.blind() {
		return fmt.Errorf("credit overflow: %d bytes of credit for %d that were sent", f.returned, f.sent)
	}
	return nil
}

// sendWindow returns how much may be sent on a stream.
func (o *h2Oracle) sendWindow(streamID uint32) int64 {
	return min(o.flow.sendWindow(defaultWindow), o.stream(streamID).flow.sendWindow(o.theirs.window))
}

// answerable reports whether credit for a DATA frame is of use to its stream.
func (o *h2Oracle) answerable(f *H2Frame) bool {
	s := o.streams[f.StreamID]
	return s != nil && s.phase != phaseEnded && s.resetAt == 0 && f.Type == http2.FrameData
}
