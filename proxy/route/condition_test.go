package route

import (
	"regexp"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

func exactly(value string) config.StringMatcher { return config.StringMatcher{Value: value} }

func TestMatchHeader(t *testing.T) {
	regex := config.StringMatcher{Kind: config.StringRegex, Regex: regexp.MustCompile(`^(?:a+,b)$`)}
	long := strings.Repeat("v", joinBuffer)
	tests := []struct {
		name    string
		matcher config.HeaderMatcher
		fields  []string
		want    bool
	}{
		{"present", config.HeaderMatcher{Name: "x", Present: true}, []string{"x", ""}, true},
		{"present, absent", config.HeaderMatcher{Name: "x", Present: true}, nil, false},
		{"present, absent, inverted", config.HeaderMatcher{Name: "x", Present: true, Invert: true}, nil, true},
		{"absence", config.HeaderMatcher{Name: "x"}, nil, true},
		{"absence, present", config.HeaderMatcher{Name: "x"}, []string{"x", "1"}, false},
		{"absence, inverted", config.HeaderMatcher{Name: "x", Invert: true}, []string{"x", "1"}, true},
		{"exact", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("v")}, []string{"x", "v"}, true},
		{"exact, other", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("v")}, []string{"x", "V"}, false},
		{"exact, inverted", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("v"), Invert: true}, []string{"x", "w"}, true},
		{"absent, inverted", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("v"), Invert: true}, nil, false},
		{"absent as empty, inverted", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("v"), Invert: true, TreatMissingAsEmpty: true}, nil, true},
		{"absent as empty", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly(""), TreatMissingAsEmpty: true}, nil, true},
		{"empty is not absent", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("")}, nil, false},
		{"ignore case", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: config.StringMatcher{Value: "val", IgnoreCase: true}}, []string{"x", "VaL"}, true},
		{"prefix", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringPrefix, Value: "va"}}, []string{"x", "val"}, true},
		{"suffix", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringSuffix, Value: "al"}}, []string{"x", "val"}, true},
		{"suffix, short", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringSuffix, Value: "val"}}, []string{"x", "al"}, false},
		{"contains", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringContains, Value: "a"}}, []string{"x", "val"}, true},
		{"contains, ignore case", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringContains, Value: "AL", IgnoreCase: true}}, []string{"x", "VaL"}, true},
		{"contains, ignore case, not", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringContains, Value: "al", IgnoreCase: true}}, []string{"x", "a"}, false},
		{"repeated is not joined", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("a,b")}, []string{"x", "a", "y", "-", "x", "b"}, false},
		{"repeated, the first", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("a")}, []string{"x", "a", "x", "b"}, true},
		{"repeated, the last", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("b")}, []string{"x", "a", "x", "b"}, true},
		{"repeated, none", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("c")}, []string{"x", "a", "x", "b", "y", "c"}, false},
		{"repeated, one, inverted", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("b"), Invert: true}, []string{"x", "a", "x", "b"}, false},
		{"repeated, none, inverted", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: exactly("c"), Invert: true}, []string{"x", "a", "x", "b"}, true},
		{"repeated, regex", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: regex}, []string{"x", "aa", "x", "b"}, false},
		{"repeated, regex of one", config.HeaderMatcher{Name: "x", Kind: config.HeaderString, String: regex}, []string{"x", "c", "x", "aa,b"}, true},
		{"repeated, range", config.HeaderMatcher{Name: "x", Kind: config.HeaderRange, Start: 1, End: 9}, []string{"x", "a", "x", "2"}, true},
		{"repeated, known name", config.HeaderMatcher{Name: "user-agent", Kind: config.HeaderString, String: exactly("b")}, []string{"user-agent", "a", "user-agent", "b"}, true},
		{"repeated cookies, long", config.HeaderMatcher{Name: "cookie", Kind: config.HeaderString, String: exactly(long + "; " + long)}, []string{"cookie", long, "cookie", long}, true},
		{"repeated cookies, regex", config.HeaderMatcher{Name: "cookie", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringRegex, Regex: regexp.MustCompile("^(?:a=1; b=.)$")}}, []string{"cookie", "a=1", "cookie", "b=2"}, true},
		{"repeated cookies", config.HeaderMatcher{Name: "cookie", Kind: config.HeaderString, String: exactly("a=1; b=2")}, []string{"cookie", "a=1", "cookie", "b=2"}, true},
		{"range, start", config.HeaderMatcher{Name: "x", Kind: config.HeaderRange, Start: -10, End: 0}, []string{"x", "-10"}, true},
		{"range, end", config.HeaderMatcher{Name: "x", Kind: config.HeaderRange, Start: -10, End: 0}, []string{"x", "0"}, false},
		{"range, no number", config.HeaderMatcher{Name: "x", Kind: config.HeaderRange, Start: -10, End: 10}, []string{"x", "1a"}, false},
		{"range, no number, inverted", config.HeaderMatcher{Name: "x", Kind: config.HeaderRange, End: 10, Invert: true}, []string{"x", "1a"}, true},
		{"range, too long", config.HeaderMatcher{Name: "x", Kind: config.HeaderRange, End: 10}, []string{"x", "18446744073709551617"}, false},
		{"known name", config.HeaderMatcher{Name: "user-agent", Kind: config.HeaderString, String: exactly("curl")}, []string{"user-agent", "curl"}, true},
		{":method", config.HeaderMatcher{Name: ":method", Kind: config.HeaderString, String: exactly("GET")}, nil, true},
		{":path has the query", config.HeaderMatcher{Name: ":path", Kind: config.HeaderString, String: exactly("/p?q=1")}, nil, true},
		{":authority", config.HeaderMatcher{Name: ":authority", Kind: config.HeaderString, String: exactly("h.example")}, nil, true},
		{"host", config.HeaderMatcher{Name: "host", Kind: config.HeaderString, String: exactly("h.example")}, nil, true},
		{":scheme", config.HeaderMatcher{Name: ":scheme", Kind: config.HeaderString, String: exactly("http")}, nil, true},
		{":unknown", config.HeaderMatcher{Name: ":unknown", Present: true}, nil, false},
		{"upgrade", config.HeaderMatcher{Name: "upgrade", Kind: config.HeaderString, String: exactly("websocket")}, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			match := prefixMatch("/")
			match.Headers = []config.HeaderMatcher{test.matcher}
			table := mustCompile(t, configOf(newRoute("r", match)))
			r := newRequest("h.example", "/p?q=1", test.fields...)
			r.Upgrade = []byte("websocket")
			if got := table.Match(r, 0, Client{}).Route != nil; got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestMatchQuery(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name    string
		matcher config.QueryMatcher
		path    string
		want    bool
	}{
		{"value", config.QueryMatcher{Name: "a", String: exactly("1")}, "/?a=1", true},
		{"first of several", config.QueryMatcher{Name: "a", String: exactly("1")}, "/?b=0&a=1&a=2", true},
		{"not a later one", config.QueryMatcher{Name: "a", String: exactly("2")}, "/?a=1&a=2", false},
		{"no decoding", config.QueryMatcher{Name: "a", String: exactly("%31")}, "/?a=%31", true},
		{"name without decoding", config.QueryMatcher{Name: "a", String: exactly("1")}, "/?%61=1", false},
		{"longer name", config.QueryMatcher{Name: "a", String: exactly("1")}, "/?ab=1&a=1", true},
		{"value with equals sign", config.QueryMatcher{Name: "a", String: exactly("b=c")}, "/?a=b=c", true},
		{"without equals sign", config.QueryMatcher{Name: "a", String: exactly("")}, "/?a&b=1", true},
		{"absent", config.QueryMatcher{Name: "a", String: exactly("")}, "/?b=1", false},
		{"no query", config.QueryMatcher{Name: "a", String: exactly("")}, "/", false},
		{"only in the path", config.QueryMatcher{Name: "a", Present: &yes}, "/a=1", false},
		{"only in the fragment", config.QueryMatcher{Name: "a", Present: &yes}, "/#?a=1", false},
		{"cut at the fragment", config.QueryMatcher{Name: "a", String: exactly("1")}, "/?a=1#x", true},
		{"present", config.QueryMatcher{Name: "a", Present: &yes}, "/?&&a", true},
		{"not present", config.QueryMatcher{Name: "a", Present: &yes}, "/?b", false},
		{"absence", config.QueryMatcher{Name: "a", Present: &no}, "/?b", true},
		{"no absence", config.QueryMatcher{Name: "a", Present: &no}, "/?a=", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			match := prefixMatch("/")
			match.Query = []config.QueryMatcher{test.matcher}
			table := mustCompile(t, configOf(newRoute("r", match)))
			if got := table.Match(newRequest("h", test.path), 0, Client{}).Route != nil; got != test.want {
				t.Errorf("%s: got %v, want %v", test.path, got, test.want)
			}
		})
	}
}

