package xds_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
	"github.com/penguintechinc/marchproxy-alb/xds/ads/adstest"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
)

// selfSigned is a certificate for anybody who does not ask who has signed it.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestHowAControlPlaneIsReached holds that what the bootstrap says of a control plane becomes of its transport: the second server
// after the first did not answer, TLS, metadata, credential, back-off and rate limit, and what statistics show of them.
func TestHowAControlPlaneIsReached(t *testing.T) {
	certificate := selfSigned(t)
	synctest.Test(t, func(t *testing.T) {
		creds := credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}})
		p := &proxy{t: t, server: adstest.New(t, grpc.Creds(creds)), boot: &bootstrap.Bootstrap{}}
		target(p.boot)
		p.boot.ADS.RateLimit = bootstrap.RateLimit{MaxTokens: 1, FillRate: 0.001}
		first := p.boot.ADS.Servers[0] // speaks plaintext
		first.BackoffBase, first.BackoffMax = time.Minute, time.Minute
		second := first
		second.TLS = &config.UpstreamTLS{}
		second.Authority = "cp.test"
		second.InitialMetadata = []config.Metadata{{Key: "k", Value: "v"}}
		second.Credential = &bootstrap.Credential{Header: "authorization", Prefix: "Bearer ", Value: config.DataSource{Inline: []byte("token")}}
		p.boot.ADS.Servers = []bootstrap.Server{first, second}
		p.store = config.NewStore(func(_, _ *config.Snapshot, _ *config.Delta) error { return nil })
		p.startWith(xds.Options{Logger: zap.NewNop(), DialOptions: p.server.DialOptions()})
		defer func() { p.stop() }()

		s := p.server.Accept()
		md := s.Metadata()
		for key, want := range map[string]string{":authority": "cp.test", "k": "v", "authorization": "Bearer token"} {
			if got := md.Get(key); len(got) != 1 || got[0] != want {
				t.Errorf("%s is %q, want %q", key, got, want)
			}
		}
		s.Next()
		s.Send(clusterURL, "1", staticCluster("a", 1))
		synctest.Wait()
		s.Silent("the rate limit holds the answer back")
		for name, want := range map[string]uint64{"control_plane.connected_state": 2, "control_plane.rate_limit_enforced": 1} {
			if got := p.stat(name); got < want {
				t.Errorf("%s is %d, want %d", name, got, want)
			}
		}
		if got := p.stat("control_plane.pending_requests"); got == 0 {
			t.Error("control_plane.pending_requests is 0")
		}
	})
}
