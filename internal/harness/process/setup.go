package process

import (
	"encoding/json"
	"maps"
	"net/netip"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// Fields are a message of Envoy's API as JSON has it: names of the API, durations as strings.
type Fields = map[string]any

const (
	typePrefix = "type.googleapis.com/envoy.extensions."
	// httpOptions is the key and the type of what clusters say about HTTP.
	httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
)

// Setup is what a proxy is started with: a static bootstrap, and the command line. NewSetup fills it with Envoy's defaults;
// tests change what they are about.
type Setup struct {
	Listeners []*Listener
	Clusters  []Fields
	Runtime   Fields // of a static layer
	Other     Fields // of the bootstrap, beside all these

	Workers int      // 1 unless set
	Args    []string // of the command line, beside those that Start gives
	Env     []string // beside those that Start gives, as os.Environ has them
}

// Listener is a listener on a free port of 127.0.0.1 with one connection manager and one virtual host.
type Listener struct {
	Name   string
	Fields Fields   // of the listener
	HTTP   Fields   // of the connection manager
	Chain  Fields   // of its filter chain, such as a transport_socket
	Routes []Fields // first match wins
}

// NewSetup returns one listener, whose only route sends everything to a cluster of the given hosts. Names are those of
// harness.NewSetup.
func NewSetup(hosts ...netip.AddrPort) *Setup {
	return &Setup{
		Listeners: []*Listener{NewListener(harness.ListenerName, Route("/", harness.ClusterName))},
		Clusters:  []Fields{Cluster(harness.ClusterName, hosts...)},
	}
}

// HTTP returns the fields of the first listener's connection manager.
func (s *Setup) HTTP() Fields { return s.Listeners[0].HTTP }

// NewListener returns a listener with the routes, whose statistics are under harness.StatPrefix.
func NewListener(name string, routes ...Fields) *Listener {
	return &Listener{
		Name:   name,
		Fields: Fields{},
		HTTP:   Fields{"stat_prefix": harness.StatPrefix, "use_remote_address": true},
		Routes: routes,
	}
}

// Route returns a route of paths that begin with the prefix to a cluster.
func Route(prefix, cluster string) Fields {
	return Fields{"match": Fields{"prefix": prefix}, "route": Fields{"cluster": cluster}}
}

// Direct returns a route of paths that begin with the prefix to an answer of the proxy's own.
func Direct(prefix string, status int, body string) Fields {
	return Fields{
		"match":           Fields{"prefix": prefix},
		"direct_response": Fields{"status": status, "body": Fields{"inline_string": body}},
	}
}

// Cluster returns a STATIC cluster whose hosts speak HTTP/1.1.
func Cluster(name string, hosts ...netip.AddrPort) Fields {
	endpoints := make([]Fields, len(hosts))
	for i, h := range hosts {
		endpoints[i] = Fields{"endpoint": Fields{"address": address(h)}}
	}
	return Fields{
		"name": name, "type": "STATIC",
		"load_assignment": Fields{"cluster_name": name, "endpoints": []Fields{{"lb_endpoints": endpoints}}},
	}
}

// HTTP2Cluster is Cluster with hosts that speak HTTP/2 with prior knowledge. The options are http2_protocol_options, nil for
// the defaults.
func HTTP2Cluster(name string, options Fields, hosts ...netip.AddrPort) Fields {
	if options == nil {
		options = Fields{}
	}
	return WithHTTPOptions(Cluster(name, hosts...), Fields{"explicit_http_config": Fields{"http2_protocol_options": options}})
}

// WithHTTPOptions sets the HttpProtocolOptions of a cluster, and returns it.
func WithHTTPOptions(cluster, options Fields) Fields {
	cluster["typed_extension_protocol_options"] = Fields{httpOptions: typed("upstreams.http.v3.HttpProtocolOptions", options)}
	return cluster
}

// DownstreamTLS returns a transport socket that shows clients a certificate in PEM, and offers them HTTP/2 and HTTP/1.1.
func DownstreamTLS(cert, key []byte) Fields { return ServerTLS(Certificate{cert, key}) }

// Certificate is a certificate with its chain, and its key, in PEM.
type Certificate struct{ Chain, Key []byte }

// ServerTLS is DownstreamTLS with several certificates.
func ServerTLS(certificates ...Certificate) Fields { return serverTLS(Fields{}, certificates) }

// MutualTLS is ServerTLS that asks clients for a certificate of an authority in PEM.
func MutualTLS(ca []byte, certificates ...Certificate) Fields {
	return serverTLS(Fields{"validation_context": Fields{"trusted_ca": Fields{"inline_string": string(ca)}}}, certificates)
}

func serverTLS(common Fields, certificates []Certificate) Fields {
	var list []Fields
	for _, c := range certificates {
		list = append(list, Fields{
			"certificate_chain": Fields{"inline_string": string(c.Chain)}, "private_key": Fields{"inline_string": string(c.Key)},
		})
	}
	common["alpn_protocols"], common["tls_certificates"] = []string{"h2", "http/1.1"}, list
	_, validated := common["validation_context"]
	return transportSocket("transport_sockets.tls.v3.DownstreamTlsContext", Fields{
		"common_tls_context": common, "require_client_certificate": validated,
	})
}

// UpstreamTLS returns a transport socket that asks hosts for a server name and verifies them by an authority in PEM.
func UpstreamTLS(name string, ca []byte) Fields {
	return transportSocket("transport_sockets.tls.v3.UpstreamTlsContext", Fields{
		"sni": name, "auto_sni_san_validation": true,
		"common_tls_context": Fields{
			"tls_params":         Fields{"tls_maximum_protocol_version": "TLSv1_3"},
			"validation_context": Fields{"trusted_ca": Fields{"inline_string": string(ca)}},
		},
	})
}

func transportSocket(name string, message Fields) Fields {
	return Fields{"name": "envoy.transport_sockets.tls", "typed_config": typed(name, message)}
}

// typed returns a message with its type, given below envoy.extensions.
func typed(name string, message Fields) Fields {
	message = maps.Clone(message)
	if message == nil {
		message = Fields{}
	}
	message["@type"] = typePrefix + name
	return message
}

func address(at netip.AddrPort) Fields {
	return Fields{"socket_address": Fields{"address": at.Addr().String(), "port_value": at.Port()}}
}

// anyPort has the kernel choose a port of the loopback interface.
func anyPort() Fields { return address(netip.MustParseAddrPort("127.0.0.1:0")) }

// bootstrap returns the bootstrap as JSON.
func (s *Setup) bootstrap(t testing.TB) []byte {
	t.Helper()
	listeners := make([]Fields, len(s.Listeners))
	for i, l := range s.Listeners {
		listeners[i] = l.message()
	}
	all := Fields{
		"admin":            Fields{"address": anyPort()},
		"static_resources": Fields{"listeners": listeners, "clusters": s.Clusters},
	}
	if len(s.Runtime) > 0 {
		all["layered_runtime"] = Fields{"layers": []Fields{{"name": "static", "static_layer": s.Runtime}}}
	}
	maps.Copy(all, s.Other)
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatalf("make a bootstrap: %v", err)
	}
	return text
}

// message returns the listener. What its test has set goes before what is set here.
func (l *Listener) message() Fields {
	router := Fields{"name": "envoy.filters.http.router", "typed_config": typed("filters.http.router.v3.Router", nil)}
	manager := Fields{
		"route_config": Fields{"name": "routes", "virtual_hosts": []Fields{
			{"name": "all", "domains": []string{"*"}, "routes": l.Routes},
		}},
		"http_filters": []Fields{router},
	}
	maps.Copy(manager, l.HTTP)
	const managerType = "filters.network.http_connection_manager.v3.HttpConnectionManager"
	filter := Fields{"name": "envoy.filters.network.http_connection_manager", "typed_config": typed(managerType, manager)}
	chain := Fields{"filters": []Fields{filter}}
	maps.Copy(chain, l.Chain)
	listener := Fields{"name": l.Name, "address": anyPort(), "filter_chains": []Fields{chain}}
	maps.Copy(listener, l.Fields)
	return listener
}
