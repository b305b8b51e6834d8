package http2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	oracle "golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"
)

// script makes the bytes of frames, right ones and wrong ones: it checks nothing.
type script struct {
	bytes.Buffer
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *oracle.Encoder
	peer    *peer // who sends it, nil for a script of its own
}

// send and turn are the peer's.
func (s *script) send() { s.peer.t.Helper(); s.peer.send() }
func (s *script) turn() { s.peer.t.Helper(); s.peer.turn() }

func newScript() *script {
	s := &script{}
	s.framer = http2.NewFramer(&s.Buffer, nil)
	s.framer.AllowIllegalWrites = true
	s.encoder = oracle.NewEncoder(&s.block)
	return s
}

// Flags of frames, for scripts.
const (
	endStream  = http2.FlagHeadersEndStream
	endHeaders = http2.FlagHeadersEndHeaders
	padded     = http2.FlagHeadersPadded
	priority   = http2.FlagHeadersPriority
)

// encode makes a field block of names and values in turn.
func (s *script) encode(fields ...string) []byte {
	s.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = s.encoder.WriteField(oracle.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(s.block.Bytes())
}

// The methods below write frames, and return the script so that frames can follow each other.

func (s *script) raw(kind http2.FrameType, flags http2.Flags, stream uint32, payload string) *script {
	_ = s.framer.WriteRawFrame(kind, flags, stream, []byte(payload))
	return s
}

// begin writes what a client begins with, and the acknowledgement of our settings.
func (s *script) begin(settings ...http2.Setting) *script {
	s.WriteString(http2.ClientPreface)
	return s.settings(settings...).settingsAck()
}

func (s *script) settings(settings ...http2.Setting) *script {
	_ = s.framer.WriteSettings(settings...)
	return s
}

func (s *script) settingsAck() *script {
	return s.raw(http2.FrameSettings, http2.FlagSettingsAck, 0, "")
}

// headers writes a field block in one HEADERS frame.
func (s *script) headers(stream uint32, flags http2.Flags, fields ...string) *script {
	return s.raw(http2.FrameHeaders, flags|endHeaders, stream, string(s.encode(fields...)))
}

// get writes a request without a body.
func (s *script) get(stream uint32) *script { return s.headers(stream, endStream, getFields...) }

// post writes the head of a request with a body.
func (s *script) post(stream uint32) *script { return s.headers(stream, 0, postFields...) }

// ok writes the head of a response with a body.
func (s *script) ok(stream uint32) *script { return s.headers(stream, 0, ":status", "200") }

func (s *script) continuation(stream uint32, flags http2.Flags, block string) *script {
	return s.raw(http2.FrameContinuation, flags, stream, block)
}

func (s *script) data(stream uint32, flags http2.Flags, data string) *script {
	return s.raw(http2.FrameData, flags, stream, data)
}

func (s *script) reset(stream uint32, code http2.ErrCode) *script {
	_ = s.framer.WriteRSTStream(stream, code)
	return s
}

func (s *script) windowUpdate(stream, n uint32) *script {
	_ = s.framer.WriteWindowUpdate(stream, n)
	return s
}

func (s *script) ping(text string) *script { return s.raw(http2.FramePing, 0, 0, text) }

func (s *script) goAway(last uint32, code http2.ErrCode) *script {
	_ = s.framer.WriteGoAway(last, code, nil)
	return s
}

func (s *script) priority(stream, dependsOn uint32) *script {
	_ = s.framer.WritePriority(stream, http2.PriorityParam{StreamDep: dependsOn})
	return s
}

// Heads that have what a head must have.
var (
	getFields  = []string{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"}
	postFields = []string{":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/"}
)

// with returns fields with more behind them.
func with(fields []string, more ...string) []string { return append(slices.Clone(fields), more...) }

// peer is the other end of a connection: it sends what a script makes and reads frames, both only when the test says so.
type peer struct {
	*script
	t  testing.TB
	r  *rig
	fd int

	unread  bytes.Buffer
	framer  *http2.Framer
	decoder *oracle.Decoder
	fields  []string
	block   []byte   // of HEADERS whose CONTINUATION is to come
	begun   string   // that frame as text
	got     []string // frames that were read and not asked for yet, as text
	eof     bool
	unsent  []byte // what the kernel has not taken yet
	open    bool
	preface int // bytes of the client's preface still to be read
}

// newPeer returns the peer of a connection. client says that the other end is one: its preface is read away.
func newPeer(r *rig, fd int, client bool) *peer {
	p := &peer{script: newScript(), t: r.t, r: r, fd: fd, open: true}
	p.peer = p
	p.framer = http2.NewFramer(nil, &p.unread)
	p.framer.SetMaxReadFrameSize(1 << 24)
	p.decoder = oracle.NewDecoder(4096, func(f oracle.HeaderField) { p.fields = append(p.fields, f.Name+"="+f.Value) })
	if client {
		p.preface = len(http2.ClientPreface)
	}
	r.t.Cleanup(p.close)
	return p
}

func (p *peer) close() {
	if p.open {
		p.open = false
		_ = unix.Close(p.fd)
	}
}

// write gives the kernel as much as it takes of what was scripted, and keeps the rest.
func (p *peer) write() {
	p.t.Helper()
	p.unsent = append(p.unsent, p.Bytes()...)
	p.Reset()
	for len(p.unsent) > 0 {
		n, err := unix.Write(p.fd, p.unsent)
		switch err {
		case nil:
			p.unsent = p.unsent[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return
		case unix.EPIPE, unix.ECONNRESET:
			p.unsent = nil
		default:
			p.t.Fatal(err)
		}
	}
}

// send has what was scripted arrive. The loop stands in the turn in which it did, as far as one read takes it.
func (p *peer) send() {
	p.t.Helper()
	p.write()
	p.r.step()
}

// turn has what was scripted arrive and the turn end, with what it gathered sent.
func (p *peer) turn() {
	p.t.Helper()
	p.send()
	p.r.step()
}

// finish is turn for what takes several reads.
func (p *peer) finish(c *conn) {
	p.t.Helper()
	p.turn()
	for !c.dead && (len(p.unsent) > 0 || c.raw.Readable() || c.turnAsked) {
		p.turn()
	}
	p.r.step()
}

// read takes what has come and makes it text.
func (p *peer) read() {
	p.t.Helper()
	for buf := make([]byte, 64<<10); !p.eof && p.open; {
		n, err := unix.Read(p.fd, buf)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			p.parse()
			return
		case err == unix.ECONNRESET, err == nil && n == 0:
			p.eof = true
		case err != nil:
			p.t.Fatal(err)
		}
		p.unread.Write(buf[:max(n, 0)])
	}
	p.parse()
}

func (p *peer) parse() {
	p.t.Helper()
	if n := min(p.preface, p.unread.Len()); n > 0 {
		p.unread.Next(n)
		p.preface -= n
	}
	for p.unread.Len() >= frameHeaderSize {
		h := parseFrameHeader(p.unread.Bytes())
		if p.unread.Len() < frameHeaderSize+int(h.length) {
			return
		}
		f, err := p.framer.ReadFrame()
		if err != nil && !errors.Is(err, io.EOF) {
			p.t.Fatalf("frame of type %v, stream %d: %v", h.kind, h.stream, err)
		}
		p.addFrame(f)
	}
}

// addFrame makes a frame text. A field block is one text, however many frames it came in.
func (p *peer) addFrame(f http2.Frame) {
	p.t.Helper()
	switch f := f.(type) {
	case *http2.HeadersFrame:
		p.begun = fmt.Sprintf("HEADERS %d%s", f.StreamID, endText(f.StreamEnded()))
		p.block = bytes.Clone(f.HeaderBlockFragment())
		p.endBlock(f.HeadersEnded())
	case *http2.ContinuationFrame:
		p.block = append(p.block, f.HeaderBlockFragment()...)
		p.endBlock(f.HeadersEnded())
	default:
		p.got = append(p.got, frameText(f))
	}
}

func (p *peer) endBlock(whole bool) {
	p.t.Helper()
	if !whole {
		return
	}
	p.fields = p.fields[:0]
	if _, err := p.decoder.Write(p.block); err != nil {
		p.t.Fatalf("%s: %v", p.begun, err)
	}
	if err := p.decoder.Close(); err != nil {
		p.t.Fatalf("%s: %v", p.begun, err)
	}
	p.got = append(p.got, strings.TrimSpace(p.begun+" "+strings.Join(p.fields, " ")))
}

func endText(end bool) string {
	if end {
		return " END_STREAM"
	}
	return ""
}

// shownData is the length up to which the payload of a DATA frame is in its text; of longer ones only the length is.
const shownData = 32

// frameText returns a frame as tests write it.
func frameText(f http2.Frame) string {
	h := f.Header()
	switch f := f.(type) {
	case *http2.DataFrame:
		text := string(f.Data())
		if len(text) > shownData {
			text = fmt.Sprintf("%d bytes", len(text))
		}
		return strings.TrimSpace(fmt.Sprintf("DATA %d%s %s", h.StreamID, endText(f.StreamEnded()), text))
	case *http2.RSTStreamFrame:
		return fmt.Sprintf("RST_STREAM %d %v", h.StreamID, f.ErrCode)
	case *http2.GoAwayFrame:
		return strings.TrimSpace(fmt.Sprintf("GOAWAY %d %v %s", f.LastStreamID, f.ErrCode, f.DebugData()))
	case *http2.WindowUpdateFrame:
		return fmt.Sprintf("WINDOW_UPDATE %d +%d", h.StreamID, f.Increment)
	case *http2.PingFrame:
		if f.IsAck() {
			return fmt.Sprintf("PING ACK %s", f.Data[:])
		}
		return fmt.Sprintf("PING %s", f.Data[:])
	case *http2.SettingsFrame:
		if f.IsAck() {
			return "SETTINGS ACK"
		}
		text := "SETTINGS"
		for i := range f.NumSettings() {
			text += fmt.Sprintf(" %v=%d", f.Setting(i).ID, f.Setting(i).Val)
		}
		return text
	case *http2.UnknownFrame:
		return fmt.Sprintf("%v %d %x %d bytes", h.Type, h.StreamID, uint8(h.Flags), len(f.Payload()))
	default:
		return fmt.Sprintf("%v %d", h.Type, h.StreamID)
	}
}

// take returns the frames that have come since the last time.
func (p *peer) take() []string {
	p.t.Helper()
	p.read()
	got := p.got
	p.got = nil
	return got
}

// want demands that exactly these frames have come since the last time.
func (p *peer) want(frames ...string) {
	p.t.Helper()
	if got := p.take(); !slices.Equal(got, frames) {
		p.t.Errorf("frames\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(frames, "\n     "))
	}
}
