//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"net/netip"
	"syscall"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	selectorv3 "github.com/envoyproxy/go-control-plane/envoy/config/upstream/local_address_selector/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	bindFields = fields{
		"source_address": decoded, "freebind": decoded, "socket_options": decoded, "extra_source_addresses": decoded,
		"additional_source_addresses": decoded, "local_address_selector": decoded,
	}
	extraSourceFields   = fields{"address": decoded, "socket_options": decoded}
	socketOverrideField = fields{"socket_options": decoded}
)

// Options of IPv6 and of IPv4 that let a socket be bound to an address that the machine does not have (yet): freebind. The first is of
// linux/in6.h.
const (
	ipv6Freebind = 78
	ipv4Freebind = syscall.IP_FREEBIND
)

// The texts that stand for the families where options are picked for them.
const (
	anyIPv4 = "0.0.0.0"
	anyIPv6 = "::"
)

// UpstreamBind decodes where sockets to hosts begin, which stands in the bootstrap at the place that errors begin with.
func UpstreamBind(place string, b *corev3.BindConfig) (*config.Bind, error) {
	root := &at{report: &report{resource: place}}
	out := root.bind(b)
	return out, root.err()
}

// bindSource is a source address with the options that sockets bound to it have.
type bindSource struct {
	address netip.AddrPort
	at      *at // of the options
	options []*corev3.SocketOption
}

// bind decodes where sockets to hosts begin, nil for a nil b.
func (a *at) bind(b *corev3.BindConfig) *config.Bind {
	if b == nil {
		return nil
	}
	a.only(b, bindFields)
	// The one way to choose among source addresses is to take that of the host's family.
	if s := b.GetLocalAddressSelector(); s != nil && !s.GetTypedConfig().MessageIs(&selectorv3.DefaultLocalAddressSelector{}) {
		a.in("local_address_selector").errorf("%q is not supported, only DefaultLocalAddressSelector", s.GetTypedConfig().GetTypeUrl())
	}
	sources := a.bindSources(b)
	free := b.GetFreebind()
	out := &config.Bind{V4: sourceFor(sources, anyIPv4, free)}
	if !a.failed() { // or the same would be said of the same options again
		out.V6 = sourceFor(sources, anyIPv6, free)
	}
	return out
}

// bindSources returns the source addresses, the main one first, which may be none. As in Envoy there are at most two, of different
// families.
func (a *at) bindSources(b *corev3.BindConfig) []bindSource {
	sources := []bindSource{{at: a, options: b.GetSocketOptions()}}
	if s := b.GetSourceAddress(); s != nil {
		sources[0].address = a.in("source_address").source(s)
	}
	extra, deprecated := b.GetExtraSourceAddresses(), b.GetAdditionalSourceAddresses()
	field := "extra_source_addresses"
	switch {
	case len(extra) > 0 && len(deprecated) > 0:
		a.in("additional_source_addresses").errorf("cannot be set together with extra_source_addresses")
	case len(deprecated) > 0:
		field = "additional_source_addresses"
		for _, s := range deprecated {
			extra = append(extra, &corev3.ExtraSourceAddress{Address: s})
		}
	}
	switch {
	case len(extra) > 0 && b.GetSourceAddress() == nil:
		a.in(field).errorf("cannot be set without source_address")
	case len(extra) > 1:
		a.in(field).errorf("has %d addresses, it may have one", len(extra))
	}
	for i, s := range extra {
		place := a.item(field, i)
		if field == "extra_source_addresses" {
			place.only(s, extraSourceFields)
			place = place.in("address")
		}
		next := bindSource{address: place.source(s.GetAddress()), at: a, options: b.GetSocketOptions()}
		if own := s.GetSocketOptions(); own != nil {
			next.at, next.options = a.item(field, i).in("socket_options"), own.GetSocketOptions()
			next.at.only(own, socketOverrideField)
		}
		if sources[0].address.IsValid() && next.address.IsValid() && next.address.Addr().Is4() == sources[0].address.Addr().Is4() {
			a.item(field, i).errorf("%s and source_address %s are of the same family, want one of IPv4 and one of IPv6",
				next.address.Addr(), sources[0].address.Addr())
		}
		sources = append(sources, next)
	}
	return sources
}

// source decodes a source address.
func (a *at) source(s *corev3.SocketAddress) netip.AddrPort {
	address, _ := a.socketAddress(s, onlyIP).Socket()
	return address
}

// sourceFor returns where sockets to hosts of the family of ip begin: at the source address of that family, or else at the first.
func sourceFor(sources []bindSource, ip string, free *wrapperspb.BoolValue) config.BindSource {
	chosen, v4 := sources[0], ip == anyIPv4
	for _, s := range sources[1:] {
		if s.address.IsValid() && s.address.Addr().Is4() == v4 {
			chosen = s
		}
	}
	out := config.BindSource{Address: chosen.address}
	if free != nil {
		o := config.SocketOption{Level: syscall.IPPROTO_IPV6, Name: ipv6Freebind}
		if v4 {
			o = config.SocketOption{Level: syscall.IPPROTO_IP, Name: ipv4Freebind}
		}
		if free.GetValue() {
			o.Int = 1
		}
		out.Options = append(out.Options, o)
	}
	for _, o := range chosen.at.socketOptions(chosen.options, ip) {
		if o.State == config.SocketListening {
			chosen.at.in("socket_options").errorf("STATE_LISTENING is not supported, a socket to a host is STATE_PREBIND and STATE_BOUND only")
			break
		}
		out.Options = append(out.Options, o)
	}
	return out
}
