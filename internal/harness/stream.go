package harness

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// readSize is how much a stream asks for at once.
const readSize = 64 << 10

// errMidMessage is returned when the peer ends in the middle of a message.
var errMidMessage = errors.New("the connection ended in the middle of a message")

// stream reads messages from a connection and keeps the bytes of the current one.
type stream struct {
	from io.Reader
	buf  []byte // read and not consumed
	raw  []byte // consumed since takeRaw
}

// takeRaw returns the bytes consumed since it was last called.
func (s *stream) takeRaw() string {
	raw := string(s.raw)
	s.raw = nil
	return raw
}

// fill reads more. It returns io.EOF between messages and errMidMessage within one.
func (s *stream) fill() error {
	b := make([]byte, readSize)
	n, err := s.from.Read(b)
	s.buf = append(s.buf, b[:n]...)
	if n > 0 {
		return nil
	}
	if err == io.EOF && (len(s.buf) > 0 || len(s.raw) > 0) {
		return errMidMessage
	}
	return err
}

// take consumes n bytes.
func (s *stream) take(n int) string {
	taken := string(s.buf[:n])
	s.raw = append(s.raw, s.buf[:n]...)
	s.buf = s.buf[n:]
	return taken
}

// line consumes a line and returns it without its CRLF. A CR or LF by itself is an error.
func (s *stream) line() (string, error) {
	for searched := 0; ; {
		for i := searched; i < len(s.buf); i++ {
			if s.buf[i] != '\n' {
				continue
			}
			line := s.take(i + 1)
			text, ok := strings.CutSuffix(line, "\r\n")
			if !ok || strings.ContainsAny(text, "\r\n\x00") {
				return "", fmt.Errorf("line %q does not end in one CRLF", line)
			}
			return text, nil
		}
		searched = len(s.buf)
		if err := s.fill(); err != nil {
			return "", err
		}
	}
}

// lines consumes lines up to an empty one, which is not returned.
func (s *stream) lines() ([]string, error) {
	var lines []string
	for {
		line, err := s.line()
		if err != nil || line == "" {
			return lines, err
		}
		lines = append(lines, line)
	}
}

// head consumes a message head.
func (s *stream) head() ([]string, error) {
	lines, err := s.lines()
	if err == nil && len(lines) == 0 {
		err = errors.New("an empty line where a head should be")
	}
	return lines, err
}

// body consumes a body.
func (s *stream) body(kind framing, length int64) (body string, trailers Fields, err error) {
	switch kind {
	case framingNone:
		return "", nil, nil
	case framingLength:
		body, err = s.exactly(int(length))
		return body, nil, err
	case framingClose:
		body, err = s.rest()
		return body, nil, err
	}
	return s.chunked()
}

// exactly consumes n bytes. When there are fewer it returns those.
func (s *stream) exactly(n int) (string, error) {
	for len(s.buf) < n {
		if err := s.fill(); err != nil {
			if err == io.EOF {
				err = errMidMessage
			}
			return s.take(len(s.buf)), err
		}
	}
	return s.take(n), nil
}

// rest consumes everything up to the end of the connection, which must be a clean one.
func (s *stream) rest() (string, error) {
	for {
		switch err := s.fill(); err {
		case nil:
		case io.EOF, errMidMessage:
			return s.take(len(s.buf)), nil
		default:
			return s.take(len(s.buf)), err
		}
	}
}

// chunked consumes a chunked body (RFC 9112 section 7.1). Chunk extensions are an error: the proxy writes none.
func (s *stream) chunked() (string, Fields, error) {
	var body strings.Builder
	for {
		line, err := s.line()
		if err != nil {
			return body.String(), nil, err
		}
		size, err := strconv.ParseUint(line, 16, 31)
		if err != nil || strconv.FormatUint(size, 16) != line {
			return body.String(), nil, fmt.Errorf("chunk size %q", line)
		}
		if size == 0 {
			lines, err := s.lines()
			if err != nil {
				return body.String(), nil, err
			}
			trailers, err := parseFields(lines)
			return body.String(), trailers, err
		}
		data, err := s.exactly(int(size))
		body.WriteString(data)
		if err != nil {
			return body.String(), nil, err
		}
		if line, err := s.line(); err != nil || line != "" {
			return body.String(), nil, fmt.Errorf("chunk of %d bytes is followed by %q: %w", size, line, err)
		}
	}
}
