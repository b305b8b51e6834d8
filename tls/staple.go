package tls

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// staple is an OCSP response that goes with a certificate (RFC 6066 section 8).
type staple struct {
	with  tls.Certificate // the certificate that it is for, and the response
	until time.Time       // when there is to be a newer one
}

// errStapleOfOther is what is wrong with a staple.
var errStapleOfOther = errors.New("it is not about the certificate that it goes with")

// readStaple reads the response that goes with a certificate. Whether its signature is good is for the client to find out, who
// must not take our word for it.
func readStaple(source config.DataSource, of *shown) (*staple, error) {
	const role = "OCSP staple"
	data, err := read(role, source)
	if err != nil {
		return nil, err
	}
	response, err := ocsp.ParseResponse(data, nil)
	switch {
	case err != nil:
		return nil, within(role, source, fmt.Errorf("it cannot be parsed, want a response in DER: %w", err))
	case response.SerialNumber.Cmp(of.chain[0].SerialNumber) != 0:
		return nil, within(role, source, errStapleOfOther)
	}
	out := &staple{with: of.certificate, until: response.NextUpdate}
	if out.until.IsZero() {
		out.until = response.ThisUpdate // there is a newer one at any time (RFC 6960 section 4.2.2.1)
	}
	out.with.OCSPStaple = data
	return out, nil
}

// good reports whether there is a response that is not out of date.
func (s *staple) good(now time.Time) bool {
	return s != nil && !now.After(s.until)
}

// Errors of certificates that clients would not take without a response.
var (
	errMustStaple = errors.New("the certificate asks for an OCSP response to be shown with it (RFC 7633), want ocsp_staple")
	errNoStaple   = errors.New("MUST_STAPLE wants an OCSP response for every certificate, want ocsp_staple")
	// errNotStapled is why a client gets no certificate.
	errNotStapled = errors.New("there is no certificate with an OCSP response that is good, which ocsp_staple_policy or the certificate asks for")
)

// checkStaples returns which of all certificates lacks a response that it could never do without, or nil.
func checkStaples(all []*shown, policy config.StaplePolicy) error {
	for _, one := range all {
		switch {
		case one.staple != nil:
		case one.mustStaple:
			return fmt.Errorf("certificate %s: %w", one.place, errMustStaple)
		case policy == config.StapleMust:
			return fmt.Errorf("certificate %s: %w", one.place, errNoStaple)
		}
	}
	return nil
}

// may reports whether a certificate may be shown to a client that asks for a response, as Envoy decides it.
func (s *shown) may(policy config.StaplePolicy, now time.Time) bool {
	switch {
	case s.staple.good(now):
		return true
	case s.mustStaple || policy == config.StapleMust:
		return false
	}
	return policy == config.StapleLenient || s.staple == nil
}

// stapled returns the certificate as clients are shown it: with its response for as long as that is good.
func (s *shown) stapled(now time.Time) *tls.Certificate {
	if !s.staple.good(now) {
		return &s.certificate
	}
	return &s.staple.with
}

// features is the extension of a certificate that lists what its servers support (RFC 7633 section 4), statusRequest among it where a
// response must be shown.
var features = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

// mustStaple reports whether a certificate asks for a response to be shown with it.
func mustStaple(c *x509.Certificate) bool {
	for _, extension := range c.Extensions {
		if !extension.Id.Equal(features) {
			continue
		}
		var list []int
		_, err := asn1.Unmarshal(extension.Value, &list)
		return err == nil && slices.Contains(list, statusRequest)
	}
	return false
}
