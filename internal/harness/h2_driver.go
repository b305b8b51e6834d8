package harness

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/http2"
)

// h2Scanner finds the frames in the bytes of a connection, however they are cut, and keeps nothing but the last header.
type h2Scanner struct {
	header  [headerLen]byte
	have    int // bytes of header
	payload int // bytes that are to come of the payload
}

// next consumes bytes up to the end of a frame. It reports whether one has ended; the frame's header is kept until the next
// call.
func (s *h2Scanner) next(b []byte) (rest []byte, ended bool) {
	if s.have < headerLen {
		n := copy(s.header[s.have:], b)
		s.have += n
		b = b[n:]
		if s.have < headerLen {
			return b, false
		}
		s.payload = int(s.header[0])<<16 | int(s.header[1])<<8 | int(s.header[2])
	}
	n := min(s.payload, len(b))
	s.payload -= n
	if s.payload > 0 {
		return nil, false
	}
	s.have = 0
	return b[n:], true
}

func (s *h2Scanner) kind() http2.FrameType { return http2.FrameType(s.header[3]) }
func (s *h2Scanner) flag(f http2.Flags) bool {
	return http2.Flags(s.header[4]).Has(f)
}
func (s *h2Scanner) stream() uint32 { return binary.BigEndian.Uint32(s.header[5:]) & (1<<31 - 1) }

// endsMessage reports whether the last frame ended a request or a response.
func (s *h2Scanner) endsMessage() bool {
	return (s.kind() == http2.FrameData || s.kind() == http2.FrameHeaders) && s.flag(http2.FlagDataEndStream)
}

// h2Template is the frames of a message, to be sent on one stream after the other. Its field blocks must mean the same each
// time: see H2Literals.
type h2Template struct {
	bytes []byte
	at    []int // of the stream identifiers
}

func newH2Template(frames string) h2Template {
	m := h2Template{bytes: []byte(frames)}
	var s h2Scanner
	for rest := m.bytes; len(rest) > 0; {
		start := len(m.bytes) - len(rest)
		rest, _ = s.next(rest)
		m.at = append(m.at, start+5)
	}
	return m
}

// appendTo appends the frames for a stream to dst, which has room.
func (m *h2Template) appendTo(dst []byte, stream uint32) []byte {
	start := len(dst)
	dst = append(dst, m.bytes...)
	for _, at := range m.at {
		binary.BigEndian.PutUint32(dst[start+at:], stream)
	}
	return dst
}

// H2Driver is Driver over HTTP/2: it has the same request answered over and over, some at a time, on one connection.
type H2Driver struct {
	t       testing.TB
	fd      int
	request h2Template
	batch   int
	next    uint32 // stream
	out     []byte
	in      []byte
	scanner h2Scanner
}

// wideOpen are settings and windows that never hold up what a driver or its server gets.
func wideOpen(t testing.TB) string {
	return H2Bytes(t, func(w *H2Writer) {
		w.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow})
		w.WindowUpdate(0, maxWindow-defaultWindow)
	})
}

// settingsAck acknowledges SETTINGS. It is never written.
var settingsAck = []byte{0, 0, 0, byte(http2.FrameSettings), byte(http2.FlagSettingsAck), 0, 0, 0, 0}

// NewH2Driver connects, to send the request, frames of some stream, batch times at once. The test closes the driver.
func (p *Proxy) NewH2Driver(request string, batch int) *H2Driver {
	p.t.Helper()
	d := &H2Driver{t: p.t, fd: p.dialBlocking(), request: newH2Template(request), batch: batch, next: 1, in: make([]byte, readSize)}
	d.out = make([]byte, 0, batch*len(request))
	d.write([]byte(http2.ClientPreface + wideOpen(p.t)))
	return d
}

// Close closes the connection.
func (d *H2Driver) Close() { _ = syscall.Close(d.fd) }

