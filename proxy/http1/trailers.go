package http1

import (
	"bytes"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// trailerSection gathers the trailer section of a chunked body (RFC 9112 section 7.1.2). Its lines are copied, since the
// buffer they come in is used again before they are.
type trailerSection struct {
	arena  []byte // field lines kept, then the one that is arriving
	line   int    // where in arena the latter begins
	bytes  int    // of the section so far
	count  int    // field lines so far
	fields message.Fields
}

// reset forgets a section and keeps its memory, unless that is a lot.
func (t *trailerSection) reset() {
	if cap(t.arena) > maxKeptTrailerBytes {
		t.arena = nil
	}
	if t.fields.Len() > 0 {
		t.fields.Reset()
	}
	t.arena = t.arena[:0]
	t.line, t.bytes, t.count = 0, 0, 0
}

// next consumes the next part of the section from b, at most to the end of a line. ended says that it was the last line.
func (t *trailerSection) next(b []byte, lim *Limits) (n int, ended bool, err Error) {
	end := bytes.IndexByte(b, '\n')
	n = end + 1
	if end < 0 {
		n = len(b)
	}
	t.bytes += n
	if t.bytes > lim.headerBytes() {
		return 0, false, ErrTrailersTooLarge
	}
	t.arena = append(t.arena, b[:n]...)
	if end < 0 {
		return n, false, noError
	}
	if line := t.arena[t.line:]; string(line) == "\r\n" {
		return n, true, noError
	}
	return n, false, t.field(lim)
}

// field takes the line that has arrived.
func (t *trailerSection) field(lim *Limits) Error {
	if t.count++; t.count > lim.fieldCount() {
		return ErrTooManyTrailers
	}
	line, err := scanFieldLine(t.arena, t.line)
	if line.next == 0 {
		return err
	}
	name, value := t.arena[t.line:line.nameEnd], t.arena[line.valueStart:line.valueEnd]
	underscore := lim.Underscores != UnderscoreAllow && bytes.IndexByte(name, '_') >= 0
	switch {
	case underscore && lim.Underscores == UnderscoreReject:
		return ErrUnderscore
	case underscore || !lim.EnableTrailers || message.ForbiddenTrailer(name):
		t.arena = t.arena[:t.line]
	default:
		t.fields.AddRaw(name, value)
		t.line = len(t.arena)
	}
	return noError
}
