package match_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/match"
)

// oracle finds the chain without a table: level by level it keeps those of the chains left that fit best.
func oracle(matches []chainMatch, c *match.Connection) int {
	left := make([]int, len(matches))
	for i := range left {
		left[i] = i
	}
	local := !c.Remote.Addr().IsValid() || c.Remote.Addr().Unmap().IsLoopback() || c.Remote.Addr().Unmap() == c.Local.Addr().Unmap()
	levels := []func(*chainMatch) int{ // how well a match fits: 0 says nothing, less than 0 does not fit
		func(m *chainMatch) int { return fit(m.DestinationPort == 0, m.DestinationPort == c.Local.Port()) },
		func(m *chainMatch) int { return fitBlock(m.DestinationPrefixes, c.Local.Addr()) },
		func(m *chainMatch) int { return fitName(m.ServerNames, string(c.ServerName)) },
		func(m *chainMatch) int { return fit(m.TransportProtocol == "", m.TransportProtocol == c.Transport) },
		func(m *chainMatch) int { return fitProtocol(m.ApplicationProtocols, c.Protocols) },
		func(m *chainMatch) int { return fitBlock(m.DirectSourcePrefixes, c.Direct.Addr()) },
		func(m *chainMatch) int {
			return fit(m.SourceType == config.SourceAny, (m.SourceType == config.SourceLocal) == local)
		},
		func(m *chainMatch) int { return fitBlock(m.SourcePrefixes, c.Remote.Addr()) },
		func(m *chainMatch) int {
			return fit(len(m.SourcePorts) == 0, slices.Contains(m.SourcePorts, c.Remote.Port()))
		},
	}
	for _, level := range levels {
		best := 0
		for _, i := range left {
			best = max(best, level(&matches[i]))
		}
		left = slices.DeleteFunc(left, func(i int) bool { return level(&matches[i]) != best })
	}
	switch len(left) {
	case 0:
		return match.None
	case 1:
		return left[0]
	}
	panic("chains overlap")
}

func fit(silent, fits bool) int {
	switch {
	case silent:
		return 0
	case fits:
		return 1
	}
	return -1
}

func fitBlock(blocks []netip.Prefix, a netip.Addr) int {
	best := fit(len(blocks) == 0, false)
	for _, b := range blocks {
		if b.Contains(a.Unmap()) {
			best = max(best, 1+b.Bits())
		}
	}
	return best
}

func fitName(names []string, name string) int {
	best := fit(len(names) == 0, false)
	for _, n := range names {
		switch {
		case n == name:
			return 1 << 20
		case strings.HasPrefix(n, "*.") && strings.HasSuffix(name, n[1:]) && len(name) > len(n)-1:
			best = max(best, len(n))
		}
	}
	return best
}

func fitProtocol(protocols []string, offered []byte) int {
	best := fit(len(protocols) == 0, false)
	for rank := 1000; len(offered) > 0; rank-- {
		n := int(offered[0])
		if slices.Contains(protocols, string(offered[1:1+n])) {
			best = max(best, rank)
		}
		offered = offered[1+n:]
	}
	return best
}

// TestLookupLikeOracle holds the table against oracle with random chains.
func TestLookupLikeOracle(t *testing.T) {
	const seed, tables, connections = 4, 2000, 40
	r := rand.New(rand.NewPCG(seed, 0))
	some := func(of ...string) []string {
		if r.IntN(3) > 0 {
			return nil
		}
		r.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		return slices.Clone(of[:1+r.IntN(2)])
	}
	blocks := func() []netip.Prefix {
		return prefixes(some("10.0.0.0/8", "10.1.0.0/16", "10.1.1.1/32", "127.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/8", "fd00::1/128")...)
	}
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	address := func() string {
		return fmt.Sprintf("%s:%d", one("10.1.1.1", "10.1.2.2", "10.9.9.9", "127.0.0.1", "8.8.8.8", "[fd00::1]", "[fd00::2]", "[::1]", "[::ffff:10.1.1.1]"), 1+r.IntN(2))
	}
	found := 0
	for range tables {
		var matches []chainMatch
		var table *match.Table
		for range 1 + r.IntN(6) {
			m := chainMatch{
				DestinationPort: uint16(max(0, r.IntN(5)-2)), DestinationPrefixes: blocks(),
				ServerNames:          some("a.test", "b.a.test", "*.test", "*.a.test"),
				TransportProtocol:    one("", "", "tls", "raw_buffer"),
				ApplicationProtocols: some("h2", "http/1.1", "x"),
				DirectSourcePrefixes: blocks(), SourceType: config.SourceType(max(0, r.IntN(5)-2)), SourcePrefixes: blocks(),
			}
			if r.IntN(3) == 0 {
				m.SourcePorts = []uint16{uint16(1 + r.IntN(2))}
			}
			if with, err := match.Compile(chainsOf(append(matches, m))); err == nil {
				matches, table = append(matches, m), with
			}
		}
		for range connections {
			text := fmt.Sprintf("local=%s remote=%s direct=%s %s %s %s", address(), address(), address(),
				one("", "sni=a.test", "sni=b.a.test", "sni=c.b.a.test", "sni=test", "sni=c.test"), one("", "tls", "raw"), one("", "alpn=h2", "alpn=x,h2", "alpn=y,http/1.1"))
			got, want := table.Lookup(connection(text)), oracle(matches, connection(text))
			if got != want {
				t.Fatalf("%+v: %q gets chain %d, want %d", matches, text, got, want)
			}
			if got != match.None {
				found++
			}
		}
	}
	t.Logf("%d of %d connections got a chain", found, tables*connections)
	if found < tables*connections/20 {
		t.Error("too few connections got a chain for the test to say much")
	}
}
