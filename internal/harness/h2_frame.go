package harness

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/http2"
)

// METADATA frames are an extension of Envoy's.
const (
	H2FrameMetadata   = http2.FrameType(0x4d)
	H2FlagEndMetadata = http2.Flags(0x4)
)

// H2Frame is a frame as it came. A HEADERS frame has its CONTINUATION frames in it.
type H2Frame struct {
	Type     http2.FrameType
	Flags    http2.Flags // of the first frame of a field block
	StreamID uint32
	Length   int    // of the payload with padding and priority, of all frames of a field block
	Payload  []byte // without them: data, field block, debug data, else the whole payload

	Fields        Fields   // of HEADERS, pseudo-header fields among them
	NeverIndexed  []string // names of the fields that came as never indexed literals (RFC 7541 section 6.2.3)
	Continuations int

	Settings     []http2.Setting
	Code         http2.ErrCode // of RST_STREAM and GOAWAY
	LastStreamID uint32        // of GOAWAY
	Increment    uint32        // of WINDOW_UPDATE
	Priority     http2.PriorityParam
}

// EndStream reports whether the frame is the last of its message.
func (f H2Frame) EndStream() bool {
	return (f.Type == http2.FrameData || f.Type == http2.FrameHeaders) && f.Flags.Has(http2.FlagDataEndStream)
}

// Ack reports whether the frame acknowledges settings or a ping.
func (f H2Frame) Ack() bool {
	return (f.Type == http2.FrameSettings || f.Type == http2.FramePing) && f.Flags.Has(http2.FlagSettingsAck)
}

// shownPayload is how much of a payload String shows.
const shownPayload = 64

// String returns the frame as failures show it.
func (f H2Frame) String() string {
	var b strings.Builder
	b.WriteString(f.Type.String())
	if f.StreamID != 0 {
		fmt.Fprintf(&b, " of %d", f.StreamID)
	}
	if f.EndStream() {
		b.WriteString(" END_STREAM")
	}
	if f.Ack() {
		b.WriteString(" ACK")
	}
	switch f.Type {
	case http2.FrameHeaders:
		fmt.Fprintf(&b, " %q", f.Fields)
	case http2.FrameRSTStream:
		fmt.Fprintf(&b, " %v", f.Code)
	case http2.FrameGoAway:
		fmt.Fprintf(&b, " last %d %v %q", f.LastStreamID, f.Code, f.Payload)
	case http2.FrameWindowUpdate:
		fmt.Fprintf(&b, " +%d", f.Increment)
	case http2.FrameSettings:
		fmt.Fprintf(&b, " %v", f.Settings)
	default:
		fmt.Fprintf(&b, " %d bytes %q", len(f.Payload), f.Payload[:min(len(f.Payload), shownPayload)])
	}
	return b.String()
}

// copyFrame keeps what the framer reuses with its next frame.
func copyFrame(frame http2.Frame) *H2Frame {
	h := frame.Header()
	f := &H2Frame{Type: h.Type, Flags: h.Flags, StreamID: h.StreamID, Length: int(h.Length)}
	switch frame := frame.(type) {
	case *http2.DataFrame:
		f.Payload = slices.Clone(frame.Data())
	case *http2.HeadersFrame:
		f.Payload, f.Priority = slices.Clone(frame.HeaderBlockFragment()), frame.Priority
	case *http2.ContinuationFrame:
		f.Payload = slices.Clone(frame.HeaderBlockFragment())
	case *http2.RSTStreamFrame:
		f.Code = frame.ErrCode
	case *http2.GoAwayFrame:
		f.Code, f.LastStreamID, f.Payload = frame.ErrCode, frame.LastStreamID, slices.Clone(frame.DebugData())
	case *http2.WindowUpdateFrame:
		f.Increment = frame.Increment
	case *http2.PriorityFrame:
		f.Priority = frame.PriorityParam
	case *http2.PingFrame:
		f.Payload = slices.Clone(frame.Data[:])
	case *http2.SettingsFrame:
		for i := range frame.NumSettings() {
			f.Settings = append(f.Settings, frame.Setting(i))
		}
	case *http2.UnknownFrame:
		f.Payload = slices.Clone(frame.Payload())
	}
	return f
}
