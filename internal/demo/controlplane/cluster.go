package controlplane

import (
	"net/netip"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	// defaultConnectTimeout is Envoy's own.
	defaultConnectTimeout = 5 * time.Second
	// Health checks: a host is out after three failures, half a minute, and back after two successes.
	healthCheckInterval           = 10 * time.Second
	healthCheckTimeout            = 2 * time.Second
	healthCheckUnhealthyThreshold = 3
	healthCheckHealthyThreshold   = 2
	// systemCAFile is where Alpine, Debian and their images keep the CA bundle.
	systemCAFile = "/etc/ssl/certs/ca-certificates.crt"
	// httpProtocolOptions is the key under which a cluster keeps HttpProtocolOptions.
	httpProtocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
)

// addressed reports whether all hosts are IP addresses, which endpoint discovery can carry; a name must be resolved by the cluster itself.
func (s *Service) addressed() bool {
	for _, host := range s.Hosts {
		if _, err := netip.ParseAddr(host); err != nil {
			return false
		}
	}
	return true
}

func clusterResource(service *Service) *cluster.Cluster {
	c := &cluster.Cluster{
		Name:           service.Name,
		ConnectTimeout: secondsOr(service.TimeoutSeconds, defaultConnectTimeout),
		LbPolicy:       cluster.Cluster_ROUND_ROBIN,
	}
	if service.addressed() {
		c.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_EDS}
		c.EdsClusterConfig = &cluster.Cluster_EdsClusterConfig{EdsConfig: overADS()}
	} else {
		c.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_STRICT_DNS}
		c.DnsLookupFamily = cluster.Cluster_V4_PREFERRED
		c.LoadAssignment = loadAssignment(service)
	}
	if service.usesHTTP2() {
		c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpProtocolOptions: http2Options(service)}
	}
	if service.usesTLS() {
		c.TransportSocket = upstreamTLS(service)
	}
	if service.HealthCheckPath != "" {
		c.HealthChecks = []*core.HealthCheck{healthCheck(service)}
	}
	return c
}

func loadAssignment(service *Service) *endpoint.ClusterLoadAssignment {
	endpoints := make([]*endpoint.LbEndpoint, len(service.Hosts))
	for i, host := range service.Hosts {
		endpoints[i] = &endpoint.LbEndpoint{HostIdentifier: &endpoint.LbEndpoint_Endpoint{
			Endpoint: &endpoint.Endpoint{Address: socketAddress(host, uint32(service.Port))},
		}}
	}
	return &endpoint.ClusterLoadAssignment{
		ClusterName: service.Name,
		Endpoints:   []*endpoint.LocalityLbEndpoints{{LbEndpoints: endpoints}},
	}
}

func http2Options(service *Service) *anypb.Any {
	return typed(&upstream.HttpProtocolOptions{
		UpstreamProtocolOptions: &upstream.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &upstream.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstream.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					// A WebSocket over HTTP/2 is an extended CONNECT, RFC 8441 section 4.
					Http2ProtocolOptions: &core.Http2ProtocolOptions{AllowConnect: service.usesWebSocket()},
				},
			},
		},
	})
}

func healthCheck(service *Service) *core.HealthCheck {
	check := &core.HealthCheck_HttpHealthCheck{Path: service.HealthCheckPath}
	if service.usesHTTP2() {
		check.CodecClientType = typev3.CodecClientType_HTTP2
	}
	return &core.HealthCheck{
		Timeout:            durationpb.New(healthCheckTimeout),
		Interval:           durationpb.New(healthCheckInterval),
		NoTrafficInterval:  durationpb.New(healthCheckInterval), // Envoy's 60 s would leave an idle demo in the dark
		UnhealthyThreshold: wrapperspb.UInt32(healthCheckUnhealthyThreshold),
		HealthyThreshold:   wrapperspb.UInt32(healthCheckHealthyThreshold),
		HealthChecker:      &core.HealthCheck_HttpHealthCheck_{HttpHealthCheck: check},
	}
}

func upstreamTLS(service *Service) *core.TransportSocket {
	common := &tls.CommonTlsContext{
		TlsParams:     &tls.TlsParameters{TlsMaximumProtocolVersion: tls.TlsParameters_TLSv1_3}, // a client's default is 1.2
		AlpnProtocols: []string{"http/1.1"},
	}
	if service.usesHTTP2() {
		common.AlpnProtocols = []string{"h2"}
	}
	if service.TLSVerify {
		verifyUpstream(common, service)
	}
	return tlsSocket(&tls.UpstreamTlsContext{CommonTlsContext: common, Sni: service.sni()})
}

// sni returns the first host that is a name. RFC 6066 section 3 has no literal addresses in SNI.
func (s *Service) sni() string {
	for _, host := range s.Hosts {
		if _, err := netip.ParseAddr(host); err != nil {
			return host
		}
	}
	return ""
}

// verifyUpstream has the service's certificate verified: signed by the CA, and made out to one of the hosts.
func verifyUpstream(common *tls.CommonTlsContext, service *Service) {
	names := &tls.CertificateValidationContext{MatchTypedSubjectAltNames: subjectAltNames(service.Hosts)}
	if service.TLSCertName == "" {
		names.TrustedCa = &core.DataSource{Specifier: &core.DataSource_Filename{Filename: systemCAFile}}
		common.ValidationContextType = &tls.CommonTlsContext_ValidationContext{ValidationContext: names}
		return
	}
	common.ValidationContextType = &tls.CommonTlsContext_CombinedValidationContext{
		CombinedValidationContext: &tls.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext:         names,
			ValidationContextSdsSecretConfig: secretOverADS(validationName(service.TLSCertName)),
		},
	}
}

func subjectAltNames(hosts []string) []*tls.SubjectAltNameMatcher {
	matchers := make([]*tls.SubjectAltNameMatcher, len(hosts))
	for i, host := range hosts {
		kind := tls.SubjectAltNameMatcher_DNS
		if _, err := netip.ParseAddr(host); err == nil {
			kind = tls.SubjectAltNameMatcher_IP_ADDRESS
		}
		matchers[i] = &tls.SubjectAltNameMatcher{
			SanType: kind,
			Matcher: &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Exact{Exact: host}},
		}
	}
	return matchers
}
