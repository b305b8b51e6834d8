package message

import "testing"

func TestSpelling(t *testing.T) {
	var s Spelling
	s.Begin(make([]byte, 0, 200))
	for _, name := range []string{"X-CUSTOM-Id", "etag", "x-Custom-ID", "WWW_auth"} {
		s.Add([]byte(name))
	}
	s.Add(make([]byte, 1<<16)) // which there is no room for
	apply := func(in, want string) {
		t.Helper()
		name := []byte(in)
		s.Apply(name)
		if string(name) != want {
			t.Errorf("%s became %s, want %s", in, name, want)
		}
	}
	apply("x-custom-id", "X-CUSTOM-Id") // the first counts
	apply("etag", "etag")
	apply("www_auth", "WWW_auth")
	apply("x-other", "x-other")
	apply("x-custom-i", "x-custom-i")
	s.ProperOthers = true
	apply("x-other-9a", "X-Other-9a")
	apply("etag", "etag")
	s.Begin(nil)
	s.ProperOthers = false
	apply("x-custom-id", "x-custom-id")
}

func TestProperCase(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "host": "Host", "content-length": "Content-Length", "x-1a-b": "X-1a-B", "a_b.c~d": "A_B.C~D", "www-authenticate": "Www-Authenticate",
	} {
		name := []byte(in)
		ProperCase(name)
		if string(name) != want {
			t.Errorf("%s became %s, want %s", in, name, want)
		}
	}
}
