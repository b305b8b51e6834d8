package attack

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// upstreamSetup leads to hosts that speak HTTP/2.
func upstreamSetup(hosts ...netip.AddrPort) *harness.Setup {
	s := harness.NewSetup(hosts...)
	c := s.Clusters[0]
	c.Protocol, c.HTTP2 = config.ProtocolHTTP2, config.DefaultHTTP2()
	return s
}

// hostFault is a mistake of a host, made when it has a whole request.
type hostFault struct {
	name string
	// method is that of the request, GET unless set.
	method string
	// send makes the mistake, on the stream of the request where it has one.
	send func(p *harness.H2Peer, id uint32)
	// got is what the client gets of a response: 502, or the status that was passed on before the mistake.
	got answer
	// told is what the host is told: that it made a mistake on the stream, or on the connection, which ends.
	told told
	// stats are counters of the cluster that are not what they usually are after such a mistake.
	stats map[string]uint64
}

// counts returns a counter of the codec that is to be 1.
func counts(name string) map[string]uint64 { return map[string]uint64{"http2." + name: 1} }

// answer is what a client gets when its host makes a mistake.
type answer struct {
	status  int
	whole   bool // and the response was whole
	outcome string
}

// Answers to clients.
var (
	badGateway = answer{502, true, "502 UPE upstream_reset_before_response_started{protocol_error}"}
	broken     = answer{200, false, "200 UPE upstream_reset_after_response_started{protocol_error}"}
	served     = answer{200, true, "200 - via_upstream"}
	lost       = answer{503, true, "503 UC upstream_reset_before_response_started{connection_termination}"}
	reset      = answer{503, true, "503 UR upstream_reset_before_response_started{remote_reset}"}
)

// told is what a host is told of its mistake.
type told struct {
	connection bool
	code       http2.ErrCode
}

func onStream(code http2.ErrCode) told     { return told{false, code} }
func onConnection(code http2.ErrCode) told { return told{true, code} }

// nothing is told to a host that made no mistake.
var nothing = told{false, http2.ErrCodeNo}

// script is what the host does: the mistake, on its first connection, and from then on nothing but what it should.
func (f *hostFault) script(p *harness.H2Peer) {
	if p.Number > 0 {
		harness.H2Echo(p)
		return
	}
	r, ok := p.ReadRequest()
	if !ok {
		return
	}
	p.Batch(func() { f.send(p, r.StreamID) })
	switch {
	case f.told.connection:
		p.ExpectGoAway(f.told.code)
		p.ExpectEnd()
	case f.told == nothing:
		harness.H2Echo(p)
	default:
		p.ExpectReset(r.StreamID, f.told.code)
		harness.H2Echo(p)
	}
}

// run has a client ask the host, and then another one: that one gets its own answer, on the same connection unless that had to
// end.
func (f *hostFault) run(t *testing.T) {
	origin := harness.NewH2Origin(t, f.script)
	p := upstreamSetup(origin.Addr()).Start(t)
	method := f.method
	if method == "" {
		method = "GET"
	}
	c := p.DialH2()
	f.got.check(t, c.Response(c.Request(true, harness.H2Head(method, "/")...)), p.Outcome())
	if resp := c.Response(c.Post("/next", "own")); resp.Status != 200 || resp.Body != "POST /next own" {
		t.Errorf("the next request got %v", resp)
	}
	p.Outcome()
	c.ExpectIdle()
	connections := 1
	if f.told.connection {
		connections = 2
		origin.WaitEnded(0)
	}
	if n := origin.Connections(); n != connections {
		t.Errorf("the host has got %d connections, want %d", n, connections)
	}
	f.checkStats(t, p)
}

// check compares what a client got.
func (a answer) check(t *testing.T, resp harness.H2Response, o harness.Outcome) {
	t.Helper()
	if resp.Status != a.status || resp.Reset == a.whole {
		t.Errorf("got %v, want %+v", resp, a)
	}
	if o.String() != a.outcome {
		t.Errorf("outcome %v, want %s", o, a.outcome)
	}
}

func (f *hostFault) checkStats(t *testing.T, p *harness.Proxy) {
	t.Helper()
	failed, ends := uint64(0), uint64(0)
	if f.got != served {
		failed = 1
	}
	if f.told.connection {
		ends = 1
	}
	want := map[string]uint64{
		"upstream_rq_rx_reset": failed, "upstream_rq_active": 0, "upstream_rq_pending_active": 0, "upstream_cx_active": 1,
		"upstream_cx_protocol_error": ends, "upstream_cx_destroy_local": ends, "upstream_cx_destroy_remote": 0,
	}
	maps.Copy(want, f.stats)
	for name, value := range want {
		if n := p.ClusterStat(name); n != value {
			t.Errorf("%s is %d, want %d", name, n, value)
		}
	}
}

