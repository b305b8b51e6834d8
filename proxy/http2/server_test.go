package http2

import "testing"

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
