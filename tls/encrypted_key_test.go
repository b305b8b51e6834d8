package tls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// sealed are one key, encrypted by openssl pkcs8 with the password "secret", in ways that are read and others.
var sealed = []struct {
	name, text string
	err        string // the beginning of the error, empty for none
}{
	{"AES-256, SHA-256", `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgiJDab39oeHwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEENBtf6ILb+pBH10+mSDEMFAEgZCg
sPRMrpjK+T2/DybupexbL0T45ElJXrHh+fbIB9sbUtTgQ1rBErOpxZTNUHC0TLwo
LISfjaYdHQmHDgF7mI0CVQIXhrrLfEtYx7ppoDyCIueeuo9E3Rgx1CenG8B2LP5+
WvyRwEtH3K6feyLNnyof5nsPQwntcEiTP1eR6xTbCvpUAvhQu8Y7lZNhFpqL4kY=
-----END ENCRYPTED PRIVATE KEY-----
`, ""},
	{"AES-128, SHA-1", `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHeMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAh0fFPvKIgj+QICCAAw
HQYJYIZIAWUDBAECBBCzfe6Q1Xha8HYhXveRUbfYBIGQdSDry6kOJAoXJ9GhX5yS
P5uhH1kD8rRHdML0q5nC3Xjy8lM09zkHQO3hEIGK1Rww7PbVcTbEn+M9NBuORLOm
E57pNNcpXZxqrAq17/pcDJp2zZtXAFxjJPPopWkXuNpRr9jZlS27ENCuehiSVMrd
J0M7IOHZnEF1eNuxZnCUVQV3Q6toq4/paEwXkpwTXLsz
-----END ENCRYPTED PRIVATE KEY-----
`, ""},
	{"AES-192, SHA-512", `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiAlaMk+8qUSAICA+gw
DAYIKoZIhvcNAgsFADAdBglghkgBZQMEARYEEH8Hewd2n+7i9GFMtlb6feQEgZBP
uekbd1hIfA4AUffYQkq2j4no/nUNly3kkSZ659/7WGYyo6UUFm3KpxcDZau2aEFx
VkLiJCwu1NP0nGiGitWzyBKX4roWOyOQrVN5aXlAMlZCzOGqS03Q7cOxiq18jCtj
lKUGq/aVA1MFRaNjeqK/d3sQTraw/IJ4ezqBW9xBLhkQF38/bbaterJtHvhyPew=
-----END ENCRYPTED PRIVATE KEY-----
`, ""},
	{"AES-256, SHA-384", `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHrMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAitboBOvDYdrwIBATAM
BggqhkiG9w0CCgUAMB0GCWCGSAFlAwQBKgQQ8vNRPmDOt8odET47pnnqrwSBkAXx
2C/xF7Tcp9NXAqSl5bqFCfJh15WgF64BHPoR7IERCJtuhyo9UGG9LFup8Pa2/Sx9
uchyFWJXtavtIgErFSdlW920iLBP2NI/e7pJsNfvCL341hFYzYteYkjM6pXlv5g3
zgTKKttqix0cPcDoUZklNtCZ/GI73eHC2OlBZmDHPvdFy6UyupXNTb3/QrEJNQ==
-----END ENCRYPTED PRIVATE KEY-----
`, ""},
	{"DES", `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHjME4GCSqGSIb3DQEFDTBBMCkGCSqGSIb3DQEFDDAcBAiL6bL18M/oOwICCAAw
DAYIKoZIhvcNAgkFADAUBggqhkiG9w0DBwQIagfNtKD0sXkEgZD6AJiwGDpXn2km
X27gN0oVXbeYZjBlWoC7qWWWUZcw2gNTe+E3XkztiDwQ+SjOhfrNXnkJdz5BBEZH
WzgKraKhlsR7DW2pbnnWlcNmMJygREYYt0FSFKnC6tTPoUIc/kE/185T7VOJu6+1
p6QLTm2O7qwqbrvv1y6KqQ10FhnKpu1pB03WQrIO8nOlQHaIncI=
-----END ENCRYPTED PRIVATE KEY-----
`, "how the private key is encrypted is not supported"},
	{"scrypt", `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAhD0D6cRim7cAICQAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBAV7FrvNiud4gtKyRipkXxUBIGQZFW4h8btsBKm
JUzAYbef89eE5vNhIMuMURRXLEdWebran5v8pI0TujPhP06e6ajK+hAYIAf1UuKl
u3/FRc/dHpIBPGbe/XOcPIVALhQZI3CV8so2mJu5p/y4OQCIWUGWDQ3UY4lO8IHO
v632zdHRPl5gDxftrRRhoKPqsMp4B3K7+/EfKXYfkadeVar2qshy
-----END ENCRYPTED PRIVATE KEY-----
`, "how the private key is encrypted is not supported"},
	{"many iterations", `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHtMFgGCSqGSIb3DQEFDTBLMCoGCSqGSIb3DQEFDDAdBAhBOgc+E8OnVwIDHoSB
MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBA0NcE+SL1nMJ05TUTMVrcRBIGQ
mWUhS8Ca6y8R3ShDOsFNxRd3MEVqJJrnZOHmdY6u/r9cCSNo416vOP3yJ4h22pVB
YopGMRjOuH2CpTrzSdqhvdXjgk2YPGAVYBnoj+gaaJNDWPB+B7X+mHEooXAn/TBt
jqljxbr5Pm3gxajCNe9hEIO1Vl7xnqmlEZBAERQ49S4tDh0Cz0hVXhore3oS8J8u
-----END ENCRYPTED PRIVATE KEY-----
`, "the private key is encrypted with 2000001 iterations"},
	{"the old way", `-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,D0CA717A4822E0FA0611A04814DFA262

W3YZmQyBrjl7V+pX+JS3PJ3aHbYzF/GPTI8WDOe04Vqp+jOqSSmnyS+dHFcNEWfX
ffrL0n2/yULN0F0FSPO7elf5OlodX5Q5YcSsXZaDjGmWybifUL23VQbGkU3wv0D9
4LuMhwFNTIc9CgCgCui4/jdip27l2cXFDE6AGb9aTxE=
-----END EC PRIVATE KEY-----
`, "the private key is encrypted in the old way of PEM"},
}

