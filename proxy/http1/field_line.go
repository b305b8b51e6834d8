package http1

// fieldLine is where the parts of a field line are, as offsets into the buffer it was scanned in.
type fieldLine struct {
	nameEnd    int // of the colon
	valueStart int
	valueEnd   int
	next       int // start of the next line, 0 when the line was not scanned to its end
}

// scanFieldLine scans the field line at b[start:] (RFC 9112 section 5) and puts its name in lower case in place. When it
// runs out of bytes, or into one that does not belong there, next is 0; that error stands only if the line is complete.
func scanFieldLine(b []byte, start int) (line fieldLine, err Error) {
	i := start
	for i < len(b) {
		c := tokenLower[b[i]]
		if c == 0 {
			break
		}
		b[i] = c
		i++
	}
	if i == len(b) || b[i] != ':' || i == start {
		return line, nameError(b, start, i)
	}
	line.nameEnd = i

	i++
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	line.valueStart = i

	i = indexControl(b, i)
	if i+1 >= len(b) || b[i] != '\r' || b[i+1] != '\n' {
		return line, valueError(b, i)
	}
	line.next = i + 2
	for i > line.valueStart && isSpace(b[i-1]) {
		i--
	}
	line.valueEnd = i
	return line, noError
}

// nameError says what is wrong with the name at b[start:end], which b[end] ends too early, if it is there.
func nameError(b []byte, start, end int) Error {
	switch {
	case end == len(b):
		return noError
	case isSpace(b[end]) && end == start:
		return ErrObsFold
	case isSpace(b[end]):
		return ErrSpaceBeforeColon
	case b[end] == ':':
		return ErrEmptyName
	default:
		return lineEndError(b, end, ErrNoColon, ErrNameCharacter)
	}
}

// valueError says what is wrong at b[i], which ends a field value, if it is there, but is not the CR of a CRLF.
func valueError(b []byte, i int) Error { return lineEndError(b, i, noError, ErrValueCharacter) }

// lineEndError returns the error for b[i]: ended when it starts a CRLF, the right one when it is half of one, and other
// when it is any other byte.
func lineEndError(b []byte, i int, ended, other Error) Error {
	switch {
	case i == len(b):
		return noError
	case b[i] == '\n':
		return ErrBareLF
	case b[i] != '\r':
		return other
	case i+1 < len(b) && b[i+1] == '\n':
		return ended
	default:
		return ErrBareCR
	}
}
