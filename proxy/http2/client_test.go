package http2

import (
	"testing"

	"golang.org/x/net/http2"
)

// TestClientExchange follows a request and its response through the codec.
func TestClientExchange(t *testing.T) {
	k, p := newClient(t, testOptions())
	q := k.post()
	q.WriteBody([]byte("ab"), false)
	trailers := fieldsOf("x", "y")
	q.WriteEnd(&trailers)
	p.r.step()
	p.want("HEADERS 1 :method=POST :scheme=http :path=/ :authority=a", "DATA 1 ab", "HEADERS 1 END_STREAM x=y")
	p.headers(1, 0, ":status", "100").ok(1).data(1, 0, "hello").headers(1, endStream, "a", "b").send()
	if got, want := q.result(), "100 200 hello| {a=b}"; got != want {
		t.Errorf("the response is %q, want %q", got, want)
	}
	if !k.Idle() || k.Answered() {
		t.Errorf("idle %t, answered %t before the end", k.Idle(), k.Answered())
	}
	q.end()
	p.r.step()
	p.want()
	if !k.Answered() || k.dead || k.established != 1 {
		t.Errorf("answered %t, dead %t, established %d times", k.Answered(), k.dead, k.established)
	}
	p.r.wantStat("streams_active", 0)
	p.r.wantStat("trailers", 1)
}

// TestClientConnects writes what it begins with, and tells its pool when the connection is there and when settings have come.
func TestClientConnects(t *testing.T) {
	k, p := newRig(t).client(testOptions())
	q := k.get()
	p.r.steps(2)
	p.want("SETTINGS ENABLE_PUSH=0 INITIAL_WINDOW_SIZE=16777216", "WINDOW_UPDATE 0 +25100289",
		"HEADERS 1 END_STREAM :method=GET :scheme=http :path=/ :authority=a")
	if k.Settled() {
		t.Error("settled before anything has come")
	}
	p.settings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 7}).turn()
	if k.established != 1 || k.changed != 1 || !k.Settled() || k.Room() != 6 {
		t.Errorf("established %d, changed %d, settled %t, room %d", k.established, k.changed, k.Settled(), k.Room())
	}
	q.end()
}

// TestClientRoom counts what may be opened against both limits, what is open and what is reserved.
func TestClientRoom(t *testing.T) {
	o := testOptions()
	o.MaxStreams = 10
	k, p := newClient(t, o)
	room := func(what string, want int) {
		t.Helper()
		if got := k.Room(); got != want {
			t.Errorf("%s: room for %d, want %d", what, got, want)
		}
	}
	limit := func(n uint32) {
		p.settings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: n}).turn()
	}
	room("our limit", 10)
	limit(100)
	room("a higher one of the host", 10)
	limit(4)
	room("a lower one of the host", 4)
	q := k.get()
	room("one is open", 3)
	r := k.reserve()
	room("one is reserved", 2)
	r.end()
	room("it was not needed", 3)
	limit(0)
	room("the host takes none", 0)
	limit(1)
	room("the host takes no more than there are", 0)
	changed := k.changed
	p.headers(1, endStream, ":status", "200").turn()
	room("the stream has ended", 1)
	if k.changed == changed {
		t.Error("the pool was not told of the end of a stream")
	}
	q.end()
	limit(3)
	room("the host takes more", 3)
	p.goAway(1, http2.ErrCodeNo).turn()
	room("the host goes away", 0)
}

// TestClientStreamsAreCounted lets identifiers go up in the order in which requests are written, whatever was reserved first.
func TestClientStreamsAreCounted(t *testing.T) {
	k, p := newClient(t, testOptions())
	a, b, c := k.reserve(), k.reserve(), k.reserve()
	c.write("GET", true)
	b.end()
	a.write("GET", true)
	p.r.step()
	if a.ID() != 3 || c.ID() != 1 || k.reserved != 0 || k.Streams() != 2 {
		t.Errorf("streams %d and %d, %d reserved, %d open", a.ID(), c.ID(), k.reserved, k.Streams())
	}
}