// TestEncryptedKey reads keys that openssl has encrypted. They are all the same.
func TestEncryptedKey(t *testing.T) {
	first, err := parseKey([]byte(sealed[0].text), []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range sealed {
		t.Run(test.name, func(t *testing.T) {
			key, err := parseKey([]byte(test.text), []byte("secret"))
			switch {
			case test.err != "":
				if err == nil || !strings.HasPrefix(err.Error(), test.err) {
					t.Errorf("%v, want %s", err, test.err)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			if !key.Public().(*ecdsa.PublicKey).Equal(first.Public()) {
				t.Error("it is another key")
			}
			for _, password := range []string{"Secret", "secre", "secret\n", ""} {
				if _, err := parseKey([]byte(test.text), []byte(password)); !errors.Is(err, errPassword) {
					t.Errorf("with %q: %v", password, err)
				}
			}
			if _, err := parseKey([]byte(test.text), nil); !errors.Is(err, errEncryptedKey) {
				t.Errorf("without a password: %v", err)
			}
		})
	}
}

// TestEncryptedKeyDamaged refuses an encrypted key of which anything is missing, and one of whose bytes is another: if it can be
// decrypted at all, it is no key, or the parameters of the hash were changed, which has none.
func TestEncryptedKeyDamaged(t *testing.T) {
	block, _ := pem.Decode([]byte(sealed[3].text)) // of one iteration
	good, err := decryptKey(block.Bytes, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for n := range block.Bytes {
		if _, err := decryptKey(block.Bytes[:n], []byte("secret")); err == nil {
			t.Errorf("%d of %d bytes are a key", n, len(block.Bytes))
		}
		damaged := append([]byte(nil), block.Bytes...)
		damaged[n] ^= 1
		if plain, err := decryptKey(damaged, []byte("secret")); err == nil && string(plain) == string(good) {
			same++
		}
	}
	if same > 1 {
		t.Errorf("%d bytes do not matter", same)
	}
}

// TestPassword shows a certificate whose key is encrypted, and says what is wrong without words of the secret.
func TestPassword(t *testing.T) {
	ours := newAuthority(t, "ours")
	key, err := parseKey([]byte(sealed[0].text), []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	one := ours.issue(key)
	other := ours.issue(ecKey(t, elliptic.P256()))
	t.Setenv("PASSWORD_OF_TEST", "secret")
	for name, test := range map[string]struct {
		chain    *x509.Certificate
		password config.DataSource
		err      string
	}{
		"right":         {one.cert, inline([]byte("secret")), ""},
		"in a variable": {one.cert, config.DataSource{Variable: "PASSWORD_OF_TEST"}, ""},
		"wrong":         {one.cert, inline([]byte("hunter2")), "key <inline>: the private key cannot be decrypted with the password"},
		"none":          {one.cert, config.DataSource{}, "key <inline>: the private key is encrypted, want it without a passphrase"},
		"absent":        {one.cert, config.DataSource{File: "/no/password"}, `password file "/no/password": no such file or directory`},
		"another's key": {other.cert, inline([]byte("secret")), "key <inline>: the private key does not match the certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config.TLSCertificate{Chain: inline(certPEM(test.chain)), Key: inline([]byte(sealed[0].text)), Password: test.password}
			err := CheckSecret(&config.Secret{Certificate: &c}, time.Now)
			if test.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{c}}})
				if c, s := visit(t, d, ours.client()); c.err != nil || s.err != nil {
					t.Errorf("%v, %v", c.err, s.err)
				}
				return
			}
			checkRefused(t, errors.Unwrap(err), test.err)
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "secret\"") {
				t.Errorf("the error has the password: %v", err)
			}
		})
	}
}
