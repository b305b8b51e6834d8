package http2

import (
	"golang.org/x/net/http2"
)

// Error says why a stream or a connection ended before its time. It is a small number, so that failing costs no allocation;
// 0 is no error. A zero Error stored in an error variable is not nil: compare with 0 before converting.
type Error uint8

// The reasons.
const (
	noError Error = iota
	// ErrReset: the peer has reset the stream.
	ErrReset
	// ErrRefused: the peer has not processed the request and says so, by REFUSED_STREAM or by GOAWAY (RFC 9113 section
	// 8.7). It may be sent again.
	ErrRefused
	// ErrConnect: the host has reset the stream because what CONNECT has connected to has failed (RFC 9113 section 7).
	ErrConnect
	// ErrClosed: the connection has ended.
	ErrClosed
	// ErrMalformed: the peer's message was malformed (RFC 9113 section 8.1.1), and the stream was reset for it.
	ErrMalformed
	// ErrProtocol: the peer broke the rules of the stream or the connection otherwise.
	ErrProtocol
	// ErrTooLarge: the peer's message head or trailers exceeded a limit, and the stream was reset for it.
	ErrTooLarge
	// ErrMissingHost: the request has neither authority nor host.
	ErrMissingHost
	// ErrKeepalive: the peer did not answer a PING in time.
	ErrKeepalive
	// ErrFlood: the peer sends what costs more than it is worth, or does not read.
	ErrFlood
	// ErrPrematureResets: too many of the peer's streams were reset before they were answered.
	ErrPrematureResets
	// ErrAborted: the stream was reset by its owner.
	ErrAborted
)

// Error implements error.
func (e Error) Error() string {
	switch e {
	case noError:
		return "no error"
	case ErrReset:
		return "the peer has reset the stream"
	case ErrRefused:
		return "the peer has refused the stream"
	case ErrConnect:
		return "the host could not connect, or has lost the connection"
	case ErrClosed:
		return "the connection has ended"
	case ErrMalformed:
		return "the peer's message is malformed"
	case ErrProtocol:
		return "the peer has broken the protocol"
	case ErrTooLarge:
		return "the peer's message head or trailers exceed a limit"
	case ErrMissingHost:
		return "the request has neither :authority nor host, want one of them"
	case ErrKeepalive:
		return "the peer did not answer a ping in time"
	case ErrFlood:
		return "the peer sends too much of what is of no use, or does not read"
	case ErrPrematureResets:
		return "too many streams of the peer were reset before they were answered"
	default:
		return "the stream was given up"
	}
}

// fault is why a connection must end: what its peer is told in GOAWAY, and why. The zero value is none.
type fault struct {
	code   http2.ErrCode
	reason string
}

func (f fault) is() bool { return f.reason != "" }

// Faults that come from more than one place. They are never written.
var (
	faultCompression  = fault{http2.ErrCodeCompression, "field block cannot be decoded"}
	faultIdleStream   = fault{http2.ErrCodeProtocol, "frame on an idle stream"}
	faultFrameSize    = fault{http2.ErrCodeFrameSize, "frame of a wrong size"}
	faultConnWindow   = fault{http2.ErrCodeFlowControl, "more data than the connection window allows"}
	faultStreamClosed = fault{http2.ErrCodeStreamClosed, "frame on a closed stream"}
	faultStreamID     = fault{http2.ErrCodeProtocol, "stream identifier is not the initiator's or not the next"}
	faultPadding      = fault{http2.ErrCodeProtocol, "padding is longer than the frame"}
)
