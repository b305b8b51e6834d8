package attack

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// encodings are names below /admin that are no text, or text only for those who decode twice.
var encodings = []string{
	"/admin/%25", "/admin/%2525", "/admin/%252e%252e/x", "/admin/%252F", "/admin/%25%32%65", "/admin/%%32%65", "/admin/%255c..%255c",
	"/admin/%c0%ae%c0%ae/", "/admin/%c0%af", "/admin/%e0%80%af", "/admin/%f0%80%80%af", "/admin/%f8%80%80%80%af", "/admin/%c1%9c",
	"/admin/%ff", "/admin/%fe%ff", "/admin/%80", "/admin/%ed%a0%80", "/admin/%u002e", "/admin/%0a", "/admin/%0d%0ax", "/admin/%00",
	"/admin/\xff", "/admin/\x80x", "/admin/\xc0\xaf", "/admin/\xed\xa0\x80", "/admin/\xf8\x88\x80\x80\x80", "/admin/\xe2\x80\xa8", "/admin/\xc3",
}

// TestEncodingsAgainstRegex is row 88: a regular expression that forbids matches whatever bytes come, or the request is refused. None of
// them gets past it to the route that allows the rest, as they are or normalized.
func TestEncodingsAgainstRegex(t *testing.T) {
	for _, deny := range []string{"/admin/.*", "/admin/.+", "/admin.{2,}", "/admin/[^/]*.*", "(?i)/ADMIN/.*", "/a\\w+/.*"} {
		for _, way := range canonicals {
			t.Run(deny+", "+way.name, func(t *testing.T) {
				everything := &protection{deny: func(m *config.RouteMatch) {
					m.Kind, m.Regex = config.PathRegex, regexp.MustCompile("^(?:"+deny+")$")
				}}
				a := newPathAttack(t, &way, everything)
				for _, target := range encodings {
					for protocol, ask := range map[string]func(string) (string, string){"HTTP/1.1": a.ask1, "HTTP/2": a.ask2} {
						status, location := ask(target)
						if status == "307" {
							status, _ = ask(location)
						}
						if !slices.Contains([]string{forbidden, badRequest, refused}, status) {
							t.Errorf("%q over %s: %s, want %s, %s or %s", target, protocol, status, forbidden, badRequest, refused)
						}
					}
				}
				if got := a.origin.Captured(); len(got) > 0 {
					t.Errorf("the origin got %q", got)
				}
			})
		}
	}
}

// TestDoubleEncodings is row 88 for those who forbid what is encoded twice: the expression sees the same letters as the origin would.
func TestDoubleEncodings(t *testing.T) {
	twice := &protection{deny: func(m *config.RouteMatch) {
		m.Kind, m.Regex = config.PathRegex, regexp.MustCompile("^(?:.*%25.*)$")
	}}
	for _, way := range canonicals {
		t.Run(way.name, func(t *testing.T) {
			a := newPathAttack(t, &way, twice)
			for _, target := range []string{"/%252e%252e/x", "/%2561dmin", "/a%252fb", "/%25252f", "/%25%32%66", "/x%2525"} {
				for protocol, ask := range map[string]func(string) (string, string){"HTTP/1.1": a.ask1, "HTTP/2": a.ask2} {
					if status, _ := ask(target); status != forbidden {
						t.Errorf("%q over %s: %s, want %s", target, protocol, status, forbidden)
					}
				}
			}
			if status, _ := a.ask1("/%41?%25"); status != forwarded {
				t.Errorf("what is encoded once gets %s", status)
			}
			for _, r := range a.origin.Requests() {
				only, _, _ := strings.Cut(r.Target, "?")
				if decoded, err := url.PathUnescape(only); err != nil || strings.Contains(decoded, "%") {
					t.Errorf("the origin got %q", r.Target)
				}
			}
		})
	}
}

