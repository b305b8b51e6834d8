package proxy

import (
	"net/netip"
	"unsafe"

	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// originalHost returns the host that the request was meant for, in a cluster of type ORIGINAL_DST: the one that it names, where that is
// believed, or else where the client has connected to. It returns nil when neither is known.
func (x *exchange) originalHost() *upstream.Host {
	if name := x.cluster.OriginalField(); name != nil {
		if value, named := x.request.Fields.GetName(name); named {
			if at, ok := parseAddressPort(value); ok {
				return x.cluster.OriginalHost(at)
			}
			x.cluster.Stats().Inc(stats.ClusterOriginalDstHostInvalid)
		}
	}
	return x.cluster.OriginalHost(x.conn.originalDst())
}

// parseAddressPort is netip.ParseAddrPort without a copy of text, for addresses that hosts can have.
func parseAddressPort(text []byte) (netip.AddrPort, bool) {
	at, err := netip.ParseAddrPort(unsafe.String(unsafe.SliceData(text), len(text)))
	return at, err == nil && at.Addr().Zone() == ""
}

// originalDst returns where the client has connected to before the connection was redirected, the zero value where that is not known.
func (c *connection) originalDst() netip.AddrPort {
	if c.asserted == nil || !c.asserted.restored {
		return netip.AddrPort{}
	}
	return c.asserted.local
}
