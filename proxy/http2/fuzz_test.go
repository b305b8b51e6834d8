package http2

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// The fuzz targets ask of every input that the codec does not panic, keeps what is always true of a connection, holds no more
// memory than it may, writes frames that a peer can read and is entitled to, and is either open in the end or has said why
// not, once.

// maxFuzzInput keeps a run short. What needs more bytes has tests of its own.
const maxFuzzInput = 4 << 10

// Bits of the choice that goes with an input.
const (
	chooseFrames  = 1 << iota // the input describes frames; it is the bytes of them otherwise
	chooseWindows             // small windows
	chooseLimits              // low limits
	chooseExtras              // extended CONNECT and METADATA
	chooseStrict
	chooseSlow  // nobody answers and nobody reads
	chooseAbort // who serves a stream gives up early
	chooseByte  // one byte in a turn
)

// fuzzOptions returns the settings of a choice.
func fuzzOptions(choice uint8) *Options {
	o := testOptions()
	if choice&chooseWindows != 0 {
		o.StreamWindow, o.ConnWindow = 100, initialWindow
	}
	if choice&chooseLimits != 0 {
		o.MaxStreams, o.HeaderBytes, o.FieldCount, o.TableSize = 3, 300, 6, 64
		o.MaxOutboundFrames, o.MaxOutboundControlFrames, o.MaxPrematureResets = 20, 10, 10
	}
	o.AllowConnect, o.AllowMetadata = choice&chooseExtras != 0, choice&chooseExtras != 0
	o.StrictMessages = choice&chooseStrict != 0
	return o
}

// fuzzBytes returns what an input stands for: itself, or the frames that it describes, four bytes and a payload each. That
// way lengths stay right whatever the fuzzer does.
func fuzzBytes(input []byte, choice uint8) []byte {
	if choice&chooseFrames == 0 {
		return input
	}
	s := newScript()
	for len(input) >= 4 {
		kind, flags, stream, length := input[0], input[1], input[2], int(input[3])
		input = input[4:]
		n := min(length, len(input))
		payload := input[:n]
		input = input[n:]
		if kind >= 0xf0 { // the payload again and again, up to a whole frame
			payload = bytes.Repeat(payload, min(int(kind&0xf)*64, minMaxFrameSize/max(1, n)))
			kind = 0
		}
		s.raw(http2.FrameType(kind%16), http2.Flags(flags), uint32(stream%32), string(payload))
	}
	return s.Bytes()
}

// fuzzSteps returns the pieces in which an input comes.
func fuzzSteps(input []byte, choice uint8) (pieces [][]byte) {
	size := 1 + len(input)/3
	if choice&chooseByte != 0 && len(input) <= 512 {
		size = 1
	}
	for len(input) > 0 {
		n := min(size, len(input))
		pieces = append(pieces, input[:n])
		input = input[n:]
	}
	return pieces
}

// addSeeds adds what the other tests send.
func addSeeds(f *testing.F, begin, recorded []byte, faults ...[]faultCase) {
	f.Add(recorded, uint8(0))
	f.Add(recorded, uint8(chooseWindows|chooseLimits|chooseExtras|chooseByte))
	for _, table := range faults {
		for i, c := range table {
			p := &peer{script: newScript()}
			p.Write(begin)
			c.play(p)
			if p.Len() <= maxFuzzInput {
				f.Add(p.Bytes(), uint8(i<<1))
			}
		}
	}
	f.Add([]byte("\x01\x05\x01\x03\x82\x84\x86\x00\x00\x01\x05hello\x00\x01\x01\x00"), uint8(chooseFrames))
	f.Add([]byte("\x01\x04\x01\x04\x83\x84\x86\x88\xff\x00\x01\x01x\xff\x00\x01\x01x\x08\x00\x00\x04\x00\x00\xff\xff"), uint8(chooseFrames|chooseWindows))
	f.Add([]byte("\x06\x00\x00\x0812345678\x4d\x04\x01\x01\x88\x03\x00\x01\x04\x00\x00\x00\x08"), uint8(chooseFrames|chooseExtras))
}

func FuzzServer(f *testing.F) {
	begin := newScript().begin().Bytes()
	addSeeds(f, begin, recordedClient(), serverFaults, serverPrefaces)
	f.Fuzz(func(t *testing.T, input []byte, choice uint8) {
		if len(input) > maxFuzzInput {
			return
		}
		sent := fuzzBytes(input, choice)
		if choice&chooseFrames != 0 {
			sent = append(bytes.Clone(begin), sent...)
		}
		s, p := newRig(t).server(fuzzOptions(choice))
		s.serve = fuzzServe(choice)
		var out outputCheck
		for _, piece := range fuzzSteps(sent, choice) {
			p.Write(piece)
			p.turn()
			checkMemory(t, &s.conn)
			out.add(t, p.take())
		}
		p.finish(&s.conn)
		for _, v := range s.served {
			v.end(false)
		}
		s.streams.each(func(v *Stream) { s.cancel(v, http2.ErrCodeCancel) }) // those that wait for a window
		p.r.steps(3)
		out.add(t, p.take())
		out.finish(t, &s.conn)
	})
}

