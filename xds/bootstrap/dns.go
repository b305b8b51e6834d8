package bootstrap

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	getaddrinfov3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/getaddrinfo/v3"
)

// dnsResolver checks the resolver that clusters without their own have. Which one makes no difference but for whom it asks.
func (d *decoder) dnsResolver(e *corev3.TypedExtensionConfig) {
	const path = "typed_dns_resolver_config"
	if e == nil {
		return
	}
	var cares caresv3.CaresDnsResolverConfig
	packed := e.GetTypedConfig()
	switch {
	case packed.MessageIs(&getaddrinfov3.GetAddrInfoDnsResolverConfig{}):
	case packed.MessageIs(&cares):
		if err := packed.UnmarshalTo(&cares); err != nil {
			d.errorf(path, "%v", err)
			return
		}
		if len(cares.GetResolvers()) > 0 {
			d.errorf(path+".typed_config.resolvers", "is not supported: names are looked up as /etc/resolv.conf says")
			return
		}
	default:
		d.errorf(path, "%q with type URL %q is not supported, only CaresDnsResolverConfig and GetAddrInfoDnsResolverConfig",
			e.GetName(), packed.GetTypeUrl())
		return
	}
	d.warnf(path, goResolver)
}
