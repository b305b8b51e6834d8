package health

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	// maxFrames bounds the frames that a host sends during a probe: an answer is a few, and a host that sends thousands in
	// one is out of order.
	maxFrames = 4096
	// frameBytes is the size of frames either way, the smallest that a peer must take (RFC 9113 section 6.5.2).
	frameBytes = 16 << 10
	// defaultWindow is a window before SETTINGS say otherwise (RFC 9113 section 6.9.2).
	defaultWindow = 65535
	// lastStream is the last id of a stream that a client can open.
	lastStream = 1<<31 - 1
)

// http2Conn speaks HTTP/2 on a connection, one stream at a time. Between two requests nobody reads: a host that minds closes
// the connection, and the next probe makes a new one.
type http2Conn struct {
	framer *http2.Framer
	out    *bufio.Writer

	nextStream uint32
	window     int64 // of the connection, for what is sent
	initial    int64 // window of a new stream, by the peer's SETTINGS
	goneAway   bool

	stream *http2Stream // that is under way
}

// http2Stream is a request and what came of its answer.
type http2Stream struct {
	id       uint32
	window   int64
	status   int // 0: the head has not come
	fields   []hpack.HeaderField
	body     []byte
	whole    bool // all of the body is there
	trailers []hpack.HeaderField
	ended    bool
	heard    bool // something of the answer has come
}

// errGoneAway tells of a request that the host has not begun to process.
var errGoneAway = errors.New("the host sent GOAWAY")

// newHTTP2Conn begins a connection. The preface goes out with the first request.
func newHTTP2Conn(c *conn) *http2Conn {
	h := &http2Conn{out: bufio.NewWriterSize(c, 4<<10), nextStream: 1, window: defaultWindow, initial: defaultWindow}
	h.framer = http2.NewFramer(h.out, bufio.NewReaderSize(c, 4<<10))
	h.framer.SetMaxReadFrameSize(frameBytes)
	h.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.framer.MaxHeaderListSize = maxProbeHead
	_, _ = h.out.WriteString(http2.ClientPreface) // an error is that of the flush
	_ = h.framer.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxProbeHead})
	return h
}

// usable reports whether another request may be sent.
func (h *http2Conn) usable() bool { return !h.goneAway && h.nextStream <= lastStream }

// do sends a request and reads the answer. The stream is returned with an error, too: it tells what had come.
func (h *http2Conn) do(head []hpack.HeaderField, body []byte) (*http2Stream, error) {
	s := &http2Stream{id: h.nextStream, window: h.initial, whole: true}
	h.stream = s
	h.nextStream += 2
	if err := h.writeHead(s, head, len(body) == 0); err != nil {
		return s, err
	}
	if err := h.writeBody(s, body); err != nil {
		return s, err
	}
	for frames := 0; !s.ended; frames++ {
		if frames == maxFrames {
			return s, fmt.Errorf("%d frames are no answer", maxFrames)
		}
		if err := h.read(); err != nil {
			return s, err
		}
	}
	return s, h.out.Flush()
}

func (h *http2Conn) writeHead(s *http2Stream, head []hpack.HeaderField, last bool) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0) // so that the peer's table size does not matter
	for _, f := range head {
		if err := encoder.WriteField(f); err != nil {
			return err
		}
	}
	fragment := block.Next(frameBytes)
	err := h.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: s.id, BlockFragment: fragment, EndStream: last, EndHeaders: block.Len() == 0,
	})
	for err == nil && block.Len() > 0 {
		fragment = block.Next(frameBytes)
		err = h.framer.WriteContinuation(s.id, block.Len() == 0, fragment)
	}
	if err != nil {
		return err
	}
	return h.out.Flush()
}

// writeBody sends the body as the windows allow. When the answer ends before it, the rest stays unsent, and the connection,
// with a stream left half open, is not used again.
func (h *http2Conn) writeBody(s *http2Stream, body []byte) error {
	for frames := 0; len(body) > 0 && !s.ended; {
		n := min(int64(len(body)), h.window, s.window, frameBytes)
		if n > 0 {
			if err := h.framer.WriteData(s.id, n == int64(len(body)), body[:n]); err != nil {
				return err
			}
			body, h.window, s.window = body[n:], h.window-n, s.window-n
			continue
		}
		if frames++; frames > maxFrames {
			return fmt.Errorf("%d frames have not opened a window", maxFrames)
		}
		if err := h.read(); err != nil {
			return err
		}
	}
	h.goneAway = h.goneAway || len(body) > 0
	return h.out.Flush()
}

