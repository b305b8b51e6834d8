package http1

import (
	"bytes"
	"unsafe"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// RequestParser parses request heads, one after the other. It is a value of a few words without buffers; the zero value
// is ready to use.
type RequestParser struct {
	head    head
	facts   facts
	framing Framing
}

// teTrailers is the only TE value that is passed on. It is never written.
var teTrailers = []byte("trailers")

// Reset forgets a head that was begun.
func (p *RequestParser) Reset() { *p = RequestParser{} }

// Framing returns how the body of the request parsed last is framed: FramingNone, FramingLength or FramingChunked. A
// body of declared length 0 is FramingNone.
func (p *RequestParser) Framing() Framing { return p.framing }

// Parse parses the request head at the start of buf.
//
// n > 0 means that buf[:n] was a whole head. req is then filled with slices that borrow buf, in which field names were
// put in lower case; what it held before is gone. Scheme is nil unless the target is in absolute form: the connection
// knows it. Parse is then ready for the next head.
//
// n == 0 without error means that buf holds no whole head yet. The next call must be given the same bytes and more; buf
// may be another slice. What is in req in the meantime has no meaning.
//
// With an error the message is refused. req holds what was understood of the request line, for the access log and to know
// a HEAD request, and no fields.
func (p *RequestParser) Parse(buf []byte, req *message.Request, lim *Limits) (n int, err Error) {
	if p.head.scanned == 0 {
		req.Reset()
	} else if !p.head.ready(buf) {
		err = p.head.stop(buf, noError, lim)
		return 0, p.refuse(buf, req, lim, err)
	}
	n, err = p.parse(buf, req, lim)
	if n > 0 && p.head.scanned != 0 {
		*p = RequestParser{}
		req.Reset()
		n, err = p.parse(buf, req, lim)
	}
	if n > 0 {
		if err = p.finish(req, lim); err == noError {
			p.head, p.facts = head{}, facts{}
			return n, noError
		}
	}
	return 0, p.refuse(buf, req, lim, err)
}

// refuse leaves what is good of the request line, if it is whole, in req, and nothing else, when err is one.
func (p *RequestParser) refuse(buf []byte, req *message.Request, lim *Limits, err Error) Error {
	if err == noError {
		return noError
	}
	start, whole := p.head.start, p.head.started || err != ErrHeadersTooLarge
	p.Reset()
	req.Reset()
	if whole {
		requestLine(buf, start, req, lim)
	}
	return err
}

// parse parses the lines that are complete. n > 0 means that the head is.
func (p *RequestParser) parse(buf []byte, req *message.Request, lim *Limits) (n int, err Error) {
	h := &p.head
	if !h.started {
		if err = p.parseRequestLine(buf, req, lim); !h.started {
			return 0, err
		}
	}
	for !h.atEnd(buf) {
		name, value, ok, err := h.nextField(buf, lim)
		if !ok {
			return 0, err
		}
		if err = p.field(name, value, req, lim); err != noError {
			return 0, err
		}
	}
	if h.line+2 > lim.headerBytes() {
		return 0, ErrHeadersTooLarge
	}
	return h.line + 2, noError
}

// parseRequestLine skips the empty lines and parses the request line, and sets started when it has both.
func (p *RequestParser) parseRequestLine(buf []byte, req *message.Request, lim *Limits) Error {
	h := &p.head
	for h.start < maxLeadingEmptyLines*len("\r\n") && h.atEnd(buf) {
		h.line += len("\r\n")
		h.start = h.line
	}
	if h.line == len(buf) {
		return h.stop(buf, noError, lim)
	}
	if c := buf[h.line]; tokenLower[c] == 0 && c != '\r' {
		return lineEndError(buf, h.line, noError, ErrMethod)
	}
	next, err := requestLine(buf, h.line, req, lim)
	if next == 0 {
		return h.stop(buf, err, lim)
	}
	if next > lim.headerBytes() {
		return ErrHeadersTooLarge
	}
	h.line, h.started = next, true
	return noError
}

// field takes one field line: what concerns the connection or the framing is noted, the rest goes to req.Fields.
func (p *RequestParser) field(name, value []byte, req *message.Request, lim *Limits) Error {
	if lim.Underscores != UnderscoreAllow && bytes.IndexByte(name, '_') >= 0 {
		if lim.Underscores == UnderscoreReject {
			return ErrUnderscore
		}
		return noError
	}
	switch string(name) {
	case "host":
		return p.host(value, req)
	case "content-length":
		req.Fields.Add(message.NameContentLength, value)
		return p.facts.contentLength(value)
	case "transfer-encoding":
		return p.facts.transferEncoding(value)
	case "connection":
		p.facts.connection(value, &req.Fields)
	case "upgrade":
		p.facts.upgrade(value)
		req.Upgrade = value
	case "keep-alive", "proxy-connection", "http2-settings":
	case "te":
		if !req.Fields.Has(message.NameTE) && listHas(value, "trailers") {
			req.Fields.Add(message.NameTE, teTrailers)
		}
	case "expect":
		if !message.EqualFold(value, "100-continue") {
			return ErrExpect
		}
		p.facts.seen |= factExpectContinue
	default:
		req.Fields.AddRaw(name, value)
	}
	return noError
}

// host takes a Host field line. The authority of an absolute-form target or of CONNECT stays (RFC 9112 section 3.2.2).
func (p *RequestParser) host(value []byte, req *message.Request) Error {
	if p.facts.has(factHost) {
		return ErrDuplicateHost
	}
	if !message.ValidAuthority(value, false) {
		return ErrInvalidHost
	}
	p.facts.seen |= factHost
	if req.Authority == nil {
		req.Authority = value
	}
	return noError
}

// finish decides what needs all field lines.
func (p *RequestParser) finish(req *message.Request, lim *Limits) Error {
	f := &p.facts
	p.framing = FramingNone
	if f.seen == factHost && req.Version == message.HTTP11 {
		req.EndStream = true
		return noError
	}
	if !f.has(factHost) {
		if err := defaultHost(req, lim); err != noError {
			return err
		}
	}
	if err := f.applyConnection(&req.Fields, true); err != noError {
		return err
	}
	if err := p.frame(req); err != noError {
		return err
	}
	req.Close = f.closes(req.Version)
	if !req.EndStream || !f.has(factConnectionUpgrade) || f.has(factUpgradeUnusable) || req.Version == message.HTTP10 {
		req.Upgrade = nil
	}
	// Without a body there is nothing to wait for, and HTTP/1.0 does not know the expectation (RFC 9110 section
	// 10.1.1).
	req.ExpectContinue = f.has(factExpectContinue) && !req.EndStream && req.Version == message.HTTP11
	return noError
}

// defaultHost gives a request without Host its authority, if it may have one.
func defaultHost(req *message.Request, lim *Limits) Error {
	if req.Version != message.HTTP10 {
		return ErrMissingHost
	}
	if req.Authority != nil {
		return noError
	}
	if lim.DefaultHostForHTTP10 == "" {
		return ErrMissingHost
	}
	// The bytes of a message are never written to after they were parsed, so they may be those of a string.
	req.Authority = unsafe.Slice(unsafe.StringData(lim.DefaultHostForHTTP10), len(lim.DefaultHostForHTTP10))
	return noError
}

// frame decides how the body is framed (RFC 9112 section 6.3).
func (p *RequestParser) frame(req *message.Request) Error {
	f := &p.facts
	switch {
	case f.has(factTransferEncoding):
		if f.has(factLength) {
			return ErrLengthAndChunked
		}
		if req.Version == message.HTTP10 {
			return ErrTransferEncodingHTTP10
		}
		p.framing, req.ContentLength = FramingChunked, message.UnknownLength
	case f.has(factLength) && f.length > 0:
		p.framing, req.ContentLength = FramingLength, f.length
	}
	req.EndStream = p.framing == FramingNone
	if !req.EndStream && string(req.Method) == "CONNECT" {
		return ErrBodyOnConnect
	}
	return noError
}
