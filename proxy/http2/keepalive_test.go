package http2

import (
	"strings"
	"testing"
	"time"
)

// keepaliveOptions send a PING after ten seconds, and want its answer within three.
func keepaliveOptions() *Options {
	o := testOptions()
	o.KeepaliveInterval, o.KeepaliveTimeout, o.KeepaliveJitter = 10*time.Second, 3*time.Second, 0
	return o
}

// TestKeepalive sends pings as long as they are answered, and ends the connection when one is not.
func TestKeepalive(t *testing.T) {
	s, p := newServer(t, keepaliveOptions())
	for range 3 {
		p.r.advance(10*time.Second - time.Millisecond)
		p.want()
		p.r.advance(time.Millisecond)
		p.want("PING alb-ping")
		p.r.advance(3*time.Second - time.Millisecond)
		p.raw(6, 1, 0, "alb-ping").turn()
	}
	p.r.advance(10 * time.Second)
	p.want("PING alb-ping")
	p.raw(6, 1, 0, "not-ours").turn() // no answer to ours
	p.r.advance(3*time.Second - time.Millisecond)
	if s.dead {
		t.Fatalf("the connection has ended before its time: %v", s.ends)
	}
	p.r.advance(time.Millisecond)
	wantEnded(t, s.ends, ErrKeepalive)
	p.r.wantStat("keepalive_timeout", 1)
}

// TestKeepaliveAnswerOutOfTurn takes an answer that nobody waits for as nothing.
func TestKeepaliveAnswerOutOfTurn(t *testing.T) {
	s, p := newServer(t, keepaliveOptions())
	p.raw(6, 1, 0, "alb-ping").turn()
	p.r.advance(10 * time.Second)
	p.want("PING alb-ping")
	p.r.advance(3 * time.Second)
	wantEnded(t, s.ends, ErrKeepalive)
}

// TestKeepaliveJitter makes the interval longer, by no more than the percentage says.
func TestKeepaliveJitter(t *testing.T) {
	o := keepaliveOptions()
	o.KeepaliveJitter = 15
	_, p := newServer(t, o)
	p.r.advance(11500*time.Millisecond - 2*time.Millisecond) // the rig's jitter is the most there is, less a nanosecond
	p.want()
	p.r.advance(2 * time.Millisecond)
	p.want("PING alb-ping")
}

// TestKeepaliveOff sends no PING by itself, and answers those of the peer.
func TestKeepaliveOff(t *testing.T) {
	_, p := newServer(t, testOptions())
	p.r.advance(24 * time.Hour)
	p.want()
	p.ping("12345678").turn()
	p.want("PING ACK 12345678")
}

// TestPingBeforeStream sends a PING ahead of a stream on a connection that has been silent for long, and one only.
func TestPingBeforeStream(t *testing.T) {
	o := testOptions()
	o.KeepaliveIdle, o.KeepaliveTimeout = 10*time.Second, 3*time.Second
	k, p := newClient(t, o)
	p.r.advance(10*time.Second - time.Millisecond)
	k.get().end()
	p.r.steps(2)
	if got := p.take(); len(got) != 2 {
		t.Errorf("frames %q, want no PING", got)
	}
	p.r.advance(time.Millisecond)
	q := k.get()
	k.get()
	p.r.steps(2)
	if got := strings.Join(p.take(), "\n"); strings.Count(got, "PING") != 1 || !strings.HasPrefix(got, "PING alb-ping\nHEADERS 3") {
		t.Errorf("frames %q, want a PING first", got)
	}
	p.raw(6, 1, 0, "alb-ping").turn()
	p.r.advance(3 * time.Second)
	if k.dead || q.Err() != noError {
		t.Fatalf("the connection has ended: %v", k.ends)
	}
	p.r.advance(10 * time.Second)
	q = k.get()
	p.r.advance(3 * time.Second)
	wantEnded(t, k.ends, ErrKeepalive)
	if err := q.ReadHead(&q.resp); err != ErrKeepalive {
		t.Errorf("the stream was told %v", err)
	}
}
