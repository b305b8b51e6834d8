package proxy

import (
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/match"
)

// destinations finds the listener that a connection was meant for, by the address that its client has connected to before the kernel
// redirected it. It is nil where no listener hands connections off.
type destinations map[netip.AddrPort]string // names of listeners

// compileDestinations notes which listener has which address. No two have the same.
func (c *compiled) compileDestinations() {
	wanted := false
	for _, l := range c.listeners {
		wanted = wanted || l.config.HandsOff
	}
	if !wanted {
		return
	}
	c.destinations = make(destinations)
	for _, l := range c.listeners {
		for i := range l.config.Addresses() {
			if at, ok := l.where(i).Socket(); ok {
				c.destinations[at] = l.config.Name
			}
		}
	}
	for _, l := range c.listeners {
		c.destinations.addCompatible(l)
	}
}

// addCompatible has a listener on "::" that takes connections over IPv4 stand for 0.0.0.0 too, where no other does.
func (d destinations) addCompatible(l *compiledListener) {
	for i, a := range l.config.Addresses() {
		at, _ := l.where(i).Socket()
		if v4 := netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port()); a.IPv4Compat && at.Addr() == netip.IPv6Unspecified() && d[v4] == "" {
			d[v4] = l.config.Name
		}
	}
}

// find returns the name of the listener for a destination: of that very address, or else of all addresses with that port. It returns ""
// where there is none.
func (d destinations) find(at netip.AddrPort) string {
	if name, ok := d[at]; ok {
		return name
	}
	all := netip.IPv6Unspecified()
	if at.Addr().Is4() {
		all = netip.IPv4Unspecified()
	}
	return d[netip.AddrPortFrom(all, at.Port())]
}

// where returns the address of l at an index of config.Addresses, with the port that was bound.
func (l *compiledListener) where(i int) config.Address {
	if l.config.Unbound {
		return l.config.Addresses()[i].Address
	}
	return l.sockets[i].Where()
}

// meant returns the listener that is to have a connection that listener filters have looked at, nil for l itself.
func (l *listenerState) meant(c *connection) *listenerState {
	at := c.originalDst()
	if !l.compiled.config.HandsOff || !at.IsValid() {
		return nil
	}
	to := l.worker.listeners[l.worker.serving.destinations.find(at)]
	if to == l {
		return nil
	}
	return to
}

// handOff gives a connection to the listener that it was meant for, whose own filters look at it then. What is known of it goes along.
func (l *listenerState) handOff(c connection, to *listenerState, seen *match.Connection) {
	c.logs.leave()
	c.logs = nil // it is the other's logs that are told of its end
	if !to.admit() {
		c.raw.Close()
		c.via.forget(l)
		return
	}
	l.dismiss()
	c.listener = to
	to.accepted(c, seen)
}
