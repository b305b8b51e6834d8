package route

import (
	"bytes"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// cookieMatcher asks for the value of a cookie.
type cookieMatcher struct {
	name   string
	value  StringMatcher
	invert bool
}

// match asks a request. A cookie that is absent does not match, and so does when that is inverted.
func (m *cookieMatcher) match(fields *message.Fields) bool {
	value, found := cookieValue(fields, m.name)
	return (found && m.value.Match(value)) != m.invert
}

// cookieValue returns the value of the first cookie of that name (RFC 6265 section 5.4), in whichever cookie field, without the
// quotes that may be around it. Names are compared as they are written.
func cookieValue(fields *message.Fields, name string) (value []byte, found bool) {
	if !fields.Has(message.NameCookie) {
		return nil, false
	}
	lines := fields.All()
	for i := range lines {
		if lines[i].ID != message.NameCookie {
			continue
		}
		for rest := lines[i].Value; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte{';'})
			key, value, _ := bytes.Cut(bytes.Trim(pair, " \t"), []byte{'='})
			if string(key) == name {
				return unquoted(value), true
			}
		}
	}
	return nil, false
}

// unquoted takes the quotes off a value (cookie-value of RFC 6265 section 4.1.1).
func unquoted(value []byte) []byte {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}
