package acceptance

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// socketLabel is the label that the transport sockets of these tests are chosen by.
func socketLabel(value string) *config.Labels {
	return &config.Labels{Values: map[string]string{"socket": value}}
}

// matched makes the cluster of s one of EDS whose hosts are in plaintext, or under the TLS of its transport socket where they
// have the label "tls".
func matched(s *harness.Setup) *config.Cluster {
	k := s.Clusters[0]
	k.SocketMatches = []config.SocketMatch{
		{Name: "tls", Match: *socketLabel("tls"), TLS: k.TLS}, {Name: "plain", Match: *socketLabel("plain")},
	}
	k.Type, k.EDSName, k.Assignment, k.TLS = config.ClusterEDS, "eds", nil, nil
	return k
}

// labelled is a host with the label that it has, empty for none.
type labelled struct {
	address netip.AddrPort
	label   string
}

// discover gives the cluster of matched its hosts.
func discover(p *harness.Proxy, hosts ...labelled) {
	var addresses []netip.AddrPort
	for _, h := range hosts {
		addresses = append(addresses, h.address)
	}
	a := harness.Cluster("eds", addresses...).Assignment
	for i := range a.Localities[0].Endpoints {
		if label := hosts[i].label; label != "" {
			a.Localities[0].Endpoints[i].SocketLabels = socketLabel(label)
		}
	}
	p.Apply(config.Delta{Endpoints: config.Changes[*config.ClusterLoadAssignment]{Set: map[string]*config.ClusterLoadAssignment{"eds": a}}})
}

// sockets sends two requests and returns what the hosts, which take turns, have seen: TLS, plaintext, or a failure.
func sockets(p *harness.Proxy) string {
	var words []string
	for range 2 {
		r := p.Dial().Get("/")
		p.Outcome()
		switch {
		case r.Status != 200:
			words = append(words, "failure")
		case r.Fields.Get("x-seen") != "":
			words = append(words, "TLS")
		default:
			words = append(words, "plaintext")
		}
	}
	return strings.Join(sortedWords(words), " ")
}

// TestSocketMatches has hosts of one cluster under TLS and in plaintext, as their labels say.
func TestSocketMatches(t *testing.T) {
	o, plain := newTLSOrigin(t, nil), newPatient(t, "P", nil)
	s := o.setup(nil)
	matched(s)
	p := s.Start(t)
	hosts := func(first, second string) {
		discover(p, labelled{o.address, first}, labelled{plain.Addr(), second})
	}
	want := func(words string) {
		t.Helper()
		if got := sockets(p); got != words {
			t.Errorf("%s, want %s", got, words)
		}
	}
	hosts("tls", "plain")
	want("plaintext TLS")
	want("plaintext TLS")
	if tls, raw := o.connections.Load(), plain.Connections(); tls != 1 || raw != 1 {
		t.Errorf("%d and %d connections, want one each, which is kept", tls, raw)
	}
	if n := p.ClusterStat("ssl.handshake"); n != 1 {
		t.Errorf("ssl.handshake is %d", n)
	}

	// The second host is the transport socket's of the cluster, which is plaintext, as before: its connection is kept.
	hosts("tls", "")
	want("plaintext TLS")
	if n := plain.Connections(); n != 1 {
		t.Errorf("%d connections after a change of labels that changes nothing", n)
	}

	// A host that is under TLS now does not keep its connection in plaintext, and the other way round.
	hosts("plain", "tls")
	if r := p.Dial().Get("/"); r.Status == 200 {
		t.Errorf("answered %d over a connection of before", r.Status)
	}
	if r := p.Dial().Get("/"); r.Status == 200 {
		t.Errorf("answered %d over a connection of before", r.Status)
	}
	p.Outcome()
	p.Outcome()
	hosts("tls", "plain")
	want("plaintext TLS")
}

// TestSocketMatchChanges has the context of one match change, which costs only its own hosts their connections.
func TestSocketMatchChanges(t *testing.T) {
	a, b := newTLSOrigin(t, nil), newTLSOrigin(t, nil)
	s := a.setup(nil)
	k := matched(s)
	k.SocketMatches[1].TLS = &config.UpstreamTLS{SNI: "origin.test", TLS: config.TLS{ValidationSecret: config.SecretRef{Name: "ca"}}}
	p := s.Start(t)
	discover(p, labelled{a.address, "tls"}, labelled{b.address, "plain"})
	secret := func(ca []byte) {
		p.Apply(config.Delta{Secrets: config.Changes[*config.Secret]{Set: map[string]*config.Secret{
			"ca": {Name: "ca", Validation: &config.TLSValidation{CA: config.DataSource{Inline: ca}, MaxDepth: -1}},
		}}})
	}
	for i, step := range []struct {
		ca   []byte
		want string
	}{{nil, "failure TLS"}, {b.CA(), "TLS TLS"}, {a.CA(), "failure TLS"}, {b.CA(), "TLS TLS"}} {
		if step.ca != nil {
			secret(step.ca)
		}
		if got := sockets(p); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	if n := a.connections.Load(); n != 1 {
		t.Errorf("%d connections to the host whose context stays", n)
	}
}

// TestSocketMatchesOfHealthChecks checks each host over its own transport socket, or all over the one that the check names.
func TestSocketMatchesOfHealthChecks(t *testing.T) {
	for name, test := range map[string]struct {
		criteria *config.Labels
		want     string
	}{
		"the host's":       {nil, "P T"},
		"TLS for all":      {socketLabel("tls"), "p T"},
		"the default":      {&config.Labels{}, "P t"},
		"plaintext of all": {socketLabel("plain"), "P t"},
	} {
		t.Run(name, func(t *testing.T) {
			o, plain := newTLSOrigin(t, nil), newPatient(t, "P", nil)
			s := o.setup(nil)
			k := matched(s)
			k.HealthCheck = httpCheck()
			k.HealthCheck.SocketLabels = test.criteria
			p := s.Start(t)
			discover(p, labelled{o.address, "tls"}, labelled{plain.Addr(), "plain"})
			untilFlags(t, p, test.want, named{"T", o.address}, named{"P", plain.Addr()})
		})
	}
}