// TestClientIdentifiersRunOut opens no stream above the largest identifier (RFC 9113 section 5.1.1).
func TestClientIdentifiersRunOut(t *testing.T) {
	k, p := newClient(t, testOptions())
	k.nextID = maxStreamID - 2
	if got := k.Exhausted(); got {
		t.Error("exhausted with two identifiers left")
	}
	first, second, third := k.get(), k.get(), k.get()
	p.r.step()
	p.want("HEADERS 2147483645 END_STREAM :method=GET :scheme=http :path=/ :authority=a",
		"HEADERS 2147483647 END_STREAM :method=GET :scheme=http :path=/ :authority=a")
	if !k.Exhausted() || k.Room() != 0 || third.Err() != ErrRefused || first.Err() != noError || second.Err() != noError {
		t.Errorf("exhausted %t, room %d, streams %v, %v, %v", k.Exhausted(), k.Room(), first.Err(), second.Err(), third.Err())
	}
}

// TestClientGoAway ends the streams that GOAWAY says were not processed, which may be sent again, and lets the others go on.
func TestClientGoAway(t *testing.T) {
	k, p := newClient(t, testOptions())
	one, three, five := k.get(), k.get(), k.post()
	reserved := k.reserve()
	p.turn()
	p.take()
	p.goAway(3, http2.ErrCodeNo).turn()
	if k.drained != 1 || one.Err() != noError || three.Err() != noError || five.Err() != ErrRefused || five.woken == 0 {
		t.Errorf("drained %d, streams %v, %v, %v", k.drained, one.Err(), three.Err(), five.Err())
	}
	reserved.write("GET", true)
	if reserved.Err() != ErrRefused {
		t.Errorf("a stream that was reserved ended with %v", reserved.Err())
	}
	p.goAway(1, http2.ErrCodeNo).turn() // fewer than it said at first
	if one.Err() != noError || three.Err() != ErrRefused {
		t.Errorf("streams %v, %v", one.Err(), three.Err())
	}
	p.headers(1, endStream, ":status", "200").turn()
	if got := one.result(); got != "200 |" {
		t.Errorf("the response is %q", got)
	}
	if k.Streams() != 0 || k.dead {
		t.Errorf("%d streams are open, dead %t", k.Streams(), k.dead)
	}
	p.r.step()
	p.want() // nothing is reset: the host does not know the streams
}

// TestClientStreamEnds tells a request why its stream has ended.
func TestClientStreamEnds(t *testing.T) {
	for name, c := range map[string]struct {
		play func(p *peer)
		want string
		code http2.ErrCode
	}{
		"refused":                       {func(p *peer) { p.reset(1, http2.ErrCodeRefusedStream) }, "!the peer has refused the stream", http2.ErrCodeRefusedStream},
		"reset":                         {func(p *peer) { p.reset(1, http2.ErrCodeCancel) }, "!the peer has reset the stream", http2.ErrCodeCancel},
		"reset behind the head":         {func(p *peer) { p.ok(1).reset(1, http2.ErrCodeInternal) }, "200 !the peer has reset the stream", http2.ErrCodeInternal},
		"reset behind the end":          {func(p *peer) { p.ok(1).data(1, endStream, "x").reset(1, http2.ErrCodeNo) }, "200 x|", 0},
		"connection lost":               {func(p *peer) { p.close() }, "!the connection has ended", 0},
		"connection lost after the end": {func(p *peer) { p.ok(1).data(1, endStream, "x"); p.write(); p.close() }, "200 x|", 0},
	} {
		t.Run(name, func(t *testing.T) {
			k, p := newClient(t, testOptions())
			q := k.get()
			p.turn()
			c.play(p)
			if p.open {
				p.send()
			}
			p.r.steps(3)
			if got := q.result(); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if q.Code() != c.code {
				t.Errorf("code %v, want %v", q.Code(), c.code)
			}
			if k.dead != !p.open {
				t.Errorf("dead %t: %v", k.dead, k.ends)
			}
			q.end()
		})
	}
}

