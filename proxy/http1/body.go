package http1

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// BodyDecoder takes the framing off a message body. It is used for one body after another; Init starts the next. The zero
// value is a body that has ended.
type BodyDecoder struct {
	lim       *Limits
	remaining int64 // bytes left of the body (FramingLength) or of the chunk (FramingChunked)
	framing   Framing
	open      bool  // the body has not ended
	err       Error // found behind data that had to be returned first
	chunk     chunkProgress
	trailers  trailerSection
}

// Init begins a body. length counts for FramingLength only. lim is kept until the next Init; it counts for
// FramingChunked only and may be nil otherwise.
func (d *BodyDecoder) Init(f Framing, length int64, lim *Limits) {
	d.framing, d.lim, d.err = f, lim, noError
	d.remaining = 0
	switch f {
	case FramingNone:
		d.open = false
	case FramingLength:
		d.remaining, d.open = length, length > 0
	default:
		d.open = true
	}
	if f == FramingChunked {
		d.chunk = chunkProgress{}
		d.trailers.reset()
	}
}

// Next decodes from b, the bytes of the connection that follow those it consumed before. data is the next piece of the
// body, a part of b, and may be empty; n is how many bytes of b are consumed, at least len(data); done says that the body
// has ended, with its trailers. What is left in b after that belongs to the next message.
//
// When n < len(b) and the body has not ended, Next is to be called again with b[n:]; otherwise with the bytes that
// arrive next. Work is linear and no bytes need to be kept by the caller, however the body is segmented. After an error,
// which never comes with data, nothing more can be decoded.
func (d *BodyDecoder) Next(b []byte) (data []byte, n int, done bool, err Error) {
	switch {
	case d.err != noError:
		return nil, 0, false, d.err
	case !d.open:
		return nil, 0, true, noError
	case d.framing == FramingLength:
		n = len(b)
		if int64(n) >= d.remaining {
			n, d.open = int(d.remaining), false
		}
		d.remaining -= int64(n)
		return b[:n:n], n, !d.open, noError
	case d.framing == FramingChunked:
		data, n, err = d.nextChunked(b)
		return data, n, !d.open, err
	default:
		return b, len(b), false, noError
	}
}

// Done reports whether the body has ended.
func (d *BodyDecoder) Done() bool { return !d.open }

// Remaining returns how many bytes of a body framed by its length are to come, -1 for other framings.
func (d *BodyDecoder) Remaining() int64 {
	if d.framing == FramingLength {
		return d.remaining
	}
	return -1
}

// EOF tells the decoder that the peer closed the connection, and reports whether the body is complete: it had ended
// before, or ends by that (RFC 9112 section 8).
func (d *BodyDecoder) EOF() (clean bool) {
	if d.framing == FramingClose {
		d.open = false
	}
	return !d.open
}

// Trailers returns the trailer fields of a body that has ended, nil when there are none or they are not enabled. They
// belong to the decoder and are valid until the next Init. Fields which RFC 9110 section 6.5.1 does not allow in trailers
// are not among them.
func (d *BodyDecoder) Trailers() *message.Fields {
	if d.open || d.framing != FramingChunked || d.trailers.fields.Len() == 0 {
		return nil
	}
	return &d.trailers.fields
}
