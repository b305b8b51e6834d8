package resource

import (
	"slices"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const spiffeMessage = "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"

var (
	spiffeFields      = fields{"trust_domains": decoded}
	trustDomainFields = fields{"name": decoded, "trust_bundle": decoded}
)

// maxTrustDomains bounds the trust domains of a validation context: each has a bundle, and clients are told the names of all of them.
const maxTrustDomains = 100

// customValidator decodes the trust domains of SPIFFE, and refuses what of the validation context would not be looked at beside them.
func (a *at) customValidator(v *tlsv3.CertificateValidationContext) (out []config.TrustDomain) {
	place, extension := a.in("custom_validator_config"), v.GetCustomValidatorConfig()
	var m tlsv3.SPIFFECertValidatorConfig
	if messageName(extension.GetTypedConfig()) != spiffeMessage {
		place.errorf("%sis not supported, only %s", describe(extension.ProtoReflect()), typePrefix+spiffeMessage)
		return nil
	}
	a.besideSPIFFE(v)
	if place = place.in("typed_config"); !place.unpack(extension.GetTypedConfig(), &m) {
		return nil
	}
	place.only(&m, spiffeFields)
	if n := len(m.GetTrustDomains()); n > maxTrustDomains {
		place.in("trust_domains").errorf("has %d trust domains, must have from 1 to %d", n, maxTrustDomains)
		return nil
	}
	for i, d := range m.GetTrustDomains() {
		domain := place.item("trust_domains", i)
		domain.only(d, trustDomainFields)
		if slices.ContainsFunc(out, func(o config.TrustDomain) bool { return o.Name == d.GetName() }) {
			domain.in("name").errorf("Multiple trust bundles are given for one trust domain for %s", d.GetName())
		}
		if d.GetTrustBundle() == nil {
			domain.in("trust_bundle").errorf("must be set")
		}
		out = append(out, config.TrustDomain{Name: d.GetName(), Bundle: domain.in("trust_bundle").dataSource(d.GetTrustBundle())})
	}
	return out
}

// besideSPIFFE refuses what Envoy's validator of SPIFFE passes over, though it would keep peers out or let more in.
func (a *at) besideSPIFFE(v *tlsv3.CertificateValidationContext) {
	const beside = "is not possible beside custom_validator_config"
	if v.GetCrl() != nil {
		a.in("crl").errorf(beside + ", want the lists in the trust bundles")
	}
	if v.GetTrustChainVerification() != tlsv3.CertificateValidationContext_VERIFY_TRUST_CHAIN {
		a.in("trust_chain_verification").errorf(beside)
	}
	for i, m := range v.GetMatchTypedSubjectAltNames() {
		if m.GetSanType() != tlsv3.SubjectAltNameMatcher_URI {
			a.item("match_typed_subject_alt_names", i).in("san_type").errorf("%s %s, only URI", m.GetSanType(), beside)
		}
	}
}
