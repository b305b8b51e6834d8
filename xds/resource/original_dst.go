//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var deprecatedListenerFields = fields{"bind_to_port": decoded}

// originalDestinations decodes what becomes of connections that the kernel has redirected.
func (a *at) originalDestinations(l *listenerv3.Listener, out *config.Listener) {
	if v1 := l.GetDeprecatedV1(); v1 != nil {
		a.in("deprecated_v1").only(v1, deprecatedListenerFields)
	}
	out.Unbound = !orBool(l.GetBindToPort(), true) || !orBool(l.GetDeprecatedV1().GetBindToPort(), true)
	out.HandsOff = l.GetUseOriginalDst().GetValue()
	if !out.Unbound {
		return
	}
	if l.GetAddress().GetPipe() != nil {
		a.in("address").in("pipe").errorf("cannot be with bind_to_port: false: what is handed over was meant for an IP address")
	}
	for i, more := range l.GetAdditionalAddresses() {
		if more.GetAddress().GetPipe() != nil {
			a.item("additional_addresses", i).in("address").in("pipe").errorf("cannot be with bind_to_port: false: what is handed over was meant for an IP address")
		}
	}
}
