package tls

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Errors of what trust domains are beside.
var (
	errRevokedBesideSPIFFE = errors.New("crl is not possible beside custom_validator_config, want the lists in the trust bundles")
	errNamesBesideSPIFFE   = errors.New("beside custom_validator_config only subject alternative names of type URI are looked at, and there is none")
)

// checkSPIFFE returns what of v would not be looked at beside its trust domains, though it is to keep peers out, or nil.
func checkSPIFFE(v *config.TLSValidation) error {
	uri := func(m config.SANMatcher) bool { return m.Type == config.SANURI }
	switch {
	case v.CRL.IsSet():
		return errRevokedBesideSPIFFE
	case len(v.SANs) > 0 && !slices.ContainsFunc(v.SANs, uri):
		return errNamesBesideSPIFFE
	}
	return nil
}

// trustDomains reads the bundles of the trust domains. The certificates of all are shown as those of the CA.
func (v *verifier) trustDomains() error {
	v.domains = make(map[string]*verifier)
	for _, d := range v.v.SPIFFE {
		one := &verifier{v: &config.TLSValidation{MaxDepth: v.v.MaxDepth, AllowExpired: v.v.AllowExpired, OnlyLeafCRL: v.v.OnlyLeafCRL}, usage: v.usage, now: v.now}
		if err := one.trust(d.Bundle); err != nil {
			return fmt.Errorf("trust domain %q: %w", d.Name, err)
		}
		if len(v.cas) == 0 {
			v.place, v.name = d.Name+": "+one.place, one.name
		}
		v.cas = append(v.cas, one.cas...)
		v.domains[d.Name] = one
	}
	v.sans = slices.DeleteFunc(slices.Clone(v.v.SANs), func(m config.SANMatcher) bool { return m.Type != config.SANURI })
	return nil
}

// trusts reports whether a certificate must lead to an authority.
func (v *verifier) trusts() bool { return v.roots != nil || v.domains != nil }

// listed returns the authorities that clients are told of.
func (v *verifier) listed() *x509.CertPool {
	if v.domains == nil {
		return v.roots
	}
	pool := x509.NewCertPool()
	for _, ca := range v.cas {
		pool.AddCert(ca)
	}
	return pool
}

// domainOf returns who verifies a certificate, by the trust domain of its SPIFFE ID. What is none of an X.509-SVID is refused
// (https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md sections 2, 4 and 5.2).
func (v *verifier) domainOf(leaf *x509.Certificate) (*verifier, error) {
	if leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return nil, errors.New("the certificate is one of an authority, want an X.509-SVID of a workload")
	}
	if n := len(leaf.URIs); n != 1 {
		return nil, fmt.Errorf("the certificate has %d URIs, want one: its SPIFFE ID", n)
	}
	id := leaf.URIs[0]
	if id.Scheme != "spiffe" || id.User != nil || id.Path == "" || id.RawQuery != "" || id.ForceQuery || id.Fragment != "" {
		return nil, fmt.Errorf("%q is no SPIFFE ID, want spiffe://domain/path", id)
	}
	domain := v.domains[id.Host]
	if domain == nil {
		return nil, fmt.Errorf("trust domain %q is not known", id.Host)
	}
	return domain, nil
}