// TestClientEndEarly tells the host what is not wanted any more: nothing where it has said everything.
func TestClientEndEarly(t *testing.T) {
	for name, c := range map[string]struct {
		ask  func(k *testClient) *asked
		play func(p *peer)
		want []string
	}{
		"nothing has come":                  {(*testClient).get, func(*peer) {}, []string{"RST_STREAM 1 CANCEL"}},
		"half of the response":              {(*testClient).get, func(p *peer) { p.ok(1).data(1, 0, "x") }, []string{"RST_STREAM 1 CANCEL"}},
		"the whole response":                {(*testClient).get, func(p *peer) { p.ok(1).data(1, endStream, "x") }, nil},
		"the response, half of the request": {(*testClient).post, func(p *peer) { p.ok(1).data(1, endStream, "x") }, []string{"RST_STREAM 1 NO_ERROR"}},
		"a reset":                           {(*testClient).post, func(p *peer) { p.reset(1, http2.ErrCodeCancel) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			k, p := newClient(t, testOptions())
			q := c.ask(k)
			p.turn()
			c.play(p)
			p.turn()
			p.take()
			q.end()
			p.r.step()
			p.want(c.want...)
			if k.Streams() != 0 || k.inflow.unread != 0 {
				t.Errorf("%d streams are open, %d bytes are not credited", k.Streams(), k.inflow.unread)
			}
		})
	}
}

// TestClientSlack credits the host for what lies unread, so that one who does not read holds nobody else up, and has no more
// streams opened on a connection on which much does.
func TestClientSlack(t *testing.T) {
	o := testOptions()
	o.StreamWindow, o.ConnWindow = 1<<20, 1<<20
	k, p := newClient(t, o)
	stalled, other := k.get(), k.get()
	p.turn()
	p.take()
	p.ok(1)
	for range 1 << 20 / minMaxFrameSize {
		p.data(1, 0, string(make([]byte, minMaxFrameSize)))
	}
	p.finish(&k.conn)
	p.want("WINDOW_UPDATE 0 +524288", "WINDOW_UPDATE 0 +524288")
	if !k.Crowded() {
		t.Errorf("%d bytes of %d lie unread and the connection is not crowded", k.inflow.unread, k.inflow.size)
	}
	p.ok(3).data(3, endStream, "x").send()
	if got := other.result(); got != "200 x|" {
		t.Errorf("the other response is %q", got)
	}
	_ = stalled.result()
	p.r.steps(2)
	p.want("WINDOW_UPDATE 1 +524288", "WINDOW_UPDATE 1 +524288")
	if k.Crowded() {
		t.Error("crowded when everything was read")
	}
	stalled.end()
	other.end()
}

// TestHostThatDoesNotRead is read from all the same: a host that waits for us to read, while we wait for it, would wait for ever.
func TestHostThatDoesNotRead(t *testing.T) {
	o := testOptions()
	o.MaxOutboundFrames, o.MaxOutboundControlFrames = 1<<30, 1<<30
	k, p := newClient(t, o)
	q := k.get()
	p.stall(&k.conn)
	for k.raw.Buffered() <= maxUnsent {
		for range 1000 {
			p.ping("12345678")
		}
		p.turn()
	}
	p.ok(1).data(1, endStream, "hello")
	p.finish(&k.conn)
	if got := q.result(); got != "200 hello|" {
		t.Errorf("the response is %q", got)
	}
	q.end()
}

// TestClientGoesAway tells the host that nothing more comes.
func TestClientGoesAway(t *testing.T) {
	k, p := newClient(t, testOptions())
	k.GoAway()
	p.r.step()
	p.want("GOAWAY 0 NO_ERROR")
	q := k.get()
	k.r.check = nil // the pool is not told
	k.Release()
	if q.Err() != ErrClosed || len(k.ends) != 0 {
		t.Errorf("the stream ended with %v, the pool was told %v", q.Err(), k.ends)
	}
	k.GoAway()
	p.r.step()
	q.end()
}
