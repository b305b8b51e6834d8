package acceptance

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// metadataBlock is a field block of one literal without indexing: "a" is "b".
const metadataBlock = "\x00\x01a\x01b"

// metadataSetup leads to a host of HTTP/2; METADATA may be allowed on the side of clients and on that of hosts.
func metadataSetup(origin *harness.H2Origin, down, up bool) *harness.Setup {
	s := harness.NewSetup(origin.Addr())
	c := s.Clusters[0]
	c.Protocol, c.HTTP2 = config.ProtocolHTTP2, config.DefaultHTTP2()
	s.HTTP().HTTP2.AllowMetadata, c.HTTP2.AllowMetadata = down, up
	return s
}

// metadataOrigin answers each request with the METADATA that came with it, in a body, and with METADATA of its own.
func metadataOrigin(p *harness.H2Peer) {
	p.AllowMetadata()
	came := make(map[uint32]string)
	for {
		f, err := p.TryReadFrame()
		if err != nil {
			return
		}
		if f.Type == harness.H2FrameMetadata {
			came[f.StreamID] += string(f.Payload)
			if f.Flags.Has(harness.H2FlagEndMetadata) {
				came[f.StreamID] += ";"
			}
		}
		if !f.EndStream() {
			continue
		}
		p.Batch(func() {
			p.Raw(harness.H2FrameMetadata, harness.H2FlagEndMetadata, f.StreamID, []byte(metadataBlock))
			p.Headers(f.StreamID, false, ":status", "200")
			p.SendBody(f.StreamID, came[f.StreamID]+".")
		})
	}
}

func TestMetadata(t *testing.T) {
	large := strings.Repeat(metadataBlock, 16<<10)
	for name, test := range map[string]struct {
		down, up bool
		frames   []string // of the client, each with END_METADATA unless it ends with "+"
		want     string   // what the origin gets
		answered bool     // METADATA comes back
	}{
		"not allowed":         {frames: []string{metadataBlock}, want: "."},
		"by clients only":     {down: true, frames: []string{metadataBlock}, want: "."},
		"by hosts only":       {up: true, frames: []string{metadataBlock}, want: "."},
		"allowed":             {down: true, up: true, frames: []string{metadataBlock}, want: metadataBlock + ";.", answered: true},
		"in parts":            {down: true, up: true, frames: []string{metadataBlock + "+", metadataBlock}, want: metadataBlock + metadataBlock + ";.", answered: true},
		"twice":               {down: true, up: true, frames: []string{metadataBlock, metadataBlock}, want: metadataBlock + ";" + metadataBlock + ";.", answered: true},
		"empty":               {down: true, up: true, frames: []string{""}, want: ";.", answered: true},
		"none":                {down: true, up: true, want: ".", answered: true},
		"more than one frame": {down: true, up: true, frames: parts(large, 16<<10), want: large + ";.", answered: true},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewH2Origin(t, metadataOrigin)
			p := metadataSetup(origin, test.down, test.up).Start(t)
			c := p.DialH2()
			if test.answered {
				c.AllowMetadata()
			}
			id := c.Request(false, harness.H2Head("POST", "/")...)
			c.Batch(func() {
				for _, f := range test.frames {
					block, unfinished := strings.CutSuffix(f, "+")
					flags := harness.H2FlagEndMetadata
					if unfinished {
						flags = 0
					}
					c.Raw(harness.H2FrameMetadata, flags, id, []byte(block))
				}
			})
			c.RoundTrip() // the proxy has seen them before the request ends
			c.Batch(func() { c.Data(id, true, "") })
			if test.answered {
				f := c.WaitFrame("METADATA", func(f *harness.H2Frame) bool { return f.Type == harness.H2FrameMetadata })
				if string(f.Payload) != metadataBlock || f.Flags != harness.H2FlagEndMetadata || f.StreamID != id {
					t.Errorf("got %v with flags %x", f, f.Flags)
				}
			}
			if r := c.Response(id); r.Status != 200 || r.Body != test.want {
				t.Errorf("the origin got %d bytes of METADATA %.80q, want %d", len(r.Body), r.Body, len(test.want))
			}
		})
	}
}

// parts cuts s into frames of n bytes, of which all but the last have more to come.
func parts(s string, n int) (frames []string) {
	for ; len(s) > n; s = s[n:] {
		frames = append(frames, s[:n]+"+")
	}
	return append(frames, s)
}

// TestMetadataRefused holds that blocks which nobody could read reset the stream, and that what waits is bounded.
func TestMetadataRefused(t *testing.T) {
	origin := harness.NewH2Origin(t, harness.H2Slow)
	p := metadataSetup(origin, true, true).Start(t)
	c := p.DialH2()
	for _, block := range []string{"\xbe", "\x00\x05a", "\x3f\xff\xff\x7f"} {
		id := c.Request(false, harness.H2Head("POST", "/")...)
		c.Batch(func() { c.Raw(harness.H2FrameMetadata, harness.H2FlagEndMetadata, id, []byte(block)) })
		c.ExpectReset(id, http2.ErrCodeProtocol)
	}
	id := c.Request(false, harness.H2Head("POST", "/")...)
	c.Batch(func() {
		for range 80 { // 16 KiB each, and no end
			c.Raw(harness.H2FrameMetadata, 0, id, make([]byte, 16<<10))
		}
	})
	c.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
	c.ExpectEnd()
	p.Canary(1)
}

// TestMetadataToHTTP1 holds that METADATA for a host that cannot be told is dropped.
func TestMetadataToHTTP1(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	s.HTTP().HTTP2.AllowMetadata = true
	p := s.Start(t)
	c := p.DialH2()
	id := c.Request(false, harness.H2Head("POST", "/")...)
	c.Batch(func() {
		c.Raw(harness.H2FrameMetadata, harness.H2FlagEndMetadata, id, []byte(metadataBlock))
		c.Data(id, true, "x")
	})
	if r := c.Response(id); r.Status != 200 || r.Body != "POST / x" {
		t.Errorf("got %v", r)
	}
}
