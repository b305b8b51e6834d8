package harness

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// violation reads until the peer does what it must not, and returns what was said of that.
func violation(c *H2Client) string {
	r := &recorder{TB: c.t}
	c.t = r
	c.Drain()
	return r.failures()
}

// windows are settings that keep windows small.
func windows(n uint32) http2.Setting {
	return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n}
}

// serverLies are what no server may do after a GET of stream 1 from a client with settings. Each is followed by the end.
var serverLies = []struct {
	why      string // what the oracle says
	lie      func(p *H2Peer)
	settings []http2.Setting
}{
	// Fields.
	{"is not in lower case", head("X-A", "1"), nil},
	{"is not a token", head("", "1"), nil},
	{"is not a token", head("x a", "1"), nil},
	{"is not a token", head("x\x00", "1"), nil},
	{"is not a token", head("x:y", "1"), nil},
	{"holds a control character", head("x-a", "1\r\nx-b: 2"), nil},
	{"holds a control character", head("x-a", "\x00"), nil},
	{"begins or ends with white space", head("x-a", " 1"), nil},
	{"begins or ends with white space", head("x-a", "1\t"), nil},
	{"field connection", head("connection", "close"), nil},
	{"field keep-alive", head("keep-alive", "1"), nil},
	{"field proxy-connection", head("proxy-connection", "close"), nil},
	{"field transfer-encoding", head("transfer-encoding", "chunked"), nil},
	{"field upgrade", head("upgrade", "h2c"), nil},
	{`te "gzip"`, head("te", "gzip"), nil},
	{`content-length "05"`, head("content-length", "05"), nil},
	{`content-length "1 | 1"`, head("content-length", "1", "content-length", "1"), nil},
	{"pseudo-header field :status twice", head(":status", "200"), nil},
	{":status after others", heads("x-a", "1", ":status", "200"), nil},
	{`pseudo-header field ":path"`, head(":path", "/"), nil},
	{`status ""`, heads("x-a", "1"), nil},
	{`status "20"`, heads(":status", "20"), nil},
	{`status "600"`, heads(":status", "600"), nil},
	{"status 101", heads(":status", "101"), nil},
	{"content-length in a response with status 204", heads(":status", "204", "content-length", "0"), nil},

	// Messages.
	{"informational response with END_STREAM", func(p *H2Peer) { p.Headers(1, true, ":status", "103") }, nil},
	{"data before a head", func(p *H2Peer) { p.Data(1, true, "x") }, nil},
	{"data before a head", func(p *H2Peer) { p.Headers(1, false, ":status", "100"); p.Data(1, true, "x") }, nil},
	{"trailers without END_STREAM", func(p *H2Peer) { ok(p); p.Headers(1, false, "x-t", "1") }, nil},
	{`pseudo-header field ":status"`, func(p *H2Peer) { ok(p); p.Headers(1, true, ":status", "200") }, nil},
	{"field content-length in trailers", func(p *H2Peer) { ok(p); p.Headers(1, true, "content-length", "0") }, nil},
	{"4 bytes of a body whose content-length is 3", func(p *H2Peer) { ok(p, "content-length", "3"); p.Data(1, false, "four") }, nil},
	{"2 bytes of a body whose content-length is 3", func(p *H2Peer) { ok(p, "content-length", "3"); p.Data(1, true, "ab") }, nil},
	{"0 bytes of a body whose content-length is 3", func(p *H2Peer) { p.Headers(1, true, ":status", "200", "content-length", "3") }, nil},
	{"2 bytes of a body whose content-length is 3", func(p *H2Peer) {
		ok(p, "content-length", "3")
		p.Data(1, false, "ab")
		p.Headers(1, true, "x-t", "1")
	}, nil},
	{"data in a response to GET with status 304", func(p *H2Peer) { p.Headers(1, false, ":status", "304"); p.Data(1, true, "x") }, nil},
	{"a frame after END_STREAM", func(p *H2Peer) { p.Headers(1, true, ":status", "200"); p.Data(1, true, "") }, nil},
	{"a frame after END_STREAM", func(p *H2Peer) { p.Headers(1, true, ":status", "200"); p.Headers(1, true, "x-t", "1") }, nil},

	// Streams.
	{"a frame on an idle stream", func(p *H2Peer) { p.Headers(3, true, ":status", "200") }, nil},
	{"a frame on an idle stream", func(p *H2Peer) { p.Data(3, true, "") }, nil},
	{"a frame on an idle stream", func(p *H2Peer) { p.Reset(2, http2.ErrCodeCancel) }, nil},
	{"a frame on an idle stream", func(p *H2Peer) { p.WindowUpdate(5, 1) }, nil},
	{"a frame on a stream that it has reset", func(p *H2Peer) { p.Reset(1, http2.ErrCodeCancel); ok(p) }, nil},
	{"a frame on a stream that it has reset", func(p *H2Peer) { ok(p); p.Reset(1, http2.ErrCodeCancel); p.Data(1, true, "") }, nil},
	{"RST_STREAM number 2 on a stream with 1 frames", func(p *H2Peer) { p.Reset(1, http2.ErrCodeCancel); p.Reset(1, http2.ErrCodeCancel) }, nil},
	{"a frame on a stream that GOAWAY gave up", func(p *H2Peer) { p.GoAway(0, http2.ErrCodeNo, ""); ok(p) }, nil},
	{"frames of this type", func(p *H2Peer) { p.PushPromise(1, 2, H2Head("GET", "/")...) }, nil},

	// Flow control.
	{"6 bytes where the window of the stream is 5", func(p *H2Peer) { ok(p); p.Data(1, true, "123456") }, []http2.Setting{windows(5)}},
	{"6 bytes where the window of the stream is 5", func(p *H2Peer) { ok(p); p.DataPadded(1, true, "123", 2) }, []http2.Setting{windows(5)}},
	{"2 bytes where the window of the stream is 1", func(p *H2Peer) { ok(p); p.Data(1, false, "1234"); p.Data(1, true, "56") }, []http2.Setting{windows(5)}},
	{"16384 bytes where the window of the connection is 16383", func(p *H2Peer) {
		ok(p)
		for range 4 {
			p.Data(1, false, pattern(defaultFrameSize))
		}
	}, []http2.Setting{windows(1 << 20)}},
	{"a window of the connection of 2147483648 bytes", func(p *H2Peer) { p.WindowUpdate(0, maxWindow-defaultWindow+1) }, nil},
	{"credit overflow: 1 bytes of credit for 0", func(p *H2Peer) { p.WindowUpdate(1, 1) }, nil},
	{"credit for a stream that it has reset", func(p *H2Peer) { p.Reset(1, http2.ErrCodeCancel); p.WindowUpdate(1, 1) }, nil},

	// Frames.
	{"a frame of 16385 bytes, we allow 16384", func(p *H2Peer) { ok(p); p.Data(1, true, pattern(defaultFrameSize+1)) }, nil},
	{"a frame of 20001 bytes, we allow 20000", func(p *H2Peer) { ok(p); p.Data(1, true, pattern(20001)) }, []http2.Setting{{ID: http2.SettingMaxFrameSize, Val: 20000}}},
	{"undefined flags 0x40", func(p *H2Peer) { p.Raw(http2.FramePing, 0x40, 0, make([]byte, 8)) }, nil},
	{"undefined flags 0x1", func(p *H2Peer) { p.Raw(http2.FrameWindowUpdate, 1, 0, make([]byte, 4)) }, nil},
	{"a frame of 0 bytes with flags 0x8", func(p *H2Peer) { ok(p); p.Raw(http2.FrameData, http2.FlagDataPadded, 1, nil) }, nil},
	{"a frame of 5 bytes with flags 0x28", func(p *H2Peer) {
		p.Raw(http2.FrameHeaders, http2.FlagHeadersPadded|http2.FlagHeadersPriority, 1, make([]byte, 5))
	}, nil},
	{"pad size larger", func(p *H2Peer) { ok(p); p.Raw(http2.FrameData, http2.FlagDataPadded, 1, []byte{9, 0}) }, nil},
	{"DATA frame with stream ID 0", func(p *H2Peer) { p.Data(0, true, "") }, nil},
	{"expected CONTINUATION", func(p *H2Peer) { p.HeadersBlock(1, true, false, nil); p.Ping("1") }, nil},
	{"unexpected CONTINUATION", func(p *H2Peer) { p.Continuation(1, true, nil) }, nil},
	{"PROTOCOL_ERROR", func(p *H2Peer) { p.WindowUpdate(0, 0) }, nil},
	{"PROTOCOL_ERROR", func(p *H2Peer) { p.WindowUpdate(1, 0) }, nil},
	{"FRAME_SIZE_ERROR", func(p *H2Peer) { p.Raw(http2.FramePing, 0, 0, make([]byte, 7)) }, nil},
	{"FRAME_SIZE_ERROR", func(p *H2Peer) { p.Raw(http2.FrameSettings, 0, 0, make([]byte, 5)) }, nil},
	{"frames of this type", func(p *H2Peer) { p.Raw(0xfa, 0, 0, nil) }, nil},
	{"a stream that depends on itself", func(p *H2Peer) { p.Priority(1, http2.PriorityParam{StreamDep: 1}) }, nil},
	{"a stream that depends on itself", func(p *H2Peer) {
		p.Raw(http2.FrameHeaders, http2.FlagHeadersPriority|http2.FlagHeadersEndHeaders, 1, []byte{0, 0, 0, 1, 9, 0x88})
	}, nil},

	// The connection.
	{"an acknowledgement of settings that were not sent", func(p *H2Peer) { p.SettingsAck() }, nil},
	{"an answer to another PING than the oldest of 0", func(p *H2Peer) { p.PingAck("1") }, nil},
	{"setting [ENABLE_PUSH = 1]", func(p *H2Peer) { p.Settings(http2.Setting{ID: http2.SettingEnablePush, Val: 1}) }, nil},
	{"setting [MAX_FRAME_SIZE = 1]", func(p *H2Peer) { p.Settings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1}) }, nil},
	{"GOAWAY with a higher last stream than 1", func(p *H2Peer) { p.GoAway(1, 0, ""); p.GoAway(3, 0, "") }, nil},

	// HPACK.
	{"invalid indexed representation", func(p *H2Peer) { p.HeadersBlock(1, true, true, H2Indexed(62)) }, nil},
	{"invalid indexed representation", func(p *H2Peer) { p.HeadersBlock(1, true, true, H2Indexed(0)) }, nil},
	{"truncated headers", func(p *H2Peer) { p.HeadersBlock(1, true, true, H2Literal("x", "yz")[:4]) }, nil},
	{"a field block for a table of 4097 bytes", func(p *H2Peer) { p.HeadersBlock(1, true, true, H2TableSize(4097)) }, nil},
	{"a field block for a table of 4096 bytes, we allow 100", func(p *H2Peer) { p.HeadersBlock(1, true, true, H2Indexed(8)) },
		[]http2.Setting{{ID: http2.SettingHeaderTableSize, Val: 100}}},
	{"size update MUST occur at the beginning", func(p *H2Peer) {
		p.HeadersBlock(1, true, true, slices.Concat(H2Indexed(8), H2Insert("x", "y"), H2TableSize(0)))
	}, nil},
}

