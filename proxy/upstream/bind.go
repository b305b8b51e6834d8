package upstream

import (
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// bindSources has new connections to hosts begin as b says, anywhere for a nil b.
func (k *Cluster) bindSources(b *config.Bind) {
	k.source4, k.source6 = nil, nil
	if b != nil {
		k.source4, k.source6 = dialSource(&b.V4), dialSource(&b.V6)
	}
}

// sourceFor returns where a connection to an address begins, nil for anywhere.
func (k *Cluster) sourceFor(at netip.AddrPort) *eventloop.DialSource {
	if at.Addr().Is4() {
		return k.source4
	}
	return k.source6
}

func dialSource(b *config.BindSource) *eventloop.DialSource {
	from := &eventloop.DialSource{Address: b.Address}
	for _, o := range b.Options {
		option := eventloop.DialOption{Level: o.Level, Name: o.Name, Value: o.Int, Bytes: o.Bytes}
		if o.State == config.SocketBound {
			from.Bound = append(from.Bound, option)
		} else {
			from.Prebind = append(from.Prebind, option)
		}
	}
	return from
}
