package admin

import (
	"fmt"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
)

// listeners is /listeners.
func (a *surface) listeners(r *request) {
	all := a.Listeners()
	if r.wantsJSON() {
		list := &adminv3.Listeners{}
		for _, l := range all {
			list.ListenerStatuses = append(list.ListenerStatuses, &adminv3.ListenerStatus{
				Name: l.Name, LocalAddress: socketAddress(l.Address.String()),
			})
		}
		r.json(list, omitDefaults)
		return
	}
	var b strings.Builder
	for _, l := range all {
		fmt.Fprintf(&b, "%s::%s\n", visible(l.Name), l.Address)
	}
	r.ok(b.String())
}
