package credentials_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	grpccredentials "google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/ads/adstest"
	"github.com/penguintechinc/marchproxy-alb/xds/credentials"
	"github.com/penguintechinc/marchproxy-alb/xds/rest"
)

const clusterURL = "type.googleapis.com/envoy.config.cluster.v3.Cluster"

// files asks for what is in dir: tls.crt, tls.key, ca.crt.
func files(dir string) *config.UpstreamTLS {
	in := func(name string) config.DataSource { return config.DataSource{File: filepath.Join(dir, name)} }
	return &config.UpstreamTLS{
		SNI: "control-plane.test", AutoSANValidation: true,
		TLS: config.TLS{
			Certificates: []config.TLSCertificate{{Chain: in("tls.crt"), Key: in("tls.key")}},
			Validation:   &config.TLSValidation{CA: in("ca.crt"), MaxDepth: -1},
		},
	}
}

// secrets asks for the same by secrets, and writes the files that have them, as control planes for Kubernetes do.
func secrets(t *testing.T, dir string) *config.UpstreamTLS {
	t.Helper()
	const file = `{"resources": [{"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "name": "%s", %s}]}`
	put(t, filepath.Join(dir, "certificate.json"), fmt.Appendf(nil, file, "xds_certificate", fmt.Sprintf(
		`"tls_certificate": {"certificate_chain": {"filename": %q}, "private_key": {"filename": %q}}`, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))))
	put(t, filepath.Join(dir, "ca.json"), fmt.Appendf(nil, file, "xds_trusted_ca", fmt.Sprintf(
		`"validation_context": {"trusted_ca": {"filename": %q}, "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "control-plane.test"}}]}`,
		filepath.Join(dir, "ca.crt"))))
	ref := func(name, file string) config.SecretRef {
		return config.SecretRef{Name: name, SDS: config.Discovery{Source: config.ConfigSource{Path: filepath.Join(dir, file)}}}
	}
	return &config.UpstreamTLS{TLS: config.TLS{
		CertificateSecrets: []config.SecretRef{ref("xds_certificate", "certificate.json")},
		ValidationSecret:   ref("xds_trusted_ca", "ca.json"),
	}}
}

// world is a type that everything is accepted of.
func world() ads.Type {
	return ads.Type{
		URL: clusterURL, Wildcard: true,
		Decode: func(*anypb.Any) (string, proto.Message, error) { return "", nil, nil },
		Handle: func(context.Context, ads.Response) error { return nil },
	}
}

// talk is a client of a control plane that wants a certificate.
type talk struct {
	*ads.Client
	server *adstest.Server
	who    chan string // the name in the client's certificate, for each connection
}

