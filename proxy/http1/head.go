package http1

import "bytes"

// head is how far a parser came in a message head. It holds offsets and counts only, because the buffer may move between
// two calls.
//
// A line is parsed when it is complete, once, and an incomplete line is only searched for its end, from where the last
// search stopped. What was filled into a message before a call ran out of bytes points into a buffer that may be gone;
// when the end of the head comes with a later call, the head, now known to be whole, is parsed a second and last time.
// So the work is linear in the size of the head however it arrives.
type head struct {
	start   int  // of the start line, after empty lines
	line    int  // of the first line not yet parsed
	scanned int  // up to here the line has no LF; 0 when no call ran out of bytes yet
	fields  int  // field lines parsed
	started bool // the start line is parsed
}

// ready reports whether it is worth looking at the line at h.line: nobody did yet, or it may have been completed by what
// was added to buf since the last call.
func (h *head) ready(buf []byte) bool {
	return h.scanned <= h.line || len(buf) > h.scanned && bytes.IndexByte(buf[h.scanned:], '\n') >= 0
}

// stop ends a call that could not parse the line at h.line. A complete line is refused for the reason found, which is
// never 0 for one. One that is not complete waits for more, as long as it can still end within the limit.
func (h *head) stop(buf []byte, reason Error, lim *Limits) Error {
	from := max(h.line, h.scanned)
	end := bytes.IndexByte(buf[from:], '\n')
	if end < 0 {
		h.scanned = len(buf)
		if len(buf) >= lim.headerBytes() {
			return ErrHeadersTooLarge
		}
		return noError
	}
	if from+end >= lim.headerBytes() {
		return ErrHeadersTooLarge
	}
	return reason
}

// nextField scans the field line at h.line, checks it against the limits and returns its parts. ok is false when there is
// no whole one; the error then is what the call has to return, 0 for more bytes.
func (h *head) nextField(buf []byte, lim *Limits) (name, value []byte, ok bool, err Error) {
	start := h.line
	line, err := scanFieldLine(buf, start)
	if line.next == 0 {
		return nil, nil, false, h.stop(buf, err, lim)
	}
	if line.next > lim.headerBytes() {
		return nil, nil, false, ErrHeadersTooLarge
	}
	if h.fields >= lim.fieldCount() {
		return nil, nil, false, ErrTooManyFields
	}
	h.fields++
	h.line = line.next
	return buf[start:line.nameEnd:line.nameEnd], buf[line.valueStart:line.valueEnd:line.valueEnd], true, noError
}

// atEnd reports whether the empty line that ends the head is at h.line.
func (h *head) atEnd(buf []byte) bool {
	i := h.line
	return i+1 < len(buf) && buf[i] == '\r' && buf[i+1] == '\n'
}
