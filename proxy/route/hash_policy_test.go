package route

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// xx is the hash of one value.
func xx(s string) uint64 { return xxhash.Sum64String(s) }

// chain is the hash of several values of a field, each with the hash before it as its seed.
func chain(values ...string) uint64 {
	hash := uint64(0)
	for _, v := range values {
		d := xxhash.NewWithSeed(hash)
		_, _ = d.WriteString(v)
		hash = d.Sum64()
	}
	return hash
}

// hashContext returns the context of a request from 192.0.2.7, over a connection of 198.51.100.1:1000 to 198.51.100.2:80.
func hashContext(r *message.Request) *HashContext {
	return &HashContext{
		Request: r, Client: netip.MustParseAddr("192.0.2.7"),
		Peer: netip.MustParseAddrPort("198.51.100.1:1000"), Local: netip.MustParseAddrPort("198.51.100.2:80"),
	}
}

func TestHashPolicies(t *testing.T) {
	header := func(name string) config.HashPolicy { return config.HashPolicy{Name: name} }
	cookie := func(name string) config.HashPolicy { return config.HashPolicy{Kind: config.HashCookie, Name: name} }
	query := func(name string) config.HashPolicy {
		return config.HashPolicy{Kind: config.HashQueryParameter, Name: name}
	}
	terminal := func(p config.HashPolicy) config.HashPolicy { p.Terminal = true; return p }
	rewritten := header("x")
	rewritten.Rewrite = &config.Rewrite{Pattern: regexp.MustCompile(`^([a-z]+)-\d+$`), Substitution: "$1"}
	source := config.HashPolicy{Kind: config.HashSourceIP}
	made := cookie("none")
	made.Cookie = &config.HashedCookie{}
	// What a made cookie has: the hash of both ends of the connection, as 16 digits.
	text := fmt.Sprintf("%016x", xx("198.51.100.1:1000198.51.100.2:80"))
	fields := []string{"x", "b", "cookie", "a=1; c=\"q\"", "x", "a", "y", "abc-12", "empty", ""}
	const none = 0
	tests := map[string]struct {
		policies []config.HashPolicy
		want     uint64 // none: no hash
	}{
		"no policy":                       {nil, none},
		"a field":                         {[]config.HashPolicy{header("y")}, xx("abc-12")},
		"no such field":                   {[]config.HashPolicy{header("z")}, none},
		"an empty field":                  {[]config.HashPolicy{header("empty")}, xx("")},
		"several lines, sorted":           {[]config.HashPolicy{header("x")}, chain("a", "b")},
		"rewritten lines":                 {[]config.HashPolicy{rewritten}, chain("a", "b")},
		"a part of the head":              {[]config.HashPolicy{header(":path")}, xx("/p?q=1&r&q=2")},
		"the authority":                   {[]config.HashPolicy{header("host")}, xx("h")},
		"a cookie":                        {[]config.HashPolicy{cookie("a")}, xx("1")},
		"a cookie in quotes":              {[]config.HashPolicy{cookie("c")}, xx("q")},
		"no such cookie":                  {[]config.HashPolicy{cookie("none")}, none},
		"a made cookie":                   {[]config.HashPolicy{made}, xx(text)},
		"the client":                      {[]config.HashPolicy{source}, xx("192.0.2.7")},
		"a parameter":                     {[]config.HashPolicy{query("q")}, xx("1")},
		"a parameter without a value":     {[]config.HashPolicy{query("r")}, xx("")},
		"no such parameter":               {[]config.HashPolicy{query("p")}, none},
		"two":                             {[]config.HashPolicy{header("y"), source}, bits.RotateLeft64(xx("abc-12"), 1) ^ xx("192.0.2.7")},
		"twice the same is not nothing":   {[]config.HashPolicy{source, source}, bits.RotateLeft64(xx("192.0.2.7"), 1) ^ xx("192.0.2.7")},
		"the first finds nothing":         {[]config.HashPolicy{header("z"), source}, xx("192.0.2.7")},
		"a terminal one ends":             {[]config.HashPolicy{terminal(header("y")), source}, xx("abc-12")},
		"a terminal one that has nothing": {[]config.HashPolicy{terminal(header("z")), source}, xx("192.0.2.7")},
		"a terminal one after a hash":     {[]config.HashPolicy{source, terminal(header("z")), header("y")}, xx("192.0.2.7")},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			h := CompileHashPolicies(tc.policies).Hash(hashContext(newRequest("h", "/p?q=1&r&q=2", fields...)))
			if h.Value != tc.want || h.Any != (tc.want != none) {
				t.Errorf("got %+v, want %d", h, tc.want)
			}
		})
	}
}

// TestHashRewrite holds that each value is rewritten before they are sorted and hashed.
func TestHashRewrite(t *testing.T) {
	rewrite := &config.Rewrite{Pattern: regexp.MustCompile(`^\d+-([a-z]+)$`), Substitution: "$1"}
	p := CompileHashPolicies([]config.HashPolicy{{Name: "x", Rewrite: rewrite}})
	for _, tc := range []struct {
		fields []string
		want   uint64
	}{
		{[]string{"x", "1-a"}, chain("a")},
		{[]string{"x", "1-b", "x", "2-a"}, chain("a", "b")},
		{[]string{"x", "other"}, chain("other")},
	} {
		if h := p.Hash(hashContext(newRequest("h", "/", tc.fields...))); h.Value != tc.want {
			t.Errorf("%q: %d, want %d", tc.fields, h.Value, tc.want)
		}
	}
}

