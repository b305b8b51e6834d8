package match

import (
	"bytes"
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// None is what Lookup returns when no chain matches.
const None = -1

// Connection is what is known of a connection. Slices are borrowed for the call.
type Connection struct {
	// Local is where the client has connected to, and Remote where it comes from. Both may be as a PROXY header says. The zero
	// Addr stands for a Unix socket.
	Local, Remote netip.AddrPort
	// Direct is the peer's own address.
	Direct netip.AddrPort
	// ServerName is the lower-case server name of a TLS client (RFC 6066 section 3), empty when it is not known.
	ServerName []byte
	// Transport is "tls" or "raw_buffer", empty when nobody has looked.
	Transport string
	// Protocols are the application protocols that the client offers, in its order, in the form of ProtocolNameList of RFC 7301
	// section 3.1: each with its length in front, in one byte.
	Protocols []byte
}

// Table finds the chain of a connection. A nil Table has none.
type Table struct {
	ports      level[uint16, *addresses[*names]]
	needsLocal bool
}

// The levels, from the last up. chain is an index into the chains that the table was made of.
type (
	chain        int
	sourcePorts  = level[uint16, chain]
	sourceTypes  [3]*addresses[*sourcePorts] // by config.SourceType
	protocols    = level[string, *addresses[*sourceTypes]]
	transports   = level[string, *protocols]
	nameSuffixes = map[string]*transports
)

// names is the level of server names.
type names struct {
	exact    level[string, *transports]
	suffixes nameSuffixes // of names "*.suffix", by ".suffix"
}

// level is a level whose entries are equal or not.
type level[K comparable, T any] struct {
	entries map[K]T
	rest    T // for connections that no entry fits
	hasRest bool
}

// find returns the entry for key, or the rest.
func (l *level[K, T]) find(key K) (T, bool) {
	if t, ok := l.entries[key]; ok {
		return t, true
	}
	return l.rest, l.hasRest
}

// addresses is a level of address blocks, of which the longest that fits is taken.
type addresses[T any] struct {
	blocks  map[netip.Prefix]T
	lengths [2][]int // of the blocks of IPv4 and IPv6, the longest first
	rest    T
	hasRest bool
}

func (l *addresses[T]) find(a netip.Addr) (T, bool) {
	if len(l.blocks) > 0 && a.IsValid() {
		a = a.Unmap()
		for _, bits := range l.lengths[family(a)] {
			block, _ := a.Prefix(bits)
			if t, ok := l.blocks[block]; ok {
				return t, true
			}
		}
	}
	return l.rest, l.hasRest
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// NeedsLocal reports whether Lookup looks at Connection.Local, which may cost a system call to find out.
func (t *Table) NeedsLocal() bool { return t != nil && t.needsLocal }

// Lookup returns the index of the chain for c, None when there is none.
func (t *Table) Lookup(c *Connection) int {
	if t == nil {
		return None
	}
	if byAddress, ok := t.ports.find(c.Local.Port()); ok {
		if byName, ok := byAddress.find(c.Local.Addr()); ok {
			return byName.lookup(c)
		}
	}
	return None
}

// lookup goes on below the destination.
func (n *names) lookup(c *Connection) int {
	byTransport, ok := n.find(c.ServerName)
	if !ok {
		return None
	}
	byProtocol, ok := byTransport.find(c.Transport)
	if !ok {
		return None
	}
	byDirect, ok := findProtocol(byProtocol, c.Protocols)
	if !ok {
		return None
	}
	byType, ok := byDirect.find(c.Direct.Addr())
	if !ok {
		return None
	}
	return byType.lookup(c)
}

// find returns the entry for a server name: its own, or that of the longest suffix. A suffix never stands for a name without
// a label before it.
func (n *names) find(name []byte) (*transports, bool) {
	if len(name) > 0 {
		if t, ok := n.exact.entries[string(name)]; ok {
			return t, true
		}
		for at := nextDot(name, 1); at >= 0 && len(n.suffixes) > 0; at = nextDot(name, at+1) {
			if t, ok := n.suffixes[string(name[at:])]; ok {
				return t, true
			}
		}
	}
	return n.exact.rest, n.exact.hasRest
}

// nextDot returns the index of the first dot in name from the index from on, -1 when there is none.
func nextDot(name []byte, from int) int {
	if from >= len(name) {
		return -1
	}
	at := bytes.IndexByte(name[from:], '.')
	if at < 0 {
		return -1
	}
	return from + at
}

// findProtocol returns the entry for the first of the offered protocols that has one.
func findProtocol(l *protocols, offered []byte) (*addresses[*sourceTypes], bool) {
	for len(l.entries) > 0 && len(offered) > 0 {
		n := int(offered[0])
		if n >= len(offered) {
			break // not a list: whoever parsed it has seen to it that this cannot be
		}
		if t, ok := l.entries[string(offered[1:1+n])]; ok {
			return t, true
		}
		offered = offered[1+n:]
	}
	return l.rest, l.hasRest
}

// lookup goes on below the peer's address.
func (s *sourceTypes) lookup(c *Connection) int {
	inside, outside := s[config.SourceLocal], s[config.SourceExternal]
	bySource := s[config.SourceAny]
	if inside != nil || outside != nil {
		of := outside
		if isLocal(c) {
			of = inside
		}
		if of != nil {
			bySource = of
		}
	}
	if bySource == nil {
		return None
	}
	byPort, ok := bySource.find(c.Remote.Addr())
	if !ok {
		return None
	}
	found, ok := byPort.find(c.Remote.Port())
	if !ok {
		return None
	}
	return int(found)
}

// isLocal reports whether the connection comes from this machine, as far as addresses tell.
func isLocal(c *Connection) bool {
	remote := c.Remote.Addr().Unmap()
	return !remote.IsValid() || remote.IsLoopback() || remote == c.Local.Addr().Unmap()
}
