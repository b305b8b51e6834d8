package harness

import (
	"errors"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// H2Violation is an error of the peer: it wrote what it must not.
type H2Violation struct {
	Frame string // as far as it was understood
	Why   string
}

func (v *H2Violation) Error() string { return "the peer must not send this: " + v.Why + ": " + v.Frame }

// h2Oracle judges what the peer of a connection sends. It sees all that is sent and received, in order, and does no I/O.
//
// It holds the peer to the protocol and no more: where frames may have crossed on the wire, the peer is right. Frames that
// the peer must have seen are known from what it acknowledged after them. Its own mistakes excuse no peer, but whatever a
// test sends, however wrong, must not make a right peer look wrong.
type h2Oracle struct {
	client bool // we are, and the peer is the server
	out    h2Sent
	grants h2Grants // what our settings allow the peer
	theirs h2Limits // what its settings allow us

	decoder *hpack.Decoder
	table   uint64 // size of the peer's table, as its field blocks say

	frames   int        // sent
	seen     int        // how many of them the peer has certainly seen
	pings    []sentPing // not answered
	started  bool       // the peer's first frame has come
	settled  bool       // the peer has acknowledged settings
	settings bool       // we have sent some
	growing  bool       // credit may exceed what was sent
	metadata bool       // METADATA frames may come

	flow    h2Flow
	streams map[uint32]*h2Stream
	highest uint32 // stream that the peer opened
	open    int    // streams that the peer opened and that are not closed

	gone       *H2Frame // the peer's GOAWAY
	goneAt     int      // number of ours, 0 before
	goneLast   uint32   // its last stream
	sentKind   [256]int // frames by type
	gotKind    [256]int
	peerEvents func(h2Event) // told of what becomes of the streams that the peer opens, if set
}

// sentPing is a PING that is not answered.
type sentPing struct {
	data   string
	number int // of the frame
}

func newH2Oracle(client bool) *h2Oracle {
	return &h2Oracle{
		client: client, out: h2Sent{preface: client}, grants: newH2Grants(), theirs: defaultLimits(),
		decoder: hpack.NewDecoder(defaultTableSize, nil), table: defaultTableSize,
		streams: make(map[uint32]*h2Stream),
	}
}

// blind reports whether nothing is known of what was sent.
func (o *h2Oracle) blind() bool { return o.out.garbage }

// sent is told of bytes before they are on the wire.
func (o *h2Oracle) sent(b []byte) { o.out.add(b, o.sentFrame) }

func (o *h2Oracle) sentFrame(f sentFrame) {
	o.frames++
	o.sentKind[f.kind]++
	ack := f.flags.Has(http2.FlagSettingsAck)
	switch f.kind {
	case http2.FrameSettings:
		if !ack {
			o.settings = true
			o.grants.sent(f.settings(), o.frames)
		}
	case http2.FramePing:
		if !ack {
			o.pings = append(o.pings, sentPing{string(f.payload), o.frames})
		}
	case http2.FrameGoAway:
		if o.goneAt == 0 {
			o.goneAt, o.goneLast = o.frames, f.number(0)&maxWindow
		}
	case http2.FrameWindowUpdate:
		o.granted(f.streamID, int64(f.number(0)&maxWindow))
	}
	if f.streamID != 0 {
		o.sentOnStream(f)
	}
}

// received judges a frame of the peer, whose fields it decodes. After an error nothing more can be judged.
func (o *h2Oracle) received(f *H2Frame) error {
	o.gotKind[f.Type]++
	if !o.started && (f.Type != http2.FrameSettings || f.Ack()) {
		return errors.New("the first frame is not SETTINGS (RFC 9113 section 3.4)")
	}
	o.started = true
	switch f.Type {
	case http2.FrameHeaders:
		return o.headers(f)
	case http2.FrameData:
		return o.data(f)
	case http2.FrameRSTStream:
		return o.reset(f)
	case http2.FrameWindowUpdate:
		return o.credit(f)
	case http2.FrameSettings:
		return o.peerSettings(f)
	case http2.FramePing:
		return o.ping(f)
	case http2.FrameGoAway:
		return o.goAway(f)
	case http2.FramePriority:
		if f.Priority.StreamDep == f.StreamID {
			return errors.New("a stream that depends on itself")
		}
		return nil
	case H2FrameMetadata:
		if o.metadata {
			return nil
		}
	}
	return errors.New("frames of this type must not pass or come from a proxy")
}

// definedFlags are the flags that a frame may have (RFC 9113 section 6). Unused ones must be 0 (section 4.1).
func definedFlags(kind http2.FrameType) http2.Flags {
	switch kind {
	case http2.FrameData:
		return http2.FlagDataEndStream | http2.FlagDataPadded
	case http2.FrameHeaders:
		return http2.FlagHeadersEndStream | http2.FlagHeadersEndHeaders | http2.FlagHeadersPadded | http2.FlagHeadersPriority
	case http2.FrameContinuation:
		return http2.FlagContinuationEndHeaders
	case http2.FrameSettings, http2.FramePing:
		return http2.FlagSettingsAck
	case http2.FramePriority, http2.FrameRSTStream, http2.FrameGoAway, http2.FrameWindowUpdate:
		return 0
	}
	return 0xff // the type itself is not for us
}

// looksLikeHTTP1 is the length in the header of a frame that begins with "HTT".
const looksLikeHTTP1 = 'H'<<16 | 'T'<<8 | 'T'

// header judges the header of a frame, before its payload is read.
func (o *h2Oracle) header(h http2.FrameHeader) error {
	needed := uint32(0)
	if h.Type == http2.FrameData || h.Type == http2.FrameHeaders {
		if h.Flags.Has(http2.FlagDataPadded) {
			needed++
		}
		if h.Type == http2.FrameHeaders && h.Flags.Has(http2.FlagHeadersPriority) {
			needed += 5
		}
	}
	limit := o.grants.now().frame
	switch {
	case h.Length == looksLikeHTTP1 && h.Type == 'P':
		return errors.New("a response in HTTP/1")
	case h.Length > limit:
		return fmt.Errorf("a frame of %d bytes, we allow %d", h.Length, limit)
	case h.Flags&^definedFlags(h.Type) != 0:
		return fmt.Errorf("undefined flags %#x", h.Flags&^definedFlags(h.Type))
	case h.Length < needed:
		return fmt.Errorf("a frame of %d bytes with flags %#x", h.Length, h.Flags)
	}
	return nil
}

// peerSettings takes over the peer's settings, or learns that it has ours.
func (o *h2Oracle) peerSettings(f *H2Frame) error {
	if f.Ack() {
		number, ok := o.grants.ack()
		if !ok && !o.blind() {
			return errors.New("an acknowledgement of settings that were not sent")
		}
		o.settled = true
		o.seen = max(o.seen, number)
		return nil
	}
	for _, s := range f.Settings {
		if s.Valid() != nil || s.ID == http2.SettingEnablePush && s.Val == 1 && o.client {
			return fmt.Errorf("setting %v", s)
		}
	}
	o.theirs = o.theirs.with(f.Settings)
	return nil
}

// ping takes answers to our PINGs, which must come in order.
func (o *h2Oracle) ping(f *H2Frame) error {
	if !f.Ack() || o.blind() {
		return nil
	}
	if len(o.pings) == 0 || o.pings[0].data != string(f.Payload) {
		return fmt.Errorf("an answer to another PING than the oldest of %d", len(o.pings))
	}
	o.seen = max(o.seen, o.pings[0].number)
	o.pings = o.pings[1:]
	return nil
}

func (o *h2Oracle) goAway(f *H2Frame) error {
	if o.gone != nil && f.LastStreamID > o.gone.LastStreamID {
		return fmt.Errorf("GOAWAY with a higher last stream than %d before", o.gone.LastStreamID)
	}
	o.gone = f
	return nil
}

// decode decodes a field block.
func (o *h2Oracle) decode(f *H2Frame) error {
	limit := o.grants.now().table
	size, changed := leadingTableSize(f.Payload)
	if changed {
		o.table = size
	}
	if o.table > uint64(limit) {
		return fmt.Errorf("a field block for a table of %d bytes, we allow %d", o.table, limit)
	}
	o.decoder.SetAllowedMaxDynamicTableSize(limit)
	decoded, err := o.decoder.DecodeFull(f.Payload)
	if err != nil {
		return fmt.Errorf("%w in field block %q", err, f.Payload)
	}
	for _, d := range decoded {
		f.Fields = append(f.Fields, Field{d.Name, d.Value})
		if d.Sensitive {
			f.NeverIndexed = append(f.NeverIndexed, d.Name)
		}
	}
	return nil
}
