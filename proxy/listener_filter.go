package proxy

import (
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/inspect"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// The transport protocols that a chain may match.
const (
	transportTLS = "tls"
	transportRaw = "raw_buffer" // also when no filter has looked
)

// listenerFilter looks at a connection before its filter chain is chosen. It is shared by all connections of all workers, and
// keeps what it knows of one in the inspection.
type listenerFilter interface {
	// inspect looks at data, all bytes that have come and were not consumed. counts are the filter's statistics.
	inspect(i *inspection, counts *stats.Block, data []byte) filterResult
	// gone counts a connection that was closed by its client before the filter knew.
	gone(counts *stats.Block)
}

// filterResult is what a listener filter makes of a connection.
type filterResult uint8

const (
	filterWaits    filterResult = iota // it needs more bytes
	filterContinue                     // the next filter may look
	filterClose                        // the connection is to be closed
)

// compiledFilter is a listener filter made ready.
type compiledFilter struct {
	listenerFilter
	scope *stats.Scope // nil for a filter without statistics
}

// compileFilters makes the listener filters of l ready.
func (s *Server) compileFilters(l *compiledListener, undo *cleanup) error {
	for i := range l.config.Filters {
		var f compiledFilter
		switch c := l.config.Filters[i].Config.(type) {
		case config.TLSInspector:
			f = compiledFilter{tlsInspector{limit: int(c.MaxClientHello), closes: c.CloseOnError}, s.scope(undo, "tls_inspector.", stats.TLSInspector)}
		case config.HTTPInspector:
			f = compiledFilter{httpInspector{}, s.scope(undo, "http_inspector.", stats.HTTPInspector)}
		case config.ProxyProtocol:
			prefix := "proxy_proto."
			if c.StatPrefix != "" {
				prefix += statName(c.StatPrefix) + "."
			}
			f = compiledFilter{newProxyProtocol(c), s.scope(undo, prefix, stats.ProxyProtocol)}
		case config.OriginalDst:
			f = compiledFilter{listenerFilter: originalDst{transparent: l.config.Socket.Transparent}}
		default:
			return fmt.Errorf("listener filter %q: %T is not the configuration of one", l.config.Filters[i].Name, c)
		}
		l.filters = append(l.filters, f)
	}
	return nil
}

// tlsInspector finds out whether the client speaks TLS, and for whom and what it asks.
type tlsInspector struct {
	limit  int
	closes bool // on anything but TLS
}

func (f tlsInspector) inspect(i *inspection, counts *stats.Block, data []byte) filterResult {
	verdict := i.hello.Inspect(data, f.limit)
	if verdict == inspect.More {
		return filterWaits
	}
	counts.Record(stats.TLSInspectorBytesProcessed, uint64(len(data)))
	switch verdict {
	case inspect.TooLarge:
		counts.Inc(stats.TLSInspectorClientHelloTooLarge)
		return filterClose
	case inspect.Other:
		counts.Inc(stats.TLSInspectorTLSNotFound)
		if f.closes {
			return filterClose
		}
		return filterContinue
	}
	counts.Inc(stats.TLSInspectorTLSFound)
	countEither(counts, len(i.hello.ServerName) > 0, stats.TLSInspectorSNIFound, stats.TLSInspectorSNINotFound)
	countEither(counts, len(i.hello.Protocols) > 0, stats.TLSInspectorALPNFound, stats.TLSInspectorALPNNotFound)
	i.seen.Transport = transportTLS
	i.seen.ServerName = i.hello.ServerName
	i.seen.Protocols = i.hello.Protocols
	return filterContinue
}

func (f tlsInspector) gone(*stats.Block) {}

// countEither counts in one of two statistics.
func countEither(counts *stats.Block, first bool, a, b int) {
	if !first {
		a = b
	}
	counts.Inc(a)
}

// httpInspector finds out which version of HTTP the client speaks.
type httpInspector struct{}

func (httpInspector) inspect(i *inspection, counts *stats.Block, data []byte) filterResult {
	if i.seen.Transport == transportTLS {
		return filterContinue // what is below cannot be seen
	}
	switch i.http.Inspect(data) {
	case inspect.More:
		return filterWaits
	case inspect.Found:
		counts.Inc(httpFound[i.http.Protocol])
		i.seen.Protocols = i.http.Protocol.Offer()
	default:
		counts.Inc(stats.HTTPInspectorHTTPNotFound)
	}
	return filterContinue
}

// httpFound are the statistics of the protocols. It is never written.
var httpFound = [...]int{
	inspect.HTTP10: stats.HTTPInspectorHTTP10Found, inspect.HTTP11: stats.HTTPInspectorHTTP11Found, inspect.HTTP2: stats.HTTPInspectorHTTP2Found,
}

func (httpInspector) gone(counts *stats.Block) { counts.Inc(stats.HTTPInspectorReadError) }

// originalDst finds out where the client wanted to connect to before the kernel translated the address.
type originalDst struct {
	transparent bool // the socket is: its connections have that address as their own
}

func (f originalDst) inspect(i *inspection, _ *stats.Block, _ []byte) filterResult {
	at, ok := i.raw.OriginalDst()
	if !ok && f.transparent {
		at = i.raw.LocalAddr()
		ok = at.IsValid()
	}
	if ok {
		i.assert(i.remoteAddr(), at, true)
	}
	return filterContinue
}

func (originalDst) gone(*stats.Block) {}

// proxyProtocol takes the addresses of the connection from a PROXY header.
type proxyProtocol struct {
	allowed      inspect.ProxyVersions
	allowWithout bool
}

func newProxyProtocol(c config.ProxyProtocol) proxyProtocol {
	f := proxyProtocol{allowed: inspect.ProxyV1 | inspect.ProxyV2, allowWithout: c.AllowWithout}
	if c.DisallowV1 {
		f.allowed &^= inspect.ProxyV1
	}
	if c.DisallowV2 {
		f.allowed &^= inspect.ProxyV2
	}
	return f
}

// proxyCounts are the statistics of one version.
type proxyCounts struct{ found, disallowed, fault int }

func countsOf(version inspect.ProxyVersions) proxyCounts {
	if version == inspect.ProxyV1 {
		return proxyCounts{stats.ProxyProtocolV1Found, stats.ProxyProtocolV1Disallowed, stats.ProxyProtocolV1Error}
	}
	return proxyCounts{stats.ProxyProtocolV2Found, stats.ProxyProtocolV2Disallowed, stats.ProxyProtocolV2Error}
}

// inspect implements listenerFilter. The signature of a version that is not allowed is looked for to refuse it, except where
// connections without a header are allowed: it is their own then.
func (f proxyProtocol) inspect(i *inspection, counts *stats.Block, data []byte) filterResult {
	versions := f.allowed
	if !f.allowWithout {
		versions = inspect.ProxyV1 | inspect.ProxyV2
	}
	h, verdict := inspect.Proxy(data, versions)
	switch {
	case h.Version != 0 && h.Version&f.allowed == 0:
		counts.Inc(countsOf(h.Version).disallowed)
		return filterClose
	case verdict == inspect.More:
		return filterWaits
	case verdict == inspect.Found:
		counts.Inc(countsOf(h.Version).found)
		i.consume(h.Length)
		if h.Source.IsValid() {
			i.assert(h.Source, h.Destination, h.Destination != i.raw.LocalAddr())
		}
		return filterContinue
	case h.Version != 0:
		counts.Inc(countsOf(h.Version).fault)
		return filterClose
	case f.allowWithout:
		counts.Inc(stats.ProxyProtocolNotFoundAllowed)
		return filterContinue
	default:
		counts.Inc(stats.ProxyProtocolNotFoundDisallowed)
		return filterClose
	}
}

func (proxyProtocol) gone(*stats.Block) {}
