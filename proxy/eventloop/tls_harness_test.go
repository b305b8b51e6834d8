package eventloop

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tlsPair are the configurations of two sides that know each other: one key, one version.
func tlsPair(t testing.TB, version uint16) (client, server *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	client = &tls.Config{ServerName: "a.test", RootCAs: x509.NewCertPool(), MinVersion: version, MaxVersion: version}
	client.RootCAs.AddCert(certificate)
	return client, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: certificate}},
		MinVersion:   version, MaxVersion: version, SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true,
	}
}

// serverLayer is the handshake of a server.
func serverLayer(config *tls.Config) func(*Wire) (Layer, error) {
	return func(w *Wire) (Layer, error) {
		conn := tls.Server(w, config)
		if err := conn.Handshake(); err != nil {
			return nil, err
		}
		return conn, nil
	}
}

// tapWire is a client's end whose output goes through the hands of the test, which pushes it on when and as it likes. It
// reads from the socket.
type tapWire struct {
	net.Conn // never used: crypto/tls reads, writes and closes
	fd       int
	out      chan []byte
}

// newTapWire returns a client's end on a descriptor, which blocks no longer than the guard.
func newTapWire(t testing.TB, fd int) *tapWire {
	t.Helper()
	limit := unix.NsecToTimeval(int64(guard))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		t.Fatal(err)
	}
	return &tapWire{fd: fd, out: make(chan []byte, 1024)}
}

func (w *tapWire) Read(b []byte) (int, error) {
	for {
		switch n, err := unix.Read(w.fd, b); {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, errors.New("the server has closed the connection")
		default:
			return n, nil
		}
	}
}

func (w *tapWire) Write(b []byte) (int, error) {
	w.out <- bytes.Clone(b)
	return len(b), nil
}

func (w *tapWire) SetWriteDeadline(time.Time) error { return nil }
func (w *tapWire) Close() error                     { return nil }

// direction is one way of a connection of TLS 1.3 with TLS_AES_128_GCM_SHA256, for a test that makes the records itself
// (RFC 8446 section 5).
type direction struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	number uint64 // of the next record
}

