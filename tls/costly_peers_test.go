package tls

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"syscall"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// foreignKey is a public key whose private one nobody has: its bearer signs with nonsense.
type foreignKey struct{ public crypto.PublicKey }

func (k foreignKey) Public() crypto.PublicKey { return k.public }

func (k foreignKey) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("there is no private key")
}

// hugeKey has 16,384 bits.
func hugeKey(t *testing.T) crypto.Signer {
	t.Helper()
	const bits = 16384
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits-1))
	if err != nil {
		t.Fatal(err)
	}
	n.SetBit(n.SetBit(n, bits-1, 1), 0, 1)
	return foreignKey{&rsa.PublicKey{N: n, E: 65537}}
}

// numbered returns n of them, below a domain.
func numbered(n int, domain string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("n%d.%s", i, domain)
	}
	return list
}

// TestCostlyCertificates shows certificates that are there to be looked at for long (CVE-2023-29409, CVE-2025-58187), and prints
// what a handshake costs both sides together: none gets through.
func TestCostlyCertificates(t *testing.T) {
	ours := newAuthority(t, "ours")
	key := ecKey(t, elliptic.P256())
	long := func(n int) []issued {
		chain, at := []issued{}, ours
		for i := range n {
			at = at.under(fmt.Sprint("level ", i))
			chain = append([]issued{{at.cert, at.key}}, chain...)
		}
		return append([]issued{at.issue(key)}, chain...)
	}
	constrained := ours.under("constrained", func(c *x509.Certificate) { c.PermittedDNSDomains = numbered(1500, "permitted.test") })
	for name, shown := range map[string][]issued{
		"a key of 16384 bits": {ours.issue(hugeKey(t))},
		"100 certificates":    long(99),
		"11 certificates":     long(10),
		"1500 names, 1500 constraints": {constrained.issue(key, func(c *x509.Certificate) {
			// The last name is the wrong one, and the last constraint that of the others.
			c.DNSNames = append(numbered(1499, "n1499.permitted.test"), "other.test")
		}), {constrained.cert, constrained.key}},
	} {
		t.Run(name, func(t *testing.T) {
			d := downstreamOf(t, &config.DownstreamTLS{
				TLS:                      config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, ours.issue(key))}, Validation: trusting(ours.cert)},
				RequireClientCertificate: true,
			})
			for _, version := range both {
				client := ours.client(shown...)
				client.MaxVersion = version
				before := spent(t)
				_, s := visit(t, d, client)
				if s.err == nil {
					t.Errorf("%s: hands are shaken", tls.VersionName(version))
				}
				t.Logf("%s: %v of CPU: %v", tls.VersionName(version), spent(t)-before, s.err)
			}
		})
	}
}

// spent returns the CPU time of the process.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
