package attack

import (
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// hostFlood is a host that answers a request with frames without end (row 72).
type hostFlood struct {
	name string
	// begin comes before the frames.
	begin func(p *harness.H2Peer, id uint32)
	// frames is how many are sent at most, in batches of batch.
	frames, batch int
	frame         func(p *harness.H2Peer, id uint32, i int)
	// unread says that the host reads nothing meanwhile, and paced that it reads the answers to a batch before it sends the next.
	unread, paced bool

	// code is what the host is told when the proxy has enough, ErrCodeNo when it bears them all.
	code http2.ErrCode
	// stat is a counter of the codec that says why, "" for none.
	stat string
	// status is what the client gets, and cut that it is not whole.
	status int
	cut    bool
	// leaves says that the connection ends after the answer all the same.
	leaves bool
}

// floodOrigin is a host that floods who asks it, on a connection of its own each time.
type floodOrigin struct {
	originH2
	flood *hostFlood
	ends  chan ended    // of the floods, one after the other
	next  chan struct{} // has a connection closed that has borne its flood
}

func newFloodOrigin(t testing.TB, f *hostFlood) *floodOrigin {
	o := &floodOrigin{flood: f, ends: make(chan ended, 1), next: make(chan struct{})}
	o.originH2 = originH2{harness.NewH2Origin(t, o.script)}
	return o
}

func (o *floodOrigin) script(p *harness.H2Peer) {
	if o.flood.unread {
		_ = p.SetReceiveBuffer(4 << 10)
	}
	r, ok := p.ReadRequest()
	if !ok {
		return
	}
	w, sent := o.flood.send(p, r.StreamID)
	o.ends <- w.ended(sent)
	select {
	case <-w.gone:
	case <-o.next:
		p.Close()
		<-w.gone
	}
}

// send floods the connection until the proxy has enough, and then until it has ended, or until the proxy has dealt with all.
func (f *hostFlood) send(p *harness.H2Peer, id uint32) (w *hostWatch, sent int) {
	w = newHostWatch()
	if !f.unread {
		w.start(p)
	}
	if f.begin != nil {
		p.Batch(func() { f.begin(p, id) })
	}
	for sent < f.frames && !w.isOver() {
		from := sent
		sent = min(from+f.batch, f.frames)
		err := p.TryBatch(func() {
			for i := from; i < sent; i++ {
				f.frame(p, id, i)
			}
		})
		if err != nil {
			break
		}
		for i := from; f.paced && i < sent; i++ {
			<-w.acks
		}
	}
	if f.code == http2.ErrCodeNo {
		_ = p.TryBatch(func() {
			if f.status == 200 {
				p.Data(id, true, "end")
			}
			p.Ping(lastPing)
		})
	}
	w.start(p)
	if f.code == http2.ErrCodeNo {
		<-w.last
	} else {
		<-w.gone
	}
	return w, sent
}

// hostWatch reads what the proxy sends to a host that floods it.
type hostWatch struct {
	reading sync.Once
	over    chan struct{}    // closed when the proxy has said that it ends the connection, or has ended it
	gone    chan struct{}    // closed when the connection has ended
	last    chan struct{}    // closed when lastPing was answered, or the connection has ended
	acks    chan struct{}    // has a value for each PING that was answered, and is closed at the end
	goAway  *harness.H2Frame // when gone is closed
}

// maxAcks is how many answers wait for who reads them, if somebody does.
const maxAcks = 1000

func newHostWatch() *hostWatch {
	return &hostWatch{
		over: make(chan struct{}), gone: make(chan struct{}), last: make(chan struct{}), acks: make(chan struct{}, maxAcks),
	}
}

// start begins to read, unless that has happened.
func (w *hostWatch) start(p *harness.H2Peer) { w.reading.Do(func() { go w.read(p) }) }

func (w *hostWatch) read(p *harness.H2Peer) {
	over, last := sync.OnceFunc(func() { close(w.over) }), sync.OnceFunc(func() { close(w.last) })
	defer close(w.gone)
	defer close(w.acks)
	defer over()
	defer last()
	for {
		f, err := p.TryReadFrame()
		switch {
		case err != nil:
			return
		case f.Type == http2.FramePing && string(f.Payload) == lastPing:
			last()
		case f.Type == http2.FramePing:
			select {
			case w.acks <- struct{}{}:
			default:
			}
		case f.Type == http2.FrameGoAway && f.Code != http2.ErrCodeNo:
			w.goAway = &f
			over()
		}
	}
}

func (w *hostWatch) isOver() bool {
	select {
	case <-w.over:
		return true
	default:
		return false
	}
}

// ended returns how the connection ended, if it has.
func (w *hostWatch) ended(sent int) ended {
	select {
	case <-w.gone:
		return ended{sent: sent, closed: true, goAway: w.goAway}
	default:
		return ended{sent: sent}
	}
}

// run has a client ask a proxy whose host floods it.
func (f *hostFlood) run(t *testing.T) {
	o := newFloodOrigin(t, f)
	g := startTarget(t, o, process.HTTP2Cluster(harness.ClusterName, nil, o.Addr()))
	times := uint64(g.run(attack{name: f.name, requests: 1, inFlight: 1, run: func() int { return f.once(t, g, o) }}))
	ends := times
	if f.code == http2.ErrCodeNo {
		ends = 0
	}
	g.WaitStat("cluster.c.upstream_cx_active", 0)
	g.WaitStat("cluster.c.upstream_cx_protocol_error", ends)
	if f.stat != "" {
		g.WaitStat("cluster.c."+f.stat, ends)
	}
}

// once has one client ask, and returns how many frames the host has sent.
func (f *hostFlood) once(t *testing.T, g *target, o *floodOrigin) int {
	c := g.dial()
	defer c.Close()
	if resp := c.Response(c.Get("/")); resp.Status != f.status || resp.Reset != f.cut {
		t.Errorf("the client got %v, want %d", resp, f.status)
	}
	e := <-o.ends
	switch {
	case f.code != http2.ErrCodeNo:
		e.wantClosed(t, f.code)
	case e.closed && !f.leaves:
		t.Errorf("the proxy has ended the connection, want it to go on")
	case !e.closed:
		o.next <- struct{}{}
	}
	return e.sent
}

// answering begins an answer that the flood is a part of.
func answering(p *harness.H2Peer, id uint32) { p.Headers(id, false, ":status", "200") }

// TestHostFloods holds that a host cannot keep the proxy busy or make it hold what nobody needs: the connection ends as soon as
// it is worth less than it costs.
func TestHostFloods(t *testing.T) {
	const calm = http2.ErrCodeEnhanceYourCalm
	onConn := func(frame func(p *harness.H2Peer)) func(*harness.H2Peer, uint32, int) {
		return func(p *harness.H2Peer, _ uint32, _ int) { frame(p) }
	}
	for _, f := range []hostFlood{
		{
			name: "PING, unread", frames: count(400_000, 2_000_000), batch: 1000, unread: true,
			frame: onConn(func(p *harness.H2Peer) { p.Ping("12345678") }), code: calm, stat: "http2.outbound_control_flood", status: 502,
		}, {
			name: "PING", frames: count(20_000, 1_000_000), batch: 500, begin: answering, status: 200, paced: true,
			frame: onConn(func(p *harness.H2Peer) { p.Ping("12345678") }),
		}, {
			name: "SETTINGS", frames: count(5_000, 100_000), batch: 10,
			frame: onConn(func(p *harness.H2Peer) { p.Settings() }), code: calm, status: 502,
		}, {
			name: "INITIAL_WINDOW_SIZE", frames: count(5_000, 100_000), batch: 10, code: calm, status: 502,
			frame: func(p *harness.H2Peer, _ uint32, i int) { p.Settings(window(uint32(i % 2))) },
		}, {
			name: "HEADER_TABLE_SIZE behind a head", frames: count(5_000, 100_000), batch: 10, begin: answering, code: calm, status: 200, cut: true,
			frame: func(p *harness.H2Peer, _ uint32, i int) {
				p.Settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: uint32(i % 2 * 4096)})
			},
		}, {
			name: "empty DATA", frames: count(5_000, 100_000), batch: 10, begin: answering, status: 200, cut: true,
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.Data(id, false, "") },
			code:  calm, stat: "http2.inbound_empty_frames_flood",
		}, {
			name: "empty padded DATA", frames: count(5_000, 100_000), batch: 10, begin: answering, status: 200, cut: true,
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.DataPadded(id, false, "", 255) },
			code:  calm, stat: "http2.inbound_empty_frames_flood",
		}, {
			name: "empty CONTINUATION", frames: count(5_000, 100_000), batch: 10, status: 502,
			begin: func(p *harness.H2Peer, id uint32) { p.HeadersBlock(id, true, false, nil) },
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.Continuation(id, false, nil) },
			code:  calm, stat: "http2.inbound_empty_frames_flood",
		}, {
			name: "CONTINUATION", frames: count(5_000, 100_000), batch: 1, status: 502,
			begin: func(p *harness.H2Peer, id uint32) { p.HeadersBlock(id, true, false, harness.H2Indexed(8)) },
			frame: func(p *harness.H2Peer, id uint32, _ int) {
				p.Continuation(id, false, harness.H2Literal("x-a", letters(1000)))
			},
			code: calm, stat: "http2.header_overflow",
		}, {
			name: "WINDOW_UPDATE", frames: count(5_000, 100_000), batch: 10, status: 502,
			frame: onConn(func(p *harness.H2Peer) { p.WindowUpdate(0, 1) }), code: calm, stat: "http2.inbound_window_update_frames_flood",
		}, {
			name: "WINDOW_UPDATE of a stream", frames: count(5_000, 100_000), batch: 10, begin: answering, status: 200, cut: true,
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.WindowUpdate(id, 1) },
			code:  calm, stat: "http2.inbound_window_update_frames_flood",
		}, {
			name: "PRIORITY", frames: count(5_000, 100_000), batch: 10, status: 502,
			frame: func(p *harness.H2Peer, id uint32, i int) { p.Priority(id, http2.PriorityParam{Weight: uint8(i)}) },
			code:  calm, stat: "http2.inbound_priority_frames_flood",
		}, {
			name: "empty HEADERS", frames: count(5_000, 100_000), batch: 10, begin: answering, status: 200, cut: true,
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.HeadersBlock(id, false, true, nil) },
			code:  calm, stat: "http2.inbound_empty_frames_flood",
		}, {
			name: "RST_STREAM of a stream that has ended", frames: count(20_000, 1_000_000), batch: 100, status: 503,
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.Reset(id, http2.ErrCodeCancel) },
		}, {
			name: "GOAWAY", frames: count(20_000, 1_000_000), batch: 100, begin: answering, status: 200, leaves: true,
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.GoAway(id, http2.ErrCodeNo, "") },
		}, {
			name: "frames of unknown types", frames: count(20_000, 1_000_000), batch: 100, begin: answering, status: 200,
			frame: func(p *harness.H2Peer, _ uint32, i int) {
				p.Raw(http2.FrameType(unknownFrame+i%(0x100-unknownFrame)), http2.Flags(i), uint32(i%5), make([]byte, []int{0, 1, 300}[i%3]))
			},
		}, {
			name: "heads of a stream that was reset", frames: count(20_000, 1_000_000), batch: 100, status: 502,
			begin: func(p *harness.H2Peer, id uint32) { p.Headers(id, false, "x-no-status", "1") },
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.Headers(id, false, ":status", "103", "link", "</a>") },
		}, {
			name: "DATA of one byte", frames: count(20_000, 1_000_000), batch: 100, begin: answering, status: 200,
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.Data(id, false, "x") },
		},
	} {
		t.Run(f.name, f.run)
	}
}