// TestHashOrderOfLines holds that a field of many lines is hashed whatever their order.
func TestHashOrderOfLines(t *testing.T) {
	p := CompileHashPolicies([]config.HashPolicy{{Name: "x"}})
	var values []string
	for i := range 2 * maxHashedLines {
		values = append(values, fmt.Sprintf("%02d", i))
	}
	want := chain(values...)
	for i := range values {
		var fields []string
		for _, v := range append(values[i:len(values):len(values)], values[:i]...) {
			fields = append(fields, "x", v)
		}
		if h := p.Hash(hashContext(newRequest("h", "/", fields...))); h.Value != want {
			t.Errorf("begun with %s: %d, want %d", values[i], h.Value, want)
		}
	}
}

func TestSetCookie(t *testing.T) {
	text := fmt.Sprintf("%016x", xx("198.51.100.1:1000198.51.100.2:80"))
	tests := map[string]config.HashedCookie{
		`c="TEXT"; HttpOnly`:                                  {},
		`c="TEXT"; Max-Age=9; Path=/a; HttpOnly`:              {TTL: 9 * time.Second, Path: "/a"},
		`c="TEXT"; Max-Age=1; Secure; SameSite=Lax; HttpOnly`: {TTL: time.Second, Attributes: []config.CookieAttribute{{Name: "Secure"}, {Name: "SameSite", Value: "Lax"}}},
		`c="TEXT"; Path=/; Domain=a.test; HttpOnly`:           {Path: "/", Attributes: []config.CookieAttribute{{Name: "Domain", Value: "a.test"}}},
	}
	for want, cookie := range tests {
		p := CompileHashPolicies([]config.HashPolicy{{Kind: config.HashCookie, Name: "c", Cookie: &cookie}})
		c := hashContext(newRequest("h", "/"))
		h := p.Hash(c)
		got, made := p.AppendSetCookie([]byte("before "), h, 0, c)
		if want := "before " + strings.Replace(want, "TEXT", text, 1); string(got) != want || !made || !h.MadeCookies() {
			t.Errorf("got %q, %v, want %q", got, made, want)
		}
		// The client brings it back, and is hashed in the same way.
		again := p.Hash(hashContext(newRequest("h", "/", "cookie", `c="`+text+`"`)))
		if again.Value != h.Value || again.MadeCookies() {
			t.Errorf("with the cookie: %+v, without: %+v", again, h)
		}
		if got, made := p.AppendSetCookie(nil, again, 0, c); made || got != nil {
			t.Errorf("set again: %q", got)
		}
		c.NoCookies = true
		if h := p.Hash(c); h != (Hash{}) {
			t.Errorf("without making cookies: %+v", h)
		}
	}
}

// TestSetCookieOfSome holds that only the cookies of the policies that made one are set: not of one that the client has, nor of
// one past the end of the list.
func TestSetCookieOfSome(t *testing.T) {
	var list []config.HashPolicy
	for _, name := range []string{"a", "b", "c", "d"} {
		list = append(list, config.HashPolicy{Kind: config.HashCookie, Name: name, Cookie: &config.HashedCookie{}, Terminal: name == "c"})
	}
	p := CompileHashPolicies(list)
	c := hashContext(newRequest("h", "/", "cookie", "b=1"))
	h := p.Hash(c)
	var set []string
	for i := range p {
		if value, made := p.AppendSetCookie(nil, h, i, c); made {
			set = append(set, string(value[:1]))
		}
	}
	if !slices.Equal(set, []string{"a", "c"}) {
		t.Errorf("set %q, want a and c", set)
	}
}

func TestHashPoliciesLimit(t *testing.T) {
	p := CompileHashPolicies(make([]config.HashPolicy, config.MaxHashPolicies+1))
	if len(p) != config.MaxHashPolicies {
		t.Errorf("%d policies, want %d", len(p), config.MaxHashPolicies)
	}
}

func TestHashAllocates(t *testing.T) {
	made := config.HashPolicy{Kind: config.HashCookie, Name: "none", Cookie: &config.HashedCookie{TTL: time.Hour, Path: "/"}}
	p := CompileHashPolicies([]config.HashPolicy{
		{Name: "x"}, {Name: ":path"}, {Kind: config.HashCookie, Name: "a"}, made, {Kind: config.HashSourceIP},
		{Kind: config.HashQueryParameter, Name: "q"},
	})
	c := hashContext(newRequest("h", "/p?q=1", "x", "1", "x", "2", "cookie", "a=b"))
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(1000, func() {
		h := p.Hash(c)
		for i := range p {
			p.AppendSetCookie(buf, h, i, c)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzHash holds that no request makes hashing fail, and that what it finds does not depend on what is beside it.
func FuzzHash(f *testing.F) {
	f.Add("/?q=1", "a=b; c", "v", uint64(0))
	f.Add("?&&=&q", "=;;=", "", uint64(1))
	p := CompileHashPolicies([]config.HashPolicy{
		{Name: "x"}, {Kind: config.HashCookie, Name: "a", Cookie: &config.HashedCookie{}}, {Kind: config.HashQueryParameter, Name: "q"},
	})
	f.Fuzz(func(t *testing.T, path, cookie, value string, salt uint64) {
		beside := binary.LittleEndian.AppendUint64(nil, salt)
		a := p.Hash(hashContext(newRequest("h", path, "x", value, "cookie", cookie)))
		b := p.Hash(hashContext(newRequest("h", path, "other", string(beside), "cookie", cookie, "x", value)))
		if a != b || !a.Any {
			t.Errorf("%+v, with another field %+v", a, b)
		}
	})
}
