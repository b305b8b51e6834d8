package harness

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// The tests here hold that a right peer never looks wrong, whatever it is that it may do, and whatever the test does.

// TestH2FairToServer has a server do what it may but seldom does.
func TestH2FairToServer(t *testing.T) {
	for name, test := range map[string]struct {
		request func(c *H2Client) uint32
		answer  func(p *H2Peer)
		want    string
	}{
		"304 with a length": {get, func(p *H2Peer) { p.Headers(1, true, ":status", "304", "content-length", "9") }, "304"},
		"304 and no data":   {get, func(p *H2Peer) { p.Headers(1, false, ":status", "304", "content-length", "9"); p.Data(1, true, "") }, "304"},
		"204":               {get, func(p *H2Peer) { p.Headers(1, true, ":status", "204") }, "204"},
		"length of 0":       {get, func(p *H2Peer) { p.Headers(1, true, ":status", "200", "content-length", "0") }, "200"},
		"HEAD made by hand": {
			func(c *H2Client) uint32 {
				c.HeadersBlock(1, true, true, H2Literals(H2Head("HEAD", "/")...))
				return 1
			},
			func(p *H2Peer) { p.Headers(1, true, ":status", "200", "content-length", "9") }, "200"},
		"a reset after the end": {
			func(c *H2Client) uint32 { return c.Request(false, H2Head("POST", "/")...) },
			func(p *H2Peer) { p.Headers(1, true, ":status", "413"); p.Reset(1, http2.ErrCodeNo) }, "413"},
		"credit after the end": {
			func(c *H2Client) uint32 { return c.Post("/", "12345") },
			func(p *H2Peer) { p.Headers(1, true, ":status", "200"); p.WindowUpdate(1, 5); p.WindowUpdate(0, 5) }, "200"},
		"GOAWAY that spares the stream": {get, func(p *H2Peer) { p.GoAway(1, http2.ErrCodeNo, ""); p.Headers(1, true, ":status", "200") }, "200"},
		"empty data and trailers": {get, func(p *H2Peer) {
			p.Headers(1, false, ":status", "200", "content-length", "0")
			p.Data(1, false, "")
			p.DataPadded(1, false, "", 9)
			p.Headers(1, true, "x-t", "")
		}, "200"},
		"all that there are of flags and types": {get, func(p *H2Peer) {
			p.Priority(1, http2.PriorityParam{StreamDep: 3})
			p.Raw(http2.FrameHeaders, 0x2d, 1, []byte{1, 0, 0, 0, 0, 9, 0x88, 0}) // END_STREAM, END_HEADERS, PADDED, PRIORITY
		}, "200"},
	} {
		t.Run(name, func(t *testing.T) {
			o := NewH2Origin(t, func(p *H2Peer) {
				p.NoCredit()
				p.ReadHead()
				p.Batch(func() { test.answer(p) })
				p.Drain()
			})
			c := dialH2Origin(t, o)
			if resp := c.Response(test.request(c)); !strings.HasPrefix(resp.String(), test.want) || !resp.EndStream {
				t.Errorf("got %v", resp)
			}
			c.RoundTrip()
		})
	}
}

func get(c *H2Client) uint32 { return c.Get("/") }

// TestH2FairToClient has a client do what it may but seldom does.
func TestH2FairToClient(t *testing.T) {
	head := func(fields ...string) func(c *H2Client) {
		return func(c *H2Client) { c.Request(true, fields...) }
	}
	for name, do := range map[string]func(c *H2Client){
		"host in place of an authority": head(":method", "GET", ":scheme", "http", ":path", "/", "host", "a"),
		"host and authority":            head(H2Head("GET", "/?a=b", "host", "a", "te", "trailers")...),
		"OPTIONS":                       head(H2Head("OPTIONS", "*")...),
		"CONNECT":                       head(":method", "CONNECT", ":authority", "a:1"),
		"extended CONNECT":              head(H2Head("CONNECT", "/", ":protocol", "websocket")[:10]...),
		"length and trailers": func(c *H2Client) {
			id := c.Request(false, H2Head("POST", "/", "content-length", "3")...)
			c.SendBody(id, "abc", "x-t", "1")
		},
		"a stream that is left out": func(c *H2Client) { c.Headers(7, true, H2Head("GET", "/")...) },
	} {
		t.Run(name, func(t *testing.T) {
			o := NewH2Origin(t, H2Respond(H2OK("x")))
			c := dialH2Origin(t, o)
			do(c)
			o.WaitCounts("an answer", func(n H2Counts) bool { return n.Finished == 1 })
		})
	}
}

