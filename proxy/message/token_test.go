package message

import (
	"strings"
	"testing"
)

func TestIsToken(t *testing.T) {
	const allowed = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for c := range 256 {
		want := strings.IndexByte(allowed, byte(c)) >= 0
		if got := IsToken([]byte{'a', byte(c), 'b'}); got != want {
			t.Errorf("IsToken with byte %#x is %v, want %v", c, got, want)
		}
	}
	if IsToken(nil) {
		t.Error("the empty string is a token")
	}
}

func TestEqualFold(t *testing.T) {
	for _, c := range []struct {
		b, lower string
		want     bool
	}{
		{"http", "http", true}, {"HTTP", "http", true}, {"hTtP", "http", true},
		{"https", "http", false}, {"htt", "http", false}, {"", "", true},
		{"@", "`", false}, {"[", "{", false}, // differ in the bit of case, and are no letters
		{"\u212a", "k", false},
	} {
		if got := EqualFold([]byte(c.b), c.lower); got != c.want {
			t.Errorf("EqualFold(%q, %q) is %v, want %v", c.b, c.lower, got, c.want)
		}
	}
}
