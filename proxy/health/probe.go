package health

import (
	"bytes"
	"cmp"
	"context"
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// userAgent is what health checks call themselves, as Envoy's.
const userAgent = "Envoy/HC"

// prober asks one host. It is used by one goroutine.
type prober interface {
	// probe makes one attempt, which ends when ctx does. What ends for that reason is a networkFailure.
	probe(ctx context.Context) result
	// close lets go of what was kept for the next probe.
	close()
}

// newProber returns the prober for an endpoint of a cluster with a health check. context is the endpoint's TLS, nil for none, and
// header what connections to it begin with, nil for nothing;
// from is where they begin, nil for anywhere.
func newProber(k *config.Cluster, e *config.Endpoint, context *tls.Upstream, header *config.ProxyHeader, from *config.Bind) prober {
	check := k.HealthCheck
	kept := keeper{address: e.CheckedAt(), reuse: check.ReuseConnection, tls: context, hostname: e.Hostname, bind: from}
	if header != nil {
		kept.first = header.AppendTo(nil, netip.AddrPort{}, netip.AddrPort{}) // it is asked for nobody but this proxy
	}
	switch {
	case check.TCP != nil:
	case check.GRPC != nil || check.HTTP.HTTP2:
		kept.alpn = []string{"h2"}
	default:
		kept.alpn = []string{"http/1.1"}
	}
	switch {
	case check.TCP != nil:
		return &tcpProber{keeper: kept, check: check.TCP}
	case check.GRPC != nil:
		return newGRPCProber(kept, check, cmp.Or(e.HealthCheck.Hostname, check.GRPC.Authority, k.Name))
	case check.HTTP.HTTP2:
		return newHTTP2Prober(kept, check.HTTP, cmp.Or(e.HealthCheck.Hostname, check.HTTP.Host, k.Name))
	default:
		return newHTTP1Prober(kept, check.HTTP, cmp.Or(e.HealthCheck.Hostname, check.HTTP.Host, k.Name))
	}
}

// found reports whether the segments are in data, in their order, with whatever between them.
func found(segments [][]byte, data []byte) bool {
	for _, segment := range segments {
		i := bytes.Index(data, segment)
		if i < 0 {
			return false
		}
		data = data[i+len(segment):]
	}
	return true
}
