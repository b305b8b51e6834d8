package tls

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net/url"
	"strings"
	"time"
)

// NameTexts are what a certificate says of whom it is for, as access logs print it: several names with commas between them.
type NameTexts struct{ URI, DNS, IP, Subject string }

// CertificateTexts are what a certificate says, as access logs print it.
type CertificateTexts struct {
	NameTexts
	Issuer                       string
	Fingerprint256, Fingerprint1 string // SHA-256 and SHA-1 in hexadecimal
	Serial                       string // in hexadecimal
	PEM                          string // URL-encoded
	ValidFrom, ValidUntil        time.Time
}

// Texts returns what the peer's certificate says, nil when it has shown none. It is made once. It must not be called by several
// goroutines at a time.
func (p *Peer) Texts() *CertificateTexts {
	c := p.Certificate
	if c == nil {
		return nil
	}
	if p.texts == nil {
		sum256, sum1 := sha256.Sum256(c.Raw), sha1.Sum(c.Raw)
		p.texts = &CertificateTexts{
			NameTexts: namesOf(c), Issuer: printable(c.Issuer.String()),
			Fingerprint256: hex.EncodeToString(sum256[:]), Fingerprint1: hex.EncodeToString(sum1[:]),
			PEM: encodedPEM(c.Raw), ValidFrom: c.NotBefore, ValidUntil: c.NotAfter,
		}
		if c.SerialNumber != nil {
			p.texts.Serial = hex.EncodeToString(c.SerialNumber.Bytes())
		}
	}
	return p.texts
}

// OwnNames returns whom our own certificate is for, nil when it is not known which was shown. It is made once, as Texts is.
func (p *Peer) OwnNames() *NameTexts {
	if p.own == nil {
		return nil
	}
	if p.ownTexts == nil {
		names := namesOf(p.own)
		p.ownTexts = &names
	}
	return p.ownTexts
}

func namesOf(c *x509.Certificate) NameTexts {
	var uris, ips []string
	for _, uri := range c.URIs {
		uris = append(uris, uri.String())
	}
	for _, ip := range c.IPAddresses {
		ips = append(ips, ip.String())
	}
	return NameTexts{
		URI: printable(strings.Join(uris, ",")), DNS: printable(strings.Join(c.DNSNames, ",")), IP: strings.Join(ips, ","),
		Subject: printable(c.Subject.String()),
	}
}

// printable returns a text without its control characters: what is in a certificate must not end a line of a log.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
}

// encodedPEM returns certificates in PEM, one after the other, URL-encoded.
func encodedPEM(certificates ...[]byte) string {
	var text []byte
	for _, raw := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: raw})...)
	}
	return strings.ReplaceAll(url.QueryEscape(string(text)), "+", "%20")
}