// converse runs script in a bubble with a client whose connections are made as asked.
func converse(t *testing.T, a *authority, asked *config.UpstreamTLS, script func(*talk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &talk{who: make(chan string, 16)}
		serverTLS := a.server("h2")
		serverTLS.VerifyConnection = func(state tls.ConnectionState) error {
			c.who <- state.PeerCertificates[0].Subject.CommonName
			return nil
		}
		c.server = adstest.New(t, grpc.Creds(grpccredentials.NewTLS(serverTLS)))
		secured, err := credentials.New(asked, credentials.Options{Logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		c.Client, err = ads.New(ads.Options{
			Servers: []ads.Server{{Targets: []string{adstest.Target}, Credentials: secured.ForGRPC, DialOptions: c.server.DialOptions()}},
			Node:    &corev3.Node{Id: "n", Cluster: "c"},
			Types:   []ads.Type{world()},
			Logger:  zap.NewNop(),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Run(ctx)
		}()
		defer func() {
			cancel()
			<-done
		}()
		c.Subscribe(clusterURL, nil)
		script(c)
	})
}

// TestRotation holds that a new connection shows what the files have by then, and what they had where they cannot be used.
func TestRotation(t *testing.T) {
	for _, name := range []string{"files", "secrets in files"} {
		t.Run(name, func(t *testing.T) {
			a, dir := newAuthority(t), t.TempDir()
			put(t, filepath.Join(dir, "ca.crt"), a.pem())
			a.client(dir, "first")
			asked := files(dir)
			if name != "files" {
				asked = secrets(t, dir)
			}
			converse(t, a, asked, func(c *talk) {
				exchange := func(who string) {
					t.Helper()
					s := c.server.Accept()
					s.Next()
					s.Send(clusterURL, "v1")
					s.Next()
					if got := <-c.who; got != who {
						t.Errorf("the control plane sees %q, want %q", got, who)
					}
				}
				exchange("first")
				a.client(dir, "second")
				c.Restart()
				exchange("second")
				put(t, filepath.Join(dir, "tls.key"), []byte("-----BEGIN PRIV"))
				c.Restart()
				exchange("second")
				a.client(dir, "third")
				c.Restart()
				exchange("third")
			})
		})
	}
}

func TestSecretThatComesLater(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	put(t, filepath.Join(dir, "ca.crt"), a.pem())
	a.client(dir, "late")
	asked := secrets(t, dir)
	put(t, filepath.Join(dir, "certificate.json"), []byte(`{"resources": []}`))
	converse(t, a, asked, func(c *talk) {
		c.server.Dial()
		synctest.Wait()
		if got, want := c.State().LastError, "is not in file"; !strings.Contains(got, want) {
			t.Errorf("the attempt failed with %q, want %q in it", got, want)
		}
		secrets(t, dir)
		c.server.Accept().Next()
	})
}

func TestUntrustedControlPlane(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(t *testing.T, dir string, asked *config.UpstreamTLS)
		want   string
	}{
		"another authority": {func(t *testing.T, dir string, _ *config.UpstreamTLS) {
			put(t, filepath.Join(dir, "ca.crt"), newAuthority(t).pem())
		}, "TLS handshake: "},
		"another name": {func(_ *testing.T, _ string, asked *config.UpstreamTLS) { asked.SNI = "other.test" }, "other.test"},
	} {
		t.Run(name, func(t *testing.T) {
			a, dir := newAuthority(t), t.TempDir()
			put(t, filepath.Join(dir, "ca.crt"), a.pem())
			a.client(dir, "client")
			asked := files(dir)
			tt.change(t, dir, asked)
			converse(t, a, asked, func(c *talk) {
				c.server.Dial()
				c.server.Dial()
				if got := c.State().LastError; !strings.Contains(got, tt.want) {
					t.Errorf("the attempt failed with %q, want %q in it", got, tt.want)
				}
				c.server.NoStream()
			})
		})
	}
}

// TestHostNames holds which name a control plane is asked for and must have, where the cluster leaves that to its endpoints.
func TestHostNames(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	put(t, filepath.Join(dir, "ca.crt"), a.pem())
	a.client(dir, "client")
	listener, err := tls.Listen("tcp", "127.0.0.1:0", a.server("h2"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).HandshakeContext(t.Context()) // a client that refuses ends it
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-served
	})
	target := listener.Addr().String()
	asked := files(dir)
	asked.SNI, asked.AutoHostSNI = "", true
	for name, good := range map[string]bool{"control-plane.test": true, "other.test": false} {
		secured, err := credentials.New(asked, credentials.Options{Names: map[string]string{target: name}, Logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := secured.Dial(t.Context(), &net.Dialer{}, target, true)
		if (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// TestAnotherProtocol holds that a control plane that agrees on another protocol than the one that will be spoken is left.
func TestAnotherProtocol(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	put(t, filepath.Join(dir, "ca.crt"), a.pem())
	a.client(dir, "client")
	listener, err := tls.Listen("tcp", "127.0.0.1:0", a.server("http/1.1"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if conn, err := listener.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, conn) // shakes hands, and ends with the client
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-served
	})
	asked := files(dir)
	asked.ALPN = []string{"h2", "http/1.1"}
	secured, err := credentials.New(asked, credentials.Options{Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = secured.Dial(t.Context(), &net.Dialer{}, listener.Addr().String(), true)
	if want := `the control plane chose the protocol "http/1.1", want "h2"`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := credentials.New(files(dir), credentials.Options{Logger: zap.NewNop()}); err == nil || !strings.Contains(err.Error(), "tls.crt") {
		t.Errorf("error %v, want one that names the file that is missing", err)
	}
	streamed := secrets(t, dir)
	streamed.ValidationSecret.SDS.Source = config.ConfigSource{}
	if _, err := credentials.New(streamed, credentials.Options{Logger: zap.NewNop()}); err == nil || !strings.Contains(err.Error(), `secret "xds_trusted_ca"`) {
		t.Errorf("error %v, want one that names the secret", err)
	}
}

// TestPolls holds that a control plane is polled over TLS in both versions of HTTP.
func TestPolls(t *testing.T) {
	for _, overHTTP2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %v", overHTTP2), func(t *testing.T) {
			a, dir := newAuthority(t), t.TempDir()
			put(t, filepath.Join(dir, "ca.crt"), a.pem())
			a.client(dir, "client")
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			seen := make(chan string, 16)
			server := &http.Server{
				TLSConfig: a.server("h2", "http/1.1"),
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					seen <- fmt.Sprint(r.Proto, " ", r.TLS.PeerCertificates[0].Subject.CommonName)
					_, _ = io.WriteString(w, `{"version_info": "v1"}`)
				}),
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				_ = server.ServeTLS(listener, "", "")
			}()
			t.Cleanup(func() {
				_ = server.Close()
				<-served
			})
			secured, err := credentials.New(files(dir), credentials.Options{Logger: zap.NewNop()})
			if err != nil {
				t.Fatal(err)
			}
			handled := make(chan string, 16)
			typ := world()
			typ.Handle = func(_ context.Context, r ads.Response) error {
				handled <- r.Version
				return nil
			}
			source, err := rest.New(rest.Options{
				Targets: []string{listener.Addr().String()}, Host: "xds_cluster", Node: &corev3.Node{Id: "n", Cluster: "c"}, Types: []ads.Type{typ},
				RefreshDelay: time.Hour, RequestTimeout: 10 * time.Second, HTTP2: overHTTP2, Logger: zap.NewNop(),
				Dial: func(ctx context.Context, target string) (net.Conn, error) {
					return secured.Dial(ctx, &net.Dialer{}, target, overHTTP2)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				source.Run(ctx)
			}()
			defer func() {
				cancel()
				<-done
			}()
			source.Subscribe(clusterURL, nil)
			want := "HTTP/1.1 client"
			if overHTTP2 {
				want = "HTTP/2.0 client"
			}
			if got := <-seen; got != want {
				t.Errorf("the control plane sees %q, want %q", got, want)
			}
			if got := <-handled; got != "v1" {
				t.Errorf("handled %q", got)
			}
		})
	}
}