func head(fields ...string) func(p *H2Peer) {
	return heads(append([]string{":status", "200"}, fields...)...)
}

func heads(fields ...string) func(p *H2Peer) {
	return func(p *H2Peer) { p.Headers(1, false, fields...) }
}

func ok(p *H2Peer, fields ...string) { head(fields...)(p) }

// TestH2ServerOracle holds that a client finds everything that a server may not do.
func TestH2ServerOracle(t *testing.T) {
	for i, test := range serverLies {
		o := NewH2Origin(t, func(p *H2Peer) {
			p.ReadHead()
			p.Batch(func() { test.lie(p) })
			p.CloseWrite()
			p.Drain()
		})
		c := DialH2AddressRaw(t, o.Addr().String())
		c.NoCredit()
		c.Handshake(test.settings...)
		c.Get("/")
		if why := violation(c); !strings.Contains(why, test.why) {
			t.Errorf("lie %d: the client says %q, want %q", i, why, test.why)
		}
		c.Close()
		o.WaitEnded(0)
	}
}

// request makes the head of a GET with one field replaced, or left out where the value is "-", or added.
func request(name, value string) func(c *H2Client) {
	fields := H2Head("GET", "/")
	i := slices.Index(fields, name)
	switch {
	case i < 0:
		fields = append(fields, name, value)
	case value == "-":
		fields = slices.Delete(fields, i, i+2)
	default:
		fields[i+1] = value
	}
	return func(c *H2Client) { c.Headers(1, true, fields...) }
}

