package attack

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// recorder is a host that keeps what it gets, in one of the two protocols.
type recorder interface {
	// addr is where it listens.
	addr() netip.AddrPort
	// got returns what it got but for the request of flush, in the order in which it came.
	got(p *harness.Proxy) string
}

// recorder1 speaks HTTP/1.
type recorder1 struct{ *harness.Origin }

func newRecorder1(t testing.TB) recorder { return recorder1{harness.NewOrigin(t, harness.Echo)} }

// newSlowRecorder1 starts one that answers nothing but flush.
func newSlowRecorder1(t testing.TB) recorder {
	return recorder1{harness.NewOrigin(t, func(p *harness.Peer) {
		for {
			switch req, ok := p.ReadRequest(); {
			case !ok:
				return
			case req.Target == flushPath:
				p.Write(harness.OK(""))
			default:
				p.UntilClosed()
			}
		}
	})}
}

func (r recorder1) addr() netip.AddrPort { return r.Addr() }

// got returns the bytes of each connection. What is no whole request has to be the end of its connection.
func (r recorder1) got(p *harness.Proxy) string {
	r.WaitCaptured(int(p.ClusterStat("upstream_cx_tx_bytes_total")))
	var b strings.Builder
	for i, bytes := range r.Captured() {
		before, _, _ := strings.Cut(bytes, "GET "+flushPath)
		if before == "" {
			continue
		}
		for line := range strings.Lines(before) {
			fmt.Fprintf(&b, "\t%q\n", line)
		}
		if _, err := harness.ParseRequests(before); err != nil {
			r.WaitEnded(i)
			b.WriteString("\tclosed\n")
		}
	}
	return b.String()
}

// recorder2 speaks HTTP/2.
type recorder2 struct {
	*harness.H2Origin
	slow   bool       // nothing but flush is answered
	mu     sync.Mutex // guards frames
	frames strings.Builder
}

func newRecorder2(t testing.TB) recorder { return startRecorder2(t, new(recorder2)) }

func newSlowRecorder2(t testing.TB) recorder { return startRecorder2(t, &recorder2{slow: true}) }

func startRecorder2(t testing.TB, r *recorder2) recorder {
	r.H2Origin = harness.NewH2Origin(t, r.record)
	return r
}

func (r *recorder2) addr() netip.AddrPort { return r.Addr() }

func (r *recorder2) record(p *harness.H2Peer) {
	for {
		f, err := p.TryReadFrame()
		if err != nil {
			return
		}
		flush := f.Fields.Get(":path") == flushPath
		switch f.Type {
		case http2.FrameHeaders, http2.FrameData, http2.FrameRSTStream:
			if !flush {
				r.add(f)
			}
		}
		if f.EndStream() && (flush || !r.slow) {
			p.Respond(f.StreamID, harness.H2OK("ok"))
		}
	}
}

func (r *recorder2) add(f harness.H2Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(&r.frames, "\t%v\n", f)
}

func (r *recorder2) got(*harness.Proxy) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.frames.String()
}

// flushPath is asked for when all has been sent, so that what came before it on its connection has been recorded.
const flushPath = "/flush"

// downgradeSetup leads to a host that speaks HTTP/1 or HTTP/2, with every filter and everything that is optional.
func downgradeSetup(host netip.AddrPort, protocol config.Protocol) *harness.Setup {
	s := harness.NewSetup(host)
	m := s.HTTP()
	m.GenerateRequestID = false // so that requests are the same each time
	m.Filters = []config.HTTPFilter{{Name: "grpc_web", Config: config.GRPCWeb{}}}
	m.HTTP2.AllowConnect = true
	m.EnableTrailers = true
	m.Upgrades = []config.Upgrade{{Type: "websocket", Enabled: true}}
	c := s.Clusters[0]
	c.Protocol, c.HTTP2 = protocol, config.DefaultHTTP2()
	c.EnableTrailers = true
	return s
}

// host is what a request is converted for.
type host struct {
	name     string
	protocol config.Protocol
	start    func(testing.TB) recorder
}

// hosts returns those that a variant is tried with.
func (v *variant) hosts() []host {
	if v.apart {
		return []host{
			{"slow http/1", config.ProtocolHTTP1, newSlowRecorder1},
			{"slow http/2", config.ProtocolHTTP2, newSlowRecorder2},
		}
	}
	return []host{
		{"http/1", config.ProtocolHTTP1, newRecorder1},
		{"http/2", config.ProtocolHTTP2, newRecorder2},
	}
}

// TestDowngrade holds that a request that HTTP/1 cannot carry as it is, or that two hosts could understand in two ways, is
// refused and does not reach a host of either protocol, and that all others reach it as the golden file has it, byte for byte.
// The connection and the other streams live on.
func TestDowngrade(t *testing.T) {
	golden := openGolden(t, "testdata/downgrade.txt")
	for _, row := range downgradeRows() {
		t.Run(row.name, func(t *testing.T) {
			for _, v := range row.variants {
				t.Run(v.name, func(t *testing.T) {
					var b strings.Builder
					fmt.Fprintf(&b, "answer: %s\n", v.want)
					for _, h := range v.hosts() {
						b.WriteString(v.run(t, h))
					}
					if v.want != refused || v.apart {
						golden.check(t, row.name+": "+v.name, b.String())
					}
				})
			}
		})
	}
}

// run attacks a proxy in front of a host, and returns what came of it.
func (v *variant) run(t *testing.T, h host) string {
	host := h.start(t)
	p := downgradeSetup(host.addr(), h.protocol).Start(t)
	c := p.DialH2()
	id := v.send(p, c)
	if got := answerOf(c, id); got != v.want {
		t.Errorf("%s: got %s, want %s", h.name, got, v.want)
	}
	o := p.Outcome()
	if v.want == refused && o.String() != "0 DPE http2.violation.of.messaging.rule" {
		t.Errorf("%s: outcome %v", h.name, o)
	}
	c.Canary(1)
	for _, gauge := range []string{"upstream_rq_active", "upstream_rq_pending_active"} {
		if n := p.ClusterStat(gauge); n != 0 {
			t.Errorf("%s: %s is %d, want 0", h.name, gauge, n)
		}
	}
	if resp := c.Response(c.Get(flushPath)); resp.Status != 200 {
		t.Errorf("%s: the next request got %v", h.name, resp)
	}
	p.Outcome()
	p.NoOutcome()
	got := host.got(p)
	if v.want != forwarded && !v.apart && got != "" {
		t.Errorf("%s: the host got\n%s", h.name, got)
	}
	if got == "" {
		got = "\tnothing\n"
	}
	return fmt.Sprintf("%s, outcome %v:\n%s", h.name, o, got)
}

// send sends the request: in one segment, or the body when the host has the head.
func (v *variant) send(p *harness.Proxy, c *harness.H2Client) (id uint32) {
	switch {
	case v.body == nil:
		return c.Request(true, v.head...)
	case v.apart:
		id = c.Request(false, v.head...)
		for _, step := range v.body {
			p.Sync()
			step(c, id)
		}
	default:
		c.Batch(func() {
			id = c.Request(false, v.head...)
			for _, step := range v.body {
				step(c, id)
			}
		})
	}
	return id
}
