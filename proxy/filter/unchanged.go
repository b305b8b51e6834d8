package filter

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// unchanged is the part of a Stream that leaves bodies and trailers as they are.
type unchanged struct{}

func (unchanged) leavesBodies() {}

// RequestBody implements Stream.
func (unchanged) RequestBody(data []byte, _ bool) ([]byte, bool) { return data, true }

// ResponseBody implements Stream.
func (unchanged) ResponseBody(data []byte) []byte { return data }

// ResponseEnd implements Stream.
func (unchanged) ResponseEnd(_ *message.Response, trailers *message.Fields) ([]byte, *message.Fields) {
	return nil, trailers
}