// clientLies are what no client may do after the exchange of settings.
var clientLies = []struct {
	why      string
	lie      func(c *H2Client)
	settings []http2.Setting
}{
	{`method ""`, request(":method", "-"), nil},
	{`method "G T"`, request(":method", "G T"), nil},
	{`scheme ""`, request(":scheme", "-"), nil},
	{`scheme "ftp"`, request(":scheme", "ftp"), nil},
	{`path ""`, request(":path", "-"), nil},
	{`path ""`, request(":path", ""), nil},
	{`path "x"`, request(":path", "x"), nil},
	{`path "*"`, request(":path", "*"), nil},
	{`path "/a b"`, request(":path", "/a b"), nil},
	{`path "/#x"`, request(":path", "/#x"), nil},
	{`path "/ä"`, request(":path", "/ä"), nil},
	{`authority ""`, request(":authority", "-"), nil},
	{`authority ""`, request(":authority", ""), nil},
	{`authority "u@a"`, request(":authority", "u@a"), nil},
	{`authority "a" and host "b"`, request("host", "b"), nil},
	{`pseudo-header field ":status"`, request(":status", "200"), nil},
	{":protocol with GET", request(":protocol", "websocket"), nil},
	{"CONNECT with", request(":method", "CONNECT"), nil},
	{"is not in lower case", request("X-A", "1"), nil},
	{"0 bytes of a body whose content-length is 3", request("content-length", "3"), nil},
	{"a request on an even stream", func(c *H2Client) { c.Headers(2, true, H2Head("GET", "/")...) }, nil},
	{"a frame after END_STREAM", func(c *H2Client) { c.Get("/"); c.Headers(1, true, H2Head("GET", "/")...) }, nil},
	{"a frame of a response without a request", func(c *H2Client) {
		c.Headers(5, true, H2Head("GET", "/")...)
		c.Headers(3, true, H2Head("GET", "/")...)
	}, nil},
	{"a frame on an idle stream", func(c *H2Client) { c.Data(1, true, "") }, nil},
	{"a frame on an idle stream", func(c *H2Client) { c.Reset(1, http2.ErrCodeCancel) }, nil},
	{"a frame on an idle stream", func(c *H2Client) { c.WindowUpdate(2, 1) }, nil},
	{"RST_STREAM number 2", func(c *H2Client) { c.Get("/"); c.Reset(1, 0); c.Reset(1, 0) }, nil},
	{"stream number 3 at a time, we allow 2", func(c *H2Client) { c.Get("/"); c.Get("/"); c.Get("/") },
		[]http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 2}}},
	{"6 bytes where the window of the stream is 5", func(c *H2Client) {
		c.Headers(1, false, H2Head("POST", "/")...)
		c.Data(1, true, "123456")
	}, []http2.Setting{windows(5)}},
	{"credit overflow: 1 bytes of credit for 0", func(c *H2Client) { c.Get("/"); c.WindowUpdate(1, 1) }, nil},
	{"frames of this type", func(c *H2Client) { c.Get("/"); c.PushPromise(1, 2, H2Head("GET", "/")...) }, nil},
	{"an acknowledgement of settings that were not sent", func(c *H2Client) { c.SettingsAck() }, nil},
}

