package tls

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

func TestRevokedClients(t *testing.T) {
	ours, theirs := newAuthority(t, "ours", signsLists), newAuthority(t, "ours", signsLists)
	middle := ours.under("middle", signsLists)
	mute := ours.under("mute") // may not sign lists
	key := ecKey(t, elliptic.P256())
	good, bad := ours.issue(key), ours.issue(key)
	deep, deepBad := middle.issue(key), middle.issue(key)
	through := issued{middle.cert, middle.key}
	crl := func(lists ...[]byte) func(*config.TLSValidation) {
		return func(v *config.TLSValidation) { v.CRL = inline(bytes.Join(lists, nil)) }
	}
	leafOnly := func(f func(*config.TLSValidation)) func(*config.TLSValidation) {
		return func(v *config.TLSValidation) {
			f(v)
			v.OnlyLeafCRL = true
		}
	}
	past := func(l *x509.RevocationList) { l.NextUpdate = time.Now().Add(-time.Minute) }
	future := func(l *x509.RevocationList) { l.ThisUpdate = time.Now().Add(time.Minute) }
	list, middleList := ours.revokes(nil, bad.cert), middle.revokes(nil, deepBad.cert)
	checkAll(t, ours, []asked{
		{"not on the list", crl(list), []issued{good}, NotRefused, ""},
		{"on the list", crl(list), []issued{bad}, NotVerified, "is revoked since "},
		{"on the second list", crl(ours.revokes(nil), list), []issued{bad}, NotVerified, "is revoked since "},
		{"in the CA bundle", func(v *config.TLSValidation) { v.CA.Inline = append(v.CA.Inline, list...) }, []issued{bad}, NotVerified, "is revoked since "},
		{"in the CA bundle, another", func(v *config.TLSValidation) { v.CA.Inline = append(v.CA.Inline, list...) }, []issued{good}, NotRefused, ""},
		{"both lists", crl(list, middleList), []issued{deep, through}, NotRefused, ""},
		{"on the list of the one between", crl(list, middleList), []issued{deepBad, through}, NotVerified, "is revoked since "},
		{"the one between is on the list", crl(ours.revokes(nil, middle.cert), middleList), []issued{deep, through}, NotVerified, "is revoked since "},
		{"that is not looked at", leafOnly(crl(ours.revokes(nil, middle.cert), middleList)), []issued{deep, through}, NotRefused, ""},
		{"only the leaf is looked at", leafOnly(crl(middleList)), []issued{deepBad, through}, NotVerified, "is revoked since "},
		{"no list of the one between", crl(list), []issued{deep, through}, NotVerified, `there is no revocation list of "CN=middle"`},
		{"no list of the root", crl(middleList), []issued{deep, through}, NotVerified, `there is no revocation list of "CN=ours"`},
		{"no list of the issuer", crl(middleList), []issued{good}, NotVerified, `there is no revocation list of "CN=ours"`},
		{"out of date", crl(ours.revokes(past, bad.cert)), []issued{good}, NotVerified, `the revocation list of "CN=ours" is out of date since `},
		{"out of date beside a good one", crl(ours.revokes(past), list), []issued{good}, NotRefused, ""},
		{"out of date beside one that has it", crl(ours.revokes(past), list), []issued{bad}, NotVerified, "is revoked since "},
		{"not in force yet", crl(ours.revokes(future)), []issued{good}, NotVerified, `the revocation list of "CN=ours" is not in force before `},
		{"forged", crl(theirs.revokes(nil)), []issued{good}, NotVerified, `the revocation list of "CN=ours" is not signed by it`},
		{"forged beside a good one", crl(theirs.revokes(nil), list), []issued{bad}, NotVerified, "is revoked since "},
		{"signed by one who may not", crl(list, theirsAs(t, mute)), []issued{mute.issue(key), {mute.cert, mute.key}}, NotVerified, `the revocation list of "CN=mute" is not signed by it`},
		{"expired and revoked", func(v *config.TLSValidation) { crl(list)(v); v.AllowExpired = true }, []issued{bad}, NotVerified, "is revoked since "},
		{"on the list and accepted", func(v *config.TLSValidation) { crl(list)(v); v.AcceptUntrusted = true }, []issued{bad}, NotRefused, ""},
	})
}

// theirsAs is a revocation list of an authority that may not sign any.
func theirsAs(t *testing.T, a *authority) []byte {
	t.Helper()
	able := *a
	copied := *a.cert
	copied.KeyUsage |= x509.KeyUsageCRLSign
	able.cert = &copied
	return able.revokes(nil)
}

// TestOneChainOfTwo takes a client in when one of the ways to a root is good, whichever is tried first.
func TestOneChainOfTwo(t *testing.T) {
	first, second := newAuthority(t, "first", signsLists), newAuthority(t, "second", signsLists)
	middle := first.under("middle", signsLists)
	cross := *middle.cert
	other := sign(t, &cross, second.cert, middle.key.Public(), second.key)
	one := middle.issue(ecKey(t, elliptic.P256()))
	for _, revokedBy := range []*authority{first, second} {
		lists := middle.revokes(nil)
		for _, a := range []*authority{first, second} {
			if a == revokedBy {
				lists = append(lists, a.revokes(nil, middle.cert, other)...)
			} else {
				lists = append(lists, a.revokes(nil)...)
			}
		}
		v := trusting(first.cert, second.cert)
		v.CRL = inline(lists)
		checked, err := newVerifier(v, x509.ExtKeyUsageClientAuth, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		for _, shown := range [][]*x509.Certificate{{one.cert, middle.cert, other}, {one.cert, other, middle.cert}} {
			if err := checked.verify(shown, ""); err != nil {
				t.Errorf("revoked by %s: %v", revokedBy.cert.Subject, err)
			}
		}
		if err := checked.verify([]*x509.Certificate{one.cert, map[*authority]*x509.Certificate{first: middle.cert, second: other}[revokedBy]}, ""); err == nil {
			t.Errorf("revoked by %s: let in with that way alone", revokedBy.cert.Subject)
		}
	}
}

func TestRevocationListsRefused(t *testing.T) {
	ours := newAuthority(t, "ours", signsLists)
	list := ours.revokes(nil)
	oid := asn1.ObjectIdentifier{2, 5, 29, 28} // issuingDistributionPoint
	critical := []pkix.Extension{{Id: oid, Critical: true, Value: []byte{0x30, 0}}}
	for _, test := range []struct {
		name string
		text []byte
		want string
	}{
		{"no PEM", []byte("hello"), "CRL <inline>: it is not PEM, want blocks that begin with -----BEGIN"},
		{"no list", certPEM(ours.cert), "CRL <inline>: there is no list in it, want blocks of -----BEGIN X509 CRL-----"},
		{"no DER", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("x")}), "CRL <inline>: list 1 of it cannot be parsed: "},
		{"cut", append(slices.Clone(list), list[:len(list)-30]...), "CRL <inline>: 1 of its 2 PEM blocks cannot be read"},
		{"partitioned", append(slices.Clone(list), ours.revokes(func(l *x509.RevocationList) { l.ExtraExtensions = critical })...), "CRL <inline>: list 2 of it has the critical extension 2.5.29.28, which is not supported"},
		{"indirect", ours.revokes(func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{
				SerialNumber: big.NewInt(1), RevocationTime: time.Now(),
				ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}},
			}}
		}), "CRL <inline>: list 1 of it has the critical extension 2.5.29.29, which is not supported"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := trusting(ours.cert)
			v.CRL = inline(test.text)
			_, err := newVerifier(v, x509.ExtKeyUsageClientAuth, time.Now)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}
