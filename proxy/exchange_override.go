package proxy

import (
	"bytes"

	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// overrideHost returns the host that the request names in the fields which the cluster's policy override_host listens to, nil
// when it names none. They hold lists of addresses: each attempt takes the next that is one of the cluster's hosts. Like Envoy
// it does not ask for the health of a host that was chosen elsewhere.
func (x *exchange) overrideHost() *upstream.Host {
	n := 0
	for _, name := range x.cluster.OverrideFields() {
		list, _ := x.request.Fields.GetName(name)
		for len(list) > 0 {
			var address []byte
			address, list, _ = bytes.Cut(list, []byte{','})
			if n++; n <= x.overrides {
				continue // an earlier attempt had it
			}
			x.overrides = n
			if h := x.cluster.HostAt(bytes.TrimSpace(address)); h != nil {
				return h
			}
		}
	}
	return nil
}
