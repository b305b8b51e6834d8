package harness

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// h2Sent finds the frames in the bytes that a connection sends, wherever they are cut. What is known of a connection then
// follows from what was on the wire, and not from who made it: bytes that a test made by hand count as well.
type h2Sent struct {
	preface bool   // still to come
	garbage bool   // what was sent is no HTTP/2: nothing is known
	part    []byte // of the preface, or of a frame that is not complete
	skip    int    // bytes of a payload that nobody looks at
}

// sentFrame is a frame that was sent. It is known when its header has gone, or the payload as well where that matters.
type sentFrame struct {
	kind     http2.FrameType
	flags    http2.Flags
	streamID uint32
	length   int
	payload  []byte // of SETTINGS, PING, WINDOW_UPDATE and GOAWAY
}

const (
	headerLen = 9
	// maxLooked is the longest payload that is looked at. Longer ones of the frames that matter are not valid.
	maxLooked = 1 << 20
)

// add calls each with every frame that is known with b and was not before.
func (s *h2Sent) add(b []byte, each func(sentFrame)) {
	for len(b) > 0 && !s.garbage {
		if s.skip > 0 {
			n := min(s.skip, len(b))
			s.skip -= n
			b = b[n:]
			continue
		}
		n := min(s.missing(), len(b))
		s.part = append(s.part, b[:n]...)
		b = b[n:]
		if s.missing() == 0 {
			s.complete(each)
		}
	}
}

// missing returns how many bytes are to come before something can be said.
func (s *h2Sent) missing() int {
	switch {
	case s.preface:
		return len(http2.ClientPreface) - len(s.part)
	case len(s.part) < headerLen:
		return headerLen - len(s.part)
	}
	if f := s.header(); f.looked() {
		return headerLen + f.length - len(s.part)
	}
	return 0
}

func (s *h2Sent) complete(each func(sentFrame)) {
	if s.preface {
		s.preface = false
		s.garbage = string(s.part) != http2.ClientPreface
		s.part = s.part[:0]
		return
	}
	f := s.header()
	f.payload = s.part[headerLen:]
	if len(f.payload) < f.length {
		s.skip = f.length
	}
	each(f)
	s.part = s.part[:0]
}

func (s *h2Sent) header() sentFrame {
	h := s.part
	return sentFrame{
		length: int(h[0])<<16 | int(h[1])<<8 | int(h[2]), kind: http2.FrameType(h[3]), flags: http2.Flags(h[4]),
		streamID: binary.BigEndian.Uint32(h[5:]) & (1<<31 - 1),
	}
}

// looked reports whether the payload matters.
func (f sentFrame) looked() bool {
	switch f.kind {
	case http2.FrameSettings, http2.FramePing, http2.FrameWindowUpdate, http2.FrameGoAway:
		return f.length <= maxLooked
	}
	return false
}

// number returns the 32 bits of the payload at an offset, 0 where it is too short.
func (f sentFrame) number(at int) uint32 {
	if len(f.payload) < at+4 {
		return 0
	}
	return binary.BigEndian.Uint32(f.payload[at:])
}

// settings returns what is in a SETTINGS frame.
func (f sentFrame) settings() []http2.Setting {
	const size = 6
	var all []http2.Setting
	for p := f.payload; len(p) >= size; p = p[size:] {
		all = append(all, http2.Setting{ID: http2.SettingID(binary.BigEndian.Uint16(p)), Val: binary.BigEndian.Uint32(p[2:])})
	}
	return all
}
