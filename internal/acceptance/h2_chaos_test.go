package acceptance

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// chaosBody is the longest body of TestChaos, and all are parts of it.
const chaosBody = 200 << 10

// chaosPath returns what a path asks an origin to do, and with how many bytes.
func chaosPath(path string) (kind string, n int) {
	kind, size, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	_, _ = fmt.Sscan(size, &n)
	return kind, n
}

// chaosStreamed is a response of unknown length with all that may be around it.
func chaosStreamed(body string) harness.H2Response {
	return harness.H2Response{
		Informational: []harness.H2Response{{Status: 103}}, Status: 200, Body: body, Trailers: harness.Fields{{Name: "x-t", Value: "1"}},
	}
}

// chaosOrigin does with a request what its path says.
func chaosOrigin(body string) func(*harness.H2Peer) {
	return harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		switch kind, n := chaosPath(r.Path); kind {
		case "ok":
			p.Respond(r.StreamID, harness.H2OK(body[:n]))
		case "stream":
			p.Respond(r.StreamID, chaosStreamed(body[:n]))
		case "echo":
			p.Respond(r.StreamID, harness.H2Response{Status: 200, Body: r.Body})
		case "partial":
			p.Batch(func() {
				p.Headers(r.StreamID, false, ":status", "200")
				p.Data(r.StreamID, false, body[:10])
				p.Reset(r.StreamID, http2.ErrCodeInternal)
			})
		case "reset":
			p.Reset(r.StreamID, http2.ErrCodeCancel)
		case "refuse":
			p.Reset(r.StreamID, http2.ErrCodeRefusedStream)
		case "goaway":
			p.Respond(r.StreamID, harness.H2OK(body[:n]))
			p.GoAway(r.StreamID, http2.ErrCodeNo, "")
		case "close":
			p.Close()
		case "slow": // until it is cancelled
		}
	})
}

// chaosHTTP1Origin is chaosOrigin in HTTP/1, which has fewer ways.
func chaosHTTP1Origin(body string) func(*harness.Peer) {
	return func(p *harness.Peer) {
		for {
			r, ok := p.ReadRequest()
			if !ok {
				return
			}
			switch kind, n := chaosPath(r.Target); kind {
			case "ok":
				p.Write(harness.OK(body[:n]))
			case "stream":
				p.Write(http1Response(chaosStreamed(body[:n])))
			case "echo":
				p.Write(harness.OK(r.Body))
			case "partial":
				p.Write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", body[:10])
				return
			case "reset":
				p.Reset()
				return
			case "goaway":
				p.Write("HTTP/1.1 200 OK\r\n\r\n", body[:n])
				return
			case "refuse", "close":
				return
			case "slow":
				p.UntilClosed()
				return
			}
		}
	}
}

// chaos is a run of TestChaos.
type chaos struct {
	t       *testing.T
	random  *rand.Rand
	proxy   *harness.Proxy
	body    string
	clients []*chaosClient
}

type chaosClient struct {
	*harness.H2Client
	open []chaosStream
}

type chaosStream struct {
	id   uint32
	path string
	want string // its body, if it is answered
}

var chaosKinds = []string{"ok", "ok", "ok", "stream", "stream", "echo", "echo", "partial", "reset", "refuse", "goaway", "close", "slow"}

// start opens a stream, or sends a request on a connection of HTTP/1.
func (x *chaos) start(c *chaosClient) {
	kind, n := chaosKinds[x.random.IntN(len(chaosKinds))], x.random.IntN(chaosBody)
	s := chaosStream{path: fmt.Sprintf("/%s/%d", kind, n), want: x.body[:n]}
	if kind == "echo" {
		s.id = c.Post(s.path, s.want)
	} else {
		s.id = c.Get(s.path)
	}
	c.open = append(c.open, s)
}