// TestH2ClientOracle holds that an origin finds everything that a client may not do.
func TestH2ClientOracle(t *testing.T) {
	for i, test := range clientLies {
		r := &recorder{TB: t}
		o := NewH2Origin(r, H2Slow, test.settings...)
		c := dialH2Origin(t, o)
		c.Batch(func() { test.lie(c) })
		c.CloseWrite()
		o.WaitEnded(0)
		if why := r.failures(); !strings.Contains(why, test.why) {
			t.Errorf("lie %d: the origin says %q, want %q", i, why, test.why)
		}
	}
}

// TestH2Violation holds that a violation names the frame, and that nothing is read after it.
func TestH2Violation(t *testing.T) {
	o := NewH2Origin(t, func(p *H2Peer) {
		p.Batch(func() {
			p.Reset(9, http2.ErrCodeCancel)
			p.Ping("1")
		})
		p.Drain()
	})
	c := dialH2Origin(t, o)
	if why := violation(c); !strings.HasSuffix(why, ": a frame on an idle stream: RST_STREAM of 9 CANCEL") {
		t.Errorf("got %q", why)
	}
	f, err := c.TryReadFrame()
	if v := (*H2Violation)(nil); !errors.As(err, &v) {
		t.Errorf("got %v and %v", f, err)
	}
	if message := failure(t, c, func() { c.ExpectEnd() }); !strings.Contains(message, "want the end of the connection") {
		t.Errorf("ExpectEnd: %q", message)
	}
}

