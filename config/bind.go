package config

import "net/netip"

// Bind is where sockets to hosts begin (envoy.config.core.v3.BindConfig), by the family of the host's address. Hosts on Unix domain
// sockets have no part in it.
type Bind struct {
	V4, V6 BindSource
}

// BindSource is where sockets of one family begin.
type BindSource struct {
	// Address is what they are bound to, not valid for what the kernel picks; so is a Port of 0. It may be of the other family, where
	// none was given for this one: then no socket can be bound.
	Address netip.AddrPort
	// Options are set in their States, of which SocketListening is none.
	Options []SocketOption
}

// For returns where sockets to a host begin, nil for a nil b.
func (b *Bind) For(host netip.Addr) *BindSource {
	switch {
	case b == nil:
		return nil
	case host.Is4() || host.Is4In6():
		return &b.V4
	default:
		return &b.V6
	}
}
