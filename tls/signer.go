package tls

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"io"
	"net"
)

// Awaiter is a wire whose user must not compute for long: what takes its time is done elsewhere, and waited for.
type Awaiter interface{ Await(f func()) }

// maxSignedHere is the size in bits of the largest RSA keys that sign where hands are shaken. With 2048 bits it takes a
// millisecond, and other connections wait less for that than for the processor that another goroutine would take from them;
// with 3072 and 4096 it takes three and seven.
const maxSignedHere = 2048

// awaited returns a certificate as it is shown over a wire: one whose key takes long to sign with signs where the wire says.
func awaited(over net.Conn, shown *tls.Certificate) *tls.Certificate {
	key, ok := shown.PrivateKey.(*rsa.PrivateKey)
	wire, waits := over.(Awaiter)
	if !ok || !waits || key.N.BitLen() <= maxSignedHere {
		return shown
	}
	elsewhere := *shown
	elsewhere.PrivateKey = awaitedSigner{key, wire}
	return &elsewhere
}

// awaitedSigner is a signer that is waited for.
type awaitedSigner struct {
	crypto.Signer
	wire Awaiter
}

// Sign implements crypto.Signer.
func (s awaitedSigner) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) (signature []byte, err error) {
	s.wire.Await(func() { signature, err = s.Signer.Sign(random, digest, options) })
	return signature, err
}
