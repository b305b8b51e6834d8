package origin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxFramePayload bounds the payload of one WebSocket frame, which is held in memory.
const maxFramePayload = 1 << 20

// opcode is a frame's kind, RFC 6455 section 5.2.
type opcode byte

const (
	opContinuation opcode = 0x0
	opText         opcode = 0x1
	opBinary       opcode = 0x2
	opClose        opcode = 0x8
	opPing         opcode = 0x9
	opPong         opcode = 0xa
)

func (o opcode) isControl() bool { return o&0x8 != 0 }

// Close codes, RFC 6455 section 7.4.1.
const (
	closeProtocolError = 1002
	closeTooBig        = 1009
)

// closeError is a reason to close a WebSocket that its peer is told.
type closeError struct {
	code   uint16
	reason string
}

func (e *closeError) Error() string { return fmt.Sprintf("websocket: %s (%d)", e.reason, e.code) }

func protocolError(reason string) error { return &closeError{closeProtocolError, reason} }

// frame is one frame, unmasked.
type frame struct {
	final   bool
	opcode  opcode
	payload []byte
}

// Bits and lengths of a frame's header, RFC 6455 section 5.2.
const (
	finalBit       = 0x80
	reservedBits   = 0x70
	opcodeBits     = 0x0f
	maskBit        = 0x80
	lengthBits     = 0x7f
	length16       = 126 // the length follows in 2 bytes
	length64       = 127 // the length follows in 8 bytes
	maxControlSize = 125
)

// readFrame reads one frame of a client into buf, growing it when it must; the payload is valid until buf is used again. An error is a *closeError when the
// client broke the protocol, and the reader's own otherwise.
func readFrame(r io.Reader, buf []byte) (frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{final: head[0]&finalBit != 0, opcode: opcode(head[0] & opcodeBits)}
	if err := f.checkHead(head); err != nil {
		return frame{}, err
	}
	size, err := readLength(r, head[1]&lengthBits)
	if err != nil {
		return frame{}, err
	}
	var mask [4]byte
	if _, err := io.ReadFull(r, mask[:]); err != nil {
		return frame{}, unexpected(err)
	}
	if uint64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	f.payload = buf[:size]
	if _, err := io.ReadFull(r, f.payload); err != nil {
		return frame{}, unexpected(err)
	}
	for i := range f.payload {
		f.payload[i] ^= mask[i%len(mask)]
	}
	return f, nil
}

func (f *frame) checkHead(head [2]byte) error {
	switch {
	case head[0]&reservedBits != 0:
		return protocolError("reserved bits without an extension")
	case f.opcode > opBinary && f.opcode < opClose || f.opcode > opPong:
		return protocolError("unknown opcode")
	case head[1]&maskBit == 0:
		return protocolError("unmasked frame of a client") // RFC 6455 section 5.1
	case f.opcode.isControl() && !f.final:
		return protocolError("fragmented control frame") // section 5.5
	case f.opcode.isControl() && head[1]&lengthBits > maxControlSize:
		return protocolError("control frame over 125 bytes") // section 5.5
	}
	return nil
}

// readLength returns the payload length that the 7 bits begin.
func readLength(r io.Reader, bits byte) (uint64, error) {
	size := uint64(bits)
	var extended [8]byte
	switch bits {
	case length16:
		if _, err := io.ReadFull(r, extended[6:]); err != nil {
			return 0, unexpected(err)
		}
		size = binary.BigEndian.Uint64(extended[:])
		if size < length16 {
			return 0, protocolError("length not in its shortest form")
		}
	case length64:
		if _, err := io.ReadFull(r, extended[:]); err != nil {
			return 0, unexpected(err)
		}
		size = binary.BigEndian.Uint64(extended[:])
		if size <= 0xffff || size>>63 != 0 {
			return 0, protocolError("length not in its shortest form")
		}
	}
	if size > maxFramePayload {
		return 0, &closeError{closeTooBig, fmt.Sprintf("frame of %d bytes, more than %d", size, maxFramePayload)}
	}
	return size, nil
}

// unexpected marks an end of input inside a frame.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendFrame appends a server's frame to dst.
func appendFrame(dst []byte, f frame) []byte {
	first := byte(f.opcode)
	if f.final {
		first |= finalBit
	}
	switch size := len(f.payload); {
	case size < length16:
		dst = append(dst, first, byte(size))
	case size <= 0xffff:
		dst = append(dst, first, length16)
		dst = binary.BigEndian.AppendUint16(dst, uint16(size))
	default:
		dst = append(dst, first, length64)
		dst = binary.BigEndian.AppendUint64(dst, uint64(size))
	}
	return append(dst, f.payload...)
}

// appendClose appends a close frame with a code and a reason, the latter cut to what a control frame holds.
func appendClose(dst []byte, code uint16, reason string) []byte {
	payload := binary.BigEndian.AppendUint16(nil, code)
	payload = append(payload, reason[:min(len(reason), maxControlSize-len(payload))]...)
	return appendFrame(dst, frame{final: true, opcode: opClose, payload: payload})
}
