package managed

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/management"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
	"github.com/penguintechinc/marchproxy-alb/proxy"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const (
	// visitors shake hands at the same time, again and again.
	visitors = 8
	// wantedRate is how many handshakes a second the full form must have been under.
	wantedRate = 1000
)

// TestBadSecrets has a control plane send secrets that cannot be used, under handshakes as fast as the machine makes them, in both
// variants of the protocol. Each is refused in words that name it and what is wrong with it; the certificate of before is shown
// by every handshake, none of which fails. A certificate that has expired is none of those: it is taken, as by Envoy, whose clients
// are to judge it, and statistics and the list of certificates say so.
func TestBadSecrets(t *testing.T) {
	for _, api := range []string{"GRPC", "DELTA_GRPC"} {
		t.Run(api, func(t *testing.T) {
			f := newSecrets(t, api)
			begun := time.Now()
			for i := range count(2, 30) {
				good := f.issue(nil)
				f.accepted(good)
				for _, bad := range f.badSecrets(i) {
					f.refused(bad, good)
				}
			}
			f.expired()
			f.accepted(f.issue(nil))
			f.stop()
			took := time.Since(begun)
			shaken := f.shaken()
			rate := float64(shaken) / took.Seconds()
			t.Logf("%d secrets accepted, %d refused, %d handshakes, %.0f a second", f.taken, f.turnedDown, shaken, rate)
			if *full && rate < wantedRate {
				t.Errorf("%.0f handshakes a second, want %d", rate, wantedRate)
			}
			for _, stat := range []string{"connection_error", "fail_verify_error", "fail_verify_no_cert"} {
				if n := f.stat("ssl." + stat); n != 0 {
					t.Errorf("ssl.%s is %d", stat, n)
				}
			}
		})
	}
}

// secrets is the state of TestBadSecrets: a listener under TLS whose certificate comes over SDS.
type secrets struct {
	t                 *testing.T
	ours              *harness.Authority
	server            *management.Server
	proxy             *harness.Proxy
	address           string
	rest              []management.Resource // what is served beside the certificate
	taken, turnedDown int

	quit    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex // guards what follows
	visited  *sync.Cond
	visitors [visitors]visitor
}

// visitor is somebody who shakes hands again and again.
type visitor struct {
	shaken int      // how often
	seen   *big.Int // serial number of the certificate that was shown last
}

// pair is a certificate with its key as the control plane sends it.
type pair struct {
	cert, key []byte
	serial    *big.Int
}

func newSecrets(t *testing.T, api string) *secrets {
	f := &secrets{t: t, ours: harness.NewAuthority(t), server: management.New(t), address: process.FreeAddress(t)}
	f.visited = sync.NewCond(&f.mu)
	host, port, _ := net.SplitHostPort(f.address)
	listener := harness.Resource[listenerv3.Listener](t, fmt.Sprintf(`
name: secured
address: {socket_address: {address: %s, port_value: %s}}
filter_chains:
- transport_socket:
    name: tls
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
      common_tls_context:
        tls_certificate_sds_secret_configs: [{name: server, sds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}}]
        validation_context_sds_secret_config: {name: clients, sds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}}
  filters:
  - name: http
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: secured
      http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
      route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}
`, host, port))
	f.rest = []management.Resource{management.Pack(listener), management.Pack(f.trust(f.ours.CA()))}
	setup := &harness.Setup{Workers: 2, SystemClock: true, Quiet: true, Observe: func(*proxy.Outcome) {}}
	f.proxy = setup.StartBootstrap(t, f.server.Bootstrap(api))
	first := f.issue(nil)
	f.serve(f.secret(first.cert, first.key))
	ctx, quit := context.WithCancel(t.Context())
	f.quit = quit
	t.Cleanup(f.stop)
	for i := range visitors {
		f.running.Go(func() { f.visit(ctx, i) })
	}
	return f
}

// stop ends the handshakes.
func (f *secrets) stop() {
	f.quit()
	f.running.Wait()
}