// read takes one frame, after what was written has gone out.
func (h *http2Conn) read() error {
	if err := h.out.Flush(); err != nil {
		return err
	}
	frame, err := h.framer.ReadFrame()
	if err != nil {
		if detail := h.framer.ErrorDetail(); detail != nil {
			err = fmt.Errorf("%w: %w", err, detail)
		}
		return err
	}
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		return h.settings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			return h.framer.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		return h.windowUpdate(f)
	case *http2.GoAwayFrame:
		h.goneAway = true
		if f.LastStreamID < h.stream.id {
			return errGoneAway
		}
	case *http2.RSTStreamFrame:
		if f.StreamID == h.stream.id {
			h.stream.heard = h.stream.heard || f.ErrCode != http2.ErrCodeRefusedStream
			return fmt.Errorf("the host reset the stream: %s", f.ErrCode)
		}
	case *http2.MetaHeadersFrame:
		return h.headers(f)
	case *http2.DataFrame:
		return h.data(f)
	case *http2.PushPromiseFrame:
		return errors.New("PUSH_PROMISE though it is not allowed")
	}
	return nil
}

func (h *http2Conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
		h.stream.window += int64(v) - h.initial
		h.initial = int64(v)
	}
	return h.framer.WriteSettingsAck()
}

func (h *http2Conn) windowUpdate(f *http2.WindowUpdateFrame) error {
	window := &h.window
	switch f.StreamID {
	case 0:
	case h.stream.id:
		window = &h.stream.window
	default:
		return nil
	}
	if *window += int64(f.Increment); *window > lastStream {
		return errors.New("WINDOW_UPDATE beyond the largest window")
	}
	return nil
}

// headers takes the head of the answer, or its trailers. Informational responses are left out.
func (h *http2Conn) headers(f *http2.MetaHeadersFrame) error {
	s := h.stream
	if f.StreamID != s.id {
		return nil
	}
	s.heard = true
	if f.Truncated {
		return fmt.Errorf("head of more than %d bytes", maxProbeHead)
	}
	if s.status != 0 {
		if !f.StreamEnded() {
			return errors.New("a second head")
		}
		s.trailers = f.RegularFields()
	} else {
		status, err := strconv.Atoi(f.PseudoValue("status"))
		switch {
		case err != nil || status < 100 || status > 999:
			return fmt.Errorf("%q is no status", f.PseudoValue("status"))
		case status < 200 && f.StreamEnded():
			return errors.New("an informational response ends the stream")
		case status >= 200:
			s.status, s.fields = status, f.RegularFields()
		}
	}
	s.ended = f.StreamEnded()
	return nil
}

// data takes a part of the body, and gives the windows back. A body that is longer than what is kept ends the stream.
func (h *http2Conn) data(f *http2.DataFrame) error {
	if f.Length > 0 {
		if err := h.framer.WriteWindowUpdate(0, f.Length); err != nil {
			return err
		}
	}
	s := h.stream
	if f.StreamID != s.id {
		return nil
	}
	if s.status == 0 {
		return errors.New("DATA before the head")
	}
	s.body = append(s.body, f.Data()...)
	if s.ended = f.StreamEnded(); s.ended {
		return nil
	}
	if len(s.body) > config.MaxHealthResponseBytes {
		s.body, s.whole, s.ended = s.body[:config.MaxHealthResponseBytes], false, true
		return h.framer.WriteRSTStream(s.id, http2.ErrCodeCancel)
	}
	if f.Length > 0 {
		return h.framer.WriteWindowUpdate(s.id, f.Length)
	}
	return nil
}

// value returns the value of the first field of the name, and whether there is one.
func value(fields []hpack.HeaderField, name string) (string, bool) {
	for _, f := range fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return "", false
}
