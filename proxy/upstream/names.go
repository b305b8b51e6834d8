package upstream

import (
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/tls"
)

// maxNames bounds the names that a worker keeps connections to a host apart for, by priority: each has a pool of some 300 bytes, its PROXY
// header, and what it keeps open. Requests with more names than that have connections of their own, which are not kept.
const maxNames = 128

// name is what the connections of a pool are told from others by: the name in a request (auto_sni, auto_san_validation), and the
// PROXY header that they begin with.
type name struct {
	header string // empty for none
	text   string // empty for what the context says
	leases int
	used   int64 // when it was last asked for, in nanoseconds on the loop's clock
	single bool  // no connection is kept: there are too many other names
}

// key is what byName knows the name by: a header ends where its own bytes say, so no two names have the same.
func (n *name) key() string { return n.header + n.text }

// poolFor returns the pool for connections as ask wants them.
func (s *poolSet) poolFor(ask *Ask) *pool {
	h := s.pool.host
	if h.header == nil && len(ask.Name) == 0 {
		return &s.pool
	}
	k := h.cluster
	k.key = append(k.key[:0], ask.Header...)
	if len(k.key) == 0 {
		k.key = h.AppendProxyHeader(k.key, netip.AddrPort{}, netip.AddrPort{})
	}
	length := len(k.key)
	k.key = append(k.key, ask.Name...)
	if !ask.TCP {
		return s.named(k.key, length)
	}
	// What carries the bytes of one client ends with it: there is nothing that another could be given.
	p := s.newNamed(k.key, length)
	p.name.single = true
	return p
}

// newNamed returns a pool for a name: a header of so many bytes, and the text after it.
func (s *poolSet) newNamed(key []byte, header int) *pool {
	h := s.pool.host
	n := &name{header: string(key[:header]), text: string(key[header:]), used: h.cluster.loop.Now()}
	return &pool{host: h, priority: s.pool.priority, name: n}
}

// named returns the pool of the connections for a name: a header of so many bytes, and the text after it, in lower case. It makes one, in
// the place of the one that was not used for longest where there are many; where all are in use, the pool is for this request alone.
func (s *poolSet) named(key []byte, header int) *pool {
	if p := s.byName[string(key)]; p != nil {
		p.name.used = s.pool.host.cluster.loop.Now()
		return p
	}
	p := s.newNamed(key, header)
	if len(s.byName) >= maxNames {
		unused := s.longestUnused()
		if unused == nil {
			p.name.single = true
			return p
		}
		delete(s.byName, unused.name.key())
		unused.name.single = true
		unused.letGo()
	}
	if s.byName == nil {
		s.byName = make(map[string]*pool)
	}
	s.byName[p.name.key()] = p
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

// header returns what connections of the pool begin with, before TLS; empty for nothing.
func (p *pool) header() string {
	if p.name == nil {
		return ""
	}
	return p.name.header
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
