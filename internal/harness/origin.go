package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Origin is a scripted upstream. Its script runs once for every connection, on a goroutine of its own, and every byte that
// arrives is kept.
type Origin struct {
	t        testing.TB
	listener *net.TCPListener
	script   func(*Peer)
	running  sync.WaitGroup
	ending   chan struct{} // closed when the test is over

	mu      sync.Mutex // guards what follows and the captures of peers
	arrived *sync.Cond // a connection or bytes came
	peers   []*Peer
	closed  bool
}

// Peer is a connection that the proxy made to an Origin. Its methods are for the script.
type Peer struct {
	// Number counts the connections of the origin from 0.
	Number int

	origin   *Origin
	conn     *net.TCPConn
	in       stream
	captured []byte
	ended    chan struct{} // the script has returned
}

// NewOrigin starts an origin on a free port of 127.0.0.1. It ends with the test.
func NewOrigin(t testing.TB, script func(*Peer)) *Origin {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatalf("start an origin: %v", err)
	}
	o := &Origin{t: t, listener: l, script: script, ending: make(chan struct{})}
	o.arrived = sync.NewCond(&o.mu)
	o.running.Go(o.accept)
	t.Cleanup(o.close)
	return o
}

func (o *Origin) accept() {
	for {
		conn, err := o.listener.AcceptTCP()
		if err != nil {
			return
		}
		p := &Peer{origin: o, conn: conn, ended: make(chan struct{})}
		p.in.from = capture{p}
		if !o.add(p) {
			_ = conn.Close()
			return
		}
		o.running.Go(func() {
			defer close(p.ended)
			defer p.Close()
			o.script(p)
		})
	}
}

func (o *Origin) add(p *Peer) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	p.Number = len(o.peers)
	o.peers = append(o.peers, p)
	o.arrived.Broadcast()
	return true
}

func (o *Origin) close() {
	close(o.ending)
	_ = o.listener.Close()
	o.mu.Lock()
	o.closed = true
	for _, p := range o.peers {
		_ = p.conn.Close()
	}
	o.mu.Unlock()
	o.running.Wait()
}

// Addr returns where the origin listens.
func (o *Origin) Addr() netip.AddrPort { return o.listener.Addr().(*net.TCPAddr).AddrPort() }

// Connections returns how many connections have come.
func (o *Origin) Connections() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.peers)
}

// WaitEnded waits until the script of connection number n has returned.
func (o *Origin) WaitEnded(n int) {
	o.t.Helper()
	o.mu.Lock()
	if !o.waitLocked(func() bool { return len(o.peers) > n }) {
		o.mu.Unlock()
		o.t.Fatalf("connection %d did not come to the origin", n)
	}
	p := o.peers[n]
	o.mu.Unlock()
	select {
	case <-p.ended:
	case <-time.After(Guard):
		o.t.Fatalf("the origin's connection %d did not end", n)
	}
}

// WaitCaptured waits until n bytes have come on all connections together.
func (o *Origin) WaitCaptured(n int) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	captured := func() (sum int) {
		for _, p := range o.peers {
			sum += len(p.captured)
		}
		return sum
	}
	if !o.waitLocked(func() bool { return captured() >= n }) {
		o.t.Fatalf("%d bytes have come to the origin, want %d", captured(), n)
	}
}

// waitLocked waits for a condition that others bring about under mu, which the caller holds. It returns false after Guard.
func (o *Origin) waitLocked(ok func() bool) bool {
	guard := time.AfterFunc(Guard, o.arrived.Broadcast)
	defer guard.Stop()
	for deadline := time.Now().Add(Guard); !ok(); {
		if time.Now().After(deadline) {
			return false
		}
		o.arrived.Wait()
	}
	return true
}

// Captured returns the bytes that came on each connection.
func (o *Origin) Captured() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]string, len(o.peers))
	for i, p := range o.peers {
		all[i] = string(p.captured)
	}
	return all
}

// Requests parses the bytes that came, strictly. Bytes that are not whole requests fail the test: whatever was forwarded
// must be what an origin of another make sees, too.
func (o *Origin) Requests() []Request {
	o.t.Helper()
	var all []Request
	for i, bytes := range o.Captured() {
		requests, err := ParseRequests(bytes)
		if err != nil {
			o.t.Errorf("the origin's connection %d got what is not a sequence of requests: %v in %q", i, err, bytes)
		}
		all = append(all, requests...)
	}
	return all
}

