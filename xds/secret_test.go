package xds_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const secretURL = resource.SecretType

// secured gives the bootstrap a listener that takes its certificate and its routes from elsewhere.
func secured(p *proxy) {
	asked := config.Discovery{FetchTimeout: fetchTimeout}
	p.boot.Listeners = []*config.Listener{{Name: "l", Chains: []*config.FilterChain{{
		HTTP: &config.HTTPConnectionManager{StatPrefix: "ingress", RouteConfigName: "r", RDS: asked},
		TLS:  &config.DownstreamTLS{TLS: config.TLS{CertificateSecrets: []config.SecretRef{{Name: "s", SDS: asked}}}},
	}}}}
}

func certificate(name string) *tlsv3.Secret {
	inline := func(text string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}}
	}
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: inline("chain"), PrivateKey: inline("key"),
	}}}
}

// TestSecrets holds that a listener's secrets are asked for and waited for as its routes are, and go with it.
func TestSecrets(t *testing.T) {
	run(t, secured, func(p *proxy) {
		s := p.server.Accept()
		s.Expect("clusters", request(clusterURL, "", ""))
		n := s.Send(clusterURL, "1")
		s.Expect("listeners", request(listenerURL, "", ""))
		s.Expect("secrets", request(secretURL, "", "", "s"))
		s.Expect("routes", request(routeURL, "", "", "r"))
		s.Expect("clusters", request(clusterURL, "1", n))
		s.Send(listenerURL, "1")
		s.Next()
		s.Send(routeURL, "1", routes("r", "c"))
		s.Next()
		if p.initialized() {
			t.Error("initialized without the secret")
		}
		n = s.Send(secretURL, "1", certificate("s"))
		s.Expect("secrets", request(secretURL, "1", n, "s"))
		if !p.initialized() {
			t.Errorf("state %+v", p.State())
		}
		if now := p.store.Current(); now.Secrets["s"] == nil || now.Secrets["s"].Certificate == nil {
			t.Errorf("secrets %q", names(now.Secrets))
		}
		var dump adminv3.SecretsConfigDump
		p.part(xds.DumpOptions{}, &dump)
		if list := dump.GetDynamicActiveSecrets(); len(list) != 1 || list[0].GetName() != "s" || !holds(list[0].GetSecret(), certificate("s")) {
			t.Errorf("dump %v", &dump)
		}
		if p.stat("sds.s.update_success") != 1 {
			t.Error("the update is not counted")
		}

		n = s.Send(secretURL, "2", &tlsv3.Secret{Name: "s"})
		why := s.Expect("refusal", refusal(secretURL, "1", n, "", "s")).GetErrorDetail().GetMessage()
		if !strings.HasPrefix(why, "Error updating secret(s) s: ") {
			t.Errorf("refused because %q", why)
		}
		if err := p.ReloadFile(&bootstrap.Bootstrap{Proto: p.boot.Proto, Node: p.boot.Node}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if now := p.store.Current(); len(now.Secrets) != 0 {
			t.Errorf("secrets %q are left", names(now.Secrets))
		}
	})
}

// TestFailedSecretEndsTheWait holds that the start does not wait for a secret that came and cannot be used, as in Envoy.
func TestFailedSecretEndsTheWait(t *testing.T) {
	run(t, secured, func(p *proxy) {
		s := p.server.Accept()
		s.Next()
		s.Send(clusterURL, "1")
		for range 4 { // listeners, secrets, routes, and the answer about clusters
			s.Next()
		}
		s.Send(listenerURL, "1")
		s.Next()
		s.Send(routeURL, "1", routes("r", "c"))
		s.Next()
		if p.initialized() {
			t.Error("initialized without the secret")
		}
		n := s.Send(secretURL, "1", &tlsv3.Secret{Name: "s"})
		s.Expect("refusal", refusal(secretURL, "", n, "", "s"))
		if !p.initialized() {
			t.Errorf("state %+v", p.State())
		}
	})
}

// TestUnusableSecret holds that a secret whose content is no good is refused by its name, and others beside it are not.
func TestUnusableSecret(t *testing.T) {
	check := func(p *proxy) {
		p.checkSecret = func(s *config.Secret) error {
			if s.Name == "bad" {
				return errors.New("tls_certificate: it is none")
			}
			return nil
		}
	}
	run(t, check, func(p *proxy) {
		s := p.server.Accept()
		s.Next()
		s.Send(clusterURL, "1", secureCluster(t, "b", "bad"), secureCluster(t, "g", "good"))
		s.Next()
		s.Next()
		n := s.Send(secretURL, "1", certificate("bad"), certificate("good"))
		want := refusal(secretURL, "", n, `Error updating secret(s) bad: secret "bad": tls_certificate: it is none`, "bad", "good")
		s.Expect("the listeners that come after clusters", request(listenerURL, "", ""))
		s.Expect("secrets", want)
		p.want("the clusters", "b g", "", "", "")
		if got := names(p.store.Current().Secrets); got != "good" {
			t.Errorf("secrets %q", got)
		}
	})
}

// TestSecretsOfClusters holds that a cluster waits for the secrets of its TLS, and that they go with it.
func TestSecretsOfClusters(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.server.Accept()
		s.Next()
		n := s.Send(clusterURL, "1", secureCluster(t, "c", "s"))
		s.Expect("secrets", request(secretURL, "", "", "s"))
		s.Expect("clusters", request(clusterURL, "1", n))
		if p.store.Current().Clusters["c"] != nil {
			t.Error("the cluster is in force without its secret")
		}
		s.Send(secretURL, "1", certificate("s"))
		s.Next()
		if now := p.store.Current(); now.Clusters["c"] == nil || now.Secrets["s"] == nil {
			t.Errorf("clusters %q, secrets %q", names(now.Clusters), names(now.Secrets))
		}
		s.Send(clusterURL, "2")
		synctest.Wait()
		if now := p.store.Current(); len(now.Clusters)+len(now.Secrets) != 0 {
			t.Errorf("clusters %q and secrets %q are left", names(now.Clusters), names(now.Secrets))
		}
	})
}

