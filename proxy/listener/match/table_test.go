package match_test

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/match"
)

var update = flag.Bool("update", false, "write the golden files anew")

type chainMatch = config.ChainMatch

// scene is a listener of the golden file: chains, named by what they match, and connections.
type scene struct {
	name        string
	chains      []string
	matches     []chainMatch
	connections []string
}

func prefixes(blocks ...string) (all []netip.Prefix) {
	for _, b := range blocks {
		all = append(all, netip.MustParsePrefix(b))
	}
	return all
}

var scenes = []scene{
	{"no chains", nil, nil, []string{""}},
	{"one chain without a match", []string{"all"}, []chainMatch{{}}, []string{"", "sni=a.test tls", "remote=unix"}},
	{
		"the port goes before everything, without a way back",
		[]string{"8443 a.test", "any port b.test"},
		[]chainMatch{{DestinationPort: 8443, ServerNames: []string{"a.test"}}, {ServerNames: []string{"b.test"}}},
		[]string{"local=10.0.0.1:8443 sni=a.test", "local=10.0.0.1:8443 sni=b.test", "local=10.0.0.1:443 sni=b.test", "local=10.0.0.1:443 sni=a.test"},
	},
	{
		"the longest block of the destination, without a way back",
		[]string{"any", "10/8", "10.1/16 a.test", "10.1.2.3", "2001:db8::/32"},
		[]chainMatch{{}, {DestinationPrefixes: prefixes("10.0.0.0/8")}, {DestinationPrefixes: prefixes("10.1.0.0/16"), ServerNames: []string{"a.test"}},
			{DestinationPrefixes: prefixes("10.1.2.3/32")}, {DestinationPrefixes: prefixes("2001:db8::/32")}},
		[]string{"local=10.9.9.9:1", "local=10.1.9.9:1", "local=10.1.9.9:1 sni=a.test", "local=10.1.2.3:1", "local=[::ffff:10.1.2.3]:1", "local=11.0.0.1:1",
			"local=[2001:db8::1]:1", "local=[2001:db9::1]:1", "local=unix"},
	},
	{
		"a block that fits all goes before none",
		[]string{"none", "0/0"},
		[]chainMatch{{}, {DestinationPrefixes: prefixes("0.0.0.0/0")}},
		[]string{"local=1.2.3.4:1", "local=[::1]:1", "local=unix"},
	},
	{
		"server names: exact, then the longest suffix",
		[]string{"none", "a.test", "*.test", "*.b.test", "x.b.test over h2"},
		[]chainMatch{{}, {ServerNames: []string{"a.test"}}, {ServerNames: []string{"*.test"}}, {ServerNames: []string{"*.b.test"}},
			{ServerNames: []string{"x.b.test"}, ApplicationProtocols: []string{"h2"}}},
		[]string{"", "sni=a.test", "sni=c.test", "sni=c.a.test", "sni=y.b.test", "sni=z.y.b.test", "sni=b.test", "sni=test", "sni=.test",
			"sni=x.b.test alpn=h2", "sni=x.b.test alpn=http/1.1", "sni=other"},
	},
	{
		"transport protocols",
		[]string{"tls", "raw_buffer", "a.test, any"},
		[]chainMatch{{TransportProtocol: "tls"}, {TransportProtocol: "raw_buffer"}, {ServerNames: []string{"a.test"}}},
		[]string{"tls", "raw", "", "tls sni=a.test", "raw sni=a.test"},
	},
	{
		"application protocols, in the order of the client",
		[]string{"none", "h2 or http/1.1", "istio"},
		[]chainMatch{{}, {ApplicationProtocols: []string{"h2", "http/1.1"}}, {ApplicationProtocols: []string{"istio"}}},
		[]string{"", "alpn=h2", "alpn=istio,h2", "alpn=spdy,http/1.1,istio", "alpn=spdy"},
	},
	{
		"the peer's address, then the client's",
		[]string{"from the balancer", "from the balancer, client 192.168/16", "client 192.168/16"},
		[]chainMatch{{DirectSourcePrefixes: prefixes("10.0.0.0/8")}, {DirectSourcePrefixes: prefixes("10.0.0.0/8"), SourcePrefixes: prefixes("192.168.0.0/16")},
			{SourcePrefixes: prefixes("192.168.0.0/16")}},
		[]string{"direct=10.1.1.1:1 remote=1.2.3.4:1", "direct=10.1.1.1:1 remote=192.168.1.1:1", "direct=1.1.1.1:1 remote=192.168.1.1:1", "direct=1.1.1.1:1 remote=1.1.1.1:1"},
	},
	{
		"source types",
		[]string{"any", "local", "external from 192.168/16"},
		[]chainMatch{{}, {SourceType: config.SourceLocal}, {SourceType: config.SourceExternal, SourcePrefixes: prefixes("192.168.0.0/16")}},
		[]string{"local=10.0.0.1:1 remote=127.0.0.1:2", "local=10.0.0.1:1 remote=10.0.0.1:2", "local=10.0.0.1:1 remote=[::ffff:10.0.0.1]:2", "local=10.0.0.1:1 remote=[::1]:2",
			"remote=unix", "local=10.0.0.1:1 remote=192.168.0.1:2", "local=10.0.0.1:1 remote=1.2.3.4:2"},
	},
	{
		"only external",
		[]string{"any", "external"},
		[]chainMatch{{}, {SourceType: config.SourceExternal}},
		[]string{"local=10.0.0.1:1 remote=127.0.0.1:2", "local=10.0.0.1:1 remote=1.2.3.4:2"},
	},
	{
		"source addresses and ports",
		[]string{"10/8 port 1000 or 1001", "10/8", "10.1/16 port 1000"},
		[]chainMatch{{SourcePrefixes: prefixes("10.0.0.0/8"), SourcePorts: []uint16{1000, 1001}}, {SourcePrefixes: prefixes("10.0.0.0/8")},
			{SourcePrefixes: prefixes("10.1.0.0/16"), SourcePorts: []uint16{1000}}},
		[]string{"remote=10.0.0.1:1000", "remote=10.0.0.1:1001", "remote=10.0.0.1:1002", "remote=10.1.0.1:1000", "remote=10.1.0.1:1001", "remote=1.1.1.1:1000"},
	},
}

