package controlplane

import (
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/wellknown"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// validationName is the name of the secret that holds the CA of the certificate called name.
func validationName(name string) string { return name + "_validation" }

// secretResources returns the certificate with its key under its name, and its CA under validationName.
func secretResources(c *Certificate) []types.Resource {
	var secrets []types.Resource
	if c.PrivateKey != "" {
		secrets = append(secrets, &tls.Secret{Name: c.Name, Type: &tls.Secret_TlsCertificate{TlsCertificate: &tls.TlsCertificate{
			CertificateChain: inline(c.CertChain),
			PrivateKey:       inline(c.PrivateKey),
		}}})
	}
	if c.CACert != "" {
		secrets = append(secrets, &tls.Secret{Name: validationName(c.Name), Type: &tls.Secret_ValidationContext{
			ValidationContext: &tls.CertificateValidationContext{TrustedCa: inline(c.CACert)},
		}})
	}
	return secrets
}

func inline(text string) *core.DataSource {
	return &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: text}}
}

func secretOverADS(name string) *tls.SdsSecretConfig {
	return &tls.SdsSecretConfig{Name: name, SdsConfig: overADS()}
}

// downstreamTLS returns what the listener serves TLS with, or nil when no certificate has a private key.
func downstreamTLS(certificates []Certificate) *core.TransportSocket {
	context := &tls.DownstreamTlsContext{CommonTlsContext: &tls.CommonTlsContext{AlpnProtocols: []string{"h2", "http/1.1"}}}
	common := context.CommonTlsContext
	for _, c := range certificates {
		if c.PrivateKey == "" {
			continue
		}
		common.TlsCertificateSdsSecretConfigs = append(common.TlsCertificateSdsSecretConfigs, secretOverADS(c.Name))
		// Validate has made sure that all certificates with a key agree on clients and on their CA.
		if c.RequireClient && common.ValidationContextType == nil {
			context.RequireClientCertificate = wrapperspb.Bool(true)
			common.ValidationContextType = &tls.CommonTlsContext_ValidationContextSdsSecretConfig{
				ValidationContextSdsSecretConfig: secretOverADS(validationName(c.Name)),
			}
		}
	}
	if len(common.TlsCertificateSdsSecretConfigs) == 0 {
		return nil
	}
	return tlsSocket(context)
}

func tlsSocket(context proto.Message) *core.TransportSocket {
	return &core.TransportSocket{
		Name:       wellknown.TransportSocketTLS,
		ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: typed(context)},
	}
}
