package http2

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/http2/hpack"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// requestFacts are what the fields of a request have said so far that is not in the message itself.
type requestFacts struct {
	seen     uint8 // pseudo-header fields, a bit for each
	ordinary bool  // a field that is not a pseudo-header field has come
	length   bool  // content-length has come
	cookies  int
	size     int // bytes of the cookies
	host     []byte
	protocol []byte
	expect   bool
}

// Values that are compared with or stand for others. They are never written.
var (
	methodGET     = []byte("GET")
	methodConnect = []byte("CONNECT")
	schemeHTTP    = []byte("http")
	schemeHTTPS   = []byte("https")
)

// readRequest reads the head of a request into s.request. why says that it cannot be served.
func (c *conn) readRequest(s *Stream, block []byte, end bool) (why Error, f fault) {
	req := s.request
	req.Reset()
	req.Version, req.EndStream = message.HTTP2, end
	req.ContentLength = message.UnknownLength
	if end {
		req.ContentLength = 0
	}
	r := c.readHead(s, block)
	var q requestFacts
	for r.next() {
		switch {
		case r.field.Pseudo != hpack.PseudoNone:
			q.pseudo(&r, req)
		default:
			q.ordinary = true
			q.field(&r, s, req)
		}
	}
	s.arena = r.arena
	if r.why == noError && !r.fault.is() {
		r.why = q.finish(s, req, c.opts)
	}
	return r.why, r.fault
}

// pseudo takes a pseudo-header field (RFC 9113 section 8.3.1, RFC 8441 section 4): each at most once, and before all others.
func (q *requestFacts) pseudo(r *headReader, req *message.Request) {
	f := &r.field
	bit := uint8(1) << f.Pseudo
	if q.seen&bit != 0 || q.ordinary {
		r.malformed()
		return
	}
	q.seen |= bit
	switch f.Pseudo {
	case hpack.PseudoMethod:
		req.Method = f.Value
	case hpack.PseudoScheme:
		req.Scheme = f.Value
	case hpack.PseudoAuthority:
		req.Authority = f.Value
	case hpack.PseudoPath:
		req.Path = f.Value
	case hpack.PseudoProtocol:
		q.protocol = f.Value
	default:
		r.malformed()
	}
}

func (q *requestFacts) has(p hpack.Pseudo) bool { return q.seen&(1<<p) != 0 }

// field takes an ordinary field: what concerns the codec is noted, the rest goes to the message.
func (q *requestFacts) field(r *headReader, s *Stream, req *message.Request) {
	f := &r.field
	switch f.ID {
	case message.NameOther:
		if r.conn.opts.Underscores != UnderscoreAllow && hasUnderscore(f.Name) {
			q.underscore(r)
			return
		}
	case message.NameConnection, message.NameKeepAlive, message.NameProxyConnection, message.NameTransferEncoding, message.NameUpgrade:
		r.malformed()
		return
	case message.NameTE: // RFC 9113 section 8.2.2
		if string(f.Value) != "trailers" {
			r.malformed()
			return
		}
	case message.NameHost:
		if q.host != nil {
			r.malformed()
		}
		q.host = f.Value
		return
	case message.NameHTTP2Settings:
		return
	case message.NameExpect:
		if string(f.Value) != "100-continue" {
			r.malformed()
		}
		q.expect = true
		return
	case message.NameContentLength:
		q.contentLength(r, s)
	case message.NameCookie:
		q.cookies++
		q.size += len(f.Value) + len("; ")
	}
	req.Fields.Append(f.Field)
}

// hasUnderscore reports whether a name has an underscore.
func hasUnderscore(name []byte) bool {
	for _, b := range name {
		if b == '_' {
			return true
		}
	}
	return false
}

// underscore does with a field what headers_with_underscores_action says.
func (q *requestFacts) underscore(r *headReader) {
	if r.conn.opts.Underscores == UnderscoreDrop {
		r.conn.stats.Inc(statDroppedUnderscores)
		return
	}
	r.conn.stats.Inc(statRejectedUnderscores)
	r.malformed()
}

// contentLength takes a content-length field: one number, once.
func (q *requestFacts) contentLength(r *headReader, s *Stream) {
	n, ok := message.ParseLength(r.field.Value)
	if q.length || !ok {
		r.malformed()
		return
	}
	q.length = true
	s.declared = n
	s.request.ContentLength = n
}

// finish decides what needs all fields.
func (q *requestFacts) finish(s *Stream, req *message.Request, o *Options) Error {
	if err := q.target(s, req, o); err != noError {
		return err
	}
	if req.EndStream && s.declared > 0 {
		return ErrMalformed // RFC 9113 section 8.1.1
	}
	// Without a body there is nothing to wait for (RFC 9110 section 10.1.1).
	req.ExpectContinue = q.expect && !req.EndStream
	if q.cookies > 1 {
		q.joinCookies(s, req)
	}
	return noError
}