// ParseRequests parses a sequence of whole requests.
func ParseRequests(s string) ([]Request, error) {
	in := stream{from: bytes.NewReader([]byte(s))}
	var all []Request
	for {
		req, err := readRequest(&in)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("request %d: %w", len(all), err)
		}
		all = append(all, req)
	}
}

// capture reads from a peer's connection and keeps what it read.
type capture struct{ p *Peer }

func (c capture) Read(b []byte) (int, error) {
	if err := c.p.conn.SetReadDeadline(time.Now().Add(Guard)); err != nil {
		return 0, err
	}
	n, err := c.p.conn.Read(b)
	c.p.origin.mu.Lock()
	c.p.captured = append(c.p.captured, b[:n]...)
	c.p.origin.arrived.Broadcast()
	c.p.origin.mu.Unlock()
	return n, err
}

// ReadRequest reads a whole request. It returns false at the end of the connection and for what is none, which fails the
// test when the capture is looked at.
func (p *Peer) ReadRequest() (Request, bool) {
	req, err := readRequest(&p.in)
	return req, err == nil
}

// Wait waits until the test closes or sends to ready. It returns false when the test is over instead.
func (p *Peer) Wait(ready <-chan struct{}) bool {
	select {
	case <-ready:
		return true
	case <-p.origin.ending:
		return false
	}
}

// ReadHead reads a request head and leaves the body.
func (p *Peer) ReadHead() (Request, bool) {
	req, _, _, err := readRequestHead(&p.in)
	return req, err == nil
}

// ReadBytes reads exactly n bytes, or fewer when the connection ends.
func (p *Peer) ReadBytes(n int) string {
	s, _ := p.in.exactly(n)
	return s
}

// ReadAll reads until the connection ends, and reports whether that was a clean end.
func (p *Peer) ReadAll() (s string, clean bool) {
	s, err := p.in.rest()
	return s, err == nil
}

// Write writes the parts one after the other and reports whether that worked.
func (p *Peer) Write(parts ...string) bool {
	for _, part := range parts {
		if err := p.conn.SetWriteDeadline(time.Now().Add(Guard)); err != nil {
			return false
		}
		if _, err := io.WriteString(p.conn, part); err != nil {
			return false
		}
	}
	return true
}

// SetReceiveBuffer is ReceiveBuffer for the origin's side of the connection.
func (p *Peer) SetReceiveBuffer(n int) error { return p.conn.SetReadBuffer(n) }

// CloseWrite sends FIN.
func (p *Peer) CloseWrite() { _ = p.conn.CloseWrite() }

// Close closes the connection. It happens by itself when the script returns.
func (p *Peer) Close() { _ = p.conn.Close() }

// Reset closes the connection with a reset.
func (p *Peer) Reset() {
	if err := p.conn.SetLinger(0); err != nil && !errors.Is(err, net.ErrClosed) {
		p.origin.t.Errorf("set linger: %v", err)
	}
	p.Close()
}

// UntilClosed reads and drops what comes until the proxy closes the connection.
func (p *Peer) UntilClosed() { _, _ = p.in.rest() }

// Respond is a script that answers every request on a connection with the same bytes.
func Respond(response string) func(*Peer) {
	return func(p *Peer) {
		for {
			if _, ok := p.ReadRequest(); !ok || !p.Write(response) {
				return
			}
		}
	}
}

// Then is a script that answers one request with the given bytes, and ends the connection as last says.
func Then(response string, last func(*Peer)) func(*Peer) {
	return func(p *Peer) {
		if _, ok := p.ReadRequest(); ok && p.Write(response) {
			last(p)
		}
	}
}

// InTurn is a script that runs a different script for each connection, and the last one for all that follow.
func InTurn(scripts ...func(*Peer)) func(*Peer) {
	return func(p *Peer) { scripts[min(p.Number, len(scripts)-1)](p) }
}

// OK returns a response with status 200 and a body of known length.
func OK(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", len(body), body)
}

// Echo is a script that answers every request with the method, the target and the body that it got.
func Echo(p *Peer) {
	for {
		req, ok := p.ReadRequest()
		if !ok {
			return
		}
		body := req.Method + " " + req.Target + " " + req.Body
		if req.Method == "HEAD" {
			body = ""
		}
		if !p.Write(OK(body)) {
			return
		}
	}
}
