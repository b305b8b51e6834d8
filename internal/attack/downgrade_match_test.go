package attack

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestSchemeOfTLS is row 57 where TLS is asked for: who comes without it is sent to it, whatever it says of its scheme.
func TestSchemeOfTLS(t *testing.T) {
	for name, head := range map[string][]string{
		"http":              get(),
		"https":             get(":scheme", "https"),
		"mixed case":        get(":scheme", "HttpS"),
		"x-forwarded-proto": get("x-forwarded-proto", "https"),
		"both":              get(":scheme", "https", "x-forwarded-proto", "https"),
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := downgradeSetup(origin.Addr(), config.ProtocolHTTP1)
			s.VirtualHost().RequireTLS = config.TLSAll
			p := s.Start(t)
			c := p.DialH2()
			resp := c.Response(c.Request(true, head...))
			if resp.Status != 301 || resp.Fields.Get("location") != "https://a/" {
				t.Errorf("got %v", resp)
			}
			if got := origin.Captured(); len(got) > 0 {
				t.Errorf("the origin got %q", got)
			}
		})
	}
}

// TestMatchSeesWhatHostSees has routes that allow what they name and forbid the rest: what comes through is what was named, letter
// by letter.
func TestMatchSeesWhatHostSees(t *testing.T) {
	exactly := func(name, value string) func(m *config.RouteMatch) {
		return func(m *config.RouteMatch) {
			m.Headers = []config.HeaderMatcher{{
				Name: name, Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringExact, Value: value},
			}}
		}
	}
	for _, test := range []struct {
		name  string
		allow func(m *config.RouteMatch)
		head  []string
		want  string
	}{
		{"method", exactly(":method", "GET"), get(), forwarded},
		{"method in lower case", exactly(":method", "GET"), get(":method", "get"), forbidden},
		{"method in mixed case", exactly(":method", "GET"), get(":method", "Get"), forbidden},
		{"method with a space", exactly(":method", "GET"), get(":method", "GET "), refused},
		{"scheme", exactly(":scheme", "http"), get(":scheme", "HTTP"), forwarded},
		{"scheme of what is no TLS", exactly(":scheme", "https"), get(":scheme", "https"), forbidden},
		{"value", exactly("x-a", "1"), get("x-a", "1"), forwarded},
		{"value with a space", exactly("x-a", "1"), get("x-a", "1 "), refused},
		{"two values, one of them", exactly("x-a", "1"), get("x-a", "1", "x-a", "2"), forwarded},
		{"two values, none of them", exactly("x-a", "1,2"), get("x-a", "1", "x-a", "2"), forbidden},
		{"host for authority", exactly(":authority", "a"), without(get("host", "a"), ":authority"), forwarded},
		{"another host", exactly(":authority", "a"), without(get("host", "b"), ":authority"), forbidden},
		{"another host beside it", exactly(":authority", "a"), get("host", "b"), refused},
		{"cookies", exactly("cookie", "a=1; b=2"), get("cookie", "a=1", "cookie", "b=2"), forwarded},
	} {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := downgradeSetup(origin.Addr(), config.ProtocolHTTP1)
			allowed := harness.Forward("/", harness.ClusterName)
			test.allow(&allowed.Match)
			s.SetRoutes(allowed, harness.Direct("/", 403, ""))
			p := s.Start(t)
			c := p.DialH2()
			if got := answerOf(c, c.Request(true, test.head...)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if n, want := len(origin.Requests()), map[bool]int{true: 1}[test.want == forwarded]; n != want {
				t.Errorf("the origin got %d requests, want %d", n, want)
			}
		})
	}
}
