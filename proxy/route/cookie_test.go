package route

import (
	"regexp"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

func TestMatchCookie(t *testing.T) {
	a := func(s config.StringMatcher) config.CookieMatcher { return config.CookieMatcher{Name: "a", String: s} }
	not := func(m config.CookieMatcher) config.CookieMatcher {
		m.Invert = true
		return m
	}
	tests := []struct {
		name    string
		matcher config.CookieMatcher
		fields  []string
		want    bool
	}{
		{"exact", a(exactly("1")), []string{"cookie", "a=1"}, true},
		{"exact, other", a(exactly("1")), []string{"cookie", "a=2"}, false},
		{"in a list", a(exactly("1")), []string{"cookie", "b=2; a=1; c=3"}, true},
		{"in a list without spaces", a(exactly("1")), []string{"cookie", "b=2;a=1;c=3"}, true},
		{"in a later field", a(exactly("1")), []string{"cookie", "b=2", "x", "y", "cookie", "a=1"}, true},
		{"the first counts", a(exactly("1")), []string{"cookie", "a=2; a=1"}, false},
		{"a part of a name is none", a(exactly("1")), []string{"cookie", "aa=1; ba=1"}, false},
		{"names have case", a(exactly("1")), []string{"cookie", "A=1"}, false},
		{"values may have equals signs", a(exactly("1=2")), []string{"cookie", "a=1=2"}, true},
		{"quoted", a(exactly("1")), []string{"cookie", `a="1"`}, true},
		{"one quote", a(exactly(`"`)), []string{"cookie", `a="`}, true},
		{"without a value", a(exactly("")), []string{"cookie", "b; a"}, true},
		{"regex", a(config.StringMatcher{Kind: config.StringRegex, Regex: regexp.MustCompile("^(?:foo.*)$")}), []string{"cookie", "a=foot"}, true},
		{"absent", a(exactly("")), []string{"cookie", "b=1"}, false},
		{"no cookies", a(exactly("")), nil, false},
		{"absent, inverted", not(a(exactly("1"))), []string{"cookie", "b=1"}, true},
		{"no cookies, inverted", not(a(exactly("1"))), nil, true},
		{"other, inverted", not(a(exactly("1"))), []string{"cookie", "a=2"}, true},
		{"exact, inverted", not(a(exactly("1"))), []string{"cookie", "a=1"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := config.RouteMatch{Path: "/", CaseSensitive: true, Fraction: config.RuntimeFraction{Default: config.FractionAll}, Cookies: []config.CookieMatcher{test.matcher}}
			table := mustCompile(t, configOf(newRoute("r", m)))
			if got := table.Match(newRequest("h.example", "/", test.fields...), 0, Client{}).Route != nil; got != test.want {
				t.Errorf("match %t, want %t", got, test.want)
			}
		})
	}
}
