package peer

import "strconv"

// What all proxies agree on with clients of TLS: what OpenSSL and crypto/tls both have, so that none is measured by costlier
// or cheaper cryptography than another. crypto/tls cannot be told a cipher suite of TLS 1.3 and chooses this one where the
// machine and the client have AES in hardware; elsewhere the first look at a proxy fails.
const (
	TLSVersion  = "TLS 1.3"
	CipherSuite = "TLS_AES_128_GCM_SHA256"
	Curve       = "X25519"
)

// words are what the templates of all kinds say about a task.
type words struct {
	Spec
	HTTP2, OriginHTTP2                         bool
	Streams, Threads                           int
	RequestHeader, ResponseHeader, HeaderValue string
	// Scheme is what clients speak. Suite and Curve are as OpenSSL names them, and as the RFC does.
	Scheme, Suite, Curve string
	// Routes and Clusters are those of the configuration, at least one of each.
	Routes   []route
	Clusters []string
}

// route is a prefix of paths and the name of a cluster.
type route struct{ Prefix, Cluster string }

// clusters are the names of those of the traffic.
func (t Traffic) clusters() []string {
	if t.Clusters == 0 {
		return []string{"origin"}
	}
	var names []string
	for i := range t.Clusters {
		names = append(names, "origin"+strconv.Itoa(i))
	}
	return names
}

// routes are those of the traffic, to the clusters by turns.
func (t Traffic) routes() []route {
	clusters := t.clusters()
	if t.Routes == 0 {
		return []route{{"/", clusters[0]}}
	}
	var routes []route
	for i := range t.Routes {
		routes = append(routes, route{RoutePath(i, "/"), clusters[i%len(clusters)]})
	}
	return routes
}

func (s Spec) words() words {
	scheme := "http"
	if s.Traffic.TLS {
		scheme = "https"
	}
	return words{
		Spec:  s,
		HTTP2: s.Traffic.Downstream == HTTP2, OriginHTTP2: s.Traffic.Upstream == HTTP2, Streams: MaxStreams,
		Threads:       s.workers(),
		RequestHeader: RequestHeader, ResponseHeader: ResponseHeader, HeaderValue: HeaderValue,
		Scheme: scheme, Suite: CipherSuite, Curve: Curve,
		Routes: s.Traffic.routes(), Clusters: s.Traffic.clusters(),
	}
}
