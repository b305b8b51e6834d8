package harness

// H2Serve is a script that calls answer with every request that is whole, of all streams in the order in which they end. It
// drops all other frames. A body that the proxy gives no window for holds up no other.
func H2Serve(answer func(p *H2Peer, r H2Request)) func(*H2Peer) {
	return func(p *H2Peer) {
		for {
			f, err := p.TryReadFrame()
			if err != nil {
				return
			}
			if !p.ofRequest(&f) {
				continue
			}
			if r, whole := p.collect(&f); whole {
				p.origin.record(r)
				answer(p, r)
			}
		}
	}
}

// H2Echo is a script that answers every request with the method, the path and the body that it got.
func H2Echo(p *H2Peer) {
	H2Serve(func(p *H2Peer, r H2Request) {
		response := H2OK(r.Method + " " + r.Path + " " + r.Body)
		if r.Method == "HEAD" {
			response.Body = ""
		}
		p.Respond(r.StreamID, response)
	})(p)
}

// H2Respond is a script that answers every request with the same response.
func H2Respond(r H2Response) func(*H2Peer) {
	return H2Serve(func(p *H2Peer, req H2Request) { p.Respond(req.StreamID, r) })
}

// H2Slow is a script that takes requests and never answers. Counts says how many there are.
func H2Slow(p *H2Peer) { p.Drain() }

// H2InTurn is a script that runs a different script for each connection, and the last one for all that follow.
func H2InTurn(scripts ...func(*H2Peer)) func(*H2Peer) {
	return func(p *H2Peer) { scripts[min(p.Number, len(scripts)-1)](p) }
}
