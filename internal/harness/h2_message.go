package harness

import (
	"fmt"
	"strconv"

	"golang.org/x/net/http2"
)

// H2Response is a response as a client got it, or as an origin is to send it.
type H2Response struct {
	Informational []H2Response // with status and fields only
	Status        int
	Fields        Fields // without :status
	Body          string
	Trailers      Fields

	// How it ended, with END_STREAM or a reset. What is above may be a part then.
	EndStream bool
	Reset     bool
	ResetCode http2.ErrCode
	// Frames counts DATA frames.
	Frames int

	body []byte // what has come, before Body is made of it
}

// H2OK returns a response with status 200 and a body of known length.
func H2OK(body string) H2Response {
	return H2Response{Status: 200, Fields: Fields{{"content-length", strconv.Itoa(len(body))}}, Body: body}
}

// shownBody is how much of a body String shows.
const shownBody = 200

// String returns the response as failures show it.
func (r H2Response) String() string {
	end := "without an end"
	switch {
	case r.Reset:
		end = "reset with " + r.ResetCode.String()
	case r.EndStream:
		end = "ended"
	}
	return fmt.Sprintf("%d %q %q of %d bytes, trailers %q, after %d informational ones, %s",
		r.Status, r.Fields, r.Body[:min(len(r.Body), shownBody)], len(r.Body), r.Trailers, len(r.Informational), end)
}

// add takes a frame of the response's stream.
func (r *H2Response) add(f *H2Frame) {
	switch f.Type {
	case http2.FrameData:
		r.body = append(r.body, f.Payload...)
		r.Frames++
	case http2.FrameRSTStream:
		r.Reset, r.ResetCode = true, f.Code
	case http2.FrameHeaders:
		r.addHead(f)
	}
	r.EndStream = r.EndStream || f.EndStream()
}

func (r *H2Response) addHead(f *H2Frame) {
	status, err := strconv.Atoi(f.Fields.Get(":status"))
	switch {
	case err != nil:
		r.Trailers = f.Fields
	case status < 200:
		r.Informational = append(r.Informational, H2Response{Status: status, Fields: regular(f.Fields)})
	default:
		r.Status, r.Fields = status, regular(f.Fields)
	}
}

// H2Request is a request as an origin got it.
type H2Request struct {
	StreamID                        uint32
	Method, Scheme, Authority, Path string
	Protocol                        string // of an extended CONNECT (RFC 8441)
	Fields                          Fields // without pseudo-header fields
	NeverIndexed                    []string
	Body                            string
	Trailers                        Fields
	EndStream                       bool

	body []byte // what has come, before Body is made of it
}

// newH2Request makes a request of its head.
func newH2Request(f *H2Frame) *H2Request {
	return &H2Request{
		StreamID: f.StreamID, Fields: regular(f.Fields), NeverIndexed: f.NeverIndexed, EndStream: f.EndStream(),
		Method: f.Fields.Get(":method"), Scheme: f.Fields.Get(":scheme"), Authority: f.Fields.Get(":authority"),
		Path: f.Fields.Get(":path"), Protocol: f.Fields.Get(":protocol"),
	}
}

// add takes a frame after the head.
func (r *H2Request) add(f *H2Frame) {
	switch f.Type {
	case http2.FrameData:
		r.body = append(r.body, f.Payload...)
	case http2.FrameHeaders:
		r.Trailers = f.Fields
	}
	if f.EndStream() {
		r.EndStream, r.Body = true, string(r.body)
	}
}

// regular returns the fields that are no pseudo-header fields.
func regular(fields Fields) Fields {
	var rest Fields
	for _, f := range fields {
		if f.Name == "" || f.Name[0] != ':' {
			rest = append(rest, f)
		}
	}
	return rest
}

// pairs returns the fields as names and values in turn.
func pairs(fields Fields) []string {
	var list []string
	for _, f := range fields {
		list = append(list, f.Name, f.Value)
	}
	return list
}

// H2Head returns the fields of a request for http://a and the path, and more, as names and values in turn.
func H2Head(method, path string, fields ...string) []string {
	return append([]string{":method", method, ":scheme", "http", ":authority", "a", ":path", path}, fields...)
}

// ofStream matches frames of a message or its reset.
func ofStream(id uint32) func(*H2Frame) bool {
	return func(f *H2Frame) bool {
		return f.StreamID == id && (f.Type == http2.FrameHeaders || f.Type == http2.FrameData || f.Type == http2.FrameRSTStream)
	}
}