// connection makes a connection of text such as "local=10.0.0.1:443 sni=a.test tls alpn=h2,http/1.1".
func connection(text string) *match.Connection {
	at := func(s string) netip.AddrPort {
		if s == "unix" {
			return netip.AddrPort{}
		}
		return netip.MustParseAddrPort(s)
	}
	c := &match.Connection{Local: at("198.51.100.1:80"), Remote: at("203.0.113.9:40000")}
	direct := ""
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "local":
			c.Local = at(value)
		case "remote":
			c.Remote = at(value)
		case "direct":
			direct = value
		case "sni":
			c.ServerName = []byte(value)
		case "tls":
			c.Transport = "tls"
		case "raw":
			c.Transport = "raw_buffer"
		case "alpn":
			for _, p := range strings.Split(value, ",") {
				c.Protocols = append(append(c.Protocols, byte(len(p))), p...)
			}
		default:
			panic("unknown word " + word)
		}
	}
	if c.Direct = c.Remote; direct != "" {
		c.Direct = at(direct)
	}
	return c
}

func chainsOf(matches []chainMatch) (chains []*config.FilterChain) {
	for _, m := range matches {
		chains = append(chains, &config.FilterChain{Match: m})
	}
	return chains
}

// TestLookup holds the table of what each connection gets against testdata/lookup.golden, and against oracle.
func TestLookup(t *testing.T) {
	const file = "testdata/lookup.golden"
	var b strings.Builder
	for _, s := range scenes {
		table, err := match.Compile(chainsOf(s.matches))
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		fmt.Fprintf(&b, "%s\n", s.name)
		for _, text := range s.connections {
			c := connection(text)
			got, name := table.Lookup(c), "no chain"
			if got != match.None {
				name = s.chains[got]
			}
			if want := oracle(s.matches, c); got != want {
				t.Errorf("%s: %q gets chain %d, want %d", s.name, text, got, want)
			}
			fmt.Fprintf(&b, "\t%-45s -> %s\n", text, name)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s\nrun: go test ./proxy/listener/match -update", b.String(), want)
	}
}

func TestCompileRefuses(t *testing.T) {
	named := func(name string, m chainMatch) *config.FilterChain { return &config.FilterChain{Name: name, Match: m} }
	ports, names := make([]uint16, 2000), make([]string, 2000)
	for i := range ports {
		ports[i], names[i] = uint16(i+1), fmt.Sprintf("%d.test", i)
	}
	const overlaps = "multiple filter chains with overlapping matching rules are defined"
	for _, tt := range []struct {
		name   string
		chains []*config.FilterChain
		want   string
	}{
		{"the same", []*config.FilterChain{named("one", chainMatch{ServerNames: []string{"a"}}), named("two", chainMatch{ServerNames: []string{"a"}})},
			"filter chain 'two' has the same matching rules defined as 'one'"},
		{"the same, without names", []*config.FilterChain{{}, {}}, "filter chain 'filter_chains[1]' has the same matching rules defined as 'filter_chains[0]'"},
		{"in part", []*config.FilterChain{{Match: chainMatch{SourcePorts: []uint16{1, 2}}}, {Match: chainMatch{SourcePorts: []uint16{2, 3}}}}, overlaps},
		{"one block in two forms", []*config.FilterChain{{Match: chainMatch{SourcePrefixes: prefixes("10.0.0.1/8")}}, {Match: chainMatch{SourcePrefixes: prefixes("10.0.0.2/8")}}}, overlaps},
		{"a suffix twice", []*config.FilterChain{{Match: chainMatch{ServerNames: []string{"*.a", "b"}}}, {Match: chainMatch{ServerNames: []string{"*.a"}}}}, overlaps},
		{"too much", []*config.FilterChain{{Match: chainMatch{SourcePorts: ports, ServerNames: names}}}, "what the filter chains list has more than 1048576 combinations"},
	} {
		if _, err := match.Compile(tt.chains); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	for _, s := range scenes {
		table, err := match.Compile(chainsOf(s.matches))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range s.connections {
			c := connection(text)
			if n := testing.AllocsPerRun(100, func() { table.Lookup(c) }); n > 0 {
				t.Errorf("%s: %q: %v allocations, want none", s.name, text, n)
			}
		}
	}
}
