package admin

import (
	"fmt"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// listeners is /listeners.
func (a *surface) listeners(r *request) {
	all := a.Listeners()
	if r.wantsJSON() {
		list := &adminv3.Listeners{}
		for _, l := range all {
			status := &adminv3.ListenerStatus{Name: l.Name, LocalAddress: addressMessage(l.Address)}
			for _, address := range l.Additional {
				status.AdditionalLocalAddresses = append(status.AdditionalLocalAddresses, addressMessage(address))
			}
			list.ListenerStatuses = append(list.ListenerStatuses, status)
		}
		r.json(list, omitDefaults)
		return
	}
	var b strings.Builder
	for _, l := range all {
		for _, address := range append([]config.Address{l.Address}, l.Additional...) {
			fmt.Fprintf(&b, "%s::%s\n", visible(l.Name), address)
		}
	}
	r.ok(b.String())
}
