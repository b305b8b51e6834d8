package route

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// hostsConfig makes a configuration with one virtual host per list of domains, called by the list's first.
func hostsConfig(domains ...[]string) *config.RouteConfiguration {
	rc := &config.RouteConfiguration{Name: "rc"}
	for _, list := range domains {
		rc.VirtualHosts = append(rc.VirtualHosts, &config.VirtualHost{
			Name: list[0], Domains: list, Routes: []*config.Route{newRoute("r", prefixMatch("/"))},
		})
	}
	return rc
}

func hostOf(table *Table, authority string) string {
	if vh := table.Match(newRequest(authority, "/"), 0, Client{}).VirtualHost; vh != nil {
		return vh.Name
	}
	return ""
}

func TestDomainPrecedence(t *testing.T) {
	rc := hostsConfig([]string{"*"}, []string{"www.*"}, []string{"www.example.*"}, []string{"*.example.com"}, []string{"*-bar.example.com"},
		[]string{"*.www.example.com"}, []string{"www.example.com"}, []string{"march.example", "march.example:*"}, []string{"port.example:8080"},
		[]string{"[::1]"}, []string{"[::1]:80"}, []string{"*.Mixed.org"})
	table := mustCompile(t, rc)
	tests := []struct{ host, want string }{
		{"www.example.com", "www.example.com"},
		{"WWW.Example.COM", "www.example.com"},
		{"a.example.com", "*.example.com"},
		{"A.EXAMPLE.com", "*.example.com"},
		{"foo-bar.example.com", "*-bar.example.com"},
		{"x.www.example.com", "*.www.example.com"},
		{".example.com", "*"}, // the wildcard stands for at least one byte
		{"example.com", "*"},
		{"www.example.org", "www.example.*"},
		{"www.other.org", "www.*"},
		{"www.", "*"},
		{"www.example.com:8080", "www.example.*"}, // the port is part of the host
		{"www.example.com.", "www.example.*"},
		{"march.example", "march.example"},
		{"march.example:1", "march.example"},
		{"march.example:", "*"},
		{"port.example:8080", "port.example:8080"},
		{"port.example", "*"},
		{"[::1]", "[::1]"},
		{"[::1]:80", "[::1]:80"},
		{"x.mixed.org", "*.Mixed.org"},
		{"", "*"},
		{strings.Repeat("X", 2*hostBuffer) + ".example.com", "*.example.com"},
	}
	for _, test := range tests {
		if got := hostOf(table, test.host); got != test.want {
			t.Errorf("%q: got %q, want %q", test.host, got, test.want)
		}
	}
}

func TestIgnorePortInHostMatching(t *testing.T) {
	rc := hostsConfig([]string{"a.example"}, []string{"*.b.example"}, []string{"[::1]"}, []string{"c.example:8080"})
	rc.IgnorePortInHostMatching = true
	table := mustCompile(t, rc)
	for host, want := range map[string]string{
		"a.example": "a.example", "a.example:80": "a.example", "a.example:": "a.example", "x.b.example:1": "*.b.example",
		"[::1]:80": "[::1]", "[::1]": "[::1]", "c.example:8080": "",
	} {
		if got := hostOf(table, host); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
}

func TestDomainTwice(t *testing.T) {
	for _, domain := range []string{"*", "a.example", "*.example", "a.*"} {
		rc := hostsConfig([]string{"one", domain}, []string{"two", strings.ToUpper(domain)})
		_, err := Compile(rc, Options{})
		if err == nil {
			t.Errorf("%q in two virtual hosts: no error", domain)
			continue
		}
		for _, want := range []string{`"one"`, `"two"`, fmt.Sprintf("%q", domain)} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: error %q does not name %s", domain, err, want)
			}
		}
	}
}

// naiveHost is the search as the documentation tells it, domain by domain.
func naiveHost(rc *config.RouteConfiguration, host string) string {
	host = strings.ToLower(host)
	best, rank := "", -1
	for _, vh := range rc.VirtualHosts {
		for _, domain := range vh.Domains {
			r := -1
			const exact, suffix, prefix = 3000, 2000, 1000
			switch {
			case domain == host:
				r = exact
			case domain == "*":
				r = 0
			case domain[0] == '*':
				if len(host) >= len(domain) && strings.HasSuffix(host, domain[1:]) {
					r = suffix + len(domain)
				}
			case domain[len(domain)-1] == '*':
				if len(host) >= len(domain) && strings.HasPrefix(host, domain[:len(domain)-1]) {
					r = prefix + len(domain)
				}
			}
			if r > rank {
				best, rank = vh.Name, r
			}
		}
	}
	return best
}

func TestDomainsLikeNaiveSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		b := make([]byte, 1+rng.IntN(4))
		for i := range b {
			b[i] = "ab."[rng.IntN(3)]
		}
		return string(b)
	}
	for range 300 {
		seen := map[string]bool{}
		var lists [][]string
		for range 1 + rng.IntN(20) {
			domain := word()
			switch rng.IntN(4) {
			case 0:
				domain = "*" + domain
			case 1:
				domain += "*"
			case 2:
				if rng.IntN(3) == 0 {
					domain = "*"
				}
			}
			if !seen[domain] {
				seen[domain] = true
				lists = append(lists, []string{domain})
			}
		}
		rc := hostsConfig(lists...)
		table := mustCompile(t, rc)
		for range 30 {
			host := word()
			if rng.IntN(2) == 0 {
				host = strings.ToUpper(host)
			}
			if got, want := hostOf(table, host), naiveHost(rc, host); got != want {
				t.Fatalf("%v: %q: got %q, want %q", lists, host, got, want)
			}
		}
	}
}
