package http2

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

const (
	// frameHeaderSize is the size of what every frame begins with (RFC 9113 section 4.1).
	frameHeaderSize = 9
	// minMaxFrameSize is the initial value of SETTINGS_MAX_FRAME_SIZE, and what both sides use: we announce no other, and
	// larger frames would let one stream hold the others up for longer.
	minMaxFrameSize = 16 << 10
	// maxStreamID is the largest stream identifier (RFC 9113 section 5.1.1).
	maxStreamID = 1<<31 - 1
)

// frameHeader is the header of a frame.
type frameHeader struct {
	length uint32
	stream uint32
	kind   http2.FrameType
	flags  http2.Flags
}

// parseFrameHeader reads the header at the start of b, which has frameHeaderSize bytes at least. The reserved bit is ignored.
func parseFrameHeader(b []byte) frameHeader {
	_ = b[8]
	return frameHeader{
		length: uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]),
		kind:   http2.FrameType(b[3]),
		flags:  http2.Flags(b[4]),
		stream: binary.BigEndian.Uint32(b[5:9]) & maxStreamID,
	}
}

// appendFrameHeader appends the header of a frame.
func appendFrameHeader(dst []byte, length int, kind http2.FrameType, flags http2.Flags, stream uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags),
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

// putFrameHeader writes the header of a frame to the start of b.
func putFrameHeader(b []byte, length int, kind http2.FrameType, flags http2.Flags, stream uint32) {
	_ = b[8]
	b[0], b[1], b[2], b[3], b[4] = byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags)
	binary.BigEndian.PutUint32(b[5:9], stream)
}

// appendUint32Frame appends a frame whose payload is one number: RST_STREAM or WINDOW_UPDATE.
func appendUint32Frame(dst []byte, kind http2.FrameType, stream, value uint32) []byte {
	dst = appendFrameHeader(dst, 4, kind, 0, stream)
	return binary.BigEndian.AppendUint32(dst, value)
}

// unpad returns the payload of a padded frame without its padding (RFC 9113 section 6.1).
func unpad(h frameHeader, payload []byte) (rest []byte, f fault) {
	if h.flags&http2.FlagDataPadded == 0 { // the same bit for HEADERS
		return payload, fault{}
	}
	if len(payload) == 0 {
		return nil, faultFrameSize
	}
	pad := int(payload[0])
	if pad > len(payload)-1 {
		return nil, faultPadding
	}
	return payload[1 : len(payload)-pad], fault{}
}
