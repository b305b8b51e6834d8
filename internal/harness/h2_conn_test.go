package harness

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/http2"
)

// TestH2Connection has what is about the connection and not its streams.
func TestH2Connection(t *testing.T) {
	setting := http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 7}
	o := NewH2OriginRaw(t, func(p *H2Peer) {
		p.Handshake(setting)
		p.WindowUpdate(0, 1<<20) // how a peer enlarges its window
		if got := p.ExpectPing(); got != "from cli" {
			t.Errorf("the origin got PING %q", got)
		}
		p.Ping("from ori")
		p.ExpectPingAck("from ori")
		p.ExpectSettingsAck()
		p.GoAway(maxWindow, http2.ErrCodeNo, "")
		p.GoAway(1, http2.ErrCodeEnhanceYourCalm, "why")
		p.CloseWrite()
		p.Drain()
	})
	c := DialH2AddressRaw(t, o.Addr().String())
	c.Batch(func() {
		c.Preface()
		c.Settings()
	})
	if got := c.ExpectSettings(); !slices.Equal(got, []http2.Setting{setting}) {
		t.Errorf("settings %v", got)
	}
	c.ExpectSettingsAck()
	c.Ping("from client")
	c.ExpectPingAck("from client")
	if n := c.SendWindow(1); n != defaultWindow {
		t.Errorf("the window of a stream is %d", n)
	}
	if got := c.ExpectPing(); got != "from ori" {
		t.Errorf("the client got PING %q", got)
	}
	if last, debug := c.ExpectGoAway(http2.ErrCodeNo); last != maxWindow || debug != "" {
		t.Errorf("GOAWAY with last stream %d and %q", last, debug)
	}
	if last, debug := c.ExpectGoAway(http2.ErrCodeEnhanceYourCalm); last != 1 || debug != "why" {
		t.Errorf("GOAWAY with last stream %d and %q", last, debug)
	}
	c.ExpectClosed()
	c.Close()
	o.WaitEnded(0)
}

// TestH2NoAcks leaves it to the test to answer, also after another goroutine read.
func TestH2NoAcks(t *testing.T) {
	o := NewH2OriginRaw(t, func(p *H2Peer) {
		p.Settings()
		p.ReadPreface()
		p.Ping("1")
		p.ExpectSettings()
		p.ExpectSettingsAck()
		p.ExpectPingAck("1")
		p.CloseWrite()
	})
	c := DialH2AddressRaw(t, o.Addr().String())
	c.NoAcks()
	c.Preface()
	c.Settings()
	c.ExpectSettings()
	c.ExpectPing()
	if n := c.Sent(http2.FramePing) + c.Sent(http2.FrameSettings); n != 1 {
		t.Errorf("%d frames were sent", n)
	}
	c.SettingsAck()
	c.PingAck("1")
	c.ExpectSettingsAck()
	c.ExpectClosed()
}

// TestH2NothingBeforeSettings holds that a client that sends nothing sends nothing.
func TestH2NothingBeforeSettings(t *testing.T) {
	got := make(chan string, 1)
	o := NewH2OriginRaw(t, func(p *H2Peer) {
		p.Settings()
		p.Ping("1")
		p.CloseWrite()
		b, _ := io.ReadAll(p.conn)
		got <- string(b)
	})
	c := DialH2AddressRaw(t, o.Addr().String())
	c.ExpectSettings()
	c.ExpectPing()
	c.ExpectClosed()
	c.Close()
	if g := <-got; g != "" {
		t.Errorf("the client sent %q", g)
	}
}

