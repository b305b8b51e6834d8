package http1

// chunkState is what the next byte of a chunked body belongs to (RFC 9112 section 7.1).
//
//	size -> [extension ->] sizeEnd -> data -> dataCR -> dataLF -> size
//	                          \-> trailers, after the chunk of size 0
type chunkState uint8

const (
	chunkSize      chunkState = iota // hexadecimal digits, or what ends them
	chunkExtension                   // from the semicolon to the CR
	chunkSizeEnd                     // the LF after the size
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailers
)

// chunkProgress is how far a chunked body was decoded, beside the rest of the chunk in BodyDecoder.remaining.
type chunkProgress struct {
	state      chunkState
	digits     uint8 // of the chunk size so far
	extensions int   // bytes of chunk extensions in the body so far
}

// nextChunked is Next for a chunked body. It returns at most one piece of data, together with as much of the framing
// behind it as is there, so that a small body takes one call.
func (d *BodyDecoder) nextChunked(b []byte) (data []byte, n int, err Error) {
	for n < len(b) && d.open {
		if d.chunk.state == chunkTrailers {
			m, ended, err := d.trailers.next(b[n:], d.lim)
			if err != noError {
				return data, n, d.fail(data, err)
			}
			n += m
			d.open = !ended
			continue
		}
		if d.chunk.state != chunkData {
			m, err := d.chunkFraming(b[n:])
			if err != noError {
				return data, n, d.fail(data, err)
			}
			n += m
			continue
		}
		if data != nil {
			break
		}
		size := len(b) - n
		if int64(size) >= d.remaining {
			size, d.chunk.state = int(d.remaining), chunkDataCR
		}
		d.remaining -= int64(size)
		data = b[n : n+size : n+size]
		n += size
	}
	return data, n, noError
}

// fail keeps err for the next call when there is data to return first.
func (d *BodyDecoder) fail(data []byte, err Error) Error {
	d.err = err
	if data != nil {
		return noError
	}
	return err
}

// chunkFraming consumes what stands between the data of two chunks, up to the next data or trailer section.
func (d *BodyDecoder) chunkFraming(b []byte) (n int, err Error) {
	c := &d.chunk
	for n < len(b) {
		switch c.state {
		case chunkSize:
			err = d.chunkSizeByte(b[n])
		case chunkExtension:
			var m int
			m, err = c.extension(b[n:])
			n += m - 1
		case chunkSizeEnd:
			err = d.chunkSizeEnd(b[n])
		case chunkDataCR:
			c.state = chunkDataLF
			if b[n] != '\r' {
				err = ErrChunkEnd
			}
		case chunkDataLF:
			c.state = chunkSize
			if b[n] != '\n' {
				err = ErrChunkEnd
			}
		default:
			return n, noError
		}
		if err != noError {
			return n, err
		}
		n++
	}
	return n, noError
}

// chunkSizeByte takes a byte of a chunk size or the one that ends it. Whitespace does not: RFC 9112 section 7.1.1 lets a
// recipient put up with it, and others have read past it.
func (d *BodyDecoder) chunkSizeByte(b byte) Error {
	c := &d.chunk
	if digit := hexDigit[b]; digit != notHex {
		const maxShifted = 1<<63 - 1
		if c.digits == maxChunkSizeDigits || d.remaining > maxShifted>>4 {
			return ErrChunkSize
		}
		c.digits++
		d.remaining = d.remaining<<4 | int64(digit)
		return noError
	}
	switch {
	case c.digits == 0:
		return ErrChunkSize
	case b == '\r':
		c.state = chunkSizeEnd
	case b == ';':
		c.state = chunkExtension
		return c.countExtension(1)
	case b == '\n':
		return ErrBareLF
	default:
		return ErrChunkSize
	}
	return noError
}

// chunkSizeEnd takes the LF after a chunk size.
func (d *BodyDecoder) chunkSizeEnd(b byte) Error {
	if b != '\n' {
		return ErrBareCR
	}
	d.chunk.digits = 0
	d.chunk.state = chunkData
	if d.remaining == 0 {
		d.chunk.state = chunkTrailers
	}
	return noError
}

// extension skips a chunk extension up to and with the CR that ends it, if that is there. Extensions are dropped, so what
// they say does not matter, only that everybody finds the same end.
func (c *chunkProgress) extension(b []byte) (n int, err Error) {
	i := indexControl(b, 0)
	if err = c.countExtension(i); err != noError || i == len(b) {
		return i, err
	}
	switch b[i] {
	case '\r':
		c.state = chunkSizeEnd
		return i + 1, noError
	case '\n':
		return i, ErrBareLF
	default:
		return i, ErrChunkExtension
	}
}

func (c *chunkProgress) countExtension(n int) Error {
	c.extensions += n
	if c.extensions > maxChunkExtensionBytes {
		return ErrChunkExtensionsTooLarge
	}
	return noError
}
