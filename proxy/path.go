package proxy

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// pathResult is what normalising a path came to.
type pathResult uint8

const (
	pathKept pathResult = iota
	pathChanged
	pathRedirected // the client is to ask again for what request.Path now says
	pathRefused
)

// normalizePath brings the path of the request into the form that routes, policies and origins see, in the order of the
// connection manager: escaped slashes, RFC 3986 normalisation, repeated slashes. The query is left as it is.
func (x *exchange) normalizePath(m *config.HTTPConnectionManager) pathResult {
	if m.EscapedSlashes == config.EscapedSlashesKeep && !m.NormalizePath && !m.MergeSlashes {
		return pathKept
	}
	path, query := x.request.Path, []byte(nil)
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path, query = path[:i], path[i:]
	}
	if cleanPath(path) {
		return pathKept
	}
	start := len(x.arena)
	x.arena = append(x.arena, path...)
	p := x.arena[start:]
	redirect := false
	if m.EscapedSlashes != config.EscapedSlashesKeep && hasEscapedSlash(p) {
		if m.EscapedSlashes == config.EscapedSlashesReject {
			return pathRefused
		}
		redirect = m.EscapedSlashes == config.EscapedSlashesUnescapeAndRedirect
		p = unescapeSlashes(p)
	}
	ok := true
	if m.NormalizePath {
		p, ok = removeDots(p)
	}
	if m.MergeSlashes {
		p = mergeSlashes(p)
	}
	if !ok || len(p) == 0 || p[0] != '/' {
		return pathRefused
	}
	x.arena = append(x.arena[:start+len(p)], query...)
	x.request.Path = x.added(start)
	if redirect {
		return pathRedirected
	}
	return pathChanged
}

// cleanPath reports whether nothing in the path could be changed by any of the steps: it has no escape, no backslash, no
// dot after a slash and no two slashes in a row.
func cleanPath(path []byte) bool {
	slash := false
	for _, c := range path {
		switch {
		case c == '%' || c == '\\' || slash && (c == '.' || c == '/'):
			return false
		}
		slash = c == '/'
	}
	return true
}

// hasEscapedSlash reports whether p holds %2F or %5C.
func hasEscapedSlash(p []byte) bool {
	for i := 0; i+2 < len(p); i++ {
		if escapedSlash(p[i:]) != 0 {
			return true
		}
	}
	return false
}

// escapedSlash returns the slash that the escape at the start of p stands for, 0 when it is none.
func escapedSlash(p []byte) byte {
	switch {
	case len(p) < 3 || p[0] != '%':
		return 0
	case p[1] == '2' && p[2]|0x20 == 'f':
		return '/'
	case p[1] == '5' && p[2]|0x20 == 'c':
		return '\\'
	}
	return 0
}

// unescapeSlashes replaces %2F and %5C in place and returns the shortened path.
func unescapeSlashes(p []byte) []byte {
	kept := p[:0]
	for i := 0; i < len(p); i++ {
		if c := escapedSlash(p[i:]); c != 0 {
			kept = append(kept, c)
			i += 2
			continue
		}
		kept = append(kept, p[i])
	}
	return kept
}

// removeDots turns backslashes into slashes, decodes the escapes of characters that need none (RFC 3986 section 6.2.2.2) and removes
// dot segments (section 5.2.4), all in place. A broken escape, or one of NUL, makes it fail: what such a path is decoded to differs
// from one reader to the next.
func removeDots(p []byte) (result []byte, ok bool) {
	kept := p[:0]
	for i := 0; i < len(p); {
		// p[i] is a slash or the start of the path.
		end := i + 1
		for end < len(p) && p[end] != '/' && p[end] != '\\' {
			end++
		}
		segment, ok := decodeUnreserved(p[i+1 : end])
		if !ok {
			return nil, false
		}
		switch string(segment) {
		case ".":
			if end == len(p) {
				kept = append(kept, '/')
			}
		case "..":
			kept = kept[:max(bytes.LastIndexByte(kept, '/'), 0)]
			if end == len(p) {
				kept = append(kept, '/')
			}
		default:
			kept = append(kept, '/')
			kept = append(kept, segment...)
		}
		i = end
	}
	return kept, true
}

// decodeUnreserved decodes the escapes of letters, digits, "-", ".", "_" and "~" in place. Those of other characters stay as they are:
// decoded they could mean something else. It fails where a percent sign begins no escape, or one of NUL.
func decodeUnreserved(segment []byte) (decoded []byte, ok bool) {
	decoded = segment[:0]
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c != '%' {
			decoded = append(decoded, c)
			continue
		}
		if len(segment)-i < 3 || !isHex(segment[i+1]) || !isHex(segment[i+2]) {
			return nil, false
		}
		switch value := unhex(segment[i+1])<<4 | unhex(segment[i+2]); {
		case value == 0:
			return nil, false
		case isUnreserved(value):
			decoded = append(decoded, value)
		default:
			decoded = append(decoded, segment[i:i+3]...)
		}
		i += 2
	}
	return decoded, true
}

// isUnreserved reports whether c is one of RFC 3986 section 2.3.
func isUnreserved(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// mergeSlashes makes runs of slashes one slash, in place.
func mergeSlashes(p []byte) []byte {
	kept := p[:0]
	for i, c := range p {
		if c == '/' && i > 0 && p[i-1] == '/' {
			continue
		}
		kept = append(kept, c)
	}
	return kept
}

// hasDotSegment reports whether a path, of which no dot is escaped, has a segment "." or "..".
func hasDotSegment(target []byte) bool {
	path, _, _ := bytes.Cut(target, []byte{'?'})
	for len(path) > 0 {
		var segment []byte
		if segment, path, _ = bytes.Cut(path, []byte{'/'}); string(segment) == "." || string(segment) == ".." {
			return true
		}
	}
	return false
}

// normalizeHost takes port and trailing dot off the authority where the connection manager says so.
func (x *exchange) normalizeHost(m *config.HTTPConnectionManager) {
	if !m.StripAnyHostPort && !m.StripMatchingHostPort && !m.StripTrailingHostDot {
		return
	}
	host, port := splitPort(x.request.Authority)
	strip := m.StripAnyHostPort
	if m.StripMatchingHostPort && len(port) > 0 {
		strip = strip || string(port) == strconv.Itoa(int(x.conn.localAddr().Port()))
	}
	if m.StripTrailingHostDot && len(host) > 1 && host[len(host)-1] == '.' {
		host = host[:len(host)-1]
		if len(port) > 0 && !strip {
			start := len(x.arena)
			x.arena = append(append(append(x.arena, host...), ':'), port...)
			x.request.Authority = x.added(start)
			return
		}
		x.request.Authority = host
	}
	if strip && len(port) > 0 {
		x.request.Authority = host
	}
}

// isForServerName reports whether the host of the request is the name that the client asked for when hands were shaken. The
// filter chain, and with it what the client has proved, was chosen by that.
func (x *exchange) isForServerName() bool {
	if !x.overTLS() || x.conn.secure.ServerName == "" {
		return false
	}
	host, _ := splitPort(x.request.Authority)
	host = bytes.TrimSuffix(host, []byte("."))
	return message.EqualFold(host, strings.ToLower(x.conn.secure.ServerName)) // which is mostly in lower case
}

// splitPort splits "host:port", leaving an IPv6 address in brackets whole.
func splitPort(authority []byte) (host, port []byte) {
	i := bytes.LastIndexByte(authority, ':')
	if i < 0 || bytes.IndexByte(authority[i:], ']') >= 0 {
		return authority, nil
	}
	return authority[:i], authority[i+1:]
}
