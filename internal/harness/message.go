package harness

import (
	"fmt"
	"strconv"
	"strings"
)

// Field is a field line.
type Field struct{ Name, Value string }

// Fields are the field lines of a head or trailer section, in order and with names as they were sent.
type Fields []Field

// Get returns the value of the only field called name, "" when there is none. Names compare as they are, and the proxy
// writes them in lower case. Several lines of one name are joined by " | ", which no test expects by mistake.
func (f Fields) Get(name string) string {
	var values []string
	for _, field := range f {
		if field.Name == name {
			values = append(values, field.Value)
		}
	}
	return strings.Join(values, " | ")
}

// Has reports whether a field called name is there.
func (f Fields) Has(name string) bool {
	for _, field := range f {
		if field.Name == name {
			return true
		}
	}
	return false
}

// Request is a request as an origin got it.
type Request struct {
	Method, Target string
	Fields         Fields
	Body           string
	Trailers       Fields
	Raw            string // from the first byte to the last
}

// Response is a response as a client got it.
type Response struct {
	Version  string // HTTP/1.1 or HTTP/1.0
	Status   int
	Reason   string
	Fields   Fields
	Body     string
	Trailers Fields
	Raw      string // from the first byte to the last
	// CloseDelimited says that the end of the body is the end of the connection.
	CloseDelimited bool
}

// framing is how a body ends.
type framing uint8

const (
	framingNone framing = iota
	framingLength
	framingChunked
	framingClose
)

// parseFields checks the field lines of a head or trailer section, which come without their line ends.
func parseFields(lines []string) (Fields, error) {
	var fields Fields
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		switch {
		case !ok:
			return nil, fmt.Errorf("field line %q without a colon", line)
		case !isToken(name):
			return nil, fmt.Errorf("field name %q is not a token", name)
		case strings.ContainsFunc(value, isControl):
			return nil, fmt.Errorf("field line %q holds a control character", line)
		}
		fields = append(fields, Field{name, strings.Trim(value, " \t")})
	}
	return fields, nil
}

// isControl reports whether r may not stand in a field value (RFC 9110 section 5.5).
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// parseFraming decides how the body of a message ends. Anything that two parsers might see differently is an error.
func parseFraming(fields Fields) (framing, int64, error) {
	kind, length, seen := framingNone, int64(-1), 0
	for _, f := range fields {
		switch strings.ToLower(f.Name) {
		case "content-length":
			n, err := strconv.ParseUint(f.Value, 10, 63)
			if err != nil || strconv.FormatUint(n, 10) != f.Value {
				return 0, 0, fmt.Errorf("content-length %q", f.Value)
			}
			kind, length = framingLength, int64(n)
			seen++
		case "transfer-encoding":
			if f.Value != "chunked" {
				return 0, 0, fmt.Errorf("transfer-encoding %q", f.Value)
			}
			kind = framingChunked
			seen++
		}
	}
	if seen > 1 {
		return 0, 0, fmt.Errorf("%d fields say how long the body is", seen)
	}
	return kind, length, nil
}

// readRequest reads a whole request.
func readRequest(s *stream) (Request, error) {
	req, kind, length, err := readRequestHead(s)
	if err != nil {
		return req, err
	}
	req.Body, req.Trailers, err = s.body(kind, length)
	req.Raw = s.takeRaw()
	return req, err
}

// readRequestHead reads a request head.
func readRequestHead(s *stream) (req Request, kind framing, length int64, err error) {
	lines, err := s.head()
	if err != nil {
		return req, 0, 0, err
	}
	parts := strings.Split(lines[0], " ")
	if len(parts) != 3 || !isToken(parts[0]) || parts[1] == "" || parts[2] != "HTTP/1.1" {
		return req, 0, 0, fmt.Errorf("request line %q", lines[0])
	}
	for _, c := range []byte(parts[1]) {
		if c <= ' ' || c >= 0x7f {
			return req, 0, 0, fmt.Errorf("target %q", parts[1])
		}
	}
	req.Method, req.Target = parts[0], parts[1]
	if req.Fields, err = parseFields(lines[1:]); err != nil {
		return req, 0, 0, err
	}
	if n := strings.Count(req.Fields.Get("host"), " | "); n > 0 || !req.Fields.Has("host") {
		return req, 0, 0, fmt.Errorf("not exactly one host field in %q", lines)
	}
	kind, length, err = parseFraming(req.Fields)
	return req, kind, length, err
}

// readResponse reads a whole response to a request of the given method.
func readResponse(s *stream, method string) (resp Response, err error) {
	lines, err := s.head()
	if err != nil {
		resp.Raw = s.takeRaw()
		return resp, err
	}
	version, rest, _ := strings.Cut(lines[0], " ")
	code, reason, ok := strings.Cut(rest, " ")
	resp.Version, resp.Reason = version, reason
	resp.Status, err = strconv.Atoi(code)
	if err != nil || !ok || len(code) != 3 || version != "HTTP/1.1" && version != "HTTP/1.0" {
		return resp, fmt.Errorf("status line %q", lines[0])
	}
	if resp.Fields, err = parseFields(lines[1:]); err != nil {
		return resp, err
	}
	kind, length, err := parseFraming(resp.Fields)
	if err != nil {
		return resp, err
	}
	bodyless := method == "HEAD" || resp.Status < 200 || resp.Status == 204 || resp.Status == 304
	switch {
	case bodyless:
		kind = framingNone
	case kind == framingNone:
		kind, resp.CloseDelimited = framingClose, true
	}
	resp.Body, resp.Trailers, err = s.body(kind, length)
	resp.Raw = s.takeRaw()
	return resp, err
}
