package proxy

const (
	// maxReplay is how much of a request body is kept without a retry policy, for sending it again when a host refuses the
	// request. Most calls of gRPC fit; a host that refuses does so early.
	maxReplay = 64 << 10
	// maxIdleReplay bounds the buffers for that, in bytes of all of them, that a worker keeps for reuse: those of 2,000 calls of
	// 1 KiB at a time, so that as many need no garbage collector.
	maxIdleReplay = 2 << 20
)

// record keeps body bytes that go upstream as long as they may have to be sent again: up to the buffer limit where there is a
// retry policy, or redirects are followed; else as long as they are few and a host may still refuse the request, which one of HTTP/1 has no way to say.
func (x *exchange) record(data []byte) {
	if !x.bodySent {
		x.bodySent = true
		x.replayable = x.keepsBody() || x.lease.CanRefuse()
	}
	if !x.replayable {
		return
	}
	if x.headRead || len(x.replay)+len(data) > x.replayLimit() {
		x.replayable = false
		x.abandonRetry()
		return
	}
	if x.replay == nil {
		x.replay = x.worker.replays.take()
	}
	x.replay = append(x.replay, data...)
}

// replayLimit returns how many bytes of the request body are kept.
func (x *exchange) replayLimit() int {
	if x.keepsBody() {
		return x.bodyBuffer()
	}
	return maxReplay
}

// keepsBody reports whether the route may have the request body sent again.
func (x *exchange) keepsBody() bool { return x.retry.on != 0 || x.followsRedirects() }

// bodyBuffer returns how many bytes of the request body the route allows to be kept.
func (x *exchange) bodyBuffer() int { return x.route.BodyBuffer(x.chain.compiled.bufferLimit) }

// replayPool has the buffers for request bodies that no exchange of a worker uses.
type replayPool struct {
	idle  [][]byte
	bytes int // of their capacities, at most maxIdleReplay
}

// take returns an empty buffer, nil when there is none.
func (p *replayPool) take() []byte {
	n := len(p.idle) - 1
	if n < 0 {
		return nil
	}
	b := p.idle[n]
	p.idle[n] = nil
	p.idle = p.idle[:n]
	p.bytes -= cap(b)
	return b
}

// put takes a buffer back.
func (p *replayPool) put(b []byte) {
	if cap(b) > 0 && cap(b) <= maxReplay && p.bytes+cap(b) <= maxIdleReplay {
		p.idle = append(p.idle, b[:0])
		p.bytes += cap(b)
	}
}

// replayBody sends the body that was sent before once more, with its end if that was sent: an empty one has nothing else.
func (x *exchange) replayBody() {
	trailers := x.down.Trailers()
	x.up.WriteBody(x.replay, x.requestSent && trailers == nil)
	if x.requestSent && trailers != nil {
		x.up.WriteEnd(trailers)
	}
}
