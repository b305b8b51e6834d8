package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const (
	// maxFields bounds the header section of a response in lines.
	maxFields = 100
	// maxBody bounds a response, far above any scenario's.
	maxBody = 1 << 30
)

// response is what the generator needs to know of a response it has read.
type response struct {
	status int
	size   int  // of the body, in bytes
	close  bool // the server announced that it closes the connection
}

var (
	errLineEnd    = errors.New("response line does not end in CRLF")
	errStatusLine = errors.New("status line is not HTTP/1.1 SP 3DIGIT SP reason (RFC 9112 section 4)")
	errLength     = errors.New("response needs exactly one content-length of 1 to 10 digits")
	errFields     = fmt.Errorf("response has more than %d header lines", maxFields)
	errBody       = fmt.Errorf("content-length is above %d", maxBody)
)

// readResponse reads one response framed by content-length. The lab's origin
// sends no other framing and a proxy has no reason to change it, so everything
// else is an error.
func readResponse(r *bufio.Reader) (response, error) {
	line, err := readLine(r)
	if err != nil {
		return response{}, err
	}
	var resp response
	if resp.status, err = parseStatus(line); err != nil {
		return response{}, err
	}
	if resp.size, resp.close, err = readFields(r); err != nil {
		return response{}, err
	}
	if _, err = r.Discard(resp.size); err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return resp, err
}

// readLine returns a line without its CRLF, valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return nil, errLineEnd
	}
	return line, nil
}

func parseStatus(line []byte) (int, error) {
	const prefix = "HTTP/1.1 "
	rest, ok := bytes.CutPrefix(line, []byte(prefix))
	if !ok || len(rest) < 4 || rest[3] != ' ' {
		return 0, errStatusLine
	}
	status, err := strconv.ParseUint(string(rest[:3]), 10, 16)
	if err != nil || status < 100 {
		return 0, errStatusLine
	}
	return int(status), nil
}

func readFields(r *bufio.Reader) (size int, closes bool, err error) {
	fields := framing{size: -1}
	for range maxFields {
		line, err := readLine(r)
		if err != nil {
			return 0, false, noEOF(err)
		}
		if len(line) == 0 {
			return fields.size, fields.closes, fields.check()
		}
		if err := fields.add(line); err != nil {
			return 0, false, err
		}
	}
	return 0, false, errFields
}

// parseHead reads a head that is whole: its lines, each with its CRLF.
func parseHead(b []byte) (response, error) {
	line, b, ok := bytes.Cut(b, []byte("\r\n"))
	status, err := parseStatus(line)
	if err != nil || !ok {
		return response{}, errStatusLine
	}
	fields := framing{size: -1}
	for n := 0; len(b) > 0; n++ {
		if n == maxFields {
			return response{}, errFields
		}
		if line, b, ok = bytes.Cut(b, []byte("\r\n")); !ok {
			return response{}, errLineEnd
		}
		if err := fields.add(line); err != nil {
			return response{}, err
		}
	}
	return response{status: status, size: fields.size, close: fields.closes}, fields.check()
}

// framing is what the fields of a response say about its end.
type framing struct {
	size   int // -1 while it is not known
	closes bool
}

// add reads a field line.
func (f *framing) add(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || bytes.IndexByte(value, '\n') >= 0 {
		return fmt.Errorf("header line %q: want name: value", line)
	}
	value = bytes.Trim(value, " \t")
	switch {
	case bytes.EqualFold(name, []byte("content-length")):
		if f.size >= 0 {
			return errLength
		}
		var err error
		f.size, err = parseLength(value)
		return err
	case bytes.EqualFold(name, []byte("transfer-encoding")):
		return errLength
	case bytes.EqualFold(name, []byte("connection")):
		f.closes = bytes.EqualFold(value, []byte("close"))
	}
	return nil
}

// check is about the fields together.
func (f *framing) check() error {
	if f.size < 0 {
		return errLength
	}
	return nil
}

func parseLength(value []byte) (int, error) {
	if len(value) == 0 || len(value) > 10 {
		return 0, errLength
	}
	n := 0
	for _, d := range value {
		if d < '0' || d > '9' {
			return 0, errLength
		}
		n = n*10 + int(d-'0')
	}
	if n > maxBody {
		return 0, errBody
	}
	return n, nil
}

// noEOF turns the end of input in the middle of a response into an error that
// says so; only before its first byte is io.EOF a plain close.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
