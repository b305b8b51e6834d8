package xds

import (
	"slices"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestClusterNeeds holds that a cluster asks for the secrets of all its transport sockets, each once.
func TestClusterNeeds(t *testing.T) {
	socket := func(names ...string) *config.UpstreamTLS {
		c := &config.UpstreamTLS{TLS: config.TLS{ValidationSecret: config.SecretRef{Name: names[0]}}}
		for _, name := range names[1:] {
			c.CertificateSecrets = append(c.CertificateSecrets, config.SecretRef{Name: name})
		}
		return c
	}
	for _, test := range []struct {
		name string
		c    config.Cluster
		want []string
	}{
		{"none", config.Cluster{SocketMatches: []config.SocketMatch{{Name: "plain"}}}, nil},
		{"transport_socket", config.Cluster{TLS: socket("ca", "own")}, []string{"own", "ca"}},
		{"all", config.Cluster{TLS: socket("ca"), SocketMatches: []config.SocketMatch{
			{TLS: socket("ca", "own")}, {Name: "plain"}, {TLS: socket("other", "own")},
		}}, []string{"ca", "own", "other"}},
	} {
		var got []string
		for _, n := range clusterKind().of(&test.c, nil) {
			got = append(got, n.name)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
