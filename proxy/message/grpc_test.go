package message

import (
	"net/url"
	"strings"
	"testing"
)

func TestAppendPercentEncoded(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "ok": "ok", "a b": "a b", "100%": "100%25", "\x00\x1f ~\x7f\xff": "%00%1F ~%7F%FF", "ä\r\n": "%C3%A4%0D%0A",
		" ": "%20", "  ": "%20%20", "   ": "%20 %20", " a ": "%20a%20",
	} {
		if got := string(AppendPercentEncoded([]byte("x"), s)); got != "x"+want {
			t.Errorf("%q is %q, want %q", s, got[1:], want)
		}
	}
}

// FuzzPercentEncoded holds that any bytes make a field value, and that they can be read back.
func FuzzPercentEncoded(f *testing.F) {
	for _, s := range []string{"", " ", "a%", "\x00 ", "%20"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		got := string(AppendPercentEncoded(nil, s))
		if strings.TrimSpace(got) != got || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q is %q, which is no field value", s, got)
		}
		if back, err := url.PathUnescape(got); err != nil || back != string(s) {
			t.Fatalf("%q is %q, which is read as %q, %v", s, got, back, err)
		}
	})
}
