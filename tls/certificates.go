package tls

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"math"
	"time"
)

// Certificates are the certificates of a context that are in force.
type Certificates struct {
	Chain []CertificateDetails // what the server sends, its own first
	CA    []CertificateDetails // what client certificates are verified against, in the order of the file
}

// CertificateDetails describe one certificate. The slices are the caller's.
type CertificateDetails struct {
	Path         string // of the file
	SerialNumber string // in lower-case hexadecimal, two digits a byte, as Envoy prints it
	// DNSNames, URIs and IPAddresses are the subject alternative names.
	DNSNames, URIs, IPAddresses []string
	ValidFrom, ExpirationTime   time.Time
	// DaysUntilExpiration counts whole days, rounded down; 0 when there is none left.
	DaysUntilExpiration uint64
}

// NoCertificate is what Envoy gives for the days until the first certificate expires where there is none.
const NoCertificate = math.MaxUint32

// Certificates returns what is in force.
func (s *ServerContext) Certificates() Certificates {
	g, now := s.current.Load(), s.now()
	return Certificates{Chain: describe(g.chain, s.files.Cert, now), CA: describe(g.cas, s.files.ClientCA, now)}
}

// DaysUntilFirstExpiring returns the least DaysUntilExpiration of all certificates.
func (s *ServerContext) DaysUntilFirstExpiring() uint64 {
	g, now := s.current.Load(), s.now()
	days := uint64(NoCertificate)
	for _, list := range [][]*x509.Certificate{g.chain, g.cas} {
		for _, one := range list {
			days = min(days, daysUntil(one.NotAfter, now))
		}
	}
	return days
}

// Expiration is until when something that a context is made of is valid.
type Expiration struct {
	// Name is what statistics call it: the name of its secret, or else what it is and the first 8 digits of its SHA-256.
	Name string
	At   time.Time
}

// unnamed is the name of what is not of a secret, as Envoy has it.
func unnamed(what string, data []byte) string {
	sum := sha256.Sum256(data)
	return "unnamed_" + what + "_" + hex.EncodeToString(sum[:4])
}

// called gives what peers are verified against the name of its secret, where it is of one.
func (v *verifier) called(secret string) {
	if secret != "" {
		v.name = secret
	}
}

// expirations returns until when the certificates are valid that are shown, and the first of a CA bundle, as in Envoy.
func expirations(shown []*shown, peers *verifier) (all []Expiration) {
	for _, one := range shown {
		all = append(all, Expiration{one.name, one.chain[0].NotAfter})
	}
	if peers != nil && len(peers.cas) > 0 {
		all = append(all, Expiration{peers.name, peers.cas[0].NotAfter})
	}
	return all
}

// Expirations returns until when the certificates of the context are valid.
func (d *Downstream) Expirations() []Expiration { return expirations(d.shown, d.peers) }

// Expirations returns until when the certificates of the context are valid.
func (u *Upstream) Expirations() []Expiration { return expirations(u.shown, u.peers) }

// FirstStapleExpiring returns until when the OCSP responses of the context are all good, the zero time when there are none.
func (d *Downstream) FirstStapleExpiring() (first time.Time) {
	for _, one := range d.shown {
		if s := one.staple; s != nil && (first.IsZero() || s.until.Before(first)) {
			first = s.until
		}
	}
	return first
}

func describe(list []*x509.Certificate, path string, now time.Time) []CertificateDetails {
	details := make([]CertificateDetails, len(list))
	for i, one := range list {
		d := &details[i]
		*d = CertificateDetails{
			Path:                path,
			SerialNumber:        hex.EncodeToString(one.SerialNumber.Bytes()),
			DNSNames:            append([]string(nil), one.DNSNames...),
			ValidFrom:           one.NotBefore,
			ExpirationTime:      one.NotAfter,
			DaysUntilExpiration: daysUntil(one.NotAfter, now),
		}
		for _, uri := range one.URIs {
			d.URIs = append(d.URIs, uri.String())
		}
		for _, ip := range one.IPAddresses {
			d.IPAddresses = append(d.IPAddresses, ip.String())
		}
	}
	return details
}

func daysUntil(end, now time.Time) uint64 {
	const day = 24 * time.Hour
	return uint64(max(0, end.Sub(now)) / day)
}
