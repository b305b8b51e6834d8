package attack

import (
	"fmt"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestConnectionLost is about connections that end without a word of what was processed: only what may be done twice is sent
// again, and only where the connection had been kept, since closing it may have crossed the request.
func TestConnectionLost(t *testing.T) {
	ends := map[string]func(p *harness.H2Peer, id uint32){
		"closed":  func(p *harness.H2Peer, _ uint32) { p.Close() },
		"aborted": func(p *harness.H2Peer, _ uint32) { p.Abort() },
		"closed after GOAWAY with the request": func(p *harness.H2Peer, id uint32) {
			p.GoAway(id, http2.ErrCodeNo, "")
			p.Close()
		},
		"aborted in a frame": func(p *harness.H2Peer, id uint32) {
			p.RawBytes("\x00\x00\x10\x01")
			p.Abort()
		},
	}
	for name, end := range ends {
		for _, warm := range []bool{false, true} {
			for _, method := range []string{"GET", "PUT", "POST"} {
				t.Run(fmt.Sprintf("%s/kept %v/%s", name, warm, method), func(t *testing.T) {
					r := refusal{name: name, refuse: end, got: lost, requests: 1, warm: warm}
					if warm && method != "POST" {
						r.got, r.requests = served, 2
					}
					r.runLost(t, method)
				})
			}
		}
	}
}

func (r *refusal) runLost(t *testing.T, method string) {
	origin, p, c, want := r.start(t)
	r.got.check(t, c.Response(c.Request(true, harness.H2Head(method, "/r")...)), p.Outcome())
	if n := origin.Counts().Started; n != want {
		t.Errorf("the host got %d requests, want %d", n, want)
	}
	for name, want := range map[string]uint64{"upstream_rq_active": 0, "upstream_cx_active": uint64(origin.Connections() - 1)} {
		if n := p.ClusterStat(name); n != want {
			t.Errorf("%s is %d, want %d", name, n, want)
		}
	}
}

// TestLostEmptyBody is about a host of HTTP/1 that closes a kept connection as a request with an empty body in chunks comes: its
// end is sent again as well.
func TestLostEmptyBody(t *testing.T) {
	origin := harness.NewOrigin(t, harness.InTurn(harness.Then(harness.OK("warm"), func(p *harness.Peer) { p.ReadHead() }), harness.Echo))
	p := harness.NewSetup(origin.Addr()).Start(t)
	c := p.DialH2()
	c.Response(c.Get("/"))
	id := c.Request(false, harness.H2Head("PUT", "/")...)
	c.Data(id, true, "")
	if resp := c.Response(id); resp.Status != 200 || resp.Body != "PUT / " {
		t.Errorf("PUT: got %v", resp)
	}
}
