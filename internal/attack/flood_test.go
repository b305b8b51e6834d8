package attack

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// flood is an attack that sends frames until the proxy has had enough.
type flood struct {
	// frames is how many are sent at most, in batches of batch.
	frames, batch int
	// frame sends frame number i.
	frame func(c *harness.H2Client, i int)
	// unread says that the attacker reads nothing while it sends. It cannot see then when it has sent enough.
	unread bool
	// between, if set, is called between two batches.
	between func(sent int)
	// answers is how many response heads the attacker waits for in the end, unless the proxy has had enough.
	answers int
}

// ended is how a connection ended.
type ended struct {
	sent   int // frames, when the end was seen
	closed bool
	goAway *harness.H2Frame // the last one, nil without any
	got    map[http2.FrameType]int
}

// want fails the test when the proxy has not ended the connection with the code.
func (e ended) want(t testing.TB, code http2.ErrCode) {
	t.Helper()
	switch {
	case !e.closed:
		t.Errorf("the connection is open after %d frames, want it closed with %v", e.sent, code)
	case e.goAway == nil:
		t.Errorf("the connection ended without GOAWAY, want one with %v", code)
	case e.goAway.Code != code:
		t.Errorf("got %v, want %v", e.goAway, code)
	}
}

// wantClosed fails the test when the proxy has not ended the connection. It may not have been able to say why.
func (e ended) wantClosed(t testing.TB, code http2.ErrCode) {
	t.Helper()
	if e.closed && e.goAway == nil {
		return
	}
	e.want(t, code)
}

// wantOpen fails the test when the proxy has ended the connection before all frames were sent.
func (e ended) wantOpen(t testing.TB, frames int) {
	t.Helper()
	if e.closed || e.sent != frames {
		t.Errorf("the connection ended after %d frames with %v, want %d borne", e.sent, e.goAway, frames)
	}
}

// watch reads what the proxy sends until the connection ends.
type watch struct {
	ended
	heads    atomic.Int64  // of responses
	over     chan struct{} // closed when the proxy has said that it ends the connection, or has ended it
	answered chan struct{} // closed when lastPing was answered
	running  sync.WaitGroup
}

// lastPing is what a flood ends with that was not stopped.
const lastPing = "the end."

// watchEnd begins to read a connection that nobody else reads.
func watchEnd(c *harness.H2Client) *watch {
	w := &watch{over: make(chan struct{}), answered: make(chan struct{})}
	w.got = make(map[http2.FrameType]int)
	w.running.Go(func() {
		over := sync.OnceFunc(func() { close(w.over) })
		defer over()
		for {
			f, err := c.TryReadFrame()
			if err != nil {
				return
			}
			w.got[f.Type]++
			switch {
			case f.Type == http2.FrameHeaders:
				w.heads.Add(1)
			case f.Type == http2.FrameGoAway:
				w.goAway = &f
				if f.Code != http2.ErrCodeNo {
					over()
				}
			case f.Type == http2.FramePing && f.Ack() && string(f.Payload) == lastPing:
				close(w.answered)
			}
		}
	})
	return w
}

func (w *watch) isOver() bool {
	select {
	case <-w.over:
		return true
	default:
		return false
	}
}

// waitHeads waits for so many response heads.
func (w *watch) waitHeads(n int) {
	for end := time.Now().Add(harness.Guard); w.heads.Load() < int64(n) && !w.isOver() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// finish waits until the proxy has ended the connection, or has dealt with all that was sent. It returns with the connection
// closed.
func (w *watch) finish(c *harness.H2Client, sent int) ended {
	open := false
	if err := c.TryBatch(func() { c.Ping(lastPing) }); err == nil {
		select {
		case <-w.over:
		case <-w.answered:
			open = true
		}
	}
	if !open {
		w.running.Wait() // the proxy closes it
	}
	c.Close()
	w.running.Wait()
	w.sent, w.closed = sent, !open
	return w.ended
}

// run floods the connection, and returns with it closed.
func (f flood) run(c *harness.H2Client) ended {
	var w *watch
	if !f.unread {
		w = watchEnd(c)
	}
	sent := 0
	for sent < f.frames && (w == nil || !w.isOver()) {
		from := sent
		sent = min(sent+f.batch, f.frames)
		err := c.TryBatch(func() {
			for i := from; i < sent; i++ {
				f.frame(c, i)
			}
		})
		if err != nil {
			break
		}
		if f.between != nil {
			f.between(sent)
		}
	}
	if w == nil {
		w = watchEnd(c)
	}
	w.waitHeads(f.answers)
	return w.finish(c, sent)
}
