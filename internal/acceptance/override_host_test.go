package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestOverrideHost holds that a request goes to the host that it names, to the first that exists of several, and by the fallback
// when there is none.
func TestOverrideHost(t *testing.T) {
	s, hosts := hashSetup(t, 3, config.RoundRobin)
	s.Clusters[0].OverrideHeaders = []string{"x-host", "x-other-host"}
	p := s.Start(t)
	c := p.Dial()
	first, second := hosts[0].String(), hosts[1].String()
	for _, tc := range []struct {
		fields []string
		want   string
	}{
		{[]string{"x-host: " + first}, first},
		{[]string{"x-host: " + second}, second},
		{[]string{"x-host: 192.0.2.1:80,,  " + second + " ," + first}, second},
		{[]string{"x-other-host: " + first}, first},
		{[]string{"x-host: nonsense", "x-other-host: " + second}, second},
		{[]string{"x-other-host: " + first, "x-host: " + second}, second},
	} {
		for range 3 {
			if got := c.Get("/", tc.fields...).Body; got != tc.want {
				t.Errorf("%q goes to %s, want %s", tc.fields, got, tc.want)
			}
		}
	}
	for _, fields := range [][]string{nil, {"x-host: 192.0.2.1:80"}, {"x-host: ,"}, {"x-host:"}} {
		seen := make(map[string]bool)
		for range 3 {
			seen[c.Get("/", fields...).Body] = true
		}
		if len(seen) != 3 {
			t.Errorf("%q goes to %v, want all hosts in turn", fields, seen)
		}
	}
}

// TestOverrideHostIgnored holds that a cluster without the policy takes no advice.
func TestOverrideHostIgnored(t *testing.T) {
	s, hosts := hashSetup(t, 2, config.RoundRobin)
	p := s.Start(t)
	c := p.Dial()
	seen := make(map[string]bool)
	for range 2 {
		seen[c.Get("/", "x-host: "+hosts[0].String()).Body] = true
	}
	if len(seen) != 2 {
		t.Errorf("only %v", seen)
	}
}