// TestH2Ends tells the ends of a connection apart.
func TestH2Ends(t *testing.T) {
	ending := func(end func(p *H2Peer)) *H2Client {
		o := NewH2Origin(t, func(p *H2Peer) {
			p.ReadHead()
			end(p)
		})
		c := dialH2Origin(t, o)
		c.Get("/")
		return c
	}
	ending(func(p *H2Peer) { p.CloseWrite(); p.Drain() }).ExpectClosed()
	ending((*H2Peer).Abort).ExpectAborted()

	frames := ending(func(p *H2Peer) { p.GoAway(0, http2.ErrCodeNo, ""); p.Abort() }).ExpectEnd()
	if len(frames) > 1 || len(frames) == 1 && frames[0].Type != http2.FrameGoAway {
		t.Errorf("got %v", frames)
	}
	part := H2Bytes(t, func(w *H2Writer) { w.Data(1, true, "data") })
	for n := 1; n < len(part); n++ {
		c := ending(func(p *H2Peer) {
			p.GoAway(1, http2.ErrCodeNo, "x")
			p.RawBytes(part[:n])
			p.CloseWrite()
			p.Drain()
		})
		if frames, err := c.ReadAll(); len(frames) != 1 || string(frames[0].Payload) != "x" || err != io.ErrUnexpectedEOF {
			t.Errorf("got %v and %v, want GOAWAY and an end after %d bytes of a frame", frames, err, n)
		}
	}
	c := ending(func(p *H2Peer) {
		p.HeadersBlock(1, false, false, H2Indexed(8))
		p.CloseWrite()
		p.Drain()
	})
	if resp, err := c.TryResponse(1); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v and %v, want an end within a field block", resp, err)
	}
	c = ending(func(p *H2Peer) {
		p.Headers(1, false, ":status", "200")
		p.Data(1, false, "part")
		p.CloseWrite()
		p.Drain()
	})
	if resp, err := c.TryResponse(1); err != io.EOF || resp.Body != "part" || resp.EndStream {
		t.Errorf("got %v and %v, want a part", resp, err)
	}
}

// TestH2WriteError holds that a client learns that it cannot send, and can still read what came before.
func TestH2WriteError(t *testing.T) {
	o := NewH2Origin(t, func(p *H2Peer) { p.ReadHead() })
	c := dialH2Origin(t, o)
	c.Get("/")
	o.WaitEnded(0)
	var err error
	for err == nil {
		err = c.TryBatch(func() { c.Ping("1") })
	}
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	c.ExpectEnd()
	if err := c.TryWaitSent(); err == nil {
		t.Error("a body was sent")
	}
}

// TestH2ScriptWriteError holds that a script whose connection is gone has not failed, and learns that when it reads.
func TestH2ScriptWriteError(t *testing.T) {
	o := NewH2Origin(t, func(p *H2Peer) {
		p.Drain()
		for range 10 {
			p.Ping("1")
			p.Respond(1, H2OK("x"))
		}
		if p.TryBatch(func() { p.Ping("1") }) == nil {
			t.Error("a PING was sent")
		}
		if _, ok := p.ReadRequest(); ok {
			t.Error("a request came")
		}
	})
	dialH2Origin(t, o).Abort()
	o.WaitEnded(0)
}

// TestH2OpenAndIdle has the checks of an open connection fail for what they are about, on a TB that records.
func TestH2OpenAndIdle(t *testing.T) {
	o := NewH2Origin(t, H2InTurn(
		func(p *H2Peer) {
			r, _ := p.ReadRequest()
			p.Respond(r.StreamID, H2OK("x"))
			p.Drain()
		},
		func(p *H2Peer) {
			p.ReadHead()
			p.CloseWrite()
			p.Drain()
		}))
	c := dialH2Origin(t, o)
	c.ExpectIdle()
	id := c.Get("/")
	c.ExpectOpen()
	if message := failure(t, c, c.ExpectIdle); !strings.Contains(message, "HEADERS of 1") {
		t.Errorf("ExpectIdle with a response: %q", message)
	}
	c.Response(id)
	c.ExpectIdle()
	c = dialH2Origin(t, o)
	c.Get("/")
	if message := failure(t, c, c.ExpectOpen); !strings.Contains(message, "EOF") {
		t.Errorf("ExpectOpen after the end: %q", message)
	}
}

