package upstream

import (
	"bytes"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// ticket is a byte that ticketLayer keeps for itself.
const ticket = "\x04"

// ticketLayer passes bytes on as they are, but for tickets: what TLS does with a session ticket that comes after the handshake
// (RFC 8446 section 4.6.1).
type ticketLayer struct{ *eventloop.Wire }

func (l ticketLayer) Read(b []byte) (int, error) {
	for {
		n, err := l.Wire.Read(b)
		passed := bytes.ReplaceAll(b[:n], []byte(ticket), nil)
		if copy(b, passed); err != nil || len(passed) > 0 {
			return len(passed), err
		}
	}
}

func (l ticketLayer) CloseWrite() error { return nil }

// ticketed returns a cluster with an idle connection that has a ticketLayer, and its peer.
func ticketed(t *testing.T) (*worker, *Cluster, *peer, *exchange) {
	t.Helper()
	w, o := newWorker(t), newOrigin(t)
	k := w.cluster(clusterConfig(), o.address)
	x := &exchange{w: w}
	w.do(func() {
		x.task = w.loop.Spawn(x)
		if v := k.Acquire(&x.Lease, k.set.Hosts()[0].Data.(*Host), x.task, Ask{}); v != Granted {
			t.Errorf("verdict %d, want %d", v, Granted)
			return
		}
		x.conn.raw.Handshake(func(wire *eventloop.Wire) (eventloop.Layer, error) { return ticketLayer{wire}, nil })
	})
	x.waitConnected()
	p := o.accept()
	x.serve(p)
	return w, k, p, x
}

// TestLateTicket holds that a connection which gets a session ticket while it is idle stays open and is used again, and one that gets
// bytes of a response nobody asked for is not.
func TestLateTicket(t *testing.T) {
	for _, test := range []struct {
		sent string
		kept int
	}{{ticket, 1}, {ticket + ticket + "HTTP/1.1 408 Request Timeout\r\n\r\n", 0}} {
		w, k, p, x := ticketed(t)
		raw := x.conn.raw
		x.release(Success, true)
		before := uint64(0)
		w.do(func() { before = raw.BytesRead() })
		p.write(test.sent)
		w.until("what was sent is read", func() bool { return raw.BytesRead() > before || raw.Closed() })
		if n := w.idle(k, 0); n != test.kept {
			t.Errorf("after %q %d connections are idle, want %d", test.sent, n, test.kept)
		}
		w.wantStats(map[string]int64{"upstream_cx_protocol_error": int64(1 - test.kept)})
		if test.kept == 1 {
			y := w.connected(k, 0)
			y.serve(p)
			y.release(Success, true)
			w.wantStats(map[string]int64{"upstream_cx_total": 1})
		}
		w.end(k)
	}
}

// TestTicketBeforeUse holds that a ticket nobody has read yet does not keep a connection from being used, or kept.
func TestTicketBeforeUse(t *testing.T) {
	w, k, p, x := ticketed(t)
	raw := x.conn.raw
	p.write(ticket)
	w.until("it is there", raw.Readable)
	x.release(Success, true)
	if n := w.idle(k, 0); n != 1 {
		t.Errorf("%d connections are idle, want 1", n)
	}
	w.end(k)
}
