// Package dns looks names up as the system does, and tells how long the answers are good for.
//
// Package net's own resolver does the work: /etc/hosts, the name servers, search domains, timeouts and retries of
// /etc/resolv.conf are honoured as everywhere on the machine, and changes of these files are seen. It keeps the lifetimes of
// records to itself, so they are read from the answers on their way to it.
package dns

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Lookup resolves a name for a network of "ip", "ip4" or "ip6". ttl is the shortest lifetime of the records that the answer was
// made of, in whole seconds, and 0 where none told one, as in /etc/hosts.
func Lookup(ctx context.Context, network, name string) (found []netip.Addr, ttl time.Duration, err error) {
	var dialer net.Dialer
	return lookup(ctx, dialer.DialContext, network, name)
}

// lookup is Lookup with another way to the name servers.
func lookup(ctx context.Context, dial dialFunc, network, name string) (found []netip.Addr, ttl time.Duration, err error) {
	var l lifetimes
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return l.observe(conn), nil
	}}
	if found, err = r.LookupNetIP(ctx, network, name); err != nil {
		return nil, 0, err
	}
	return found, l.shortest(), nil
}

// dialFunc is net.Dialer.DialContext.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// lifetimes gathers what the answers to one lookup say. The resolver asks for several types at a time.
type lifetimes struct {
	mu   sync.Mutex
	ttl  uint32 // seconds
	some bool   // ttl is set
}

func (l *lifetimes) shortest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.ttl) * time.Second
}

// observe returns conn with its answers read along. The resolver tells by net.PacketConn whether messages have a length
// before them, so what it gets has to be one where conn is.
func (l *lifetimes) observe(conn net.Conn) net.Conn {
	if packets, ok := conn.(interface {
		net.Conn
		net.PacketConn
	}); ok {
		return &packetConn{packets, l}
	}
	return &streamConn{Conn: conn, lifetimes: l}
}

// take reads a message. One that cannot be read is the resolver's to refuse.
func (l *lifetimes) take(message []byte) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil || !header.Response || header.RCode != dnsmessage.RCodeSuccess || p.SkipAllQuestions() != nil {
		return
	}
	for {
		record, err := p.AnswerHeader()
		if err != nil {
			return
		}
		switch record.Type {
		case dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeCNAME:
			l.add(record.TTL)
		}
		if p.SkipAnswer() != nil {
			return
		}
	}
}

// add takes note of one record. A lifetime that is negative as a signed number counts as 0 (RFC 2181 section 8).
func (l *lifetimes) add(ttl uint32) {
	if ttl > 1<<31-1 {
		ttl = 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.some || ttl < l.ttl {
		l.ttl, l.some = ttl, true
	}
}

// packetConn is a connection on which a read is a message.
type packetConn struct {
	udpConn
	lifetimes *lifetimes
}

// udpConn is what both interfaces have of *net.UDPConn.
type udpConn interface {
	net.Conn
	net.PacketConn
}

func (c *packetConn) Read(b []byte) (int, error) {
	n, err := c.udpConn.Read(b)
	if err == nil {
		c.lifetimes.take(b[:n])
	}
	return n, err
}

// maxStream bounds what is kept of a stream: the largest message, with its length.
const maxStream = 2 + 1<<16

// streamConn is a connection of messages with two bytes of length before each (RFC 1035 section 4.2.2).
type streamConn struct {
	net.Conn
	lifetimes *lifetimes
	kept      []byte // of the message that is coming
}

func (c *streamConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if len(c.kept)+n <= maxStream {
		c.kept = append(c.kept, b[:n]...)
	}
	for len(c.kept) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(c.kept))
		if len(c.kept) < end {
			break
		}
		c.lifetimes.take(c.kept[2:end])
		c.kept = c.kept[end:]
	}
	return n, err
}