// TestH2Failures holds that expectations fail and say what came instead.
func TestH2Failures(t *testing.T) {
	o := NewH2Origin(t, func(p *H2Peer) {
		p.ReadHead()
		p.Reset(1, http2.ErrCodeRefusedStream)
		p.GoAway(1, http2.ErrCodeNo, "")
		p.CloseWrite()
		p.Drain()
	})
	for _, test := range []struct {
		name   string
		expect func(c *H2Client)
		want   string
	}{
		{"reset with another code", func(c *H2Client) { c.ExpectReset(1, http2.ErrCodeCancel) }, "got RST_STREAM of 1 REFUSED_STREAM, want CANCEL"},
		{"reset of another stream", func(c *H2Client) { c.ExpectReset(3, http2.ErrCodeCancel) }, "want RST_STREAM of 3 with CANCEL: EOF; 2 frames are unread"},
		{"GOAWAY with another code", func(c *H2Client) { c.ExpectGoAway(http2.ErrCodeCancel) }, "got GOAWAY last 1 NO_ERROR"},
		{"no answer", func(c *H2Client) { c.ExpectPingAck("1") }, "want an answer to PING"},
		{"no response", func(c *H2Client) { c.Response(3) }, "read the response on stream 3: EOF"},
		{"frames before the end", func(c *H2Client) { c.ExpectClosed() }, "want the end of the connection; 2 frames are unread"},
		{"another end", func(c *H2Client) { c.ReadFrame(); c.ReadFrame(); c.ExpectAborted() }, "want a reset of the connection"},
		{"no settings", func(c *H2Client) { c.ExpectSettings() }, "want SETTINGS: EOF"},
		{"no window", func(c *H2Client) { c.Post("/", pattern(1<<20)); c.WaitSent() }, "a body cannot be sent: EOF"},
		{"no frames", func(c *H2Client) { c.ReadAll(); c.ReadFrame() }, "want a frame: EOF; no other frames came"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dialH2Origin(t, o)
			c.Get("/")
			if message := failure(t, c, func() { test.expect(c) }); !strings.Contains(message, test.want) {
				t.Errorf("failed with %q, want %q", message, test.want)
			}
		})
	}
}

// TestH2ManyKept holds that a test that asks for none of the frames that come is told so.
func TestH2ManyKept(t *testing.T) {
	o := NewH2Origin(t, func(p *H2Peer) {
		p.Batch(func() {
			for range maxKept + 1 {
				p.Ping("1")
			}
		})
		p.Drain()
	})
	c := dialH2Origin(t, o)
	c.NoAcks()
	if resp, err := c.TryResponse(1); err != errManyKept || len(c.kept) != maxKept {
		t.Errorf("got %v and %v with %d frames", resp, err, len(c.kept))
	}
}

// recorder is a TB whose failures are kept. Fatalf panics with it.
type recorder struct {
	testing.TB
	mu   sync.Mutex
	text string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text += fmt.Sprintf(format, args...)
}

// failures returns what the test would have failed with.
func (r *recorder) failures() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

// failure returns what the test would fail with.
func failure(t *testing.T, c *H2Client, test func()) string {
	t.Helper()
	r := &recorder{TB: t}
	before := c.t
	c.t = r
	defer func() { c.t = before }()
	func() {
		defer func() {
			if p := recover(); p != nil && p != r {
				panic(p)
			}
		}()
		test()
	}()
	return r.failures()
}

// TestH2NotHTTP2 holds that a peer that speaks something else is named as that.
func TestH2NotHTTP2(t *testing.T) {
	o := NewOrigin(t, func(p *Peer) { p.Write(OK("hi")); p.UntilClosed() })
	c := DialH2AddressRaw(t, o.Addr().String())
	if why := violation(c); !strings.Contains(why, "a response in HTTP/1") {
		t.Errorf("got %q", why)
	}
	r := &recorder{TB: t}
	h2 := NewH2Origin(r, func(*H2Peer) { t.Error("the script ran") })
	conn, err := net.Dial("tcp", h2.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, Get("/")); err != nil {
		t.Error(err)
	}
	h2.WaitEnded(0)
	_ = conn.Close()
	if why := r.failures(); !strings.Contains(why, "not how a client begins") {
		t.Errorf("the origin says %q", why)
	}
}

// TestH2Script holds that an expectation of a script that fails ends it and fails the test, and that one that waits when the
// test is over does not.
func TestH2Script(t *testing.T) {
	t.Run("waiting", func(t *testing.T) {
		o := NewH2Origin(t, func(p *H2Peer) {
			p.ExpectPing()
			t.Error("there was a PING")
		})
		dialH2Origin(t, o)
	})
	r := &recorder{TB: t}
	o := NewH2Origin(r, func(p *H2Peer) {
		p.ExpectReset(1, http2.ErrCodeCancel)
		t.Error("the script went on")
	})
	c := dialH2Origin(t, o)
	c.Reset(c.Get("/"), http2.ErrCodeNo)
	o.WaitEnded(0)
	if why := r.failures(); !strings.Contains(why, "the origin's connection 0: got RST_STREAM of 1 NO_ERROR, want CANCEL") {
		t.Errorf("failed with %q", why)
	}
	if n := o.Counts(); n != (H2Counts{Started: 1, Reset: 1, MaxInFlight: 1}) {
		t.Errorf("counts %+v", n)
	}
}