// TestRepeated is row 89: what a match makes of a field, parameter or cookie that is there several times, and that the origin gets all of
// them. As in Envoy, each line of a field is looked at, and one that is wanted or unwanted cannot hide behind another; of a parameter
// and of a cookie the first counts.
func TestRepeated(t *testing.T) {
	field := func(kind config.StringKind, value string, invert bool) func(m *config.RouteMatch) {
		s := config.StringMatcher{Kind: kind, Value: value}
		if kind == config.StringRegex {
			s = config.StringMatcher{Kind: kind, Regex: regexp.MustCompile("^(?:" + value + ")$")}
		}
		return func(m *config.RouteMatch) {
			m.Headers = []config.HeaderMatcher{{Name: "x-role", Kind: config.HeaderString, String: s, Invert: invert}}
		}
	}
	present := func(present bool) func(m *config.RouteMatch) {
		return func(m *config.RouteMatch) {
			m.Headers = []config.HeaderMatcher{{Name: "x-role", Kind: config.HeaderPresent, Present: present}}
		}
	}
	inRange := func(m *config.RouteMatch) {
		m.Headers = []config.HeaderMatcher{{Name: "x-role", Kind: config.HeaderRange, Start: 1, End: 10}}
	}
	query := func(value string) func(m *config.RouteMatch) {
		return func(m *config.RouteMatch) {
			m.Query = []config.QueryMatcher{{Name: "role", String: config.StringMatcher{Value: value}}}
		}
	}
	cookie := func(value string, invert bool) func(m *config.RouteMatch) {
		return func(m *config.RouteMatch) {
			m.Cookies = []config.CookieMatcher{{Name: "role", String: config.StringMatcher{Value: value}, Invert: invert}}
		}
	}
	roles := func(values ...string) (fields []string) {
		for _, v := range values {
			fields = append(fields, "x-role", v)
		}
		return fields
	}
	for _, test := range []struct {
		name    string
		match   func(m *config.RouteMatch)
		target  string
		fields  []string // names and values in turn
		matches bool
	}{
		{"exact, the first", field(config.StringExact, "a", false), "/", roles("a", "b"), true},
		{"exact, the last", field(config.StringExact, "b", false), "/", roles("a", "b"), true},
		{"exact, both", field(config.StringExact, "a,b", false), "/", roles("a", "b"), false},
		{"exact, twice the same", field(config.StringExact, "a", false), "/", roles("a", "a"), true},
		{"exact inverted, the first", field(config.StringExact, "a", true), "/", roles("a", "b"), false},
		{"exact inverted, both", field(config.StringExact, "a,b", true), "/", roles("a", "b"), true},
		{"exact, an empty one first", field(config.StringExact, "a", false), "/", roles("", "a"), true},
		{"prefix", field(config.StringPrefix, "a", false), "/", roles("a", "b"), true},
		{"prefix, the last", field(config.StringPrefix, "b", false), "/", roles("a", "b"), true},
		{"suffix", field(config.StringSuffix, "b", false), "/", roles("a", "b"), true},
		{"contains, the first", field(config.StringContains, "adm", false), "/", roles("admin", "x"), true},
		{"contains, in the middle", field(config.StringContains, "adm", false), "/", roles("x", "admin", "y"), true},
		{"contains, the last", field(config.StringContains, "adm", false), "/", roles("x", "admin"), true},
		{"contains inverted, the last", field(config.StringContains, "adm", true), "/", roles("x", "admin"), false},
		{"contains, over the comma", field(config.StringContains, "a,b", false), "/", roles("a", "b"), false},
		{"regex of one", field(config.StringRegex, "[a-z]+", false), "/", roles("a", "b"), true},
		{"regex of any", field(config.StringRegex, "(.*,)?admin(,.*)?", false), "/", roles("x", "admin", "y"), true},
		{"regex inverted", field(config.StringRegex, "(.*,)?admin(,.*)?", true), "/", roles("x", "admin", "y"), false},
		{"range", inRange, "/", roles("5", "6"), true},
		{"present", present(true), "/", roles("", ""), true},
		{"absent", present(false), "/", roles("", ""), false},
		{"parameter, the first", query("a"), "/?role=a&role=b", nil, true},
		{"parameter, the last", query("b"), "/?role=a&role=b", nil, false},
		{"parameter, none and then one", query("b"), "/?role&role=b", nil, false},
		{"parameter, escaped name", query("a"), "/?rol%65=a&role=b", nil, false},
		{"parameter behind a semicolon", query("b"), "/?x=1;role=b", nil, false},
		{"cookie, the first", cookie("a", false), "/", []string{"cookie", "role=a; role=b"}, true},
		{"cookie, the last", cookie("b", false), "/", []string{"cookie", "role=a; role=b"}, false},
		{"cookies in two fields, the first", cookie("a", false), "/", []string{"cookie", "role=a", "cookie", "role=b"}, true},
		{"cookies in two fields, the last", cookie("b", false), "/", []string{"cookie", "role=a", "cookie", "role=b"}, false},
		{"cookie inverted, the first", cookie("a", true), "/", []string{"cookie", "role=a; role=b"}, false},
		{"cookie inverted, the last", cookie("b", true), "/", []string{"cookie", "role=a; role=b"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := downgradeSetup(origin.Addr(), config.ProtocolHTTP1)
			one := harness.Direct("/", 403, "")
			test.match(&one.Match)
			s.SetRoutes(one, harness.Forward("/", harness.ClusterName))
			p := s.Start(t)
			want := map[bool]string{true: forbidden, false: forwarded}[test.matches]
			var lines, values []string
			for i := 0; i < len(test.fields); i += 2 {
				lines = append(lines, test.fields[i]+": "+test.fields[i+1])
				values = append(values, test.fields[i+1])
			}
			if got := fmt.Sprint(p.Dial().Get(test.target, lines...).Status); got != want {
				t.Errorf("HTTP/1.1: got %s, want %s", got, want)
			}
			c := p.DialH2()
			if got := answerOf(c, c.Request(true, get(append([]string{":path", test.target}, test.fields...)...)...)); got != want {
				t.Errorf("HTTP/2: got %s, want %s", got, want)
			}
			for _, r := range origin.Requests() {
				if got, want := sent(r, "x-role", ",")+sent(r, "cookie", "; "), join(test.fields, values); r.Target != test.target || got != want {
					t.Errorf("the origin got %s with %q, want %s with %q", r.Target, got, test.target, want)
				}
			}
		})
	}
}

