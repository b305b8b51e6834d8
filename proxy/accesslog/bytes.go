package accesslog

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// RequestHeadBytes returns how long the names and values of the request's fields are together, those that HTTP/2 has for the
// request line among them.
func (e *Entry) RequestHeadBytes() int64 {
	r := e.Request
	n := fieldsBytes(&r.Fields)
	for _, part := range [...]struct {
		name  string
		value []byte
	}{{":method", r.Method}, {":scheme", r.Scheme}, {":authority", r.Authority}, {":path", r.Path}} {
		if part.value != nil {
			n += int64(len(part.name) + len(part.value))
		}
	}
	return n
}

// ResponseHeadBytes is RequestHeadBytes for the response, 0 without one.
func (e *Entry) ResponseHeadBytes() int64 {
	if e.Response == nil {
		return 0
	}
	return fieldsBytes(&e.Response.Fields) + int64(len(":status")+len("200"))
}

// TrailerBytes is RequestHeadBytes for the trailers of the response, 0 without any.
func (e *Entry) TrailerBytes() int64 {
	if e.Trailers == nil {
		return 0
	}
	return fieldsBytes(e.Trailers)
}

func fieldsBytes(fields *message.Fields) (n int64) {
	lines := fields.All()
	for i := range lines {
		n += int64(len(lines[i].Name) + len(lines[i].Value))
	}
	return n
}