// issue returns a new certificate that change has made something of.
func (f *secrets) issue(change func(*x509.Certificate)) pair {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	var p pair
	p.cert, p.key = f.ours.IssueAs(own, func(c *x509.Certificate) {
		p.serial = c.SerialNumber
		if change != nil {
			change(c)
		}
	}, "proxy.test")
	return p
}

func inline(data []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: data}}
}

// secret is the certificate of the listener.
func (f *secrets) secret(cert, key []byte) *tlsv3.Secret {
	return &tlsv3.Secret{Name: "server", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: inline(cert), PrivateKey: inline(key),
	}}}
}

// trust is what the listener verifies clients against.
func (f *secrets) trust(ca []byte) *tlsv3.Secret {
	return &tlsv3.Secret{Name: "clients", Type: &tlsv3.Secret_ValidationContext{
		ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: inline(ca)},
	}}
}

// badSecret is one that cannot be used, and the words that it is refused with.
type badSecret struct {
	name     string
	resource management.Resource
	words    []string
}

// badSecrets returns one of each kind. Those of other rounds have other bytes, so that none is one that was refused before.
func (f *secrets) badSecrets(round int) []badSecret {
	one, other := f.issue(nil), f.issue(nil)
	mark := fmt.Sprintf("\n# %d\n", round)
	garbage := []byte("-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----" + mark)
	own := func(name string, cert, key []byte, words ...string) badSecret {
		return badSecret{name, management.Pack(f.secret(cert, key)), append(words, `secret "server"`, "tls_certificate")}
	}
	return []badSecret{
		own("key of another certificate", one.cert, other.key, "key <inline>", "does not match the certificate"),
		own("text for a chain", []byte("hello"+mark), one.key, "certificate <inline>", "not PEM"),
		own("PEM of no certificate", garbage, one.key, "certificate <inline>"),
		own("half a chain", one.cert[:len(one.cert)/2], one.key, "certificate <inline>", "cannot be read"),
		own("text for a key", one.cert, []byte("hello"+mark), "key <inline>", "not PEM"),
		own("half a key", one.cert, one.key[:len(one.key)/2], "key <inline>", "cannot be read"),
		own("chain for a key", one.cert, other.cert, "key <inline>", "no private key in it"),
		own("no chain", nil, one.key, "certificate_chain"),
		own("no key", one.cert, nil, "private_key"),
		{"CA that is none", management.Pack(f.trust(garbage)), []string{`secret "clients"`, "validation_context", "trusted CA <inline>"}},
		{"trust for a certificate", management.Pack(&tlsv3.Secret{Name: "server", Type: f.trust(other.cert).GetType()}), []string{`"server"`, "no certificate"}},
		{"what is no secret", management.Raw(resource.SecretType, "server", &anypb.Any{TypeUrl: resource.SecretType, Value: []byte{0xff, byte(round), 0xff}}), nil},
	}
}

// visit shakes hands again and again, with each of the versions by turns, and never resumes.
func (f *secrets) visit(ctx context.Context, i int) {
	for n := 0; ctx.Err() == nil; n++ {
		serial, err := f.shake(ctx, []uint16{tls.VersionTLS13, tls.VersionTLS12}[n%2])
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			f.t.Errorf("handshake %d of visitor %d: %v", n, i, err)
			f.visited.Broadcast()
			return
		}
		f.mu.Lock()
		f.visitors[i] = visitor{n + 1, serial}
		f.mu.Unlock()
		f.visited.Broadcast()
	}
}

// shaken returns how often hands were shaken.
func (f *secrets) shaken() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.visitors {
		n += f.visitors[i].shaken
	}
	return n
}

