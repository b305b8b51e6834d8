package acceptance

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// handOrigin is an origin of HTTP/2 whose requests the test answers itself, when and in which order it likes.
type handOrigin struct {
	*harness.H2Origin
	t        *testing.T
	requests chan handRequest
}

// handRequest is a request that came whole on a connection of a handOrigin. Only the test sends on that connection.
type handRequest struct {
	harness.H2Request
	peer *harness.H2Peer
}

// maxHandRequests bounds the requests that a test may leave unread.
const maxHandRequests = 1 << 12

func newHandOrigin(t *testing.T, settings ...http2.Setting) *handOrigin {
	t.Helper()
	o := &handOrigin{t: t, requests: make(chan handRequest, maxHandRequests)}
	o.H2Origin = harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		o.requests <- handRequest{r, p}
	}), settings...)
	return o
}

// next waits for the next request that comes.
func (o *handOrigin) next() handRequest {
	o.t.Helper()
	select {
	case r := <-o.requests:
		return r
	case <-time.After(harness.Guard):
		o.t.Fatal("no request has come to the origin")
		return handRequest{}
	}
}

// take waits for n requests.
func (o *handOrigin) take(n int) (all []handRequest) {
	o.t.Helper()
	for range n {
		all = append(all, o.next())
	}
	return all
}

// expectNone fails when another request has come, after all that the proxy does by itself.
func (o *handOrigin) expectNone(p *harness.Proxy) {
	o.t.Helper()
	p.Sync()
	select {
	case r := <-o.requests:
		o.t.Fatalf("the origin got %s %s on connection %d, want nothing", r.Method, r.Path, r.peer.Number)
	default:
	}
}

// on counts requests by their connection.
func on(requests []handRequest) map[int]int {
	counts := make(map[int]int)
	for _, r := range requests {
		counts[r.peer.Number]++
	}
	return counts
}

// answer answers with the path.
func (r handRequest) answer() { r.peer.Respond(r.StreamID, harness.H2OK(r.Path)) }

func answerAll(requests []handRequest) {
	for _, r := range requests {
		r.answer()
	}
}

// maxStreams is the setting of an origin that takes n streams at a time.
func maxStreams(n uint32) http2.Setting {
	return http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: n}
}

// ask opens n streams with requests for "/0" and so on.
func ask(c *harness.H2Client, n int) (ids []uint32) {
	c.Batch(func() {
		for i := range n {
			ids = append(ids, c.Get(fmt.Sprintf("/%d", i)))
		}
	})
	return ids
}

// expectAnswers reads what handRequest.answer makes of the requests of ask.
func expectAnswers(t *testing.T, c *harness.H2Client, ids []uint32) {
	t.Helper()
	for i, id := range ids {
		if r := c.Response(id); r.Status != 200 || r.Body != fmt.Sprintf("/%d", i) {
			t.Errorf("request %d got %v", i, r)
		}
	}
}

// warm has a connection to the origin made, so that its settings are known.
func (o *handOrigin) warm(c *harness.H2Client) {
	o.t.Helper()
	id := c.Get("/warm")
	o.next().answer()
	c.Response(id)
}
