package tls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// staple is an OCSP response that goes with a certificate (RFC 6066 section 8).
type staple struct {
	with  tls.Certificate // the certificate that it is for, and the response
	until time.Time       // when there is to be a newer one; zero: never
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
	out.with.OCSPStaple = data
	return out, nil
}

// stapled returns the certificate as clients are shown it: with its staple for as long as that is good, as Envoy's lenient
// policy has it.
func (s *shown) stapled(now time.Time) *tls.Certificate {
	if s.staple == nil || !s.staple.until.IsZero() && now.After(s.staple.until) {
		return &s.certificate
	}
	return &s.staple.with
}
