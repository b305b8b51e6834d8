package tls

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"time"
)

// contents are the files as they were read.
type contents struct{ cert, key, ca []byte }

// read returns what is in the files.
func (f Files) read() (c contents, err error) {
	for _, one := range []struct {
		role, path, want string
		into             *[]byte
	}{
		{roleCert, f.Cert, "the server's certificate and chain", &c.cert},
		{roleKey, f.Key, "the certificate's private key", &c.key},
		{roleCA, f.ClientCA, "the certificates to verify clients against", &c.ca},
	} {
		if one.path == "" {
			continue
		}
		if *one.into, err = readFile(one.path); err != nil {
			return contents{}, &fileError{one.role, one.path, fmt.Errorf("%w, want a file with %s in PEM", err, one.want)}
		}
	}
	return c, nil
}

// What files are for, as errors say it.
const (
	roleCert = "certificate"
	roleKey  = "key"
	roleCA   = "client CA"
)

// identity tells contents apart from others.
type identity [sha256.Size]byte

func (c *contents) identity() identity {
	hash := sha256.New()
	for _, data := range [][]byte{c.cert, c.key, c.ca} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(data)))
		hash.Write(length[:])
		hash.Write(data)
	}
	return identity(hash.Sum(nil))
}

// generation is all that one reading of the files gave. It does not change.
type generation struct {
	identity identity
	config   *tls.Config // for one connection
	chain    []*x509.Certificate
	cas      []*x509.Certificate
}

// build checks contents and makes a generation of them.
func (s *ServerContext) build(c contents) (*generation, error) {
	f, now := s.files, s.now()
	g := &generation{identity: c.identity(), config: baseConfig()}
	g.config.NextProtos = []string{s.protocol}
	var err error
	if g.chain, err = parseCurrentChain(c.cert, now); err != nil {
		return nil, &fileError{roleCert, f.Cert, err}
	}
	key, err := parseKey(c.key, nil)
	if err != nil {
		return nil, &fileError{roleKey, f.Key, err}
	}
	if err := checkKey(key, g.chain[0]); err != nil {
		return nil, &fileError{roleKey, f.Key, fmt.Errorf("%w (certificate file %q)", err, f.Cert)}
	}
	certificate := tls.Certificate{PrivateKey: key, Leaf: g.chain[0]}
	for _, one := range g.chain {
		certificate.Certificate = append(certificate.Certificate, one.Raw)
	}
	g.config.Certificates = []tls.Certificate{certificate}
	if f.ClientCA == "" {
		return g, nil
	}
	if g.cas, err = parseAuthorities(c.ca, now); err != nil {
		return nil, &fileError{roleCA, f.ClientCA, err}
	}
	g.config.ClientAuth = tls.RequireAndVerifyClientCert
	g.config.ClientCAs = x509.NewCertPool()
	for _, ca := range g.cas {
		g.config.ClientCAs.AddCert(ca)
	}
	return g, nil
}

// parseCurrentChain is parseChain of a leaf that must be valid now; of those after it clients may know
// better ones, so their time is theirs to judge.
func parseCurrentChain(data []byte, now time.Time) ([]*x509.Certificate, error) {
	chain, err := parseChain(data)
	if err != nil {
		return nil, err
	}
	if leaf := chain[0]; now.After(leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate expired at %s, want one that is valid now", moment(leaf.NotAfter))
	} else if now.Before(leaf.NotBefore) {
		return nil, fmt.Errorf("the certificate is not valid before %s, want one that is valid now", moment(leaf.NotBefore))
	}
	return chain, nil
}

// parseChain returns the certificates to send, leaf first.
func parseChain(data []byte) ([]*x509.Certificate, error) {
	chain, err := parseCertificates(data)
	if err == nil && len(chain) > maxChain {
		err = fmt.Errorf("it has %d certificates, want at most %d: the server's, then its chain", len(chain), maxChain)
	}
	return chain, err
}

// parseAuthorities returns the certificates of a CA bundle for clients.
func parseAuthorities(data []byte, now time.Time) ([]*x509.Certificate, error) {
	cas, err := parseCertificates(data)
	if err == nil {
		err = checkListed(cas)
	}
	if err == nil {
		err = checkCurrent(cas, now)
	}
	return cas, err
}

// checkListed returns why a handshake cannot list the names of a CA bundle, or nil.
func checkListed(cas []*x509.Certificate) error {
	listed := 0
	for _, ca := range cas {
		listed += authorityPrefix + len(ca.RawSubject)
	}
	if listed > maxAuthorities {
		return fmt.Errorf("the names of its %d certificates take %d bytes, want at most %d, which a handshake can list",
			len(cas), listed, maxAuthorities)
	}
	return nil
}

// checkCurrent returns an error when no certificate of a CA bundle is valid. Old ones in it do no harm, but with none that
// is valid no peer could come in.
func checkCurrent(cas []*x509.Certificate, now time.Time) error {
	latest := cas[0].NotAfter
	for _, ca := range cas {
		if !now.After(ca.NotAfter) {
			return nil
		}
		if ca.NotAfter.After(latest) {
			latest = ca.NotAfter
		}
	}
	return fmt.Errorf("every certificate in it is expired, the last since %s, want one that is valid now", moment(latest))
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// baseConfig is what holds whatever the files say.
func baseConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Of TLS 1.2, those of RFC 9113 §9.2.2: ephemeral key exchange and AEAD. Those of TLS 1.3 are all good and cannot
		// be chosen. The order is crypto/tls's.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		SessionTicketsDisabled: true,
	}
}