func newDirection(t testing.TB, secret []byte) *direction {
	t.Helper()
	d := &direction{secret: secret}
	block, err := aes.NewCipher(expandLabel(t, secret, "key", 16))
	if err == nil {
		d.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.iv = expandLabel(t, secret, "iv", 12)
	return d
}

// expandLabel is HKDF-Expand-Label without a context (RFC 8446 section 7.1).
func expandLabel(t testing.TB, secret []byte, label string, size int) []byte {
	t.Helper()
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(append(append(info, byte(len(label))), label...), 0)
	out, err := hkdf.Expand(sha256.New, secret, string(info), size)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// next returns the direction after a KeyUpdate (RFC 8446 section 7.2).
func (d *direction) next(t testing.TB) *direction {
	t.Helper()
	return newDirection(t, expandLabel(t, d.secret, "traffic upd", sha256.Size))
}

func (d *direction) nonce() []byte {
	nonce := bytes.Clone(d.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(d.number >> (56 - 8*i))
	}
	d.number++
	return nonce
}

// Types of content of records.
const (
	alertContent     = 21
	handshakeContent = 22
	dataContent      = 23
)

// seal returns a record.
func (d *direction) seal(kind byte, content []byte) []byte {
	head := binary.BigEndian.AppendUint16([]byte{dataContent, 3, 3}, uint16(len(content)+1+d.aead.Overhead()))
	return d.aead.Seal(bytes.Clone(head), d.nonce(), append(bytes.Clone(content), kind), head)
}

// open takes the first record off raw.
func (d *direction) open(raw []byte) (kind byte, content, rest []byte, err error) {
	size := 5 + int(binary.BigEndian.Uint16(raw[3:]))
	plain, err := d.aead.Open(nil, d.nonce(), raw[5:size], raw[:5])
	if err != nil {
		return 0, nil, nil, err
	}
	return plain[len(plain)-1], plain[:len(plain)-1], raw[size:], nil
}

// The messages of a KeyUpdate (RFC 8446 section 4.6.3).
var (
	keyUpdate          = []byte{24, 0, 0, 1, 0}
	keyUpdateRequested = []byte{24, 0, 0, 1, 1}
)

// rawPeer shakes hands with a Conn, and leaves the rest of the conversation to the test.
type rawPeer struct {
	*steppedLoop
	conn     *Conn
	fd       int
	in, out  *direction // the server's records and the client's
	received []byte     // and not opened yet
}

// newRawPeer shakes hands.
func newRawPeer(t testing.TB) *rawPeer {
	t.Helper()
	s := newSteppedLoop(t)
	p := &rawPeer{steppedLoop: s}
	p.conn, p.fd = s.pair()
	client, server := tlsPair(t, tls.VersionTLS13)
	var secrets bytes.Buffer
	client.KeyLogWriter = &secrets
	// Of the suites of TLS 1.3 it takes the first that both have; which that is depends on the machine.
	wire := newTapWire(t, p.fd)
	done := make(chan error, 1)
	suite := uint16(0)
	go func() {
		conn := tls.Client(wire, client)
		err := conn.Handshake()
		suite = conn.ConnectionState().CipherSuite
		done <- err
	}()
	told := false
	p.conn.SetIdleHandler(readyFunc(func(*Conn) { told = true }))
	p.conn.Handshake(serverLayer(server))
	var err error
	over := false
	s.until("hands are shaken", func() bool {
		select {
		case b := <-wire.out:
			give(t, p.fd, b)
		case err = <-done:
			over = true
		default:
		}
		return over && len(wire.out) == 0 && told
	})
	if err != nil || suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("suite %#x, %v", suite, err)
	}
	p.out = newDirection(t, secretOf(t, secrets.String(), "CLIENT_TRAFFIC_SECRET_0"))
	p.in = newDirection(t, secretOf(t, secrets.String(), "SERVER_TRAFFIC_SECRET_0"))
	return p
}

// secretOf finds a secret in the log of keys.
func secretOf(t testing.TB, log, label string) []byte {
	t.Helper()
	for line := range bytes.Lines([]byte(log)) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == label {
			secret, err := hex.DecodeString(string(fields[2]))
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
	}
	t.Fatalf("no %s in the log of keys", label)
	return nil
}

// say sends a record, and has the loop take it.
func (p *rawPeer) say(kind byte, content []byte) {
	p.t.Helper()
	give(p.t, p.fd, p.out.seal(kind, content))
	p.step()
}

// hear takes what the server has sent, and opens its next record, if there is one.
func (p *rawPeer) hear() (kind byte, content []byte, ok bool) {
	p.t.Helper()
	b := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(p.fd, b, unix.MSG_DONTWAIT)
		if err != nil || n == 0 {
			break
		}
		p.received = append(p.received, b[:n]...)
	}
	if len(p.received) < 5 {
		return 0, nil, false
	}
	kind, content, rest, err := p.in.open(p.received)
	if err != nil {
		p.t.Fatal(fmt.Errorf("record %d: %w", p.in.number-1, err))
	}
	p.received = rest
	return kind, content, true
}

// read reads all that the Conn has.
func (p *rawPeer) read() (string, error) {
	var all []byte
	for b := make([]byte, 100); ; {
		n, err := p.conn.Read(b)
		all = append(all, b[:n]...)
		if err != nil {
			return string(all), err
		}
	}
}

// serveTLS has every connection to the returned address served by a task once hands are shaken; the task's end closes it.
func serveTLS(t testing.TB, l *Loop, config *tls.Config, run func(task *Task, c *Conn)) netip.AddrPort {
	t.Helper()
	return serve(t, l, func(c *Conn) {
		c.SetIdleHandler(readyFunc(func(c *Conn) {
			switch shaken, err := c.Connected(); {
			case err != nil:
				t.Errorf("handshake: %v", err)
				c.Close()
			case shaken:
				c.SetIdleHandler(nil)
				c.SetWaker(l.Spawn(runnerFunc(func(task *Task) {
					defer c.Close()
					run(task, c)
				})))
			}
		}))
		c.Handshake(serverLayer(config))
	})
}
