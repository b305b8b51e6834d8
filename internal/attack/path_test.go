package attack

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// spellings are targets that mean /admin, or what is below it, to somebody: to a server that decodes escapes once or twice, takes
// backslashes for slashes, merges slashes, cuts parameters off segments, or goes by the target before a rewrite.
var spellings = []string{
	"/admin", "/admin/", "/admin/x", "/admin?q", "/admin?/../b", "/admin#f", "/ADMIN", "//admin", "///admin//x", "/a//..//admin",
	"/./admin", "/a/../admin", "/a/b/../../admin", "/../admin", "/../../../admin", "/a/./../admin/.", "/admin/.", "/admin/..", "/admin/../admin", "/.//admin",
	"/%2e/admin", "/%2e%2e/admin", "/a/%2e%2E/admin", "/a/.%2e/admin", "/a/%2E./admin", "/%61dmin", "/%61%64%6d%69%6e", "/adm%69n/x", "/%41dmin", "/admin%2e",
	"/%2fadmin", "/%2Fadmin/x", "/a%2f..%2fadmin", "/a/..%2Fadmin", "/a%2f%2e%2e%2fadmin", "/admin%2fx", "/admin%2F..%2Fadmin", "/admin%2F", "/%2e%2e%2fadmin", "/a/%2e%2e%2F%2fadmin",
	`/\admin`, `\admin`, `/a\..\admin`, `/admin\x`, "/%5cadmin", "/a%5c..%5Cadmin", "/admin%5cx", `/a/..%5c%2fadmin`,
	"/admin;x", "/admin;x/y", "/;/admin", "/a;x/../admin", "/..;/admin", "/a/..;x/admin",
	"/%252e%252e/admin", "/%2561dmin", "/%252fadmin", "/a%252f..%252fadmin", "/%255cadmin",
	"/public/../admin", "/public../admin", "/public..%2fadmin", `/public..\admin`, "/public%2e%2e/admin", "/public/x/../../admin",
	"http://a/admin", "http://a//admin", "http://a/../admin", "http://a/%61dmin", "admin", "*",
}

// canonical is one way of a connection manager to bring paths into their one form, and what an origin behind it may do to a path.
type canonical struct {
	name  string
	setup func(m *config.HTTPConnectionManager)
	// origin is what the path means that an origin got which is no more lenient than the connection manager: this is written without
	// the code of the proxy.
	origin func(path string) string
}

