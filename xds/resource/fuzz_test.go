package resource_test

import (
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// FuzzDecode feeds bytes from a control plane to every decoder: either a value or an error comes out.
func FuzzDecode(f *testing.F) {
	typeURLs := []string{resource.ListenerType, resource.RouteType, resource.ClusterType, resource.AssignmentType}
	seed := func(kind uint8, m proto.Message) {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, data)
	}
	seed(0, &listenerv3.Listener{Name: "l", FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{Name: "n"}}}}})
	seed(1, &routev3.RouteConfiguration{Name: "r", VirtualHosts: []*routev3.VirtualHost{{Name: "v", Domains: []string{"*"}, Routes: []*routev3.Route{{
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "c"}}},
	}}}}})
	matched := "name: rc\nvirtual_hosts: [{name: v, domains: [a], matcher: {matcher_list: {matchers: [{predicate: {not_matcher: " + isValue("x", "{exact: a}") + "}, " +
		"on_match: " + toRoute("r", 200) + "}]}, on_no_match: {matcher: {matcher_tree: {input: " + headerInput("y") + ", prefix_match_map: {map: {p: " + toRoute("s", 404) + "}}}}}}}]"
	seed(1, parse(f, matched, &routev3.RouteConfiguration{}))
	seed(2, &clusterv3.Cluster{Name: "c", LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: "c"}})
	seed(2, &clusterv3.Cluster{Name: "c", HealthChecks: []*corev3.HealthCheck{{HealthChecker: &corev3.HealthCheck_TcpHealthCheck_{
		TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{Send: &corev3.HealthCheck_Payload{Payload: &corev3.HealthCheck_Payload_Text{Text: "00"}}},
	}}}})
	seed(3, &endpointv3.ClusterLoadAssignment{ClusterName: "c", Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{}}}}})
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		url := typeURLs[int(kind)%len(typeURLs)]
		_, msg, err := resource.Unmarshal(url, &anypb.Any{TypeUrl: url, Value: data})
		if err != nil {
			return
		}
		missing := false
		switch m := msg.(type) {
		case *listenerv3.Listener:
			l, decodeErr := resource.Listener(m)
			missing, err = l == nil, decodeErr
		case *routev3.RouteConfiguration:
			rc, decodeErr := resource.RouteConfiguration(m)
			missing, err = rc == nil, decodeErr
		case *clusterv3.Cluster:
			c, decodeErr := resource.Cluster(m)
			missing, err = c == nil, decodeErr
		case *endpointv3.ClusterLoadAssignment:
			a, decodeErr := resource.Assignment(m)
			missing, err = a == nil, decodeErr
		}
		if missing != (err != nil) {
			t.Fatalf("missing = %v, err = %v", missing, err)
		}
	})
}

// FuzzTLS feeds bytes from a control plane to the decoders of secrets and of both TLS contexts. What they take, the other
// end of the contract holds: an error or a value, never both, and a client with no more than one certificate.
func FuzzTLS(f *testing.F) {
	seed := func(kind uint8, m proto.Message) {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, data)
	}
	bytesOf := func(text string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}}
	}
	certificate := &tlsv3.TlsCertificate{CertificateChain: bytesOf("chain"), PrivateKey: bytesOf("key")}
	validation := &tlsv3.CertificateValidationContext{
		TrustedCa: bytesOf("ca"), VerifyCertificateSpki: []string{spkiPin}, VerifyCertificateHash: []string{hashPin},
		MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
			SanType: tlsv3.SubjectAltNameMatcher_DNS, Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "a"}},
		}},
	}
	common := &tlsv3.CommonTlsContext{
		TlsCertificates: []*tlsv3.TlsCertificate{certificate}, AlpnProtocols: []string{"h2,http/1.1"},
		TlsParams:             &tlsv3.TlsParameters{CipherSuites: []string{"[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-AES256-GCM-SHA384]"}, EcdhCurves: []string{"P-256"}},
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: validation},
	}
	seed(0, &tlsv3.Secret{Name: "s", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: certificate}})
	seed(0, &tlsv3.Secret{Name: "s", Type: &tlsv3.Secret_ValidationContext{ValidationContext: validation}})
	seed(0, &tlsv3.Secret{Name: "s", Type: &tlsv3.Secret_SessionTicketKeys{SessionTicketKeys: &tlsv3.TlsSessionTicketKeys{Keys: []*corev3.DataSource{bytesOf("short")}}}})
	seed(1, &tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: "a", AutoSniSanValidation: true})
	seed(2, &tlsv3.DownstreamTlsContext{CommonTlsContext: common})
	plain := new(listenerv3.Listener)
	if _, err := protofile.Unmarshal([]byte(chainsWith("name: f")), protofile.YAML, plain, protofile.Options{}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		switch kind % 3 {
		case 0:
			_, msg, err := resource.Unmarshal(resource.SecretType, &anypb.Any{TypeUrl: resource.SecretType, Value: data})
			if err != nil {
				return
			}
			s, err := resource.Secret(msg.(*tlsv3.Secret))
			if (s == nil) != (err != nil) {
				t.Fatalf("%v beside %v", s, err)
			}
			if s != nil && (s.Certificate != nil) == (s.Validation != nil) && (s.TicketKeys != nil) == (s.Certificate != nil) {
				t.Fatalf("not one kind of secret: %+v", s)
			}
		case 1:
			socket := &corev3.TransportSocket{Name: "t", ConfigType: &corev3.TransportSocket_TypedConfig{
				TypedConfig: &anypb.Any{TypeUrl: tlsTypes + "UpstreamTlsContext", Value: data},
			}}
			c, err := resource.Cluster(&clusterv3.Cluster{Name: "c", TransportSocket: socket})
			if (c == nil) != (err != nil) {
				t.Fatalf("%v beside %v", c, err)
			}
			if c != nil && len(c.TLS.Certificates)+len(c.TLS.CertificateSecrets) > 1 {
				t.Fatalf("a client with several certificates: %+v", c.TLS)
			}
		case 2:
			socket := &corev3.TransportSocket{Name: "t", ConfigType: &corev3.TransportSocket_TypedConfig{
				TypedConfig: &anypb.Any{TypeUrl: tlsTypes + "DownstreamTlsContext", Value: data},
			}}
			l := proto.CloneOf(plain)
			l.FilterChains[0].TransportSocket = socket
			got, err := resource.Listener(l)
			if (got == nil) != (err != nil) {
				t.Fatalf("%v beside %v", got, err)
			}
			if got == nil {
				return
			}
			for chain := range got.FilterChains() {
				if d := chain.TLS; len(d.Certificates)+len(d.CertificateSecrets) == 0 {
					t.Fatalf("a server without a certificate: %+v", d)
				}
			}
		}
	})
}