// secureCluster returns a cluster of TLS that shows hosts a certificate which comes as a secret.
func secureCluster(t *testing.T, name, secret string) *clusterv3.Cluster {
	t.Helper()
	packed, err := anypb.New(&tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: secret, SdsConfig: &corev3.ConfigSource{
			ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return &clusterv3.Cluster{Name: name, TransportSocket: &corev3.TransportSocket{
		Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed},
	}}
}

// TestStaticSecrets holds that secrets of the bootstrap are there from the start, for what the control plane sends too, and that what
// names others is refused, be it on one side or the other.
func TestStaticSecrets(t *testing.T) {
	static := func(name string) *clusterv3.Cluster {
		c := staticCluster(name, 1)
		c.TransportSocket = &corev3.TransportSocket{Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{
			TypedConfig: pack(&tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
				TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: name}},
			}}),
		}}
		return c
	}
	own := &config.Secret{Name: "own"}
	run(t, func(p *proxy) {
		p.boot.Secrets = []*config.Secret{own}
		p.checkSecret = func(s *config.Secret) error {
			if s.Name == "bad" {
				return errors.New("it is not PEM")
			}
			return nil
		}
	}, func(p *proxy) {
		s := p.server.Accept()
		s.Expect("clusters", request(clusterURL, "", ""))
		n := s.Send(clusterURL, "1", static("own"), static("strange"))
		s.Expect("no secret is asked for", request(listenerURL, "", ""))
		why := s.Expect("refusal", refusal(clusterURL, "", n, "")).GetErrorDetail().GetMessage()
		if want := `strange: secret "strange" is not among static_resources.secrets`; !strings.Contains(why, want) {
			t.Errorf("refused because %q, want %q", why, want)
		}
		p.want("the one that names what there is", "own", "", "", "")
		if got := p.store.Current().Secrets; len(got) != 1 || got[config.SecretRef{Name: "own", Static: true}.Key()] != own {
			t.Errorf("secrets are %v", got)
		}
		for want, next := range map[string][]*config.Secret{
			`cluster "own": secret "own" is not among static_resources.secrets, where one without sds_config must be`: nil,
			`static_resources.secrets: "bad": it is not PEM`:                                                          {own, {Name: "bad"}},
		} {
			if err := p.ReloadFile(&bootstrap.Bootstrap{Proto: p.boot.Proto, Secrets: next}); err == nil || err.Error() != want {
				t.Errorf("reload: %v, want %s", err, want)
			}
		}
		renewed := &config.Secret{Name: "own"}
		if err := p.ReloadFile(&bootstrap.Bootstrap{Proto: p.boot.Proto, Secrets: []*config.Secret{renewed}}); err != nil {
			t.Error(err)
		}
		if got := p.store.Current().Secrets; len(got) != 1 || got[config.SecretRef{Name: "own", Static: true}.Key()] != renewed {
			t.Errorf("secrets are %v after a reload", got)
		}
	})
}