// target checks what the request is for (RFC 9113 section 8.3.1).
func (q *requestFacts) target(s *Stream, req *message.Request, o *Options) Error {
	if !validMethod(req.Method) {
		return ErrMalformed
	}
	connect := string(req.Method) == "CONNECT"
	switch {
	case connect && q.protocol == nil && !q.has(hpack.PseudoProtocol):
		return q.connect(s, req)
	case q.has(hpack.PseudoProtocol):
		// RFC 8441 section 4: with CONNECT, and when we have said that we understand it.
		if !connect || !o.AllowConnect || len(q.protocol) == 0 || q.length || req.EndStream {
			return ErrMalformed
		}
		req.Method, req.Upgrade, s.tunnel = methodGET, q.protocol, true
	}
	if !q.setScheme(req) || !validPath(req) {
		return ErrMalformed
	}
	return q.setAuthority(req)
}

// connect checks a CONNECT request, which has neither scheme nor path (RFC 9113 section 8.5).
func (q *requestFacts) connect(s *Stream, req *message.Request) Error {
	if q.has(hpack.PseudoScheme) || q.has(hpack.PseudoPath) || q.length || !message.ValidAuthority(req.Authority, true) {
		return ErrMalformed
	}
	s.tunnel = true
	return noError
}

// setScheme checks the scheme and puts it in lower case.
func (q *requestFacts) setScheme(req *message.Request) bool {
	switch {
	case message.EqualFold(req.Scheme, "http"):
		req.Scheme = schemeHTTP
	case message.EqualFold(req.Scheme, "https"):
		req.Scheme = schemeHTTPS
	default:
		return false
	}
	return true
}

// setAuthority checks the authority. A host field stands in for one that is missing, and has to agree with one that is not.
func (q *requestFacts) setAuthority(req *message.Request) Error {
	switch {
	case !q.has(hpack.PseudoAuthority) && q.host == nil:
		return ErrMissingHost
	case !q.has(hpack.PseudoAuthority):
		req.Authority = q.host
	case q.host != nil && string(q.host) != string(req.Authority):
		return ErrMalformed
	}
	if !message.ValidAuthority(req.Authority, false) {
		return ErrMalformed
	}
	return noError
}

func validMethod(m []byte) bool { return len(m) <= maxMethodLength && message.IsToken(m) }

// validPath reports whether the path is one: it begins with a slash or is the asterisk of OPTIONS, and has visible ASCII
// characters only and no fragment, which would be read in two ways.
func validPath(req *message.Request) bool {
	p := req.Path
	switch {
	case len(p) == 0:
		return false
	case p[0] == '/':
		return message.IndexNotTarget(p, 0) == len(p)
	default:
		return string(p) == "*" && string(req.Method) == "OPTIONS"
	}
}

// joinCookies makes one field of several, which compress better and mean the same (RFC 9113 section 8.2.3). Empty ones add
// nothing: a separator without a cookie beside it would be no cookie string, and at the end no field value.
func (q *requestFacts) joinCookies(s *Stream, req *message.Request) {
	start := len(s.arena)
	never := false
	for _, f := range req.Fields.All() {
		if f.ID != message.NameCookie || len(f.Value) == 0 {
			continue
		}
		if len(s.arena) > start {
			s.arena = append(s.arena, "; "...)
		}
		s.arena = append(s.arena, f.Value...)
		never = never || f.NeverIndexed
	}
	req.Fields.Set(message.NameCookie, s.arena[start:len(s.arena):len(s.arena)])
	if never {
		req.Fields.NeverIndex(message.NameCookie)
	}
}

// appendRequestHead appends the head of a request to a block.
func (c *conn) appendRequestHead(dst []byte, req *message.Request) []byte {
	e := &c.encoder
	method := req.Method
	if len(req.Upgrade) > 0 {
		method = methodConnect
	}
	dst = e.AppendPseudo(dst, hpack.PseudoMethod, method)
	if len(req.Upgrade) > 0 {
		dst = e.AppendPseudo(dst, hpack.PseudoProtocol, req.Upgrade)
	}
	if string(req.Method) != "CONNECT" {
		dst = e.AppendPseudo(dst, hpack.PseudoScheme, scheme(req))
		dst = e.AppendPseudo(dst, hpack.PseudoPath, req.Path)
	}
	dst = e.AppendPseudo(dst, hpack.PseudoAuthority, req.Authority)
	dst = c.appendFields(dst, &req.Fields)
	if req.ContentLength > 0 || req.Fields.Has(message.NameContentLength) {
		dst = c.appendLength(dst, req.ContentLength, len(req.Upgrade) > 0)
	}
	return dst
}

func scheme(req *message.Request) []byte {
	if len(req.Scheme) == 0 {
		return schemeHTTP
	}
	return req.Scheme
}