// shake shakes hands once, and returns which certificate was shown.
func (f *secrets) shake(ctx context.Context, version uint16) (*big.Int, error) {
	wire, err := new(net.Dialer).DialContext(ctx, "tcp", f.address)
	if err != nil {
		return nil, err
	}
	defer wire.Close()
	c := tls.Client(wire, &tls.Config{
		InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, ServerName: "proxy.test",
		VerifyConnection: func(state tls.ConnectionState) error { // whenever it is or was valid
			leaf := state.PeerCertificates[0]
			_, err := leaf.Verify(x509.VerifyOptions{Roots: f.ours.Pool(), DNSName: "proxy.test", CurrentTime: leaf.NotAfter.Add(-time.Second)})
			return err
		},
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber, nil
}

// serve has the control plane send a secret, and returns what the proxy said to it.
func (f *secrets) serve(secret *tlsv3.Secret) (refusal string) {
	f.t.Helper()
	return f.serveRaw(management.Pack(secret))
}

// serveRaw is serve for what may be no secret. It is sent instead of the one of its name, which comes back when it was refused.
func (f *secrets) serveRaw(r management.Resource) (refusal string) {
	f.t.Helper()
	set := []management.Resource{r}
	for _, other := range f.rest {
		if other.Name != r.Name {
			set = append(set, other)
		}
	}
	f.server.Set(set...)
	f.server.Settle()
	for _, a := range f.server.Answers() {
		if a.Refusal != "" {
			refusal = a.Refusal
		}
	}
	if refusal == "" {
		f.rest = set
	}
	return refusal
}

// accepted serves a certificate and waits until every visitor has seen it.
func (f *secrets) accepted(good pair) {
	f.t.Helper()
	if refusal := f.serve(f.secret(good.cert, good.key)); refusal != "" {
		f.t.Fatalf("refused: %s", refusal)
	}
	f.taken++
	f.await(func(_ int, v visitor) bool { return v.seen.Cmp(good.serial) == 0 })
}

// refused serves a secret that cannot be used. Handshakes that begin afterwards are shown the certificate of before.
func (f *secrets) refused(bad badSecret, before pair) {
	f.t.Helper()
	refusal := f.serveRaw(bad.resource)
	if refusal == "" {
		f.t.Errorf("%s: accepted", bad.name)
	}
	f.turnedDown++
	for _, words := range bad.words {
		if !strings.Contains(refusal, words) {
			f.t.Errorf("%s: refused with %q, which has no %q", bad.name, refusal, words)
		}
	}
	f.mu.Lock()
	from := f.visitors
	f.mu.Unlock()
	f.await(func(i int, v visitor) bool { return v.shaken > from[i].shaken+1 }) // one may have begun before
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.visitors {
		if seen := f.visitors[i].seen; seen.Cmp(before.serial) != 0 {
			f.t.Errorf("%s: visitor %d has seen certificate %v, want %v", bad.name, i, seen, before.serial)
		}
	}
	if f.t.Failed() {
		f.t.FailNow()
	}
}

// expired serves a certificate that nobody should use any longer.
func (f *secrets) expired() {
	f.t.Helper()
	over := time.Now().Add(-time.Minute).Truncate(time.Second)
	f.accepted(f.issue(func(c *x509.Certificate) { c.NotAfter = over }))
	if got := f.stat("ssl.certificate.server.expiration_unix_time_seconds"); got != uint64(over.Unix()) {
		f.t.Errorf("the certificate expires at %d, want %d", got, over.Unix())
	}
	if days := f.proxy.Server.DaysUntilFirstCertificateExpires(); days != 0 {
		f.t.Errorf("%d days until the first certificate expires, want 0", days)
	}
	all := f.proxy.Server.Certificates()
	if len(all) != 1 || len(all[0].Chain) != 1 || all[0].Chain[0].DaysUntilExpiration != 0 || !all[0].Chain[0].ExpirationTime.Equal(over) {
		f.t.Errorf("the certificates are %+v", all)
	}
}

// await waits until something is so of every visitor.
func (f *secrets) await(reached func(i int, v visitor) bool) {
	f.t.Helper()
	deadline := time.Now().Add(harness.Guard)
	guard := time.AfterFunc(harness.Guard, f.visited.Broadcast)
	defer guard.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 0; i < visitors; {
		switch v := f.visitors[i]; {
		case f.t.Failed():
			f.t.FailNow()
		case time.Now().After(deadline):
			f.t.Fatalf("visitor %d is waited for", i)
		case v.seen != nil && reached(i, v):
			i++
		default:
			f.visited.Wait()
		}
	}
}

// stat returns a statistic of the listener.
func (f *secrets) stat(name string) uint64 {
	return f.proxy.Stat("listener." + strings.ReplaceAll(f.address, ":", "_") + "." + name)
}
