package grpcweb

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

const (
	// maxMessage bounds the body of an answer that is not gRPC's and becomes grpc-message, as in Envoy.
	maxMessage = 16 << 10
	// trailerFlag marks the frame that holds the trailers, in place of a message.
	trailerFlag = 0x80
	// framePrefix is the size of what a message or the trailers begin with: flags and length.
	framePrefix = 5
)

// Content types and other values. They are never written.
var (
	typeGRPC         = []byte("application/grpc")
	typeWebProto     = []byte("application/grpc-web+proto")
	typeWebTextProto = []byte("application/grpc-web-text+proto")
	valueTrailers    = []byte("trailers")
	acceptEncoding   = []byte("identity,deflate,gzip")

	nameAcceptEncoding = []byte("grpc-accept-encoding")
)

// Stream converts one request and its response.
type Stream struct {
	textRequest, textResponse bool

	decoder textDecoder
	encoder textEncoder
	out     []byte // what is returned last; reused by the next call
	foreign bool   // the response is not one of gRPC, and what it says goes into grpc-message
	message []byte
}

// Open returns what converts a request, nil when it is not one of gRPC-Web.
func Open(req *message.Request) *Stream {
	contentType, ok := req.Fields.Get(message.NameContentType)
	if !ok {
		return nil
	}
	text, is := webType(contentType)
	if !is {
		return nil
	}
	return &Stream{textRequest: text}
}

// webType reports whether a content type is one of gRPC-Web, and whether it is the one in base64.
func webType(contentType []byte) (text, is bool) {
	switch string(contentType) {
	case "application/grpc-web", "application/grpc-web+proto":
		return false, true
	case "application/grpc-web-text", "application/grpc-web-text+proto":
		return true, true
	default:
		return false, false
	}
}

// RequestHead makes the head one of gRPC.
func (s *Stream) RequestHead(req *message.Request) {
	fields := &req.Fields
	accept, _ := fields.Get(message.NameAccept)
	s.textResponse, _ = webType(accept)
	fields.Set(message.NameContentType, typeGRPC)
	fields.Set(message.NameTE, valueTrailers)
	if _, ok := fields.GetName(nameAcceptEncoding); !ok {
		fields.AddRaw(nameAcceptEncoding, acceptEncoding)
	}
	fields.Del(message.NameContentLength)
	if !req.EndStream {
		req.ContentLength = message.UnknownLength
	}
}

// RequestBody returns what the host gets for body bytes of the client, valid until the next call. ok is false when they are
// not the base64 that they have to be.
func (s *Stream) RequestBody(data []byte, end bool) (converted []byte, ok bool) {
	if !s.textRequest {
		return data, true
	}
	s.out, ok = s.decoder.append(s.out[:0], data)
	if end && !s.decoder.complete() {
		ok = false
	}
	return s.out, ok
}

// ResponseHead makes the head one of gRPC-Web. hold says that it cannot be sent before the end of the body, which it is
// going to contain.
func (s *Stream) ResponseHead(resp *message.Response) (hold bool) {
	fields := &resp.Fields
	s.foreign, s.message = !isGRPC(resp) && !isWebProto(resp), s.message[:0]
	fields.Del(message.NameContentLength)
	if !resp.EndStream {
		resp.ContentLength = message.UnknownLength
	}
	if s.textResponse {
		fields.Set(message.NameContentType, typeWebTextProto)
	} else {
		fields.Set(message.NameContentType, typeWebProto)
	}
	return s.foreign && !resp.EndStream
}

// isGRPC reports whether a response is one of gRPC (PROTOCOL-HTTP2.md, Responses).
func isGRPC(resp *message.Response) bool {
	if resp.EndStream {
		return resp.Fields.Has(message.NameGRPCStatus)
	}
	value, _ := resp.Fields.Get(message.NameContentType)
	return resp.Status == 200 && len(value) >= len(typeGRPC) && string(value[:len(typeGRPC)]) == string(typeGRPC) &&
		(len(value) == len(typeGRPC) || value[len(typeGRPC)] == '+' || value[len(typeGRPC)] == ';')
}

// isWebProto reports whether a response is one of gRPC-Web already.
func isWebProto(resp *message.Response) bool {
	value, _ := resp.Fields.Get(message.NameContentType)
	for i, c := range value {
		if c == ';' || c == ' ' {
			value = value[:i]
			break
		}
	}
	text, is := webType(value)
	return resp.Status == 200 && is && !text
}

// ResponseBody returns what the client gets for body bytes of the host, valid until the next call.
func (s *Stream) ResponseBody(data []byte) []byte {
	switch {
	case s.foreign:
		s.message = append(s.message, data[:min(len(data), maxMessage-len(s.message))]...)
		return nil
	case s.textResponse:
		s.out = s.encoder.append(s.out[:0], data)
		return s.out
	default:
		return data
	}
}

// ResponseEnd returns the last of the body, which holds the trailers, valid until the next call. A head that was held is
// complete then: it says everything, and no body follows.
func (s *Stream) ResponseEnd(resp *message.Response, trailers *message.Fields) (last []byte, rest *message.Fields) {
	if s.foreign {
		s.finishForeign(resp)
		return nil, nil
	}
	s.out = s.out[:0]
	if s.textResponse {
		s.out = s.encoder.flush(s.out) // of a message that was cut off
	}
	if trailers == nil || trailers.Len() == 0 {
		return s.out, nil
	}
	frame := appendTrailers(nil, trailers)
	if s.textResponse {
		s.out = s.encoder.append(s.out, frame)
	} else {
		s.out = append(s.out, frame...)
	}
	return s.out, nil
}

// finishForeign puts what an answer that is not gRPC's has said into its head.
func (s *Stream) finishForeign(resp *message.Response) {
	fields := &resp.Fields
	fields.Set(message.NameGRPCStatus, statusText[message.GRPCStatus(resp.Status)])
	fields.Set(message.NameGRPCMessage, message.AppendPercentEncoded(nil, s.message))
	resp.EndStream, resp.ContentLength = true, 0
}

// statusText holds the gRPC statuses that stand for HTTP statuses, as text. It is never written.
var statusText = [...][]byte{2: []byte("2"), 7: []byte("7"), 12: []byte("12"), 13: []byte("13"), 14: []byte("14"), 16: []byte("16")}

// appendTrailers appends the frame that holds the trailers: a block of HTTP/1 field lines.
func appendTrailers(dst []byte, trailers *message.Fields) []byte {
	start := len(dst)
	dst = append(dst, trailerFlag, 0, 0, 0, 0)
	for _, f := range trailers.All() {
		dst = append(append(dst, f.Name...), ':')
		dst = append(append(dst, f.Value...), "\r\n"...)
	}
	n := len(dst) - start - framePrefix
	dst[start+1], dst[start+2], dst[start+3], dst[start+4] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return dst
}