// take takes one of the streams of a client.
func (x *chaos) take(c *chaosClient) (s chaosStream, ok bool) {
	if len(c.open) == 0 {
		return s, false
	}
	i := x.random.IntN(len(c.open))
	s = c.open[i]
	c.open[i] = c.open[len(c.open)-1]
	c.open = c.open[:len(c.open)-1]
	return s, true
}

// finish reads a response, which is right, breaks off or is an answer of the proxy's own, but never looks whole and is not.
func (x *chaos) finish(c *chaosClient) {
	s, ok := x.take(c)
	switch {
	case !ok:
		return
	case strings.HasPrefix(s.path, "/slow"):
		c.Reset(s.id, http2.ErrCodeCancel)
		return
	}
	r := c.Response(s.id)
	switch {
	case r.EndStream && r.Status == 200 && r.Body == s.want:
	case r.EndStream && r.Status >= 502 && r.Status <= 504:
	case r.Reset && strings.HasPrefix(x.body, r.Body):
	default:
		x.t.Errorf("%s: got %v, want %d bytes", s.path, r, len(s.want))
	}
}

// cancel resets a stream.
func (x *chaos) cancel(c *chaosClient) {
	if s, ok := x.take(c); ok {
		c.Reset(s.id, http2.ErrCodeCancel)
	}
}

// http1 sends a request on a connection of HTTP/1 of its own.
func (x *chaos) http1() {
	c := x.proxy.Dial()
	defer c.Close()
	n := x.random.IntN(chaosBody)
	r, err := func() (harness.Response, error) {
		c.Send(harness.Get(fmt.Sprintf("/ok/%d", n)))
		return c.TryResponse("GET")
	}()
	if err == nil && r.Status == 200 && r.Body != x.body[:n] {
		x.t.Errorf("HTTP/1: got %d bytes, want %d", len(r.Body), n)
	}
}

// step does one thing.
func (x *chaos) step() {
	i := x.random.IntN(len(x.clients))
	c := x.clients[i]
	switch roll := x.random.IntN(100); {
	case roll < 45 && len(c.open) < 20:
		x.start(c)
	case roll < 80:
		x.finish(c)
	case roll < 90:
		x.cancel(c)
	case roll < 93:
		x.http1()
	case roll < 95:
		c.Close()
		x.clients[i] = &chaosClient{H2Client: x.proxy.DialH2()}
	case roll < 97:
		c.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(x.random.IntN(1 << 18))})
	default:
		c.RoundTrip()
	}
}

// TestChaos has clients and an origin do whatever they may in any order, and holds that no client gets what is not its own, that
// nobody breaks a rule, which the harness judges on all connections, and that nothing is left.
func TestChaos(t *testing.T) {
	body := pattern(chaosBody)
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("HTTP/2 ", seed), func(t *testing.T) {
			origin := harness.NewH2Origin(t, chaosOrigin(body), maxStreams(5+uint32(seed)))
			runChaos(t, flowSetup(origin), seed, body)
			origin.WaitCounts("no request in flight", func(n harness.H2Counts) bool { return n.InFlight == 0 })
		})
		t.Run(fmt.Sprint("HTTP/1 ", seed), func(t *testing.T) {
			origin := harness.NewOrigin(t, chaosHTTP1Origin(body))
			s := smallBuffers(harness.NewSetup(origin.Addr()))
			enableTrailers(s)
			runChaos(t, s, seed, body)
		})
	}
}

// runChaos takes the steps that the seed stands for, and ends what they have begun.
func runChaos(t *testing.T, s *harness.Setup, seed uint64, body string) {
	const steps = 400
	s.Workers = 1 + int(seed%2)
	p := s.Start(t)
	x := &chaos{t: t, random: rand.New(rand.NewPCG(seed, 0)), proxy: p, body: body}
	for range 3 {
		x.clients = append(x.clients, &chaosClient{H2Client: p.DialH2()})
	}
	for range steps {
		x.step()
	}
	for _, c := range x.clients {
		c.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		for len(c.open) > 0 {
			x.finish(c)
		}
		c.Close()
	}
}
