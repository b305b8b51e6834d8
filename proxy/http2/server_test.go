package http2

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// TestServerExchange follows a request and its response through the codec.
func TestServerExchange(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).data(1, 0, "ab").data(1, endStream, "c").send()
	v := s.stream(1)
	if got := readAll(v.Stream); got != "abc|" {
		t.Errorf("the body is %q", got)
	}
	v.answer("hello")
	p.r.step()
	p.want("HEADERS 1 :status=200", "DATA 1 END_STREAM hello")
	if s.Streams() != 0 {
		t.Errorf("%d streams are open", s.Streams())
	}
}

// TestServerStreamEndsWithItsMessages ends a stream when both messages have, whoever still holds it, so that the client may
// open another.
func TestServerStreamEndsWithItsMessages(t *testing.T) {
	for name, answer := range map[string]func(v *served){
		"head":     func(v *served) { v.WriteHead(&message.Response{Status: 200, EndStream: true}, false) },
		"body":     func(v *served) { v.head(200); v.WriteBody([]byte("x"), true) },
		"end":      func(v *served) { v.head(200); v.WriteBody([]byte("x"), false); v.WriteEnd(nil) },
		"trailers": func(v *served) { v.head(200); trailers := fieldsOf("x", "y"); v.WriteEnd(&trailers) },
	} {
		t.Run(name, func(t *testing.T) {
			s, p := newServer(t, testOptions())
			p.get(1).post(3).send()
			one, three := s.stream(1), s.stream(3)
			answer(one)
			answer(three)
			if s.Streams() != 1 || s.gone != 1 {
				t.Errorf("%d streams are open, the owner was told %d times that one has ended; want the one whose request goes on", s.Streams(), s.gone)
			}
			p.data(3, endStream, "x").send()
			if s.Streams() != 0 {
				t.Errorf("%d streams are open", s.Streams())
			}
			if got := readAll(three.Stream); got != "x|" {
				t.Errorf("the body of a stream that has ended is %q", got)
			}
			one.end(true)
			three.end(true)
		})
	}
}