// fuzzServe returns a way to serve streams.
func fuzzServe(choice uint8) func(v *served) {
	body := strings.Repeat("x", 3*minMaxFrameSize)
	return func(v *served) {
		switch {
		case choice&chooseSlow != 0:
			return
		case choice&chooseAbort != 0 && v.id%8 == 3:
			v.end(false)
			return
		}
		text := readAll(v.Stream)
		switch {
		case v.Err() != noError:
			v.end(false)
		case v.id%4 == 1:
			v.answer(body[:len(text)])
		case v.BodyDone():
			v.answer(body)
		}
	}
}

func FuzzClient(f *testing.F) {
	begin := newScript().settings().settingsAck().Bytes()
	addSeeds(f, begin, recordedHost(), clientFaults)
	f.Fuzz(func(t *testing.T, input []byte, choice uint8) {
		if len(input) > maxFuzzInput {
			return
		}
		sent := fuzzBytes(input, choice)
		if choice&chooseFrames != 0 {
			sent = append(bytes.Clone(begin), sent...)
		}
		k, p := newRig(t).client(fuzzOptions(choice))
		var out outputCheck
		for i, piece := range fuzzSteps(sent, choice) {
			if i < 8 {
				k.fuzzAsk(choice)
			}
			p.Write(piece)
			p.send()
			if choice&chooseSlow == 0 {
				k.fuzzRead(choice)
			}
			p.r.step()
			checkMemory(t, &k.conn)
			out.add(t, p.take())
		}
		p.finish(&k.conn)
		for _, q := range k.asked {
			q.end()
		}
		p.r.steps(3)
		out.add(t, p.take())
		out.finish(t, &k.conn)
	})
}

// fuzzAsk asks for two things, if there is room.
func (k *testClient) fuzzAsk(choice uint8) {
	if k.Room() < 2 {
		return
	}
	k.get()
	q := k.post()
	q.WriteBody(make([]byte, 10*int(choice)), choice&chooseAbort != 0)
}

// fuzzRead reads what has come, and gives up some streams.
func (k *testClient) fuzzRead(choice uint8) {
	for i, q := range k.asked {
		if q.over {
			continue
		}
		_ = q.result()
		if q.Err() != noError || q.BodyDone() || choice&chooseAbort != 0 && i%3 == 2 {
			q.end()
		}
	}
}

// checkMemory holds what a connection keeps of its peer's against what it may.
func checkMemory(t *testing.T, c *conn) {
	t.Helper()
	if got := len(c.block.bytes); got > c.opts.HeaderBytes+blockSlack {
		t.Errorf("%d bytes of a field block are kept", got)
	}
	if got := c.streams.count; c.server && got > int(c.opts.MaxStreams) {
		t.Errorf("%d streams are open, want at most %d", got, c.opts.MaxStreams)
	}
	c.streams.each(func(s *Stream) {
		if int(s.recv.size) > int(c.opts.StreamWindow) || s.heads > maxHeads || len(s.arena) > 2*c.opts.HeaderBytes*(maxHeads+1) {
			t.Errorf("stream %d keeps %d bytes of a body, %d heads, %d bytes of fields", s.id, s.recv.size, s.heads, len(s.arena))
		}
	})
	if c.metadataSize > maxMetadata+minMaxFrameSize {
		t.Errorf("%d bytes of METADATA are kept", c.metadataSize)
	}
}

// outputCheck follows what a connection sends.
type outputCheck struct {
	ended  map[string]bool // streams on which nothing but RST_STREAM may follow
	goAway []string
}

func (o *outputCheck) add(t *testing.T, frames []string) {
	t.Helper()
	if o.ended == nil {
		o.ended = make(map[string]bool)
	}
	for _, f := range frames {
		if len(o.goAway) > 0 {
			t.Errorf("%q follows %q", f, o.goAway)
		}
		kind, rest, _ := strings.Cut(f, " ")
		stream, _, _ := strings.Cut(rest, " ")
		switch kind {
		case "HEADERS", "DATA", "WINDOW_UPDATE":
			if o.ended[stream] && kind != "WINDOW_UPDATE" || o.ended["reset "+stream] {
				t.Errorf("%q on a stream that has ended", f)
			}
			o.ended[stream] = o.ended[stream] || strings.Contains(f, " END_STREAM")
		case "RST_STREAM":
			o.ended[stream], o.ended["reset "+stream] = true, true
		case "GOAWAY":
			o.goAway = append(o.goAway, f)
		}
	}
}

// finish checks what is true when every stream has been given up and everything sent.
func (o *outputCheck) finish(t *testing.T, c *conn) {
	t.Helper()
	checkIdle(t, c.env)
	if c.dead != (len(o.goAway) == 1) {
		t.Errorf("dead is %t, and GOAWAY was sent: %q", c.dead, o.goAway)
	}
	if c.dead {
		return
	}
	if c.streams.count != 0 || c.pendingBytes != 0 || c.metadataSize != 0 || c.inflow.unread != int64(c.data.left) {
		t.Errorf("%d streams, %d bytes to send, %d of METADATA and %d unread are left", c.streams.count, c.pendingBytes,
			c.metadataSize, c.inflow.unread)
	}
	if c.start == c.end && c.buf != nil {
		t.Error("a buffer is kept with nothing in it")
	}
}
