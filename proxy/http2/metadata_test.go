package http2

import (
	"fmt"
	"strings"
	"testing"
)

// metadataOptions allow METADATA frames.
func metadataOptions() *Options {
	o := testOptions()
	o.AllowMetadata = true
	return o
}

// block is a METADATA block: literals only, as there is no dynamic table.
const (
	blockA = "\x00\x01a\x011"
	blockB = "\x00\x01b\x012"
)

// twoSides are the two sides of a proxy on one loop, with a request on stream 1 of each.
func twoSides(t *testing.T, down, up *Options) (v *served, q *asked, client, host *peer) {
	t.Helper()
	r := newRig(t)
	s, client := r.server(down)
	k, host := r.client(up)
	client.begin().post(1).turn()
	host.settings().settingsAck().turn()
	q = k.post()
	r.steps(2)
	client.take()
	host.take()
	return s.stream(1), q, client, host
}

// TestMetadataPasses moves blocks on to the other side in both directions and in order, also such as come in several frames.
func TestMetadataPasses(t *testing.T) {
	v, q, client, host := twoSides(t, metadataOptions(), metadataOptions())
	client.raw(frameMetadata, 0, 1, blockA[:2]).raw(frameMetadata, flagEndMetadata, 1, blockA[2:])
	client.raw(frameMetadata, flagEndMetadata, 1, blockB).raw(frameMetadata, 0, 1, blockA[:1]).send()
	if v.woken == 0 {
		t.Error("who serves the stream was not woken")
	}
	v.PassMetadata(q.Stream)
	v.r().steps(1)
	host.want(fmt.Sprintf("UNKNOWN_FRAME_TYPE_77 1 4 %d bytes", len(blockA)), fmt.Sprintf("UNKNOWN_FRAME_TYPE_77 1 4 %d bytes", len(blockB)))
	if got := v.on.metadataSize; got == 0 {
		t.Error("what is arriving is not counted")
	}
	client.raw(frameMetadata, flagEndMetadata, 1, blockA[1:]).turn()
	v.PassMetadata(q.Stream)
	v.r().steps(1)
	host.want(fmt.Sprintf("UNKNOWN_FRAME_TYPE_77 1 4 %d bytes", len(blockA)))
	host.raw(frameMetadata, flagEndMetadata, 1, blockB).send()
	q.PassMetadata(v.Stream)
	v.r().steps(1)
	client.want(fmt.Sprintf("UNKNOWN_FRAME_TYPE_77 1 4 %d bytes", len(blockB)))
	if v.on.metadataSize != 0 || q.on.metadataSize != 0 {
		t.Errorf("%d and %d bytes are kept", v.on.metadataSize, q.on.metadataSize)
	}
}

// r returns the rig of a stream.
func (v *served) r() *rig { return v.on.r }

// TestMetadataIsDropped drops blocks where the other side cannot be told of them, and frames where they mean nothing.
func TestMetadataIsDropped(t *testing.T) {
	for _, c := range []struct {
		name     string
		down, up *Options
		to       func(q *asked) *Stream
	}{
		{"not allowed downstream", testOptions(), metadataOptions(), func(q *asked) *Stream { return q.Stream }},
		{"not allowed upstream", metadataOptions(), testOptions(), func(q *asked) *Stream { return q.Stream }},
		{"another protocol upstream", metadataOptions(), testOptions(), func(*asked) *Stream { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, q, client, host := twoSides(t, c.down, c.up)
			client.raw(frameMetadata, flagEndMetadata, 1, blockA).raw(frameMetadata, flagEndMetadata, 0, blockA)
			client.raw(frameMetadata, flagEndMetadata, 3, blockA).send()
			v.PassMetadata(c.to(q))
			v.r().steps(1)
			host.want()
			client.want()
			if v.on.metadataSize != 0 {
				t.Errorf("%d bytes are kept", v.on.metadataSize)
			}
		})
	}
}