// sent returns the values of a field in one.
func sent(r harness.Request, name, separator string) string {
	var values []string
	for _, f := range r.Fields {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return strings.Join(values, separator)
}

// join returns the values of a test's fields as sent does.
func join(fields, values []string) string {
	if len(fields) > 0 && fields[0] == "cookie" {
		return strings.Join(values, "; ")
	}
	return strings.Join(values, ",")
}

// TestSpellingsOfHosts is row 90: each spelling of a host comes to the same virtual host, among more than a hundred, and none to another
// one's.
func TestSpellingsOfHosts(t *testing.T) {
	const others = 120
	const dot, port, matching = 1, 2, 4
	for _, test := range []struct {
		host  string
		needs int // what has to be taken off
		other bool
	}{
		{"secret.test", 0, false}, {"SECRET.TEST", 0, false}, {"Secret.Test", 0, false}, {"sEcReT.tEsT", 0, false},
		{"secret.test.", dot, false}, {"SECRET.TEST.", dot, false}, {"secret.test:8080", port, false}, {"Secret.TEST:8080", port, false},
		{"secret.test:80", port, false}, {"secret.test.:8080", dot | port, false}, {"SECRET.test.:443", dot | port, false},
		{"secret.test:LISTENER", port | matching, false}, {"secret.test.:LISTENER", dot | port | matching, false},
		{"secret.test..", 0, true}, {"secret.tes", 0, true}, {"xsecret.test", 0, true}, {"secret.test.x", 0, true}, {"a.secret.test", 0, true},
	} {
		for name, way := range map[string]struct {
			setup func(s *harness.Setup)
			takes int
		}{
			"as they come":  {func(*harness.Setup) {}, 0},
			"any port":      {func(s *harness.Setup) { s.HTTP().StripAnyHostPort = true }, port},
			"matching port": {func(s *harness.Setup) { s.HTTP().StripMatchingHostPort = true }, matching},
			"ignored port":  {func(s *harness.Setup) { s.HTTP().Routes.IgnorePortInHostMatching = true }, port},
			"dot":           {func(s *harness.Setup) { s.HTTP().StripTrailingHostDot = true }, dot},
			"dot and port":  {func(s *harness.Setup) { s.HTTP().StripTrailingHostDot, s.HTTP().StripAnyHostPort = true, true }, dot | port},
			"dot and ignored port": {func(s *harness.Setup) {
				s.HTTP().StripTrailingHostDot, s.HTTP().Routes.IgnorePortInHostMatching = true, true
			}, dot | port},
		} {
			t.Run(test.host+", "+name, func(t *testing.T) {
				s := harness.NewSetup()
				way.setup(s)
				hosts := []*config.VirtualHost{{Name: "rest", Domains: []string{"*"}, Routes: []*config.Route{harness.Direct("/", 200, "rest")}}}
				for i := range others {
					hosts = append(hosts, &config.VirtualHost{Name: fmt.Sprint(i), Domains: []string{fmt.Sprintf("h%d.test", i), fmt.Sprintf("*.w%d.test", i)},
						Routes: []*config.Route{harness.Direct("/", 200, "other")}})
				}
				hosts = append(hosts, &config.VirtualHost{Name: "secret", Domains: []string{"secret.test"}, Routes: []*config.Route{harness.Direct("/", 403, "secret")}})
				s.HTTP().Routes.VirtualHosts = hosts
				p := s.Start(t)
				_, listener, _ := strings.Cut(p.Address(), ":")
				host := strings.Replace(test.host, "LISTENER", listener, 1)
				want := "rest"
				if taken := way.takes&port != 0 || way.takes&matching != 0 && test.needs&matching != 0; !test.other &&
					(test.needs&port == 0 || taken) && (test.needs&dot == 0 || way.takes&dot != 0) {
					want = "secret"
				}
				c := p.Dial()
				c.Send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
				if got := c.ReadResponse("GET").Body; got != want {
					t.Errorf("HTTP/1.1: %s answers, want %s", got, want)
				}
				two := p.DialH2()
				if got := two.Response(two.Request(true, get(":authority", host)...)).Body; got != want {
					t.Errorf("HTTP/2: %s answers, want %s", got, want)
				}
			})
		}
	}
}
