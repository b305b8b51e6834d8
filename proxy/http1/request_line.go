package http1

import (
	"bytes"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Parts of a request that are not in the bytes of its head. They are never written.
var (
	schemeHTTP  = []byte("http")
	schemeHTTPS = []byte("https")
	pathRoot    = []byte("/")
	pathServer  = []byte("*")
)

// versionLength is that of the last part of a request line, with its end.
const versionLength = len("HTTP/1.1\r\n")

// requestLine parses the request line at buf[start:] (RFC 9112 section 3) and returns the start of the next line. As with
// scanFieldLine a next of 0 means that it met the end of buf or an error, which stands if the line is complete.
func requestLine(buf []byte, start int, req *message.Request, lim *Limits) (next int, err Error) {
	i := start
	for i < len(buf) && tokenLower[buf[i]] != 0 {
		i++
	}
	if i == len(buf) || buf[i] != ' ' || i == start || i-start > maxMethodLength {
		return 0, methodError(buf, start, i)
	}
	req.Method = buf[start:i:i]

	target := i + 1
	i = message.IndexNotTarget(buf, target)
	if i == len(buf) || buf[i] != ' ' || i == target {
		return 0, targetError(buf, target, i)
	}
	tooOld := requestVersion(buf[i+1:], req, lim)
	if tooOld != noError && tooOld != ErrHTTP10 {
		return 0, tooOld
	}
	if err := requestTarget(buf[target:i:i], req); err != noError {
		return 0, err
	}
	if tooOld != noError {
		return 0, tooOld
	}
	return i + 1 + versionLength, noError
}

// methodError says what is wrong with the method at buf[start:end], if the byte that ends it is there.
func methodError(buf []byte, start, end int) Error {
	if end-start > maxMethodLength {
		return ErrMethod
	}
	return lineEndError(buf, end, ErrMethod, ErrMethod)
}

// targetError says what is wrong with the target at buf[start:end], if the byte that ends it is there.
func targetError(buf []byte, start, end int) Error {
	switch {
	case end < len(buf) && buf[end] == '#':
		return ErrFragment
	case end < len(buf) && buf[end] == ' ':
		return ErrTarget // empty
	default:
		return lineEndError(buf, end, ErrVersion, ErrTargetCharacter)
	}
}

// requestVersion parses the version that ends a request line. HTTP-name is case-sensitive (RFC 9112 section 2.3).
func requestVersion(rest []byte, req *message.Request, lim *Limits) Error {
	version := rest[:min(len(rest), versionLength)]
	if string(version) == "HTTP/1.1\r\n" {
		req.Version = message.HTTP11
		return noError
	}
	switch string(version) {
	case "HTTP/1.0\r\n":
		req.Version = message.HTTP10
		if !lim.AcceptHTTP10 {
			return ErrHTTP10
		}
		return noError
	case "HTTP/2.0\r\n":
		if string(req.Method) == "PRI" {
			return ErrHTTP2Preface
		}
	}
	// Only bytes of this line may decide which error it is: others may not have come yet.
	line := rest[:bytes.IndexByte(rest, '\n')+1]
	i := bytes.IndexAny(line, "\r\n")
	if i < 0 {
		return ErrVersion
	}
	return lineEndError(line, i, ErrVersion, ErrVersion)
}

// requestTarget splits the target by the form it has (RFC 9112 section 3.2).
func requestTarget(target []byte, req *message.Request) Error {
	connect := string(req.Method) == "CONNECT"
	switch {
	case connect:
		if !message.ValidAuthority(target, true) {
			return ErrTarget
		}
		req.Authority = target
		return noError
	case target[0] == '/':
		req.Path = target
		return noError
	case string(target) == "*":
		if string(req.Method) != "OPTIONS" {
			return ErrTarget
		}
		req.Path = target
		return noError
	default:
		return absoluteTarget(target, req)
	}
}

// absoluteTarget splits an absolute-form target. A target with a query and no path leaves a Path that starts with the
// question mark.
func absoluteTarget(target []byte, req *message.Request) Error {
	scheme, rest, found := bytes.Cut(target, []byte("://"))
	switch {
	case !found:
		return ErrTarget
	case message.EqualFold(scheme, "http"):
		req.Scheme = schemeHTTP
	case message.EqualFold(scheme, "https"):
		req.Scheme = schemeHTTPS
	default:
		return ErrScheme
	}
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if !message.ValidAuthority(rest[:end], false) {
		return ErrTarget
	}
	req.Authority = rest[:end:end]
	switch {
	case end < len(rest):
		req.Path = rest[end:]
	case string(req.Method) == "OPTIONS":
		req.Path = pathServer // RFC 9112 section 3.2.4
	default:
		req.Path = pathRoot
	}
	return noError
}
