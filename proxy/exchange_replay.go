package proxy

const (
	// maxReplay is how much of a request body is kept for sending it again when a host refuses the request. Most calls of
	// gRPC fit; a host that refuses does so early.
	maxReplay = 64 << 10
	// maxIdleReplay is the room for it that an exchange keeps when it is put aside.
	maxIdleReplay = 4 << 10
)

// record keeps body bytes that go upstream, as long as they are few and a host may still refuse the request: an HTTP/1 host
// has no way to say so.
func (x *exchange) record(data []byte) {
	if !x.bodySent {
		x.bodySent = true
		x.replayable = x.lease.CanRefuse()
	}
	if !x.replayable {
		return
	}
	if x.headRead || len(x.replay)+len(data) > maxReplay {
		x.replayable = false
		return
	}
	x.replay = append(x.replay, data...)
}

// replayBody sends the body that was sent before once more, with its end if that was sent: an empty one has nothing else.
func (x *exchange) replayBody() {
	trailers := x.down.Trailers()
	x.up.WriteBody(x.replay, x.requestSent && trailers == nil)
	if x.requestSent && trailers != nil {
		x.up.WriteEnd(trailers)
	}
}
