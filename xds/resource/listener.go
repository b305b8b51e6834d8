package resource

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Listener decodes a listener: a TCP address and one filter chain with an HTTP connection manager.
func Listener(l *listenerv3.Listener) (*config.Listener, error) { return nil, nil }
