package harness

import (
	"io"
	"strconv"

	"golang.org/x/net/http2"
)

// H2Peer is a connection that the proxy made to an H2Origin. Its methods are for the script. Those that return a bool return
// false when the connection has ended; expectations that fail end the script.
type H2Peer struct {
	H2Conn
	// Number counts the connections of the origin from 0.
	Number int

	origin  *H2Origin
	counts  H2Counts
	ended   chan struct{}         // the script has returned
	given   map[uint32]bool       // streams whose requests the script has
	partial map[uint32]*H2Request // those that have begun
}

// run runs the script.
func (p *H2Peer) run() {
	defer close(p.ended)
	defer p.finish()
	if p.origin.raw || p.Handshake(p.origin.settings...) {
		p.origin.script(p)
	}
}

// finish closes the connection, and with it what is in flight.
func (p *H2Peer) finish() {
	p.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.oracle.peerEvents = nil
	p.origin.mu.Lock()
	defer p.origin.mu.Unlock()
	n := p.counts.InFlight
	p.counts.drop(n)
	p.origin.counts.drop(n)
	p.origin.changed.Broadcast()
}

// Handshake sends settings, and reads the preface and the proxy's settings.
func (p *H2Peer) Handshake(settings ...http2.Setting) bool {
	p.t.Helper()
	p.Settings(settings...)
	if !p.ReadPreface() {
		return false
	}
	_, err := p.TryWaitFrame(func(f *H2Frame) bool { return f.Type == http2.FrameSettings && !f.Ack() })
	return err == nil
}

// ReadPreface reads what a client begins with.
func (p *H2Peer) ReadPreface() bool {
	b := make([]byte, len(http2.ClientPreface))
	n, err := io.ReadFull(p.buffered, b)
	if got := string(b[:n]); got != http2.ClientPreface[:n] {
		p.t.Errorf("%s: %v", p.name, &H2Violation{Frame: strconv.Quote(got), Why: "this is not how a client begins"})
		return false
	}
	return err == nil
}

// ReadRequest reads the next request that is whole, of any stream. A request that the proxy resets before is not returned.
func (p *H2Peer) ReadRequest() (H2Request, bool) {
	for {
		f, err := p.TryWaitFrame(p.ofRequest)
		if err != nil {
			return H2Request{}, false
		}
		if r, whole := p.collect(&f); whole {
			p.given[r.StreamID] = true
			p.origin.record(r)
			return r, true
		}
	}
}

// ReadHead reads the next head of a request, and leaves the body.
func (p *H2Peer) ReadHead() (H2Request, bool) {
	f, err := p.TryWaitFrame(func(f *H2Frame) bool {
		return f.Type == http2.FrameHeaders && p.ofRequest(f) && p.partial[f.StreamID] == nil
	})
	if err != nil {
		return H2Request{}, false
	}
	p.given[f.StreamID] = true
	return *newH2Request(&f), true
}

// ReadBody reads the rest of a request whose head was read, and returns it whole. It returns false also when the proxy resets
// it.
func (p *H2Peer) ReadBody(head H2Request) (H2Request, bool) {
	r := head
	for !r.EndStream {
		f, err := p.TryWaitFrame(ofStream(r.StreamID))
		if err != nil || f.Type == http2.FrameRSTStream {
			return r, false
		}
		r.add(&f)
	}
	p.origin.record(r)
	return r, true
}

// ofRequest matches frames of messages that the script has not got.
func (p *H2Peer) ofRequest(f *H2Frame) bool {
	return !p.given[f.StreamID] && ofStream(f.StreamID)(f)
}

// collect puts requests together, and returns the one that f makes whole.
func (p *H2Peer) collect(f *H2Frame) (r H2Request, whole bool) {
	begun := p.partial[f.StreamID]
	switch {
	case f.Type == http2.FrameRSTStream:
		delete(p.partial, f.StreamID)
		return r, false
	case begun != nil:
		begun.add(f)
	case f.Type == http2.FrameHeaders:
		begun = newH2Request(f)
		p.partial[f.StreamID] = begun
	default:
		return r, false // data of a stream that was answered before its request was whole
	}
	if !begun.EndStream {
		return r, false
	}
	delete(p.partial, f.StreamID)
	return *begun, true
}

// Respond sends a response. What the windows do not allow yet of its body follows while the script reads.
func (p *H2Peer) Respond(streamID uint32, r H2Response) {
	p.t.Helper()
	p.Batch(func() {
		for _, i := range r.Informational {
			p.Headers(streamID, false, responseHead(i)...)
		}
		whole := r.Body == "" && len(r.Trailers) == 0
		p.Headers(streamID, whole, responseHead(r)...)
		if !whole {
			p.SendBody(streamID, r.Body, pairs(r.Trailers)...)
		}
	})
}

func responseHead(r H2Response) []string {
	return append([]string{":status", strconv.Itoa(r.Status)}, pairs(r.Fields)...)
}

// Wait waits until the test closes or sends to ready. It returns false when the test is over instead.
func (p *H2Peer) Wait(ready <-chan struct{}) bool {
	select {
	case <-ready:
		return true
	case <-p.origin.ending:
		return false
	}
}
