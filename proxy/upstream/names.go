package upstream

import "github.com/penguintechinc/marchproxy-alb/tls"

// maxNames bounds the names that a worker keeps connections to a host apart for, by priority: each has a pool of some 300 bytes, and
// what it keeps open. Requests with more names than that have connections of their own, which are not kept.
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
func (s *poolSet) named(text []byte) *pool {
	h := s.pool.host
	now := h.cluster.loop.Now()
	if p := s.byName[string(text)]; p != nil {
		p.name.used = now
		return p
	}
	p := &pool{host: h, priority: s.pool.priority, name: &name{text: string(text), used: now}}
	if len(s.byName) >= maxNames {
		unused := s.longestUnused()
		if unused == nil {
			p.name.single = true
			return p
		}
		delete(s.byName, unused.name.text)
		unused.name.single = true
		unused.letGo()
	}
	if s.byName == nil {
		s.byName = make(map[string]*pool)
	}
	s.byName[p.name.text] = p
	return p
}

// longestUnused returns the pool of a name that no request has, the one that was not used for longest, nil when there is none.
func (s *poolSet) longestUnused() (found *pool) {
	for _, p := range s.byName {
		if p.name.leases == 0 && (found == nil || p.name.used < found.name.used) {
			found = p
		}
	}
	return found
}

// forgetNames lets go of the connections for all names: they are not asked for as they were.
func (h *Host) forgetNames() {
	h.poolSet.forgetNames()
	if h.high != nil {
		h.high.forgetNames()
	}
}

func (s *poolSet) forgetNames() {
	for _, p := range s.byName {
		p.name.single = true
		p.letGo()
	}
	s.byName = nil
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
