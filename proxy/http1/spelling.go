package http1

import (
	"bytes"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// speller remembers how names are spelled in the heads that are read on a connection. The parser puts names in lower case where they
// stand, line by line as they come: so what comes is copied before it is parsed, and the names are taken out when the head is whole.
type speller struct {
	raw      []byte // a buffer of the loop, nil between messages
	seen     int    // bytes of the head in raw
	spelling message.Spelling
}

// newSpeller returns a speller where the limits ask for one.
func newSpeller(limits *Limits) *speller {
	if !limits.PreserveCase {
		return nil
	}
	return &speller{spelling: message.Spelling{ProperOthers: limits.ProperOthers}}
}

// take copies what has come of a head since the last time. unread begins with the head.
func (s *speller) take(loop *eventloop.Loop, unread []byte) {
	if len(unread) > len(s.raw) {
		larger := loop.AcquireBuffer(max(len(unread), eventloop.ReadBufferSize))
		if s.raw != nil {
			copy(larger, s.raw[:s.seen])
			loop.ReleaseBuffer(s.raw)
		}
		s.raw = larger
	}
	s.seen += copy(s.raw[s.seen:], unread[s.seen:])
}

// finish returns the spelling in a head of n bytes, which is whole and was parsed. With reason it has the reason phrase of the status
// line.
func (s *speller) finish(n int, reason bool) *message.Spelling {
	head := s.raw[:n]
	s.seen = 0
	for len(head) > 0 && head[0] == '\r' { // an empty line before the start line
		head = head[len("\r\n"):]
	}
	start, fields, _ := bytes.Cut(head, []byte("\r\n"))
	s.spelling.Begin(fields)
	for {
		line, rest, _ := bytes.Cut(fields, []byte("\r\n"))
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			break
		}
		s.spelling.Add(line[:colon]) // which ends before rest
		fields = rest
	}
	if reason {
		_, s.spelling.Reason, _ = bytes.Cut(start[min(len("HTTP/1.1 "), len(start)):], []byte{' '})
	}
	return &s.spelling
}

// end lets go of what was remembered of a message.
func (s *speller) end(loop *eventloop.Loop) {
	if s.raw != nil {
		loop.ReleaseBuffer(s.raw)
	}
	s.raw, s.seen = nil, 0
	s.spelling.Begin(nil)
}

// respell puts the names in a head, which are in lower case, into the spelling that they came with, or as the limits say.
func (w *wire) respell(head []byte, fields *message.Fields) {
	spelling := fields.Spelling()
	if spelling == nil && !w.limits.ProperCase {
		return
	}
	for {
		end := bytes.IndexByte(head, '\n') // of the start line, and of each field line
		if end < 0 {
			return
		}
		head = head[end+1:]
		colon := bytes.IndexByte(head, ':')
		if colon < 0 || head[0] == '\r' { // the end of the head
			return
		}
		if name := head[:colon]; spelling != nil {
			spelling.Apply(name)
		} else {
			message.ProperCase(name)
		}
	}
}