// TestH2FirstFrame holds that a peer begins with settings.
func TestH2FirstFrame(t *testing.T) {
	for _, begin := range []func(w *H2Writer){
		func(w *H2Writer) { w.Ping("1") },
		func(w *H2Writer) { w.SettingsAck() },
	} {
		o := NewH2OriginRaw(t, func(p *H2Peer) {
			p.ReadPreface()
			begin(&p.H2Writer)
			p.CloseWrite()
			p.Drain()
		})
		c := DialH2AddressRaw(t, o.Addr().String())
		c.Preface()
		c.Settings()
		if why := violation(c); !strings.Contains(why, "the first frame is not SETTINGS") {
			t.Errorf("got %q", why)
		}
		c.Close()
	}
}

// TestH2SeenReset holds that a peer that has answered a PING after a reset must be silent on that stream, and until then may
// go on.
func TestH2SeenReset(t *testing.T) {
	for _, test := range []struct {
		why  string
		late func(p *H2Peer)
	}{
		{"a frame on a stream whose reset it has seen", func(p *H2Peer) { p.Data(1, true, "") }},
		{"a frame on a stream whose reset it has seen", func(p *H2Peer) { p.Headers(1, true, "x-t", "1") }},
		{"credit for a stream whose reset it has seen", func(p *H2Peer) { p.WindowUpdate(1, 1) }},
		{"", func(p *H2Peer) { p.WindowUpdate(0, 4) }},
	} {
		o := NewH2Origin(t, func(p *H2Peer) {
			p.NoAcks()
			p.NoCredit()
			p.ReadHead()
			ok(p)
			p.ExpectPing()
			p.Data(1, false, "in flight")
			p.WindowUpdate(1, 1)
			p.PingAck("1")
			test.late(p)
			p.CloseWrite()
			p.Drain()
		})
		c := dialH2Origin(t, o)
		c.Request(false, H2Head("POST", "/")...)
		c.WaitFrame("a head", func(f *H2Frame) bool { return f.Type == http2.FrameHeaders })
		c.Batch(func() {
			c.Data(1, false, "body")
			c.Reset(1, http2.ErrCodeCancel)
			c.Ping("1")
		})
		why := violation(c)
		if test.why == "" && why != "" || !strings.Contains(why, test.why) {
			t.Errorf("the client says %q, want %q", why, test.why)
		}
		c.Close()
	}
}

// TestH2SeenGoAway holds that a client that has seen a GOAWAY opens no streams.
func TestH2SeenGoAway(t *testing.T) {
	r := &recorder{TB: t}
	o := NewH2Origin(r, func(p *H2Peer) {
		p.ReadHead()
		p.GoAway(1, http2.ErrCodeNo, "")
		p.ReadHead() // that of a client that has not seen it
		p.RoundTrip()
		p.Drain()
	})
	c := dialH2Origin(t, o)
	c.Get("/")
	c.ExpectGoAway(http2.ErrCodeNo)
	c.Get("/")
	c.ExpectPing()
	c.Get("/")
	c.CloseWrite()
	o.WaitEnded(0)
	if why := r.failures(); !strings.Contains(why, "a request after a GOAWAY that it has seen") {
		t.Errorf("the origin says %q", why)
	}
}

// TestH2CreditOverflow holds that credit is returned at most once: a refund for data and another for the reset of its stream
// is one too many (row 50).
func TestH2CreditOverflow(t *testing.T) {
	for _, test := range []struct {
		why    string
		credit []uint32
	}{
		{"", []uint32{3, 1}},
		{"credit overflow: 8 bytes of credit for 4", []uint32{4, 4}},
		{"credit overflow: 5 bytes of credit for 4", []uint32{5}},
	} {
		o := NewH2Origin(t, func(p *H2Peer) {
			p.WindowUpdate(0, 1000) // enlarges the window before there is anything to return
			p.RoundTrip()
			p.NoCredit()
			p.ReadHead()
			p.WaitFrame("a reset", func(f *H2Frame) bool { return f.Type == http2.FrameRSTStream })
			for _, n := range test.credit {
				p.WindowUpdate(0, n)
			}
			p.CloseWrite()
			p.Drain()
		})
		c := dialH2Origin(t, o)
		c.ExpectPing()
		id := c.Request(false, H2Head("POST", "/")...)
		c.Data(id, false, "body")
		c.Reset(id, http2.ErrCodeCancel)
		why := violation(c)
		if test.why == "" && why != "" || !strings.Contains(why, test.why) {
			t.Errorf("credit %v: the client says %q, want %q", test.credit, why, test.why)
		}
		c.Close()
	}
}