func (d *H2Driver) write(b []byte) {
	for len(b) > 0 {
		n, err := syscall.Write(d.fd, b)
		if err != nil && err != syscall.EINTR {
			d.t.Fatalf("write: %v", err)
		}
		b = b[max(n, 0):]
	}
}

// Do has the batch answered n times.
func (d *H2Driver) Do(n int) {
	for range n {
		d.out = d.out[:0]
		for range d.batch {
			d.out = d.request.appendTo(d.out, d.next)
			d.next += 2
		}
		d.write(d.out)
		for answered := 0; answered < d.batch; {
			k, err := readRetrying(d.fd, d.in)
			if err != nil || k <= 0 {
				d.t.Fatalf("read: %d bytes, %v", k, err)
			}
			answered += d.scan(d.in[:k])
		}
	}
}

// scan returns how many responses have ended.
func (d *H2Driver) scan(b []byte) (answered int) {
	for len(b) > 0 {
		rest, ended := d.scanner.next(b)
		b = rest
		switch {
		case !ended:
		case d.scanner.endsMessage():
			answered++
		case d.scanner.kind() == http2.FrameRSTStream, d.scanner.kind() == http2.FrameGoAway:
			d.t.Fatalf("got %v on stream %d", d.scanner.kind(), d.scanner.stream())
		case d.scanner.kind() == http2.FrameSettings && !d.scanner.flag(http2.FlagSettingsAck):
			d.write(settingsAck)
		}
	}
	return answered
}

// h2Server is Server over HTTP/2.
type h2Server struct {
	fd      int
	answer  h2Template
	scanner h2Scanner
	out     []byte
}

// serverBatch is how many answers an h2Server writes at once.
const serverBatch = 64

// NewH2Server starts an origin for one connection of HTTP/2 that answers every request with the same frames, of some stream,
// and does so without allocating. Its connection blocks a thread.
func NewH2Server(t testing.TB, answer string) netip.AddrPort {
	t.Helper()
	fd, address := listenBlocking(t)
	opening := []byte(wideOpen(t))
	s := &h2Server{answer: newH2Template(answer), out: make([]byte, 0, serverBatch*len(answer))}
	var running sync.WaitGroup
	running.Go(func() {
		conn, _, err := syscall.Accept(fd)
		if err != nil {
			return
		}
		defer func() { _ = syscall.Close(conn) }()
		s.fd = conn
		s.run(opening)
	})
	t.Cleanup(func() {
		_ = syscall.Shutdown(fd, syscall.SHUT_RDWR) // wakes an accept that nobody came to
		running.Wait()
		_ = syscall.Close(fd)
	})
	return address
}

func (s *h2Server) run(opening []byte) {
	if _, err := syscall.Write(s.fd, opening); err != nil {
		return
	}
	in := make([]byte, readSize)
	preface := len(http2.ClientPreface)
	for {
		n, err := readRetrying(s.fd, in)
		if err != nil || n <= 0 {
			return
		}
		b := in[:n]
		skip := min(preface, n)
		preface -= skip
		if !s.serve(b[skip:]) {
			return
		}
	}
}

// serve answers the requests that end in b.
func (s *h2Server) serve(b []byte) bool {
	for len(b) > 0 {
		rest, ended := s.scanner.next(b)
		b = rest
		switch {
		case !ended:
		case s.scanner.endsMessage():
			s.out = s.answer.appendTo(s.out, s.scanner.stream())
		case s.scanner.kind() == http2.FrameSettings && !s.scanner.flag(http2.FlagSettingsAck):
			s.out = append(s.out, settingsAck...)
		}
		if cap(s.out)-len(s.out) < len(s.answer.bytes)+len(settingsAck) && !s.flush() {
			return false
		}
	}
	return s.flush()
}

func (s *h2Server) flush() bool {
	for b := s.out; len(b) > 0; {
		n, err := syscall.Write(s.fd, b)
		if err != nil && err != syscall.EINTR {
			return false
		}
		b = b[max(n, 0):]
	}
	s.out = s.out[:0]
	return true
}
