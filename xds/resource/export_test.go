package resource

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// DownstreamSocket decodes the transport socket of a filter chain.
func DownstreamSocket(socket *corev3.TransportSocket) (*config.DownstreamTLS, error) {
	root := newReport("filter chain", "f")
	out := root.downstreamSocket(socket)
	if root.failed() {
		return nil, root.err()
	}
	return out, nil
}
