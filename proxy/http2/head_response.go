package http2

import (
	"strconv"

	"github.com/penguintechinc/marchproxy-alb/proxy/http2/hpack"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// readResponse reads the head of a response: to where its stream's response is, or into the queue when that is not read yet.
func (c *conn) readResponse(s *Stream, block []byte, end bool) fault {
	resp := s.response
	if s.heads > 0 {
		resp = new(message.Response)
	}
	resp.Reset()
	resp.Version, resp.EndStream = message.HTTP2, end
	r := c.readHead(s, block)
	status, ordinary := false, false
	for r.next() {
		f := &r.field
		switch {
		case f.Pseudo == hpack.PseudoStatus && !status && !ordinary:
			status = true
			if resp.Status = parseStatus(f.Value); resp.Status == 0 {
				r.malformed()
			}
		case f.Pseudo != hpack.PseudoNone:
			r.malformed()
		default:
			ordinary = true
			s.responseField(&r, resp)
		}
	}
	s.arena = r.arena
	switch {
	case r.fault.is():
		return r.fault
	case !status || s.finishResponse(resp) != noError:
		r.malformed()
	}
	if r.why != noError {
		c.refuseMessage(s, r.why)
		return fault{}
	}
	if s.heads > 0 {
		s.more().heads = append(s.rare.heads, resp)
	}
	if s.heads++; s.heads > maxHeads {
		c.refuseMessage(s, ErrMalformed)
		return fault{}
	}
	s.wake()
	if end {
		c.recvEnd(s)
	}
	return fault{}
}

// parseStatus returns the number of three digits from 100 to 599, else 0. 101 is not used in HTTP/2 (RFC 9113 section 8.6).
func parseStatus(v []byte) int {
	if len(v) != 3 || v[0] < '1' || v[0] > '5' || v[1] < '0' || v[1] > '9' || v[2] < '0' || v[2] > '9' {
		return 0
	}
	n := int(v[0]-'0')*100 + int(v[1]-'0')*10 + int(v[2]-'0')
	if n == 101 {
		return 0
	}
	return n
}

// responseField takes an ordinary field.
func (s *Stream) responseField(r *headReader, resp *message.Response) {
	f := &r.field
	switch f.ID {
	case message.NameConnection, message.NameKeepAlive, message.NameProxyConnection, message.NameTransferEncoding, message.NameUpgrade:
		r.malformed()
		return
	case message.NameContentLength:
		n, ok := message.ParseLength(f.Value)
		if !ok || resp.ContentLength != message.UnknownLength {
			r.malformed()
			return
		}
		resp.ContentLength = n
	}
	resp.Fields.Append(f.Field)
}

// finishResponse decides what needs all fields.
func (s *Stream) finishResponse(resp *message.Response) Error {
	if resp.Status < 200 {
		if resp.EndStream {
			return ErrMalformed // RFC 9113 section 8.1
		}
		return noError
	}
	s.headDone = true
	switch {
	case s.tunnel && resp.Status < 300:
		// RFC 8441 section 5: what 101 is in HTTP/1.
		if len(s.request.Upgrade) > 0 {
			resp.Status, resp.Upgrade = 101, s.request.Upgrade
		}
		resp.ContentLength = message.UnknownLength
		resp.Fields.Del(message.NameContentLength)
		return noError
	case s.noBody || resp.Status == 204 || resp.Status == 304:
		s.noBody = true
		return noError
	}
	if s.declared = resp.ContentLength; resp.EndStream && s.declared > 0 {
		return ErrMalformed // RFC 9113 section 8.1.1
	}
	return noError
}

// appendResponseHead appends the head of a response to a block.
func (c *conn) appendResponseHead(dst []byte, resp *message.Response) []byte {
	status := resp.Status
	if status == 101 {
		status = 200
	}
	dst = c.encoder.AppendStatus(dst, status)
	dst = c.appendFields(dst, &resp.Fields)
	if resp.ContentLength > 0 || resp.ContentLength == 0 && resp.Fields.Has(message.NameContentLength) {
		dst = c.appendLength(dst, resp.ContentLength, status < 200 || resp.Status == 101 || status == 204)
	}
	return dst
}

// appendLength appends content-length, unless the message must not have it.
func (c *conn) appendLength(dst []byte, n int64, forbidden bool) []byte {
	if forbidden || n < 0 {
		return dst
	}
	var text [20]byte
	f := message.Field{Name: message.NameContentLength.Bytes(), ID: message.NameContentLength}
	f.Value = strconv.AppendInt(text[:0], n, 10)
	return c.encoder.AppendField(dst, &f)
}