func TestMatchGRPC(t *testing.T) {
	match := prefixMatch("/")
	match.GRPC = true
	table := mustCompile(t, configOf(newRoute("r", match)))
	for contentType, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "application/grpc-web": false, "application/json": false, "": false,
	} {
		r := newRequest("h", "/", "content-type", contentType)
		if got := table.Match(r, 0, Client{}).Route != nil; got != want {
			t.Errorf("%q: got %v, want %v", contentType, got, want)
		}
	}
}

func TestMatchFraction(t *testing.T) {
	match := prefixMatch("/")
	match.Fraction.Default = 250_000
	table := mustCompile(t, configOf(newRoute("some", match), newRoute("rest", prefixMatch("/"))))
	for random, want := range map[uint64]string{0: "some", 249_999: "some", 250_000: "rest", 999_999: "rest", 1_000_000: "some"} {
		if got := table.Match(newRequest("h", "/"), random, Client{}).Route.Name; got != want {
			t.Errorf("random %d: got %s, want %s", random, got, want)
		}
	}
	match.Fraction.Default = 0
	table = mustCompile(t, configOf(newRoute("none", match)))
	if got := table.Match(newRequest("h", "/"), 0, Client{}).Route; got != nil {
		t.Errorf("a fraction of 0 matches")
	}
}

