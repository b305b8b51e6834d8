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

// floodOrigin is a host that floods who asks it.
type floodOrigin struct {
	originH2
	flood *hostFlood
	borne chan struct{} // closed when the proxy has dealt with all that was sent, or with the connection

	mu   sync.Mutex // guards what follows
	ends []ended    // of its connections, in which it was asked
}

func newFloodOrigin(t testing.TB, f *hostFlood) *floodOrigin {
	o := &floodOrigin{flood: f, borne: make(chan struct{})}
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
	e := o.flood.send(p, r.StreamID, o.borne)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ends = append(o.ends, e)
}

// ended returns how the only flood ended, which the proxy had enough of.
func (o *floodOrigin) ended(t testing.TB) ended {
	t.Helper()
	o.WaitEnded(o.Connections() - 1)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ends) != 1 {
		t.Fatalf("the host was asked %d times, want once", len(o.ends))
	}
	return o.ends[0]
}

// send floods the connection until the proxy has enough, or all has been sent, and returns when the connection has ended.
// It closes borne when the proxy has dealt with all, or the connection has ended.
func (f *hostFlood) send(p *harness.H2Peer, id uint32, borne chan struct{}) (e ended) {
	w := watchHost(p, f.unread, borne)
	if f.begin != nil {
		p.Batch(func() { f.begin(p, id) })
	}
	for e.sent < f.frames && !w.isOver() {
		from := e.sent
		e.sent = min(from+f.batch, f.frames)
		err := p.TryBatch(func() {
			for i := from; i < e.sent; i++ {
				f.frame(p, id, i)
			}
		})
		if err != nil {
			break
		}
		for i := from; f.paced && i < e.sent; i++ {
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
	w.start.Do(w.read)
	w.running.Wait()
	e.closed, e.goAway = true, w.goAway
	return e
}

// hostWatch reads what the proxy sends to a host that floods it.
type hostWatch struct {
	watch
	start sync.Once
	read  func()
	acks  chan struct{} // a value for each PING that was answered, closed when the connection has ended
}

// maxAcks is how many answers wait for who reads them, if somebody does.
const maxAcks = 1000

// watchHost begins to read, or is ready to when nothing is to be read yet. It closes answered when lastPing was answered, or the
// connection has ended.
func watchHost(p *harness.H2Peer, later bool, answered chan struct{}) *hostWatch {
	w := &hostWatch{acks: make(chan struct{}, maxAcks)}
	w.over = make(chan struct{})
	w.read = func() {
		w.running.Go(func() {
			over := sync.OnceFunc(func() { close(w.over) })
			defer over()
			last := sync.OnceFunc(func() { close(answered) })
			defer last()
			defer close(w.acks)
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
		})
	}
	if !later {
		w.start.Do(w.read)
	}
	return w
}

// run has a client ask a proxy whose host floods it.
func (f *hostFlood) run(t *testing.T) {
	o := newFloodOrigin(t, f)
	g := startTarget(t, o, process.HTTP2Cluster(harness.ClusterName, nil, o.Addr()))
	var resp harness.H2Response
	var e ended
	g.run(attack{name: f.name, requests: 1, inFlight: 1, run: func() int {
		c := g.dial()
		defer c.Close()
		resp = c.Response(c.Get("/"))
		if f.code != http2.ErrCodeNo {
			e = o.ended(t)
			return e.sent
		}
		<-o.borne
		return f.frames
	}})
	if resp.Status != f.status || resp.Reset != f.cut {
		t.Errorf("the client got %v, want %d", resp, f.status)
	}
	if f.code == http2.ErrCodeNo {
		kept := uint64(1)
		if f.leaves {
			kept = 0
		}
		g.WaitStat("cluster.c.upstream_cx_active", kept)
		return
	}
	e.wantClosed(t, f.code)
	g.WaitStat("cluster.c.upstream_cx_active", 0)
	g.WaitStat("cluster.c.upstream_cx_protocol_error", 1)
	g.WaitStat("cluster.c.upstream_cx_destroy_local", 1)
	if f.stat != "" {
		g.WaitStat("cluster.c."+f.stat, 1)
	}
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
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.Headers(id, false, ":status", "103", "link", "</a>") },
		}, {
			name: "DATA of one byte", frames: count(20_000, 1_000_000), batch: 100, begin: answering, status: 200,
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.Data(id, false, "x") },
		},
	} {
		t.Run(f.name, f.run)
	}
}
