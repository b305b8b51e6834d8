package admin

import (
	"bytes"
	"strconv"
	"strings"
)

// splitTarget splits a request target in origin-form or absolute-form (RFC 9112, section 3.2) into its path and query, both
// as they came. A target of another form is all path.
func splitTarget(target []byte) (path string, query []byte) {
	if i := bytes.IndexByte(target, '#'); i >= 0 {
		target = target[:i]
	}
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		target, query = target[:i], target[i+1:]
	}
	if len(target) > 0 && target[0] != '/' {
		if _, rest, ok := bytes.Cut(target, []byte("://")); ok {
			i := bytes.IndexByte(rest, '/')
			if i < 0 {
				return "/", query
			}
			target = rest[i:]
		}
	}
	return string(target), query
}

// normalizePath returns path as commands are looked up: escaped unreserved characters as themselves, dot segments removed
// (RFC 3986, sections 6.2.2.2 and 5.2.4), and slashes merged, for clients that ask for "//stats". A path that does not
// begin with a slash is returned as it is.
func normalizePath(path string) string {
	if !strings.HasPrefix(path, "/") {
		return path
	}
	segments := strings.Split(unescapeUnreserved(path)[1:], "/")
	kept := segments[:0]
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		case ".", "":
		default:
			kept = append(kept, s)
			continue
		}
		if last && len(kept) > 0 {
			return "/" + strings.Join(kept, "/") + "/"
		}
	}
	return "/" + strings.Join(kept, "/")
}

// unescapeUnreserved decodes the percent-encoded unreserved characters of s (RFC 3986, section 2.3) and no others.
func unescapeUnreserved(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil && isUnreserved(byte(c)) {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