func TestFractionOfTheRuntime(t *testing.T) {
	match := prefixMatch("/")
	match.Fraction = config.RuntimeFraction{Key: "share"}
	rc := configOf(newRoute("some", match), newRoute("rest", prefixMatch("/")))
	half := uint32(config.FractionAll / 2)
	for name, test := range map[string]struct {
		value config.RuntimeValue
		want  uint64 // how many of a million
	}{
		"no value": {config.RuntimeValue{}, 0},
		"percent":  {config.RuntimeValue{Whole: new(uint64(25))}, 250_000},
		"above":    {config.RuntimeValue{Whole: new(uint64(1 << 40))}, 1_000_000},
		"fraction": {config.RuntimeValue{Fraction: &half}, 500_000},
		"text":     {config.RuntimeValue{Bool: new(true)}, 0},
	} {
		runtime := config.NewRuntime([]config.RuntimeValues{{Layer: "l", Values: map[string]config.RuntimeValue{"share": test.value}}})
		table, err := Compile(rc, Options{Runtime: runtime})
		if err != nil {
			t.Fatal(err)
		}
		if !table.IsOf(runtime) || table.IsOf(nil) {
			t.Errorf("%s: the table does not say that it depends on the runtime", name)
		}
		for _, random := range []uint64{0, test.want - 1, test.want, config.FractionAll - 1} {
			want := "rest"
			if random < test.want {
				want = "some"
			}
			if random >= config.FractionAll {
				continue
			}
			if got := table.Match(newRequest("h", "/"), random, Client{}).Route.Name; got != want {
				t.Errorf("%s, random %d: got %s, want %s", name, random, got, want)
			}
		}
	}
}

func TestParseInt(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "-0": 0, "+7": 7, " 42\t": 42, "9223372036854775807": 9223372036854775807, "-9223372036854775808": -9223372036854775808,
	} {
		if got, ok := parseInt([]byte(s)); !ok || got != want {
			t.Errorf("%q: got %d, %v, want %d", s, got, ok, want)
		}
	}
	for _, s := range []string{"", " ", "-", "+", "1 2", "0x1", "1.0", "--1", "9223372036854775808", "-9223372036854775809", "99999999999999999999"} {
		if got, ok := parseInt([]byte(s)); ok {
			t.Errorf("%q: got %d, want no number", s, got)
		}
	}
}

// TestMatchClientCertificate holds what a route asks of the certificate of a client.
func TestMatchClientCertificate(t *testing.T) {
	none, presented, validated := Client{TLS: true}, Client{TLS: true, Presented: true}, Client{TLS: true, Presented: true, Validated: true}
	for _, test := range []struct {
		presented, validated *bool
		want                 [3]bool // of none, presented, validated
	}{
		{nil, nil, [3]bool{true, true, true}},
		{new(true), nil, [3]bool{false, true, true}},
		{new(false), nil, [3]bool{true, false, false}},
		{nil, new(true), [3]bool{false, false, true}},
		{nil, new(false), [3]bool{true, true, false}},
		{new(true), new(false), [3]bool{false, true, false}},
	} {
		match := config.RouteMatch{Path: "/", CertificatePresented: test.presented, CertificateValidated: test.validated, Fraction: config.RuntimeFraction{Default: config.FractionAll}}
		table := mustCompile(t, &config.RouteConfiguration{VirtualHosts: []*config.VirtualHost{{Domains: []string{"*"}, Routes: []*config.Route{
			{Match: match, Direct: &config.DirectResponse{Status: 200}},
		}}}})
		for i, client := range []Client{none, presented, validated} {
			if got := table.Match(newRequest("h", "/"), 0, client).Route != nil; got != test.want[i] {
				t.Errorf("%+v matches %+v: %v", match, client, got)
			}
		}
	}
}
