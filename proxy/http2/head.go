package http2

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/http2/hpack"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// headReader walks over the fields of a whole field block, holds them against the limits and refuses what no message may
// have. Whatever it finds it goes on to the end of the block, because the table of the decoder has to follow.
type headReader struct {
	conn  *conn
	block []byte // what is left of it
	arena []byte // what fields are made of
	size  int
	count int
	why   Error // of the message: ErrMalformed or ErrTooLarge
	fault fault // of the connection
	field hpack.Field
}

// next decodes the next field that is of interest into r.field. It returns false at the end of the block.
func (r *headReader) next() bool {
	for len(r.block) > 0 && r.why != ErrTooLarge {
		n, arena, err := r.conn.decoder.Next(r.block, r.arena, &r.field)
		if err != 0 {
			r.fault = faultCompression
			return false
		}
		if n == 0 {
			return false
		}
		r.block, r.arena = r.block[n:], arena
		r.size += int(r.field.Size)
		r.count++
		if r.size > r.conn.opts.HeaderBytes || r.count > r.conn.opts.FieldCount || r.field.Malformed&hpack.TooLong != 0 {
			r.conn.stats.Inc(statHeaderOverflow)
			r.why = ErrTooLarge
			break
		}
		if r.field.Malformed == 0 {
			return true
		}
		r.why = ErrMalformed
	}
	if f := r.conn.skipRest(r.block); f.is() {
		r.fault = f
	}
	r.block = nil
	return false
}

func (r *headReader) malformed() {
	if r.why == noError {
		r.why = ErrMalformed
	}
}

// readHead begins to read a block for a stream.
func (c *conn) readHead(s *Stream, block []byte) headReader {
	c.decoder.Begin()
	return headReader{conn: c, block: block, arena: s.arena}
}

// connectionFields are the names that only HTTP/1 has a use for: a message that has one is malformed (RFC 9113 section
// 8.2.2). They are never written either. It is never changed.
var connectionFields = message.NewNameSet(message.NameConnection, message.NameKeepAlive, message.NameProxyConnection,
	message.NameTransferEncoding, message.NameUpgrade)

// omittedFields are the names that are not written as they stand in a message: those, and what the codec writes itself. It
// is never changed.
var omittedFields = message.NewNameSet(message.NameConnection, message.NameKeepAlive, message.NameProxyConnection,
	message.NameTransferEncoding, message.NameUpgrade, message.NameHTTP2Settings, message.NameHost, message.NameContentLength)

// readTrailers reads the field block that ends a message.
func (c *conn) readTrailers(s *Stream, block []byte, end bool) fault {
	r := c.readHead(s, block)
	if !end {
		r.malformed() // RFC 9113 section 8.1: a second field block ends the message
	}
	for r.next() {
		f := &r.field
		switch {
		case f.Pseudo != hpack.PseudoNone, connectionFields.Contains(f.ID) && f.ID != message.NameOther:
			r.malformed()
		case !message.ForbiddenTrailer(f.Name):
			s.addTrailer(f.Field)
		}
	}
	s.arena = r.arena
	switch {
	case r.fault.is():
		return r.fault
	case r.why != noError:
		c.refuseMessage(s, r.why)
	default:
		c.stats.Inc(statTrailers)
		c.recvEnd(s)
	}
	return fault{}
}

// addTrailer keeps a trailer. Its bytes are in the arena.
func (s *Stream) addTrailer(f message.Field) {
	if s.trailers == nil {
		s.trailers = new(message.Fields)
	}
	s.trailers.Append(f)
}

// appendFields appends the fields of a message to a block.
func (c *conn) appendFields(dst []byte, fields *message.Fields) []byte {
	list := fields.All()
	for i := range list {
		f := &list[i]
		if f.ID != message.NameOther && omittedFields.Contains(f.ID) {
			continue
		}
		dst = c.encoder.AppendField(dst, f)
	}
	return dst
}