// TestMetadataOfLongBlocks splits blocks into frames that every peer takes.
func TestMetadataOfLongBlocks(t *testing.T) {
	v, q, client, host := twoSides(t, metadataOptions(), metadataOptions())
	half := strings.Repeat(blockA, minMaxFrameSize/len(blockA))
	client.raw(frameMetadata, 0, 1, half).raw(frameMetadata, 0, 1, half).raw(frameMetadata, flagEndMetadata, 1, blockA)
	client.finish(&v.on.conn)
	v.PassMetadata(q.Stream)
	v.r().steps(2)
	rest := 2*len(half) + len(blockA) - 2*minMaxFrameSize
	want := []string{"UNKNOWN_FRAME_TYPE_77 1 0 16384 bytes", "UNKNOWN_FRAME_TYPE_77 1 4 " + fmt.Sprint(minMaxFrameSize+rest) + " bytes"}
	if rest > 0 {
		want = []string{want[0], want[0], "UNKNOWN_FRAME_TYPE_77 1 4 " + fmt.Sprint(rest) + " bytes"}
	}
	host.want(want...)
}

// TestMetadataWaits keeps blocks while the other side does not read, and passes them on when it does.
func TestMetadataWaits(t *testing.T) {
	o := metadataOptions()
	o.MaxOutboundFrames, o.MaxOutboundControlFrames = 1<<30, 1<<30
	v, q, client, host := twoSides(t, metadataOptions(), o)
	host.stall(&q.on.conn)
	for q.on.raw.Buffered() <= maxUnsent {
		for range 1000 {
			host.ping("12345678")
		}
		host.turn()
	}
	client.raw(frameMetadata, flagEndMetadata, 1, blockA).turn()
	v.PassMetadata(q.Stream)
	if v.on.metadataSize == 0 {
		t.Error("a block was gathered for a host that does not read")
	}
	for q.on.raw.Buffered() > 0 {
		host.take()
		host.r.steps(2)
	}
	host.take()
	v.PassMetadata(q.Stream)
	v.r().steps(1)
	host.want(fmt.Sprintf("UNKNOWN_FRAME_TYPE_77 1 4 %d bytes", len(blockA)))
}

// TestMetadataFaults resets the stream of a block that cannot be decoded without a table, and counts empty frames.
func TestMetadataFaults(t *testing.T) {
	for _, c := range []faultCase{
		{"index into the dynamic table", "", func(p *peer) { p.raw(frameMetadata, flagEndMetadata, 1, "\xbe") }, "RST_STREAM 1 PROTOCOL_ERROR"},
		{"block that ends in a field", "", func(p *peer) { p.raw(frameMetadata, flagEndMetadata, 1, blockA[:3]) }, "RST_STREAM 1 PROTOCOL_ERROR"},
		{"empty frames", "", func(p *peer) { p.raw(frameMetadata, 0, 1, "").raw(frameMetadata, 0, 1, "") },
			"GOAWAY 1 ENHANCE_YOUR_CALM too many frames without content in a row"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, p := newServer(t, metadataOptions())
			p.post(1)
			c.play(p)
			p.finish(&s.conn)
			checkFault(t, c, p, &s.conn, s.ends)
		})
	}
}

// TestMetadataOfStreamsThatEnd lets go of what a stream had not passed on.
func TestMetadataOfStreamsThatEnd(t *testing.T) {
	s, p := newServer(t, metadataOptions())
	p.post(1).raw(frameMetadata, flagEndMetadata, 1, blockA).raw(frameMetadata, 0, 1, blockB[:1]).turn()
	if s.metadataSize == 0 {
		t.Fatal("nothing is kept")
	}
	s.stream(1).end(false)
	if s.metadataSize != 0 {
		t.Errorf("%d bytes are kept of a stream that has ended", s.metadataSize)
	}
	p.raw(frameMetadata, flagEndMetadata, 1, blockA).turn() // on its way
	if s.metadataSize != 0 || s.dead {
		t.Errorf("%d bytes are kept, dead %t", s.metadataSize, s.dead)
	}
	p.r.wantStat("metadata_empty_frames", 0)
}
