package tls

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestSockets holds which context a host gets.
func TestSockets(t *testing.T) {
	names := map[*Upstream]string{nil: "plaintext"}
	context := func(name string) *Upstream {
		u := &Upstream{}
		names[u] = name
		return u
	}
	labels := func(pairs ...string) *config.Labels {
		l := &config.Labels{Values: make(map[string]string)}
		for i := 0; i < len(pairs); i += 2 {
			l.Values[pairs[i]] = pairs[i+1]
		}
		return l
	}
	some := &Sockets{Default: context("default"), Matches: []SocketMatch{
		{labels("a", "1", "b", "1"), context("both")}, {labels("a", "1"), context("a")}, {labels("p", "1"), nil}, {labels("a", "1"), context("never")},
	}}
	all := &Sockets{Default: context("default"), Matches: []SocketMatch{{labels("a", "1"), context("a")}, {labels(), context("any")}}}
	for _, test := range []struct {
		name           string
		sockets        *Sockets
		host, locality *config.Labels
		want           string
	}{
		{"no sockets", nil, labels("a", "1"), nil, "plaintext"},
		{"no labels", some, nil, nil, "default"},
		{"empty labels", some, labels(), labels(), "default"},
		{"one of two", some, labels("a", "1"), nil, "a"},
		{"two of two", some, labels("b", "1", "a", "1"), nil, "both"},
		{"more than are asked for", some, labels("a", "1", "c", "1"), nil, "a"},
		{"another value", some, labels("a", "2"), nil, "default"},
		{"plaintext", some, labels("p", "1"), nil, "plaintext"},
		{"the locality's", some, nil, labels("a", "1"), "a"},
		{"the locality's, where the host's are of no use", some, labels("c", "1"), labels("a", "1"), "a"},
		{"the host's go first, whatever the order", some, labels("p", "1"), labels("a", "1", "b", "1"), "plaintext"},
		{"they are not taken together", some, labels("b", "1"), labels("a", "1"), "a"},
		{"a match for any", all, nil, nil, "any"},
		{"a match for any leaves none to the locality", all, labels("c", "1"), labels("a", "1"), "any"},
		{"a match for any comes in its turn", all, labels("a", "1"), nil, "a"},
	} {
		if got := names[test.sockets.Of(test.host, test.locality)]; got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