var backslashes = strings.NewReplacer(`\`, "/")

// decodedDots resolves a path as RFC 3986 section 6.2.2 has it, and takes backslashes for slashes. Escaped slashes are none.
func decodedDots(p string) string {
	const slash, backslash = "\x01", "\x02"
	p = regexp.MustCompile("(?i)%2f").ReplaceAllString(p, slash)
	p = regexp.MustCompile("(?i)%5c").ReplaceAllString(backslashes.Replace(p), backslash)
	decoded, err := url.PathUnescape(p)
	if err != nil {
		decoded = p
	}
	var kept []string
	for segment := range strings.SplitSeq(strings.TrimPrefix(decoded, "/"), "/") {
		switch segment {
		case ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	return "/" + strings.Join(kept, "/")
}

// lenient decodes everything, takes backslashes for slashes, and merges slashes.
func lenient(p string) string {
	decoded, err := url.PathUnescape(p)
	if err != nil {
		decoded = p
	}
	return cleaned(backslashes.Replace(decoded))
}

// cleaned is path.Clean with the slash at the end.
func cleaned(p string) string {
	clean := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

func escaped(e config.EscapedSlashes) func(m *config.HTTPConnectionManager) {
	return func(m *config.HTTPConnectionManager) {
		m.NormalizePath, m.MergeSlashes, m.EscapedSlashes = true, true, e
	}
}

var canonicals = []canonical{
	{"as they come", func(*config.HTTPConnectionManager) {}, func(p string) string { return p }},
	{"normalized", func(m *config.HTTPConnectionManager) { m.NormalizePath = true }, decodedDots},
	{"slashes merged", func(m *config.HTTPConnectionManager) { m.MergeSlashes = true }, func(p string) string {
		return regexp.MustCompile("//+").ReplaceAllString(p, "/")
	}},
	{"normalized and slashes merged", escaped(config.EscapedSlashesKeep), func(p string) string { return cleaned(decodedDots(p)) }},
	{"escaped slashes forwarded", escaped(config.EscapedSlashesUnescapeAndForward), lenient},
	{"escaped slashes redirected", escaped(config.EscapedSlashesUnescapeAndRedirect), lenient},
	{"escaped slashes refused", escaped(config.EscapedSlashesReject), lenient},
}

// protection is a way to write that nobody may have /admin.
type protection struct {
	name string
	deny func(m *config.RouteMatch)
	// exact says that what is below /admin is not protected.
	exact bool
}

var protections = []protection{
	{"prefix", func(m *config.RouteMatch) { m.Path = "/admin" }, false},
	{"separated prefix", func(m *config.RouteMatch) { m.Kind, m.Path = config.PathSeparatedPrefix, "/admin" }, false},
	{"regex", func(m *config.RouteMatch) {
		m.Kind, m.Regex = config.PathRegex, regexp.MustCompile("^(?:/admin(/.*)?)$")
	}, false},
	{"exact", func(m *config.RouteMatch) { m.Kind, m.Path = config.PathExact, "/admin" }, true},
	{"field", func(m *config.RouteMatch) {
		m.Headers = []config.HeaderMatcher{{Name: ":path", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringPrefix, Value: "/admin"}}}
	}, false},
}

// protects reports whether p is protected.
func (g *protection) protects(p string) bool {
	return p == "/admin" || !g.exact && strings.HasPrefix(p, "/admin/")
}

// TestPathSpellings is row 87: whatever is protected as /admin cannot be reached under any spelling, over HTTP/1.1 or HTTP/2, whichever
// match protects it, for an origin that makes no more of a path than the connection manager has been told to. What an origin gets of
// each spelling is in the golden file, letter by letter.
func TestPathSpellings(t *testing.T) {
	golden := openGolden(t, "testdata/paths.txt")
	for _, way := range canonicals {
		for _, g := range protections {
			name := way.name + ", " + g.name
			t.Run(name, func(t *testing.T) {
				a := newPathAttack(t, &way, &g)
				var b strings.Builder
				for _, target := range spellings {
					fmt.Fprintf(&b, "%q: %s\n", target, a.try(target))
				}
				golden.check(t, name, b.String())
			})
		}
	}
}

// pathAttack is a proxy that protects /admin.
type pathAttack struct {
	t      *testing.T
	way    *canonical
	guard  *protection
	origin *harness.Origin
	proxy  *harness.Proxy
	seen   int // requests that the origin has got
}

func newPathAttack(t *testing.T, way *canonical, g *protection) *pathAttack {
	a := &pathAttack{t: t, way: way, guard: g, origin: harness.NewOrigin(t, harness.Echo)}
	s := harness.NewSetup(a.origin.Addr())
	way.setup(s.HTTP())
	s.HTTP().GenerateRequestID = false
	deny := harness.Direct("/", 403, "")
	g.deny(&deny.Match)
	public := harness.Forward("/public", harness.ClusterName)
	public.Forward.PrefixRewrite = "/files/"
	s.SetRoutes(deny, public, harness.Forward("/", harness.ClusterName))
	a.proxy = s.Start(t)
	return a
}

// try asks for a target in both protocols, and returns what came of it.
func (a *pathAttack) try(target string) string {
	one, two := a.follow(a.ask1, target), a.follow(a.ask2, target)
	if one == two {
		return one
	}
	return one + ", over HTTP/2 " + two
}

// follow asks for a target, and for where the answer leads to.
func (a *pathAttack) follow(ask func(target string) (status, location string), target string) string {
	status, location := ask(target)
	if status != "307" {
		return a.outcome(status)
	}
	next, ok := strings.CutPrefix(location, "http://a")
	if !ok && !strings.HasPrefix(location, "/") {
		a.t.Fatalf("%q is redirected to %q", target, location)
	}
	if !ok {
		next = location
	}
	status, again := ask(next)
	if status == "307" {
		a.t.Fatalf("%q is redirected to %q, and that to %q", target, location, again)
	}
	return fmt.Sprintf("307 %q, then %s", next, a.outcome(status))
}

// outcome says what the origin got, which must not be what is protected.
func (a *pathAttack) outcome(status string) string {
	all := a.origin.Requests()
	if len(all) == a.seen {
		return status
	}
	if len(all) != a.seen+1 || status != "200" {
		a.t.Errorf("the origin got %d requests, and the answer is %s", len(all)-a.seen, status)
	}
	a.seen = len(all)
	got := all[len(all)-1].Target
	only, _, _ := strings.Cut(got, "?")
	if meant := a.way.origin(only); a.guard.protects(meant) {
		a.t.Errorf("the origin got %q, which is %q", got, meant)
	}
	return fmt.Sprintf("%q", got)
}

func (a *pathAttack) ask1(target string) (status, location string) {
	c := a.proxy.Dial()
	defer c.Close()
	c.Send("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
	r := c.ReadResponse("GET")
	a.proxy.Outcome()
	return fmt.Sprint(r.Status), r.Fields.Get("location")
}

func (a *pathAttack) ask2(target string) (status, location string) {
	c := a.proxy.DialH2()
	defer c.Close()
	r, err := c.TryResponse(c.Request(true, get(":path", target)...))
	a.proxy.Outcome()
	switch {
	case err != nil:
		a.t.Fatalf("%q: %v", target, err)
	case r.Status == 0:
		return fmt.Sprintf("RST_STREAM %v", r.ResetCode), ""
	}
	return fmt.Sprint(r.Status), r.Fields.Get("location")
}
