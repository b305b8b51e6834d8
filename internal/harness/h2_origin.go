package harness

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// H2Origin is a scripted upstream that speaks HTTP/2 with prior knowledge. Its script runs once for every connection, on a
// goroutine of its own.
type H2Origin struct {
	t        testing.TB
	listener *net.TCPListener
	script   func(*H2Peer)
	settings []http2.Setting
	raw      bool
	running  sync.WaitGroup
	ending   chan struct{} // closed when the test is over

	mu       sync.Mutex // guards what follows, and the counts of peers
	changed  *sync.Cond // a connection came or something was counted
	peers    []*H2Peer
	closed   bool
	counts   H2Counts
	requests []H2Request
	lost     int // requests that did not fit
}

// maxRequests bounds the requests that are kept.
const maxRequests = 1 << 15

// NewH2Origin starts an origin on a free port of 127.0.0.1. Its script runs after the exchange of settings, which are the
// given ones. It ends with the test.
func NewH2Origin(t testing.TB, script func(*H2Peer), settings ...http2.Setting) *H2Origin {
	t.Helper()
	return startH2Origin(t, script, settings, false)
}

// NewH2OriginRaw is NewH2Origin whose script begins before anything is sent or read: with Handshake, usually.
func NewH2OriginRaw(t testing.TB, script func(*H2Peer)) *H2Origin {
	t.Helper()
	return startH2Origin(t, script, nil, true)
}

func startH2Origin(t testing.TB, script func(*H2Peer), settings []http2.Setting, raw bool) *H2Origin {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatalf("start an origin: %v", err)
	}
	o := &H2Origin{t: t, listener: l, script: script, settings: settings, raw: raw, ending: make(chan struct{})}
	o.changed = sync.NewCond(&o.mu)
	o.running.Go(o.accept)
	t.Cleanup(o.close)
	return o
}

func (o *H2Origin) accept() {
	for {
		conn, err := o.listener.AcceptTCP()
		if err != nil {
			return
		}
		p := &H2Peer{origin: o, ended: make(chan struct{}), given: make(map[uint32]bool), partial: make(map[uint32]*H2Request)}
		if !o.add(p, conn) {
			_ = conn.Close()
			return
		}
		o.running.Go(p.run)
	}
}

func (o *H2Origin) add(p *H2Peer, conn *net.TCPConn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	p.Number = len(o.peers)
	p.start(o.t, conn, false, "the origin's connection "+strconv.Itoa(p.Number))
	p.script = true
	p.oracle.peerEvents = p.event
	o.peers = append(o.peers, p)
	o.changed.Broadcast()
	return true
}

func (o *H2Origin) close() {
	close(o.ending)
	_ = o.listener.Close()
	o.mu.Lock()
	o.closed = true
	for _, p := range o.peers {
		p.Close()
	}
	o.mu.Unlock()
	o.running.Wait()
}

// Addr returns where the origin listens.
func (o *H2Origin) Addr() netip.AddrPort { return o.listener.Addr().(*net.TCPAddr).AddrPort() }

// Connections returns how many connections have come.
func (o *H2Origin) Connections() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.peers)
}

// WaitConnections waits until n connections have come.
func (o *H2Origin) WaitConnections(n int) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.waitLocked(func() bool { return len(o.peers) >= n }) {
		o.t.Fatalf("%d connections have come to the origin, want %d", len(o.peers), n)
	}
}

// WaitEnded waits until the script of connection number n has returned.
func (o *H2Origin) WaitEnded(n int) {
	o.t.Helper()
	o.WaitConnections(n + 1)
	o.mu.Lock()
	p := o.peers[n]
	o.mu.Unlock()
	select {
	case <-p.ended:
	case <-time.After(Guard):
		o.t.Fatalf("the origin's connection %d did not end", n)
	}
}

// Requests returns the whole requests that scripts have read, in that order.
func (o *H2Origin) Requests() []H2Request {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost > 0 {
		o.t.Fatalf("%d requests came after the %d that are kept", o.lost, maxRequests)
	}
	return append([]H2Request(nil), o.requests...)
}

func (o *H2Origin) record(r H2Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.requests) == maxRequests {
		o.lost++
		return
	}
	o.requests = append(o.requests, r)
}
