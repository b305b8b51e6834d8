package load

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Specification constants.
const (
	// defaultWindow is what a stream may send until its peer says more (RFC 9113
	// section 6.9.2).
	defaultWindow = 65_535
	// tableSize is HPACK's until a peer says otherwise (RFC 9113 section 6.5.2).
	tableSize = 4096
	// maxFrame is the largest payload that may be sent to a peer which has not asked
	// for more (RFC 9113 section 4.2).
	maxFrame = 16_384
)

// session is the client's side of an HTTP/2 connection, as much of it as takes to make
// GET requests and to see what becomes of them: no window is ever updated. It is used
// by one goroutine.
type session struct {
	conn    *conn
	framer  *http2.Framer
	out     bytes.Buffer // frames that flush sends
	block   bytes.Buffer // header block of the request being made
	encoder *hpack.Encoder
	// acknowledged says that the server has our settings, greeted that we have its.
	acknowledged, greeted bool
}

// newSession opens the connection and prepares its preface, which the first flush
// sends. The server may send window bytes on each stream. The deadline holds until
// another is set on the connection.
func newSession(c *conn, window uint32, deadline time.Time) (*session, error) {
	if err := c.open(deadline); err != nil {
		return nil, &stepError{stepConnect, err}
	}
	if err := c.tcp.SetDeadline(deadline); err != nil {
		return nil, &stepError{stepConnect, err}
	}
	s := &session{conn: c}
	s.encoder = hpack.NewEncoder(&s.block)
	s.framer = http2.NewFramer(&s.out, c.reader)
	s.framer.SetMaxReadFrameSize(maxFrame)
	s.framer.ReadMetaHeaders = hpack.NewDecoder(tableSize, nil)
	s.out.WriteString(http2.ClientPreface)
	return s, s.framer.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: window},
	)
}

// get adds a request for path on a stream of its own; ids go up from 1 in steps of 2.
func (s *session) get(id uint32, path string) error {
	s.block.Reset()
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: s.conn.address}, {Name: ":path", Value: path},
	} {
		if err := s.encoder.WriteField(f); err != nil {
			return err
		}
	}
	return s.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: s.block.Bytes(), EndStream: true, EndHeaders: true,
	})
}

// flush sends what was added.
func (s *session) flush() error {
	if _, err := s.conn.tcp.Write(s.out.Bytes()); err != nil {
		return &stepError{stepWrite, err}
	}
	s.out.Reset()
	return nil
}

// next reads a frame, valid until the next, and acknowledges it where that is due. The
// end of the connection is an error, announced or not.
func (s *session) next() (http2.Frame, error) {
	frame, err := s.framer.ReadFrame()
	if err != nil {
		return nil, &stepError{stepRead, err}
	}
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			s.acknowledged = true
			return frame, nil
		}
		s.greeted = true
		err = s.framer.WriteSettingsAck()
	case *http2.PingFrame:
		if f.IsAck() {
			return frame, nil
		}
		err = s.framer.WritePing(true, f.Data)
	case *http2.GoAwayFrame:
		return nil, &stepError{stepRead, fmt.Errorf("server goes away: %v", f.ErrCode)}
	default:
		return frame, nil
	}
	if err != nil {
		return nil, err
	}
	return frame, s.flush()
}

// greetHTTP2 makes the first request of an idle connection and waits until each side
// has the other's settings, so that the server has nothing left to say.
func (c *conn) greetHTTP2(path string) error {
	s, err := newSession(c, defaultWindow, time.Now().Add(Timeout))
	if err != nil {
		return err
	}
	if err := s.get(1, path); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	for ended := false; !ended || !s.acknowledged || !s.greeted; {
		frame, err := s.next()
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); status != "200" {
				return fmt.Errorf("status %s, want 200", status)
			}
			ended = f.StreamEnded()
		case *http2.DataFrame:
			ended = f.StreamEnded()
		case *http2.RSTStreamFrame:
			return fmt.Errorf("server resets the stream: %v", f.ErrCode)
		}
	}
	c.reader = nil // an idle connection needs no buffer here either
	return nil
}
