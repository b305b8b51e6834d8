package http1

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// ResponseParser parses response heads, one after the other. It is a value of a few words without buffers; the zero value
// is ready to use.
type ResponseParser struct {
	head    head
	facts   facts
	framing Framing
}

// Reset forgets a head that was begun.
func (p *ResponseParser) Reset() { *p = ResponseParser{} }

// Framing returns how the body of the response parsed last is framed. A body of declared length 0 is FramingNone.
func (p *ResponseParser) Framing() Framing { return p.framing }

// Parse parses the response head at the start of buf. headRequest says that it answers a HEAD, connectRequest that it
// answers a CONNECT, after whose success there is no body but a tunnel.
//
// n, err, buf and resp behave as they do for RequestParser.Parse, except that resp has no meaning after an error. A 1xx
// response is a head of its own: all but 101 are followed by another head.
func (p *ResponseParser) Parse(buf []byte, resp *message.Response, headRequest, connectRequest bool, lim *Limits) (n int, err Error) {
	if p.head.scanned == 0 {
		resp.Reset()
	} else if !p.head.ready(buf) {
		return 0, p.head.stop(buf, noError, lim)
	}
	n, err = p.parse(buf, resp, lim)
	if n > 0 && p.head.scanned != 0 {
		*p = ResponseParser{}
		resp.Reset()
		n, err = p.parse(buf, resp, lim)
	}
	if n > 0 {
		if err = p.finish(resp, headRequest, connectRequest); err == noError {
			p.head, p.facts = head{}, facts{}
			return n, noError
		}
	}
	if err != noError {
		p.Reset()
	}
	return 0, err
}

// parse parses the lines that are complete. n > 0 means that the head is.
func (p *ResponseParser) parse(buf []byte, resp *message.Response, lim *Limits) (n int, err Error) {
	h := &p.head
	if !h.started {
		if err = p.parseStatusLine(buf, resp, lim); !h.started {
			return 0, err
		}
	}
	for !h.atEnd(buf) {
		name, value, ok, err := h.nextField(buf, lim)
		if !ok {
			return 0, err
		}
		if err = p.field(name, value, resp); err != noError {
			return 0, err
		}
	}
	if h.line+2 > lim.headerBytes() {
		return 0, ErrHeadersTooLarge
	}
	return h.line + 2, noError
}

// parseStatusLine parses the status line, and sets started when it has it.
func (p *ResponseParser) parseStatusLine(buf []byte, resp *message.Response, lim *Limits) Error {
	h := &p.head
	if len(buf) > 0 && buf[0] != 'H' {
		return ErrStatusLine
	}
	next, err := statusLine(buf, resp)
	if next == 0 {
		return h.stop(buf, err, lim)
	}
	if next > lim.headerBytes() {
		return ErrHeadersTooLarge
	}
	h.line, h.started = next, true
	return noError
}

// statusLine parses the status line at the start of buf (RFC 9112 section 4). The reason may be missing, with or without
// the space before it. As with scanFieldLine a next of 0 means that it met the end of buf or an error.
func statusLine(buf []byte, resp *message.Response) (next int, err Error) {
	const (
		code   = len("HTTP/1.1 ")
		reason = len("HTTP/1.1 200")
	)
	if len(buf) <= reason {
		return 0, ErrStatusLine
	}
	switch string(buf[:code]) {
	case "HTTP/1.1 ":
		resp.Version = message.HTTP11
	case "HTTP/1.0 ":
		resp.Version = message.HTTP10
	default:
		return 0, ErrStatusLine
	}
	resp.Status = 0
	for _, c := range buf[code:reason] {
		if c < '0' || c > '9' {
			return 0, ErrStatusLine
		}
		resp.Status = resp.Status*10 + int(c-'0')
	}
	end := indexControl(buf, reason)
	if end+1 >= len(buf) || buf[end] != '\r' || buf[end+1] != '\n' {
		return 0, lineEndError(buf, end, ErrStatusLine, ErrStatusLine)
	}
	if end > reason && buf[reason] != ' ' {
		return 0, ErrStatusLine
	}
	if resp.Status < 100 || resp.Status > 599 {
		return 0, ErrStatusCode
	}
	return end + 2, noError
}

// field takes one field line: what concerns the connection or the framing is noted, the rest goes to resp.Fields.
func (p *ResponseParser) field(name, value []byte, resp *message.Response) Error {
	switch string(name) {
	case "content-length":
		resp.Fields.Add(message.NameContentLength, value)
		return p.facts.contentLength(value)
	case "transfer-encoding":
		return p.facts.transferEncoding(value)
	case "connection":
		p.facts.connection(value, &resp.Fields)
	case "upgrade":
		p.facts.upgrade(value)
		resp.Upgrade = value
	case "keep-alive", "proxy-connection":
	default:
		resp.Fields.AddRaw(name, value)
	}
	return noError
}

// finish decides what needs all field lines.
func (p *ResponseParser) finish(resp *message.Response, headRequest, connectRequest bool) Error {
	f := &p.facts
	if err := f.applyConnection(&resp.Fields, false); err != noError {
		return err
	}
	if resp.Status != 101 {
		resp.Upgrade = nil
	} else if !f.has(factUpgrade) || f.has(factUpgradeUnusable) {
		return ErrSwitchWithoutUpgrade
	}
	resp.Close = f.closes(resp.Version)
	if connectRequest && resp.Status/100 == 2 {
		// The peer speaks of a body it cannot have (RFC 9110 section 9.3.6).
		resp.Fields.Del(message.NameContentLength)
		p.framing, resp.EndStream = FramingNone, true
		return noError
	}
	if err := p.frame(resp, headRequest); err != noError {
		return err
	}
	resp.EndStream = p.framing == FramingNone
	resp.Close = resp.Close || p.framing == FramingClose
	return noError
}

// frame decides how the body is framed (RFC 9112 section 6.3).
func (p *ResponseParser) frame(resp *message.Response, headRequest bool) Error {
	f := &p.facts
	if f.has(factTransferEncoding) {
		switch {
		case f.has(factLength):
			return ErrLengthAndChunked
		case resp.Version == message.HTTP10:
			return ErrTransferEncodingHTTP10
		case resp.Status < 200 || resp.Status == 204:
			return ErrTransferEncodingNotAllowed
		}
	}
	if f.has(factLength) {
		if f.length > 0 && (resp.Status < 200 || resp.Status == 204) {
			return ErrLengthNotAllowed
		}
		resp.ContentLength = f.length
	}
	switch {
	case headRequest || statusWithoutBody(resp.Status) || f.has(factLength) && f.length == 0:
		p.framing = FramingNone
	case f.has(factTransferEncoding):
		p.framing = FramingChunked
	case f.has(factLength):
		p.framing = FramingLength
	default:
		p.framing = FramingClose
	}
	return noError
}
