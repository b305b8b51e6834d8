package acceptance

import (
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// lastStreamID is the highest identifier of a stream (RFC 9113 section 5.1.1).
const lastStreamID = 1<<31 - 1

// TestH2LastStreamID has a client use up its identifiers. It cannot open another stream, and is told to go, after the answers.
func TestH2LastStreamID(t *testing.T) {
	release := make(chan struct{})
	origin := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		if r.Path == "/slow" {
			p.Wait(release)
		}
		p.Respond(r.StreamID, harness.H2OK(r.Path))
	}))
	p := h2Setup(origin).Start(t)
	c := p.DialH2()
	c.Headers(lastStreamID-2, true, harness.H2Head("GET", "/first")...)
	if r := c.Response(lastStreamID - 2); r.Body != "/first" {
		t.Errorf("got %v", r)
	}
	c.ExpectIdle()
	c.Headers(lastStreamID, true, harness.H2Head("GET", "/slow")...)
	if last, _ := c.ExpectGoAway(http2.ErrCodeNo); last != lastStreamID {
		t.Errorf("GOAWAY names stream %d as the last, want %d", last, uint32(lastStreamID))
	}
	close(release)
	if r := c.Response(lastStreamID); r.Body != "/slow" {
		t.Errorf("got %v", r)
	}
	p.Advance(time.Millisecond)
	c.ExpectClosed()
}
