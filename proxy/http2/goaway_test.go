package http2

import (
	"testing"

	"golang.org/x/net/http2"
)

// serveMany has n requests served and answered on the streams from id on. It returns the identifier after them.
func (s *testServer) serveMany(id uint32, n int) uint32 {
	s.r.t.Helper()
	s.answerAll("")
	for range n {
		s.p.get(id)
		id += 2
	}
	s.p.finish(&s.conn)
	s.p.take()
	s.serve = nil
	return id
}

// TestServerGoAway lets the streams go on that GOAWAY names. What the client had sent on later ones before it knew is dropped
// without harm to them (RFC 9113 section 6.8).
func TestServerGoAway(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).turn()
	s.GoAway()
	s.GoAway() // once is enough
	p.r.step()
	p.want("GOAWAY 1 NO_ERROR")
	p.headers(3, 0, with(postFields, "x-new", "in the table")...)
	p.data(3, 0, "dropped").windowUpdate(3, 1).priority(3, 1)
	p.headers(3, endStream, "x-new", "in the table")
	p.reset(3, http2.ErrCodeCancel)
	p.data(5, endStream, "dropped")
	p.data(1, 0, "kept").headers(1, endStream, "x-new", "in the table")
	p.send()
	v := s.stream(1)
	if got := readAll(v.Stream); got != "kept|" {
		t.Errorf("the body is %q", got)
	}
	if got := fieldsText(v.Trailers()); got != "x-new=in the table" {
		t.Errorf("the trailers are %q", got)
	}
	v.answer("")
	p.r.step()
	p.want("HEADERS 1 :status=200", "DATA 1 END_STREAM")
	if len(s.served) != 1 || s.dead {
		t.Errorf("%d streams were opened, the connection is dead: %t", len(s.served), s.dead)
	}
	if s.inflow.unread != 0 {
		t.Errorf("%d dropped bytes are not credited", s.inflow.unread)
	}
	p.r.wantStat("goaway_sent", 1)
}

// TestServerShutdown serves what a client opens that does not know yet, until GOAWAY names the last stream.
func TestServerShutdown(t *testing.T) {
	s, p := newServer(t, testOptions())
	s.answerAll("x")
	s.Shutdown()
	p.get(1).turn()
	p.want("GOAWAY 2147483647 NO_ERROR", "HEADERS 1 :status=200", "DATA 1 END_STREAM x")
	s.GoAway()
	p.get(3).turn()
	p.want("GOAWAY 1 NO_ERROR")
}

// TestServerGiveUp tells the client and not the owner.
func TestServerGiveUp(t *testing.T) {
	s, p := newServer(t, testOptions())
	s.r.check = nil // the owner is not told
	p.post(1).turn()
	s.GiveUp("nothing came")
	s.GiveUp("again")
	p.r.step()
	p.want("GOAWAY 1 NO_ERROR nothing came")
	if len(s.ends) != 0 || s.stream(1).Err() != ErrClosed {
		t.Errorf("the owner was told %v, the stream %v", s.ends, s.stream(1).Err())
	}
	s.stream(1).end(false)
}

// TestPeerGoAway tells the owner that nothing more is going to be opened. A second GOAWAY says nothing new.
func TestPeerGoAway(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).goAway(0, http2.ErrCodeNo).data(1, endStream, "x").turn()
	if !s.PeerGone() || s.gone != 1 || s.dead {
		t.Errorf("PeerGone %t, told %d times, dead %t", s.PeerGone(), s.gone, s.dead)
	}
	if got := readAll(s.stream(1).Stream); got != "x|" {
		t.Errorf("the body is %q", got)
	}
}

// closedStreams are streams that are not there, and what frames on them cost.
var closedStreams = []struct {
	name  string
	begin func(s *testServer, p *peer) // makes stream 1 what it is
	data  string                       // what answers DATA on it
	block string                       // what answers a field block on it
}{
	{
		name:  "ended",
		begin: func(s *testServer, p *peer) { s.serveMany(1, 1) },
		data:  "RST_STREAM 1 STREAM_CLOSED", block: "GOAWAY 1 STREAM_CLOSED frame on a closed stream",
	}, {
		name: "reset by the client",
		begin: func(s *testServer, p *peer) {
			p.post(1).reset(1, http2.ErrCodeCancel).turn()
		},
		data: "RST_STREAM 1 STREAM_CLOSED", block: "GOAWAY 1 STREAM_CLOSED frame on a closed stream",
	}, {
		name: "reset by us",
		begin: func(s *testServer, p *peer) {
			p.post(1).turn()
			s.stream(1).end(false)
			p.turn()
		},
	}, {
		name: "reset by us, and as much later as is remembered",
		begin: func(s *testServer, p *peer) {
			p.post(1).turn()
			s.stream(1).end(false)
			s.serveMany(3, recentSize-1)
		},
	}, {
		name: "reset by us, and forgotten",
		begin: func(s *testServer, p *peer) {
			p.post(1).turn()
			s.stream(1).end(false)
			s.serveMany(3, recentSize)
		},
	}, {
		name:  "never opened, with none forgotten",
		begin: func(s *testServer, p *peer) { s.serveMany(3, recentSize) },
		data:  "RST_STREAM 1 STREAM_CLOSED",
		block: "GOAWAY 129 PROTOCOL_ERROR stream identifier is not the initiator's or not the next",
	},
}

// TestServerFramesOnClosedStreams answers what comes on a stream that is not there. What a client may have sent before it
// knew of our reset is dropped; that includes all that may come on a stream of which nothing is known any more.
func TestServerFramesOnClosedStreams(t *testing.T) {
	for _, c := range closedStreams {
		for kind, send := range map[string]func(p *peer){
			"RST_STREAM":    func(p *peer) { p.reset(1, http2.ErrCodeCancel) },
			"WINDOW_UPDATE": func(p *peer) { p.windowUpdate(1, 1) },
			"PRIORITY":      func(p *peer) { p.priority(1, 3) },
			"DATA":          func(p *peer) { p.data(1, 0, "x") },
			"HEADERS":       func(p *peer) { p.headers(1, endStream, "x", "y") },
		} {
			t.Run(c.name+"/"+kind, func(t *testing.T) {
				s, p := newServer(t, testOptions())
				c.begin(s, p)
				p.take()
				send(p)
				p.turn()
				want := map[string]string{"DATA": c.data, "HEADERS": c.block}[kind]
				if want == "" {
					p.want()
				} else {
					p.want(want)
				}
				if s.inflow.unread != 0 {
					t.Errorf("%d dropped bytes are not credited", s.inflow.unread)
				}
			})
		}
	}
}

// TestClientFramesOnClosedStreams is the same for a host: what follows our reset is dropped, however late.
func TestClientFramesOnClosedStreams(t *testing.T) {
	for name, later := range map[string]int{"at once": 0, "remembered": recentSize - 1, "forgotten": recentSize} {
		for kind, send := range map[string]func(p *peer){
			"DATA":    func(p *peer) { p.data(1, endStream, "x") },
			"HEADERS": func(p *peer) { p.ok(1) },
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				k, p := newClient(t, testOptions())
				k.get().end() // nothing has come: it is reset
				for range later {
					q := k.get()
					p.headers(q.ID(), endStream, ":status", "200").turn()
					q.end()
				}
				p.turn()
				p.take()
				send(p)
				p.turn()
				p.want()
				if k.inflow.unread != 0 || k.dead {
					t.Errorf("%d dropped bytes are not credited, dead is %t", k.inflow.unread, k.dead)
				}
			})
		}
	}
}
