package http1

import (
	"strconv"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// codecFields are the names the encoders write themselves, by framing and Authority, whatever Fields holds. It is never
// written.
var codecFields = withNames(connectionFields, message.NameContentLength, message.NameHost)

func withNames(set message.NameSet, ids ...message.NameID) message.NameSet {
	more := message.NewNameSet(ids...)
	for i := range set {
		set[i] |= more[i]
	}
	return set
}

// AppendRequestHead appends the head of req, with its body framed as f says, to dst and returns the extended slice. Host
// comes first, from Authority; names are written as they are, in lower case. The encoders trust what they are given:
// whoever puts a value into a message keeps CR, LF and NUL out of it.
func AppendRequestHead(dst []byte, req *message.Request, f Framing) []byte {
	target := req.Path
	if len(target) == 0 {
		target = pathRoot
		if string(req.Method) == "CONNECT" {
			target = req.Authority
		}
	}
	dst = append(dst, req.Method...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	dst = append(dst, " HTTP/1.1\r\nhost: "...)
	dst = append(dst, req.Authority...)
	dst = append(dst, "\r\n"...)
	dst = appendFields(dst, &req.Fields)
	dst = appendFraming(dst, f, req.ContentLength)
	if len(req.Upgrade) > 0 {
		dst = appendUpgrade(dst, req.Upgrade)
	}
	return append(dst, "\r\n"...)
}

// HeadOptions is what a response head says about the connection it is written to. The zero value is for an HTTP/1.1
// connection that stays open.
type HeadOptions struct {
	Close     bool // the connection is closed after the response
	HTTP10    bool // the client spoke HTTP/1.0 and is answered in kind
	KeepAlive bool // an HTTP/1.0 client asked to keep the connection and it stays; without meaning beside Close
	// Reason is the reason phrase, empty for the usual one.
	Reason []byte
}

// AppendResponseHead appends the head of resp, with its body framed as f says, to dst and returns the extended slice. A
// response that has no body by its nature (FramingNone) declares the length the message has, if it may.
func AppendResponseHead(dst []byte, resp *message.Response, f Framing, opts HeadOptions) []byte {
	dst = appendStatusLine(dst, resp.Status, opts.HTTP10, opts.Reason)
	dst = appendFields(dst, &resp.Fields)
	if f == FramingNone && declaresLength(resp) {
		f = FramingLength
	}
	dst = appendFraming(dst, f, resp.ContentLength)
	switch {
	case resp.Status == 101:
		dst = appendUpgrade(dst, resp.Upgrade)
	case opts.Close:
		dst = append(dst, "connection: close\r\n"...)
	case opts.HTTP10 && opts.KeepAlive:
		dst = append(dst, "connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// declaresLength reports whether a response without body still says how long one would be: to HEAD, or as a 304 (RFC 9110
// section 8.6). A length of 0 on a 304 is taken for not set.
func declaresLength(resp *message.Response) bool {
	switch {
	case resp.Status < 200 || resp.Status == 204:
		return false
	case resp.Status == 304:
		return resp.ContentLength > 0
	default:
		return resp.ContentLength >= 0
	}
}

func appendStatusLine(dst []byte, status int, http10 bool, reason []byte) []byte {
	switch {
	case http10:
		dst = append(dst, "HTTP/1.0 "...)
	case status == 200 && len(reason) == 0:
		return append(dst, "HTTP/1.1 200 OK\r\n"...)
	default:
		dst = append(dst, "HTTP/1.1 "...)
	}
	dst = append(dst, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10), ' ')
	if len(reason) > 0 {
		dst = append(dst, reason...)
	} else {
		dst = append(dst, ReasonPhrase(status)...)
	}
	return append(dst, "\r\n"...)
}

// appendFields appends all field lines but those the codec writes itself.
func appendFields(dst []byte, fields *message.Fields) []byte {
	list := fields.All()
	for i := range list {
		field := &list[i]
		if codecFields.Contains(field.ID) {
			continue
		}
		dst = appendField(dst, field.Name, field.Value)
	}
	return dst
}

func appendField(dst, name, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// appendFraming appends the field line that f needs. A negative length is written as 0: it belongs to a message that
// ended with its head.
func appendFraming(dst []byte, f Framing, length int64) []byte {
	switch f {
	case FramingLength:
		dst = append(dst, "content-length: "...)
		dst = strconv.AppendInt(dst, max(length, 0), 10)
		return append(dst, "\r\n"...)
	case FramingChunked:
		return append(dst, "transfer-encoding: chunked\r\n"...)
	default:
		return dst
	}
}

func appendUpgrade(dst, protocol []byte) []byte {
	dst = append(dst, "connection: upgrade\r\nupgrade: "...)
	dst = append(dst, protocol...)
	return append(dst, "\r\n"...)
}

// AppendChunk appends data as one chunk to dst and returns the extended slice. Empty data is no chunk: it would end the
// body.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = AppendChunkHeader(dst, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// AppendChunkHeader appends the size line of a chunk of size > 0 bytes, for data that is written by itself. The data has
// to be followed by a CRLF.
func AppendChunkHeader(dst []byte, size int) []byte {
	dst = strconv.AppendUint(dst, uint64(size), 16)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends the end of a chunked body, with trailers unless nil. Fields that do not belong into trailers
// are left out.
func AppendLastChunk(dst []byte, trailers *message.Fields) []byte {
	dst = append(dst, "0\r\n"...)
	if trailers != nil {
		for _, field := range trailers.All() {
			if !message.ForbiddenTrailer(field.Name) {
				dst = appendField(dst, field.Name, field.Value)
			}
		}
	}
	return append(dst, "\r\n"...)
}
