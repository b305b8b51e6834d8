package attack

import (
	"fmt"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// leavingOrigin is a host that gets rid of each request when it comes for the first time, and serves it when it comes again.
type leavingOrigin struct {
	originH2
	leave func(p *harness.H2Peer, id uint32)

	mu   sync.Mutex // guards seen
	seen map[string]int
}

func newLeavingOrigin(t testing.TB, leave func(p *harness.H2Peer, id uint32)) *leavingOrigin {
	o := &leavingOrigin{leave: leave, seen: make(map[string]int)}
	o.originH2 = originH2{harness.NewH2Origin(t, harness.H2Serve(o.answer))}
	return o
}

func (o *leavingOrigin) answer(p *harness.H2Peer, r harness.H2Request) {
	o.mu.Lock()
	o.seen[r.Path]++
	times := o.seen[r.Path]
	o.mu.Unlock()
	if times == 1 {
		p.Batch(func() { o.leave(p, r.StreamID) })
		return
	}
	p.Respond(r.StreamID, harness.H2OK(r.Path))
}

// oneStreamEach has every request go on a connection of its own, of which there may be as many as are asked for.
func oneStreamEach(host origin) process.Fields {
	const limit = 1 << 14
	cluster := process.HTTP2Cluster(harness.ClusterName, process.Fields{"max_concurrent_streams": 1}, host.Addr())
	cluster["circuit_breakers"] = process.Fields{"thresholds": []process.Fields{
		{"max_connections": limit, "max_pending_requests": limit, "max_requests": limit},
	}}
	return cluster
}

// TestHostsLeave is row 70 with many connections, each of which its host leaves when it has a request: every request is served by
// another one, and comes to a host twice and no more.
func TestHostsLeave(t *testing.T) {
	clients, streams := count(2, 10), maxStreams
	for name, leave := range map[string]func(p *harness.H2Peer, id uint32){
		"REFUSED_STREAM": func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeRefusedStream) },
		"GOAWAY":         func(p *harness.H2Peer, id uint32) { p.GoAway(id-1, http2.ErrCodeNo, "") },
		"GOAWAY and RST_STREAM": func(p *harness.H2Peer, id uint32) {
			p.GoAway(id-1, http2.ErrCodeNo, "")
			p.Reset(id, http2.ErrCodeCancel)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newLeavingOrigin(t, leave)
			g := startTarget(t, o, oneStreamEach(o))
			all := clients * streams
			round := 0
			times := g.run(attack{name: name, requests: 2 * all, inFlight: all, run: func() int {
				round++
				g.askAll(fmt.Sprintf("/%d", round), clients, streams)
				return 2 * all
			}})
			if requests, _ := o.load(); requests != times*2*all {
				t.Errorf("%d requests reached the host, want %d", requests, times*2*all)
			}
			if n := g.ClusterStat("upstream_rq_active"); n != 0 {
				t.Errorf("upstream_rq_active is %d, want 0", n)
			}
		})
	}
}

// askAll has so many clients ask on so many streams each, all at once and each for another path below a prefix, and each get its
// own answer.
func (g *target) askAll(prefix string, clients, streams int) {
	g.t.Helper()
	var all []*harness.H2Client
	for i := range clients {
		c := g.dial()
		defer c.Close()
		all = append(all, c)
		c.Batch(func() {
			for s := range streams {
				c.Get(fmt.Sprintf("%s/%d/%d", prefix, i, s))
			}
		})
	}
	for i, c := range all {
		for s := range streams {
			if r := c.Response(uint32(2*s + 1)); r.Status != 200 || r.Body != fmt.Sprintf("%s/%d/%d", prefix, i, s) {
				g.t.Errorf("client %d, request %d: got %v", i, s, r)
			}
		}
	}
}