// hostFaults are the mistakes, by what they are about.
func hostFaults() map[string][]hostFault {
	return map[string][]hostFault{
		"head": headFaults(), "body": bodyFaults(), "trailers": trailerFaults(), "block": blockFaults(),
		"frame": frameFaults(), "settings": settingsFaults(), "window": windowFaults(),
	}
}

// TestHostFaults holds that what a host must not send ends its stream or its connection, whichever RFC 9113 says, that its
// client is told, and that others are not hurt.
func TestHostFaults(t *testing.T) {
	for about, faults := range hostFaults() {
		t.Run(about, func(t *testing.T) {
			for _, f := range faults {
				t.Run(f.name, f.run)
			}
		})
	}
}

// TestHostFaultsHTTP1 is TestHostFaults with a client that speaks HTTP/1: a response that breaks off ends its connection, in a
// way that is not taken for its end.
func TestHostFaultsHTTP1(t *testing.T) {
	for about, faults := range hostFaults() {
		for _, f := range faults {
			if f.got.whole {
				continue
			}
			t.Run(about+"/"+f.name, func(t *testing.T) {
				origin := harness.NewH2Origin(t, f.script)
				p := upstreamSetup(origin.Addr()).Start(t)
				c := p.Dial()
				c.Send(harness.Get("/"))
				resp, err := c.TryResponse("GET")
				if empty := resp.Fields.Get("content-length") == "0"; (err == nil) != empty || resp.Status != f.got.status {
					t.Errorf("got %q, which is whole", resp.Raw)
				}
				c.ExpectClosed()
				if o := p.Outcome(); o.String() != f.got.outcome {
					t.Errorf("outcome %v, want %s", o, f.got.outcome)
				}
			})
		}
	}
}

// Rubbish in the place of what a server of HTTP/2 begins with.
func TestHostRubbish(t *testing.T) {
	preface := func(first func(p *harness.H2Peer)) func(*harness.H2Peer) {
		return func(p *harness.H2Peer) {
			if p.ReadPreface() {
				first(p)
				p.ExpectEnd()
			}
		}
	}
	for _, f := range []struct {
		name  string
		first func(p *harness.H2Peer)
		code  http2.ErrCode
	}{
		{"HTTP/1 answer", func(p *harness.H2Peer) { p.RawBytes("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n") }, http2.ErrCodeFrameSize},
		{"HTTP/1 answer of a web page", func(p *harness.H2Peer) {
			p.RawBytes("HTTP/1.0 200 OK\r\n\r\n<html>" + letters(1<<20))
		}, http2.ErrCodeFrameSize},
		{"TLS alert", func(p *harness.H2Peer) { p.RawBytes("\x15\x03\x01\x00\x02\x02\x46") }, 0},
		{"zeros", func(p *harness.H2Peer) { p.RawBytes(string(make([]byte, 64))) }, http2.ErrCodeProtocol},
		{"the client's preface", func(p *harness.H2Peer) { p.Preface() }, http2.ErrCodeFrameSize},
		{"HEADERS", func(p *harness.H2Peer) { p.Headers(1, true, ":status", "200") }, http2.ErrCodeProtocol},
		{"acknowledgement of SETTINGS", func(p *harness.H2Peer) { p.SettingsAck() }, http2.ErrCodeProtocol},
		{"PING", func(p *harness.H2Peer) { p.Ping("") }, http2.ErrCodeProtocol},
		{"GOAWAY", func(p *harness.H2Peer) { p.GoAway(0, http2.ErrCodeNo, "") }, http2.ErrCodeProtocol},
		{"WINDOW_UPDATE", func(p *harness.H2Peer) { p.WindowUpdate(0, 1) }, http2.ErrCodeProtocol},
		{"a frame of an unknown type", func(p *harness.H2Peer) { p.Raw(0xee, 0, 0, nil) }, http2.ErrCodeProtocol},
	} {
		t.Run(f.name, func(t *testing.T) {
			origin := harness.NewH2OriginRaw(t, preface(f.first))
			p := upstreamSetup(origin.Addr()).Start(t)
			c := p.DialH2()
			id := c.Get("/")
			if f.code == 0 {
				// A part of a frame: the rest is waited for as long as for a response.
				p.Advance(config.DefaultRouteTimeout)
				answer{504, true, "504 UT response_timeout"}.check(t, c.Response(id), p.Outcome())
				return
			}
			badGateway.check(t, c.Response(id), p.Outcome())
			origin.WaitEnded(0)
			for name, want := range map[string]uint64{
				"upstream_cx_active": 0, "upstream_rq_active": 0, "upstream_cx_protocol_error": 1, "upstream_cx_destroy_local": 1,
				"http2.goaway_sent": 1,
			} {
				if n := p.ClusterStat(name); n != want {
					t.Errorf("%s is %d, want %d", name, n, want)
				}
			}
		})
	}
}

