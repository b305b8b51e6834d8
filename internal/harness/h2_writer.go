package harness

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// H2Writer makes frames, right ones and wrong ones: it checks nothing. Its methods belong to one goroutine.
//
// Fields are given as names and values in turn: ":method", "GET", "x-a", "1". They are written as they are.
type H2Writer struct {
	t       testing.TB
	buf     bytes.Buffer // frames that are not sent yet
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	size    uint32 // of the encoder's table

	// What the peer's settings ask for. They are set where frames are read.
	peerTable, peerFrame atomic.Uint32

	// held says how many callers gather frames. framed is called when there are some and nobody does.
	held   int
	framed func()
	// opened is called when a head with the method is in buf.
	opened func(streamID uint32, method string)
}

// prepare makes the writer ready. It stays where it is, since the framer writes into it.
func (w *H2Writer) prepare(t testing.TB) {
	w.t = t
	w.framer = http2.NewFramer(&w.buf, nil)
	w.framer.AllowIllegalWrites = true
	w.encoder = hpack.NewEncoder(&w.block)
	w.size = defaultTableSize
	w.peerTable.Store(defaultTableSize)
	w.peerFrame.Store(defaultFrameSize)
}

// H2Bytes returns the bytes of what write makes. They mean the same on every connection, as long as nothing came before but a
// preface and settings.
func H2Bytes(t testing.TB, write func(w *H2Writer)) string {
	w := new(H2Writer)
	w.prepare(t)
	write(w)
	return w.buf.String()
}

// wrote ends a method that made a frame.
func (w *H2Writer) wrote(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Errorf("make a frame: %v", err)
	}
	if w.framed != nil && w.held == 0 {
		w.framed()
	}
}

// RawBytes writes bytes as they are.
func (w *H2Writer) RawBytes(s string) {
	w.t.Helper()
	w.buf.WriteString(s)
	w.wrote(nil)
}

// Raw writes a frame of any kind.
func (w *H2Writer) Raw(kind http2.FrameType, flags http2.Flags, streamID uint32, payload []byte) {
	w.t.Helper()
	w.wrote(w.framer.WriteRawFrame(kind, flags, streamID, payload))
}

// Preface writes what a client begins with.
func (w *H2Writer) Preface() {
	w.t.Helper()
	w.RawBytes(http2.ClientPreface)
}

// Settings writes SETTINGS.
func (w *H2Writer) Settings(settings ...http2.Setting) {
	w.t.Helper()
	w.wrote(w.framer.WriteSettings(settings...))
}

// SettingsAck acknowledges SETTINGS.
func (w *H2Writer) SettingsAck() {
	w.t.Helper()
	w.wrote(w.framer.WriteSettingsAck())
}

// Encode makes a field block. It must be sent before the next one is made, since it may insert into the peer's table.
func (w *H2Writer) Encode(fields ...string) []byte {
	w.t.Helper()
	if len(fields)%2 != 0 {
		w.t.Errorf("%q are not names and values in turn", fields)
	}
	if size := w.peerTable.Load(); size != w.size {
		w.encoder.SetMaxDynamicTableSizeLimit(size)
		w.encoder.SetMaxDynamicTableSize(size)
		w.size = size
	}
	w.block.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		if err := w.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			w.t.Errorf("encode %q: %v", fields[i], err)
		}
	}
	return bytes.Clone(w.block.Bytes())
}

// Headers writes a head or trailer section, as HEADERS and as many CONTINUATION frames as the peer's frame size makes it.
func (w *H2Writer) Headers(streamID uint32, endStream bool, fields ...string) {
	w.t.Helper()
	if w.opened != nil {
		for i := 0; i+1 < len(fields); i += 2 {
			if fields[i] == ":method" {
				w.opened(streamID, fields[i+1])
			}
		}
	}
	writeBlock(w.framer, int(w.peerFrame.Load()), streamID, endStream, w.Encode(fields...))
	w.wrote(nil)
}

// writeBlock writes a field block in frames of at most limit bytes.
func writeBlock(to *http2.Framer, limit int, streamID uint32, endStream bool, block []byte) {
	first := block[:min(len(block), limit)]
	block = block[len(first):]
	_ = to.WriteHeaders(http2.HeadersFrameParam{
		StreamID: streamID, BlockFragment: first, EndStream: endStream, EndHeaders: len(block) == 0,
	})
	for len(block) > 0 {
		part := block[:min(len(block), limit)]
		block = block[len(part):]
		_ = to.WriteContinuation(streamID, len(block) == 0, part)
	}
}

// HeadersBlock writes one HEADERS frame.
func (w *H2Writer) HeadersBlock(streamID uint32, endStream, endHeaders bool, block []byte) {
	w.t.Helper()
	w.wrote(w.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: streamID, BlockFragment: block, EndStream: endStream, EndHeaders: endHeaders,
	}))
}

// Continuation writes one CONTINUATION frame.
func (w *H2Writer) Continuation(streamID uint32, endHeaders bool, block []byte) {
	w.t.Helper()
	w.wrote(w.framer.WriteContinuation(streamID, endHeaders, block))
}

// Data writes one DATA frame, whatever the windows are.
func (w *H2Writer) Data(streamID uint32, endStream bool, data string) {
	w.t.Helper()
	w.wrote(w.framer.WriteData(streamID, endStream, []byte(data)))
}

// DataPadded writes one DATA frame with so many bytes of padding, 255 at most, beside the one that says how many.
func (w *H2Writer) DataPadded(streamID uint32, endStream bool, data string, padding int) {
	w.t.Helper()
	w.wrote(w.framer.WriteDataPadded(streamID, endStream, []byte(data), make([]byte, padding)))
}

// Reset writes RST_STREAM.
func (w *H2Writer) Reset(streamID uint32, code http2.ErrCode) {
	w.t.Helper()
	w.wrote(w.framer.WriteRSTStream(streamID, code))
}

// WindowUpdate writes WINDOW_UPDATE.
func (w *H2Writer) WindowUpdate(streamID, increment uint32) {
	w.t.Helper()
	w.wrote(w.framer.WriteWindowUpdate(streamID, increment))
}

// Ping writes PING with the first eight bytes of data.
func (w *H2Writer) Ping(data string) {
	w.t.Helper()
	w.wrote(w.framer.WritePing(false, pingData(data)))
}

// PingAck answers PING.
func (w *H2Writer) PingAck(data string) {
	w.t.Helper()
	w.wrote(w.framer.WritePing(true, pingData(data)))
}

func pingData(s string) (data [8]byte) {
	copy(data[:], s)
	return data
}

// GoAway writes GOAWAY.
func (w *H2Writer) GoAway(lastStreamID uint32, code http2.ErrCode, debug string) {
	w.t.Helper()
	w.wrote(w.framer.WriteGoAway(lastStreamID, code, []byte(debug)))
}

// Priority writes PRIORITY.
func (w *H2Writer) Priority(streamID uint32, p http2.PriorityParam) {
	w.t.Helper()
	w.wrote(w.framer.WritePriority(streamID, p))
}

// PushPromise writes PUSH_PROMISE of a stream with the fields, which a client must not send and no proxy may ask for.
func (w *H2Writer) PushPromise(streamID, promised uint32, fields ...string) {
	w.t.Helper()
	block := w.Encode(fields...)
	payload := append(binary.BigEndian.AppendUint32(nil, promised), block...)
	w.Raw(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, streamID, payload)
}
