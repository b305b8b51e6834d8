package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// listing words an assignment: for each locality with hosts its zone, its priority and the last digits of its hosts, those that
// discovery no longer lists in brackets.
func listing(a *config.ClusterLoadAssignment) string {
	var b strings.Builder
	for _, l := range a.All() {
		if len(l.Endpoints) == 0 {
			continue
		}
		fmt.Fprintf(&b, " %s%d:", l.Zone, l.Priority)
		for _, e := range l.Endpoints {
			digit := e.Address.IP[len(e.Address.IP)-1:]
			if e.PendingRemoval {
				digit = "(" + digit + ")"
			}
			b.WriteString(digit)
		}
	}
	return strings.TrimSpace(b.String())
}

// listed is the reverse of listing, for what discovery says: "a0:12 b1:3". A letter after a host is its status: u for UNHEALTHY.
func listed(text string) *config.ClusterLoadAssignment {
	a := &config.ClusterLoadAssignment{Name: "k"}
	for word := range strings.FieldsSeq(text) {
		place, digits, _ := strings.Cut(word, ":")
		l := config.LocalityEndpoints{Zone: place[:1], Priority: uint32(place[1] - '0'), Weight: 7}
		for _, c := range digits {
			if c == 'u' {
				l.Endpoints[len(l.Endpoints)-1].Health = config.HealthUnhealthy
				continue
			}
			l.Endpoints = append(l.Endpoints, config.Endpoint{Address: config.Address{IP: "192.0.2." + string(c), Port: 80}, Weight: 1})
		}
		a.Localities = append(a.Localities, l)
	}
	return a
}

// found returns the health of hosts by their last digit: those that pass, and after a slash those that fail.
func found(text string) *config.ClusterHealth {
	h := &config.ClusterHealth{Hosts: make(map[config.Address]config.HostHealth)}
	flags := config.HostHealth(0)
	for _, c := range text {
		if c == '/' {
			flags = config.FailedActiveHC
			continue
		}
		h.Hosts[config.Address{IP: "192.0.2." + string(c), Port: 80}] = flags
	}
	return h
}

// TestStabilize goes through updates of discovery, of health, or of both.
func TestStabilize(t *testing.T) {
	type step struct{ asked, health, want string }
	const same = "="
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"one that passes stays until it fails", []step{
			{"a0:123", "123", "a0:123"}, {"a0:12", same, "a0:12(3)"}, {same, "23/1", "a0:12(3)"}, {same, "12/3", "a0:12"}, {same, "123", "a0:12"},
		}},
		{"one that fails leaves", []step{{"a0:123", "12/3", "a0:123"}, {"a0:1", same, "a0:1(2)"}}},
		{"one that was not checked leaves", []step{{"a0:123", "12", "a0:123"}, {"a0:1", same, "a0:1(2)"}}},
		{"one that the control plane took out leaves", []step{{"a0:12u", "12", "a0:12"}, {"a0:1", same, "a0:1"}}},
		{"one that comes back is one like others", []step{
			{"a0:12", "12", "a0:12"}, {"a0:1", same, "a0:1(2)"}, {"a0:12", same, "a0:12"}, {"a0:1", same, "a0:1(2)"},
		}},
		{"one that moves does not stay behind", []step{{"a0:12 b0:3", "123", "a0:12 b0:3"}, {"a0:1 b0:32", same, "a0:1 b0:32"}}},
		{"in its locality, though that has gone", []step{
			{"a0:1 b1:23", "123", "a0:1 b1:23"}, {"a0:1", same, "a0:1 b1:(2)(3)"}, {"a0:1 b0:4", same, "a0:1 b0:4 b1:(2)(3)"}, {same, "1/23", "a0:1 b0:4"},
		}},
		{"all of them", []step{{"a0:12", "12", "a0:12"}, {"", same, "a0:(1)(2)"}, {same, "1/2", "a0:(1)"}, {same, "/12", ""}}},
		{"with health at the same time", []step{{"a0:12", "12", "a0:12"}, {"a0:1", "1/2", "a0:1"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := &config.Cluster{Name: "k", Type: config.ClusterEDS, HealthCheck: &config.HealthCheck{}}
			var old *compiledCluster
			for i, s := range tc.steps {
				k := compiledCluster{config: cfg}
				if s.asked == same {
					k.asked = old.asked
				} else {
					k.asked = listed(s.asked)
				}
				if s.health == same {
					k.health = old.health
				} else {
					k.health = found(s.health)
				}
				before := listing(k.asked)
				k.stabilize(old)
				if got := listing(k.assignment); got != s.want {
					t.Errorf("step %d: %q, want %q", i, got, s.want)
				}
				if listing(k.asked) != before {
					t.Errorf("step %d changed what was asked for, from %q to %q", i, before, listing(k.asked))
				}
				if old != nil && s.asked == same && listing(old.assignment) == s.want && k.assignment != old.assignment {
					t.Errorf("step %d: the same endpoints by another value", i)
				}
				old = &k
			}
		})
	}
}

// TestNothingToStabilize holds where hosts leave as soon as discovery says so.
func TestNothingToStabilize(t *testing.T) {
	for name, change := range map[string]func(*config.Cluster){
		"no check":         func(k *config.Cluster) { k.HealthCheck = nil },
		"ignored":          func(k *config.Cluster) { k.RemoveHealthyHosts = true },
		"a static cluster": func(k *config.Cluster) { k.Type = config.ClusterStatic },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &config.Cluster{Name: "k", Type: config.ClusterEDS, HealthCheck: &config.HealthCheck{}}
			change(cfg)
			old := compiledCluster{config: cfg, asked: listed("a0:12"), health: found("12")}
			old.stabilize(nil)
			k := compiledCluster{config: cfg, asked: listed("a0:1"), health: old.health}
			k.stabilize(&old)
			if k.assignment != k.asked {
				t.Errorf("serves %q, want what was asked for", listing(k.assignment))
			}
		})
	}
	cfg := &config.Cluster{Name: "k", Type: config.ClusterEDS, HealthCheck: &config.HealthCheck{}}
	old := compiledCluster{config: cfg, asked: listed("a0:12"), health: found("12")}
	old.stabilize(nil)
	other := *cfg
	for _, k := range []compiledCluster{
		{config: &other, asked: listed("a0:1"), health: old.health}, // another cluster of the name
		{config: cfg, health: old.health},                           // nothing is known of its hosts
	} {
		if k.stabilize(&old); k.assignment != k.asked {
			t.Errorf("serves %q, want what was asked for", listing(k.assignment))
		}
	}
}
