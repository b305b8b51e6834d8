package formatter

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/format"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// tlsOperator makes o the operator of that name if it is one of what TLS knows of the client.
func (o *operator) tlsOperator(name string) bool {
	text := handshakeTexts[name]
	if own := ownTexts[name]; own != nil {
		text = func(p *tls.Peer) string {
			if names := p.OwnNames(); names != nil {
				return own(names)
			}
			return ""
		}
	}
	if peer := peerTexts[name]; peer != nil {
		text = func(p *tls.Peer) string {
			if texts := p.Texts(); texts != nil {
				return peer(texts)
			}
			return ""
		}
	}
	if text == nil {
		return false
	}
	o.value = func(_ *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
		if e.TLS == nil {
			return dst, false
		}
		s := text(e.TLS)
		return append(dst, s...), s != ""
	}
	return true
}

// handshakeTexts are what was agreed on. It is never written.
var handshakeTexts = map[string]func(*tls.Peer) string{
	"REQUESTED_SERVER_NAME":  func(t *tls.Peer) string { return t.ServerName },
	"DOWNSTREAM_TLS_VERSION": func(t *tls.Peer) string { return t.Version },
	"DOWNSTREAM_TLS_CIPHER":  func(t *tls.Peer) string { return t.CipherSuite },
}

// ownTexts are what our certificate says. It is never written.
var ownTexts = map[string]func(*tls.NameTexts) string{
	"DOWNSTREAM_LOCAL_URI_SAN": func(t *tls.NameTexts) string { return t.URI },
	"DOWNSTREAM_LOCAL_DNS_SAN": func(t *tls.NameTexts) string { return t.DNS },
	"DOWNSTREAM_LOCAL_IP_SAN":  func(t *tls.NameTexts) string { return t.IP },
	"DOWNSTREAM_LOCAL_SUBJECT": func(t *tls.NameTexts) string { return t.Subject },
}

// peerTexts are what the client's certificate says. It is never written.
var peerTexts = map[string]func(*tls.CertificateTexts) string{
	"DOWNSTREAM_PEER_URI_SAN":         func(t *tls.CertificateTexts) string { return t.URI },
	"DOWNSTREAM_PEER_DNS_SAN":         func(t *tls.CertificateTexts) string { return t.DNS },
	"DOWNSTREAM_PEER_IP_SAN":          func(t *tls.CertificateTexts) string { return t.IP },
	"DOWNSTREAM_PEER_SUBJECT":         func(t *tls.CertificateTexts) string { return t.Subject },
	"DOWNSTREAM_PEER_ISSUER":          func(t *tls.CertificateTexts) string { return t.Issuer },
	"DOWNSTREAM_PEER_FINGERPRINT_256": func(t *tls.CertificateTexts) string { return t.Fingerprint256 },
	"DOWNSTREAM_PEER_FINGERPRINT_1":   func(t *tls.CertificateTexts) string { return t.Fingerprint1 },
	"DOWNSTREAM_PEER_SERIAL":          func(t *tls.CertificateTexts) string { return t.Serial },
	"DOWNSTREAM_PEER_CERT":            func(t *tls.CertificateTexts) string { return t.PEM },
}

// validityOperator makes o the operator of the time from which or until which the client's certificate is valid.
func (o *operator) validityOperator(p *format.Part) (err error) {
	when := func(t *tls.CertificateTexts) time.Time { return t.ValidFrom }
	if p.Name == "DOWNSTREAM_PEER_CERT_V_END" {
		when = func(t *tls.CertificateTexts) time.Time { return t.ValidUntil }
	}
	o.value = func(o *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
		if e.TLS == nil {
			return dst, false
		}
		texts := e.TLS.Texts()
		if texts == nil {
			return dst, false
		}
		return o.time.Append(dst, when(texts)), true
	}
	o.time, err = format.ParseTime(p.Arguments)
	return err
}