// TestHostExceedsWindow has a host send more than it has credit for, while the client takes nothing: its stream is reset. The
// client gets what there was credit for, and then a reset.
func TestHostExceedsWindow(t *testing.T) {
	const window, limit = 64<<10 - 1, 16 << 10
	stopped := make(chan struct{})
	origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
		r, ok := p.ReadRequest()
		if !ok {
			return
		}
		p.Batch(func() {
			p.Headers(r.StreamID, false, ":status", "200")
			for range 64 {
				p.Data(r.StreamID, false, letters(16<<10))
			}
		})
		p.ExpectReset(r.StreamID, http2.ErrCodeFlowControl)
		close(stopped)
		harness.H2Echo(p)
	})
	s := upstreamSetup(origin.Addr())
	s.Listener.BufferLimit = limit
	s.Clusters[0].HTTP2.StreamWindow = window
	p := s.Start(t)
	c := p.DialH2Raw()
	c.NoCredit()
	c.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	id := c.Get("/")
	<-stopped
	c.Batch(func() {
		c.WindowUpdate(0, 1<<20)
		c.WindowUpdate(id, 1<<20)
	})
	resp := c.Response(id)
	broken.check(t, resp, p.Outcome())
	if n := len(resp.Body); n > window+2*limit {
		t.Errorf("the client got %d bytes, more than there can have been credit for", n)
	}
	c.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	c.Canary(1)
}

// TestHostSilent is about a host that takes connections and never says anything, not even SETTINGS: whoever asks gets an answer
// in time, and the host gets no connection for each of them.
func TestHostSilent(t *testing.T) {
	const requests = 20
	origin := harness.NewH2OriginRaw(t, func(p *harness.H2Peer) {
		p.ReadPreface()
		p.Drain()
	})
	p := upstreamSetup(origin.Addr()).Start(t)
	c := p.DialH2()
	var ids []uint32
	for i := range requests {
		ids = append(ids, c.Get(fmt.Sprintf("/%d", i)))
	}
	p.Advance(config.DefaultRouteTimeout)
	for _, id := range ids {
		answer{504, true, "504 UT response_timeout"}.check(t, c.Response(id), p.Outcome())
	}
	c.ExpectIdle()
	if n := origin.Connections(); n != 1 {
		t.Errorf("the host has got %d connections, want 1", n)
	}
	if n := p.ClusterStat("upstream_rq_active"); n != 0 {
		t.Errorf("upstream_rq_active is %d, want 0", n)
	}
}

// TestHostFaultsUpload has hosts make their mistakes while a body is still on its way: the client is answered, the rest of the
// body is not wanted any more, and the request is not sent again.
func TestHostFaultsUpload(t *testing.T) {
	for about, faults := range hostFaults() {
		for _, f := range faults {
			if f.got != badGateway {
				continue
			}
			t.Run(about+"/"+f.name, func(t *testing.T) {
				origin := harness.NewH2Origin(t, harness.H2InTurn(func(p *harness.H2Peer) {
					r, ok := p.ReadHead()
					if !ok {
						return
					}
					p.Batch(func() { f.send(p, r.StreamID) })
					p.Drain()
				}, harness.H2Echo))
				p := upstreamSetup(origin.Addr()).Start(t)
				c := p.DialH2()
				id := c.Request(false, harness.H2Head("POST", "/")...)
				c.Data(id, false, "a part, ")
				f.got.check(t, c.Response(id), p.Outcome())
				c.ExpectReset(id, http2.ErrCodeNo) // RFC 9113 section 8.1
				c.Data(id, true, "and the rest")
				c.Canary(1)
				c.ExpectIdle()
				for _, name := range []string{"upstream_rq_active", "http2.pending_send_bytes", "http2.streams_active"} {
					if n := p.ClusterStat(name); n != 0 {
						t.Errorf("%s is %d, want 0", name, n)
					}
				}
				if n := origin.Counts().Started; n != 1 {
					t.Errorf("the host got %d requests, want 1", n)
				}
			})
		}
	}
}