// TestH2FairLimits keeps to a limit of streams that is reached again and again, and makes room in every way there is.
func TestH2FairLimits(t *testing.T) {
	o := NewH2Origin(t, func(p *H2Peer) {
		for {
			r, ok := p.ReadHead()
			if !ok {
				return
			}
			switch r.Path {
			case "/answer":
				p.Respond(r.StreamID, H2OK("x"))
			case "/reset":
				p.Reset(r.StreamID, http2.ErrCodeRefusedStream)
			}
		}
	}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
	c := dialH2Origin(t, o)
	for range 3 {
		if resp := c.Response(c.Get("/answer")); resp.Body != "x" {
			t.Errorf("got %v", resp)
		}
		if resp := c.Response(c.Post("/reset", "abc")); !resp.Reset {
			t.Errorf("got %v", resp)
		}
		c.Reset(c.Request(false, H2Head("POST", "/wait")...), http2.ErrCodeCancel)
	}
	if n := o.WaitCounts("all", func(n H2Counts) bool { return n.InFlight == 0 && n.Started == 9 }); n.MaxInFlight != 1 {
		t.Errorf("counts %+v", n)
	}
}

// TestH2FairWindows holds that without a window a peer may still send what is empty.
func TestH2FairWindows(t *testing.T) {
	o := NewH2Origin(t, func(p *H2Peer) {
		p.ReadHead()
		p.Headers(1, false, ":status", "200")
		p.Data(1, false, "12345")
		p.ExpectPing()
		p.Data(1, true, "")
		p.Drain()
	})
	c := dialH2Origin(t, o)
	c.NoCredit()
	c.Get("/")
	c.WaitFrame("data", func(f *H2Frame) bool { return f.Type == http2.FrameData })
	c.Settings(windows(2)) // the window is -3 now
	c.ExpectSettingsAck()
	c.Ping("1")
	if f := c.WaitFrame("the end", func(f *H2Frame) bool { return f.EndStream() }); f.Length != 0 {
		t.Errorf("got %v", f)
	}
}

// TestH2SettingsInARow holds that settings that are sent before others are acknowledged add to them.
func TestH2SettingsInARow(t *testing.T) {
	o := NewH2Origin(t, func(p *H2Peer) {
		p.ReadHead()
		ok(p)
		p.Data(1, true, "123456")
		p.Drain()
	})
	c := dialH2Origin(t, o)
	c.NoCredit()
	c.Batch(func() {
		c.Settings(windows(5))
		c.Settings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 20000})
	})
	c.ExpectSettingsAck()
	c.Get("/")
	if why := violation(c); !strings.Contains(why, "6 bytes where the window of the stream is 5") {
		t.Errorf("the client says %q", why)
	}
}

// TestH2FairToVictim has a client do what it must not, to a server that answers what it can.
func TestH2FairToVictim(t *testing.T) {
	o := NewH2Origin(&recorder{TB: t}, func(p *H2Peer) {
		p.NoCredit()
		for {
			f, err := p.TryReadFrame()
			if err != nil {
				return
			}
			if f.Type == http2.FrameHeaders && f.StreamID == 1 {
				p.Headers(1, false, ":status", "304", "content-length", "100")
				p.Data(1, true, "")
			}
		}
	})
	for name, wrong := range map[string]func(c *H2Client){
		"data on an idle stream":      func(c *H2Client) { c.Data(9, true, "x") },
		"even stream":                 func(c *H2Client) { c.Headers(2, true, H2Head("GET", "/")...) },
		"pings with a wrong length":   func(c *H2Client) { c.Raw(http2.FramePing, 0, 0, nil) },
		"settings with a wrong size":  func(c *H2Client) { c.Raw(http2.FrameSettings, 0, 0, make([]byte, 7)) },
		"a frame that does not end":   func(c *H2Client) { c.RawBytes("\xff\xff\xff\x00\x00\x00\x00\x00\x01abc") },
		"a window beyond all":         func(c *H2Client) { c.WindowUpdate(0, maxWindow); c.WindowUpdate(0, maxWindow) },
		"settings out of range":       func(c *H2Client) { c.Settings(windows(1 << 31)) },
		"window update that is short": func(c *H2Client) { c.Raw(http2.FrameWindowUpdate, 0, 0, nil) },
	} {
		c := dialH2Origin(t, o)
		c.Get("/")
		if resp := c.Response(1); resp.Status != 304 {
			t.Errorf("%s: got %v", name, resp)
		}
		wrong(c)
		c.CloseWrite()
		c.ExpectEnd()
	}
}
