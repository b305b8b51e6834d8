package http1

import (
	"io"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// wire is what the two sides of an HTTP/1 connection have in common: the bytes read and not consumed yet, the body being
// decoded and the framing of the body being written. It belongs to the loop's thread.
type wire struct {
	conn   *eventloop.Conn
	limits *Limits

	buf        []byte // nil while the connection is idle
	start, end int    // buf[start:end] is read and not consumed
	held       []byte // an earlier buffer that the current message head points into

	speller *speller // nil where names are not to be spelled as they come

	body     BodyDecoder
	bodyDone bool
	out      Framing
	tunnel   bool // both directions are raw bytes
}

// minRead is the room in a buffer below which a read is not worth its system call.
const minRead = 2 << 10

// unread returns what was read and not consumed.
func (w *wire) unread() []byte { return w.buf[w.start:w.end] }

// fillHead reads more of a message head, which must stay contiguous.
func (w *wire) fillHead() error {
	if !w.conn.Readable() {
		return eventloop.ErrWouldBlock // and no buffer is taken to wait with
	}
	if w.buf == nil {
		w.buf = w.conn.Loop().AcquireBuffer(eventloop.ReadBufferSize)
		w.start, w.end = 0, 0
	}
	if w.end == len(w.buf) {
		w.makeRoom()
	}
	return w.read()
}

// makeRoom moves the unread bytes to the start of the buffer, or to a larger one when they fill it. The parser bounds it:
// it refuses a head that exceeds its limit before the buffer grows far beyond that.
func (w *wire) makeRoom() {
	if w.start > 0 {
		w.end = copy(w.buf, w.unread())
		w.start = 0
		return
	}
	loop := w.conn.Loop()
	larger := loop.AcquireBuffer(4 * len(w.buf))
	copy(larger, w.buf)
	loop.ReleaseBuffer(w.buf)
	w.buf = larger
}

// fillBody reads more of a message body, without touching the head in front of it.
func (w *wire) fillBody() error {
	if !w.conn.Readable() {
		return eventloop.ErrWouldBlock
	}
	switch {
	case w.held == nil:
		w.held = w.buf
		rest := w.unread()
		w.buf = w.conn.Loop().AcquireBuffer(max(w.bodyBuffer(), len(rest)+minRead))
		w.start, w.end = 0, copy(w.buf, rest)
	case w.start == w.end:
		w.start, w.end = 0, 0
	case len(w.buf)-w.end < minRead:
		w.end = copy(w.buf, w.unread())
		w.start = 0
	}
	return w.read()
}

// bodyBuffer returns the size to read a body with: large reads for what is known to be large or has no known end, unless
// that would be much of what may be buffered.
func (w *wire) bodyBuffer() int {
	small := w.limits.BufferBytes > 0 && w.limits.BufferBytes < 4*eventloop.LargeBufferSize
	if n := w.body.Remaining(); small || n >= 0 && n <= eventloop.ReadBufferSize {
		return eventloop.ReadBufferSize
	}
	return eventloop.LargeBufferSize
}

func (w *wire) read() error {
	n, err := w.conn.Read(w.buf[w.end:])
	w.end += n
	return err
}

// ReadBody returns the next bytes of the body, which are valid until the next call, and whether the body ended with
// them. It returns eventloop.ErrWouldBlock when none are there, io.ErrUnexpectedEOF when the peer closed in the middle,
// and an Error for a malformed body.
func (w *wire) ReadBody() (data []byte, done bool, err error) {
	for !w.bodyDone {
		data, n, done, refused := w.body.Next(w.unread())
		w.start += n
		if refused != noError {
			return nil, false, refused
		}
		if done {
			w.bodyDone = true
			return data, true, nil
		}
		if len(data) > 0 {
			return data, false, nil
		}
		if n > 0 && w.start < w.end {
			continue
		}
		switch err := w.fillBody(); err {
		case nil:
		case io.EOF:
			if !w.body.EOF() {
				return nil, false, io.ErrUnexpectedEOF
			}
			w.bodyDone = true
		default:
			return nil, false, err
		}
	}
	return nil, true, nil
}

// BodyDone reports whether the body being read has ended.
func (w *wire) BodyDone() bool { return w.bodyDone }

// Trailers returns the trailers of the body that ended, nil when there were none or they are not enabled. They are valid
// until the next message.
func (w *wire) Trailers() *message.Fields { return w.body.Trailers() }

// expectBody prepares for the body of the head just parsed.
func (w *wire) expectBody(f Framing, length int64) {
	w.body.Init(f, length, w.limits)
	w.bodyDone = f == FramingNone
}

// writeBody gathers body bytes in the framing that the head announced; they are dropped where there can be no body. p is
// not kept.
func (w *wire) writeBody(p []byte) {
	switch {
	case len(p) == 0 || w.out == FramingNone:
		return
	case w.out != FramingChunked:
		w.conn.Write(p)
		return
	}
	w.conn.Commit(AppendChunkHeader(w.conn.AppendBuffer(), len(p)))
	w.conn.Write(p)
	w.conn.Write(crlf)
}

// WriteEnd ends the body, or our side of a tunnel. Trailers may be nil and are only sent where the framing has a place for
// them and the side that writes has them enabled.
func (w *wire) WriteEnd(trailers *message.Fields) {
	switch {
	case w.tunnel:
		w.conn.ShutdownWrite()
	case w.out == FramingChunked:
		if !w.limits.EnableTrailers {
			trailers = nil
		}
		out := w.conn.AppendBuffer()
		start := len(out)
		out = AppendLastChunk(out, trailers)
		if trailers != nil {
			w.respell(out[start:], trailers)
		}
		w.conn.Commit(out)
	}
}

// crlf ends chunk data. It is never written.
var crlf = []byte("\r\n")

// SwitchToTunnel makes both directions raw bytes: what follows the head is the body, until the peer closes its side.
func (w *wire) SwitchToTunnel() {
	w.expectBody(FramingClose, message.UnknownLength)
	w.out, w.tunnel = FramingClose, true
}

// endMessage lets go of the message that was read. The bytes of the next one, if any were read, are kept.
func (w *wire) endMessage() {
	loop := w.conn.Loop()
	if w.speller != nil {
		w.speller.end(loop)
	}
	if w.held != nil {
		loop.ReleaseBuffer(w.held)
		w.held = nil
	}
	if w.start == w.end && w.buf != nil {
		loop.ReleaseBuffer(w.buf)
		w.buf, w.start, w.end = nil, 0, 0
	}
}

// release lets go of everything when the connection is closed.
func (w *wire) release() {
	w.start = w.end
	w.endMessage()
}

// Conn returns the connection underneath.
func (w *wire) Conn() *eventloop.Conn { return w.conn }

// Pending returns the number of bytes gathered for writing that the kernel has not taken.
func (w *wire) Pending() int { return w.conn.Buffered() }

// Unread returns the bytes that were read and belong to no message yet. They are valid until the next call.
func (w *wire) Unread() []byte { return w.unread() }

// HasUnread reports whether bytes were read that belong to no message yet.
func (w *wire) HasUnread() bool { return w.start < w.end }
