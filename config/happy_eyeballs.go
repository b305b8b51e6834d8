package config

import "net/netip"

// HappyEyeballs says in which order the addresses of a host are tried that has several (UpstreamConnectionOptions.HappyEyeballsConfig,
// RFC 8305 section 4).
type HappyEyeballs struct {
	// First is the family whose addresses come first, and Count how many of them do before one of the other family, in turns. A
	// Count of 0 is 1.
	First AddressFamily
	Count uint32
}

// MoreAddresses are IP addresses, at least one. They are kept together so that endpoints can be compared.
type MoreAddresses struct{ List []Address }

// AddressFamily is a family of IP addresses.
type AddressFamily uint8

// The families.
const (
	FamilyOfFirst AddressFamily = iota // that of the first address
	FamilyIPv4
	FamilyIPv6
)

// Order returns the addresses of a host, of which first is the main one, in the order in which they are tried.
func (o HappyEyeballs) Order(first netip.AddrPort, others *MoreAddresses) []netip.AddrPort {
	all := make([]netip.AddrPort, 1, 1+len(others.List))
	all[0] = first
	for _, a := range others.List {
		if at, ok := a.Socket(); ok {
			all = append(all, at)
		}
	}
	v4 := first.Addr().Is4()
	if o.First != FamilyOfFirst {
		v4 = o.First == FamilyIPv4
	}
	var preferred, rest []netip.AddrPort
	for _, at := range all {
		if at.Addr().Is4() == v4 {
			preferred = append(preferred, at)
		} else {
			rest = append(rest, at)
		}
	}
	ordered := all[:0]
	for len(preferred)+len(rest) > 0 {
		n := min(int(max(o.Count, 1)), len(preferred))
		ordered = append(ordered, preferred[:n]...)
		preferred = preferred[n:]
		n = min(1, len(rest))
		ordered = append(ordered, rest[:n]...)
		rest = rest[n:]
	}
	return ordered
}
