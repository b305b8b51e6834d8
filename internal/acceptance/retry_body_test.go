package acceptance

import (
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// failing is an origin of either protocol whose first request fails after part of its body has come, and that echoes the others.
type failing struct {
	pairOrigin
	failed chan struct{} // closed when it has failed
}

// failingOrigin starts one. It fails a request when taken bytes of its body have come: with a response, or without any.
func (p pair) failingOrigin(t *testing.T, taken int, responds bool) failing {
	t.Helper()
	f := failing{failed: make(chan struct{})}
	if p.up == 1 {
		o := harness.NewOrigin(t, harness.InTurn(func(p *harness.Peer) {
			defer close(f.failed)
			p.ReadHead()
			p.ReadBytes(taken)
			if responds {
				p.Write("HTTP/1.1 503 No\r\ncontent-length: 3\r\n\r\nno!")
			}
		}, harness.Echo))
		f.pairOrigin = pairOrigin{addr: o.Addr()}
		return f
	}
	var begun atomic.Bool
	o := harness.NewH2Origin(t, func(p *harness.H2Peer) {
		for !begun.Swap(true) {
			head, _ := p.ReadHead()
			for got := 0; got < taken; {
				frame := p.WaitFrame("part of the body", func(f *harness.H2Frame) bool { return f.Type == http2.FrameData && f.StreamID == head.StreamID })
				got += len(frame.Payload)
			}
			if responds {
				p.Respond(head.StreamID, harness.H2Response{Status: 503, Body: "no!"})
			} else {
				p.Reset(head.StreamID, http2.ErrCodeInternal)
			}
			close(f.failed)
		}
		harness.H2Echo(p)
	})
	f.pairOrigin = pairOrigin{addr: o.Addr()}
	return f
}

// upload is a client of either protocol that sends a request in parts.
type upload struct {
	send     func(part string, last bool)
	response func() (status int, body string)
}

func (p pair) upload(proxy *harness.Proxy, length string) upload {
	if p.down == 1 {
		c := proxy.Dial()
		c.Send(harness.Head("POST /", "Content-Length: "+length))
		return upload{
			send: func(part string, _ bool) { c.Send(part) },
			response: func() (int, string) {
				r := c.ReadResponse("POST")
				return r.Status, r.Body
			},
		}
	}
	c := proxy.DialH2()
	id := c.Request(false, harness.H2Head("POST", "/")...)
	return upload{
		send: func(part string, last bool) {
			if last {
				c.SendBody(id, part)
			} else {
				c.Data(id, false, part)
			}
		},
		response: func() (int, string) {
			r := c.Response(id)
			return r.Status, r.Body
		},
	}
}

// TestRetryWithBody holds that a request is tried again with all of its body, also when the first attempt fails in the middle of
// it, whatever is spoken on the two sides.
func TestRetryWithBody(t *testing.T) {
	for _, pair := range pairs {
		for name, responds := range map[string]bool{"response": true, "reset": false} {
			for part, taken := range map[string]int{"before it": 0, "in it": 3, "after it": 5} {
				t.Run(pair.String()+" "+name+" "+part, func(t *testing.T) {
					origin := pair.failingOrigin(t, taken, responds)
					s := pair.setup(origin.pairOrigin)
					s.SystemClock = true
					s.Route(0).Forward.Retry = retryPolicy("5xx")
					p := s.Start(t)
					c := pair.upload(p, "5")
					const body = "hello"
					if taken > 0 {
						c.send(body[:taken], taken == len(body))
					}
					<-origin.failed
					if taken < len(body) {
						c.send(body[taken:], true)
					}
					if status, got := c.response(); status != 200 || got != "POST / hello" {
						t.Errorf("got %d %q", status, got)
					}
					p.Outcome()
					if n := p.ClusterStat("upstream_rq_retry"); n != 1 {
						t.Errorf("upstream_rq_retry is %d, want 1", n)
					}
				})
			}
		}
	}
}

// TestRetryOfBodyOverTheLimit holds that a request whose body is too long to be kept is not tried again.
func TestRetryOfBodyOverTheLimit(t *testing.T) {
	for _, pair := range pairs {
		t.Run(pair.String(), func(t *testing.T) {
			const limit = 32 << 10
			for size, want := range map[int]int{limit: 200, limit + 1: 503} {
				origin := pair.failingOrigin(t, size, true)
				s := pair.setup(origin.pairOrigin)
				s.SystemClock = true
				s.Route(0).Forward.Retry = retryPolicy("5xx")
				s.Listener.BufferLimit = limit
				p := s.Start(t)
				r := harness.H2Request{Method: "POST", Path: "/", Authority: "x", Body: strings.Repeat("x", size)}
				if got := pair.ask(p, r); got.Status != want {
					t.Errorf("%d bytes: got %d", size, got.Status)
				}
				if n := p.ClusterStat("retry_or_shadow_abandoned"); n != uint64(size-limit) {
					t.Errorf("%d bytes: retry_or_shadow_abandoned is %d", size, n)
				}
			}
		})
	}
}
