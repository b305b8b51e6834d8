package upstream

import "github.com/penguintechinc/marchproxy-alb/tls"

// maxNames bounds the names that a worker keeps connections to a host apart for: each has a pool of some 300 bytes, and what it
// keeps open. Requests with more names than that have connections of their own, which are not kept.
const maxNames = 128

// name is what the connections of a pool were asked for by, where that is the name in a request (auto_sni, auto_san_validation).
type name struct {
	text   string
	leases int
	used   int64 // when it was last asked for, in nanoseconds on the loop's clock
	single bool  // no connection is kept: there are too many other names
}

// named returns the pool of the connections for a name, in lower case. It makes one, in the place of the one that was not used for
// longest where there are many; where all are in use, the pool is for this request alone.
func (h *Host) named(text []byte) *pool {
	now := h.cluster.loop.Now()
	if p := h.byName[string(text)]; p != nil {
		p.name.used = now
		return p
	}
	p := &pool{host: h, name: &name{text: string(text), used: now}}
	if len(h.byName) >= maxNames {
		unused := h.longestUnused()
		if unused == nil {
			p.name.single = true
			return p
		}
		delete(h.byName, unused.name.text)
		unused.name.single = true
		unused.letGo()
	}
	if h.byName == nil {
		h.byName = make(map[string]*pool)
	}
	h.byName[p.name.text] = p
	return p
}

// longestUnused returns the pool of a name that no request has, the one that was not used for longest, nil when there is none.
func (h *Host) longestUnused() (found *pool) {
	for _, p := range h.byName {
		if p.name.leases == 0 && (found == nil || p.name.used < found.name.used) {
			found = p
		}
	}
	return found
}

// pools calls f for every pool.
func (h *Host) pools(f func(*pool)) {
	f(&h.pool)
	for _, p := range h.byName {
		f(p)
	}
}

// forgetNames lets go of the connections for all names: they are not asked for as they were.
func (h *Host) forgetNames() {
	for _, p := range h.byName {
		p.name.single = true
		p.letGo()
	}
	h.byName = nil
}

// acquired and released count the requests of a pool that is for a name.
func (p *pool) acquired() {
	if p.name != nil {
		p.name.leases++
	}
}

func (p *pool) released() {
	if p.name != nil {
		p.name.leases--
	}
}

// transient reports whether connections are for those that wait, and not kept.
func (p *pool) transient() bool {
	return p.host.gone || p.host.cluster.retired || p.name != nil && p.name.single
}

// names returns what connections of the pool are asked for by.
func (p *pool) names() tls.Names {
	out := tls.Names{Host: p.host.Hostname}
	if p.name == nil {
		return out
	}
	if auto := p.host.cluster.config.AutoName; auto != nil {
		if auto.SNI {
			out.SNI = p.name.text
		}
		if auto.SAN {
			out.SAN = p.name.text
		}
	}
	return out
}
