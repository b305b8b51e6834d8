package route

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// naiveRoute walks the routes as they are written, with package strings alone. It knows what randomRoute makes.
func naiveRoute(rc *config.RouteConfiguration, r *message.Request, random uint64) string {
	target := string(r.Path)
	target, _, _ = strings.Cut(target, "#")
	path, _, _ := strings.Cut(target, "?")
	for _, route := range rc.VirtualHosts[0].Routes {
		if naivePath(&route.Match, path) && naiveConditions(&route.Match, r, random) {
			return route.Name
		}
	}
	return ""
}

func naivePath(m *config.RouteMatch, path string) bool {
	value := m.Path
	if !m.CaseSensitive {
		path, value = strings.ToLower(path), strings.ToLower(value)
	}
	switch m.Kind {
	case config.PathPrefix:
		return strings.HasPrefix(path, value)
	case config.PathExact:
		return path == value
	case config.PathSeparatedPrefix:
		return path == value || strings.HasPrefix(path, value+"/")
	default:
		return m.Regex.MatchString(path)
	}
}

func naiveConditions(m *config.RouteMatch, r *message.Request, random uint64) bool {
	if random%config.FractionAll >= uint64(m.Fraction.Default) {
		return false
	}
	for i := range m.Headers {
		value, ok := r.Fields.GetName([]byte(m.Headers[i].Name))
		if !ok || string(value) != m.Headers[i].String.Value {
			return false
		}
	}
	return true
}

// randomPath makes short paths of few letters, so that many of them share prefixes.
func randomPath(rng *rand.Rand) string {
	const letters = "//aAbB"
	b := []byte("/")
	for range rng.IntN(7) {
		b = append(b, letters[rng.IntN(len(letters))])
	}
	return string(b)
}

func randomRoute(rng *rand.Rand, name string) *config.Route {
	m := config.RouteMatch{
		Kind:          config.PathKind(rng.IntN(4)),
		Path:          randomPath(rng),
		CaseSensitive: rng.IntN(6) > 0,
		Fraction:      config.RuntimeFraction{Default: config.FractionAll},
	}
	switch {
	case m.Kind == config.PathRegex:
		m.CaseSensitive = true
		m.Regex = regexp.MustCompile("^(?:" + regexp.QuoteMeta(m.Path) + "[ab/]*)$")
	case rng.IntN(10) == 0:
		m.Path = ""
	}
	if rng.IntN(2) == 0 {
		m.Headers = []config.HeaderMatcher{{Name: "x-h", Kind: config.HeaderString, String: exactly(fmt.Sprint(rng.IntN(3)))}}
	}
	if rng.IntN(4) == 0 {
		m.Fraction.Default = 500_000
	}
	return newRoute(name, m)
}

func randomRequest(rng *rand.Rand) *message.Request {
	path := randomPath(rng)
	switch rng.IntN(5) {
	case 0:
		path += "?a=/b"
	case 1:
		path += "#/a"
	}
	if rng.IntN(2) == 0 {
		return newRequest("h", path, "x-h", fmt.Sprint(rng.IntN(3)))
	}
	return newRequest("h", path)
}

// compareWithNaive fails when the index and the walk disagree on any of some random requests to random routes.
func compareWithNaive(t *testing.T, rng *rand.Rand, routes, requests int) {
	t.Helper()
	list := make([]*config.Route, routes)
	for i := range list {
		list[i] = randomRoute(rng, fmt.Sprint(i))
	}
	rc := configOf(list...)
	table := mustCompile(t, rc)
	for range requests {
		r, random := randomRequest(rng), rng.Uint64()
		got := ""
		if route := table.Match(r, random, Client{}).Route; route != nil {
			got = route.Name
		}
		if want := naiveRoute(rc, r, random); got != want {
			for _, route := range list {
				t.Logf("%s: %+v", route.Name, route.Match)
			}
			t.Fatalf("%s %s, random %d: got route %q, want %q", r.Path, dump(&r.Fields), random%config.FractionAll, got, want)
		}
	}
}

func TestRoutesLikeNaiveSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		compareWithNaive(t, rng, rng.IntN(60), 40)
	}
	compareWithNaive(t, rng, 3000, 2000)
}

func FuzzRoutesLikeNaiveSearch(f *testing.F) {
	f.Add(uint64(1), uint8(3))
	f.Add(uint64(2), uint8(minIndexedRoutes))
	f.Add(uint64(3), uint8(200))
	f.Fuzz(func(t *testing.T, seed uint64, routes uint8) {
		compareWithNaive(t, rand.New(rand.NewPCG(seed, 0)), int(routes), 20)
	})
}

// FuzzIndexedPath puts paths of any bytes, one per line and its first byte the kind, in front of the index.
func FuzzIndexedPath(f *testing.F) {
	f.Add("0/a\n0/ab\n1/ab\n2/a\n0\n3x", "/ab/c?d")
	f.Add("0/aaa\n0/aab\n0/ab\n0/\n1/aaa\n2/aa\n2/aaa\n1*", "/aab")
	f.Fuzz(func(t *testing.T, lines, path string) {
		if path == "" {
			return
		}
		var list []*config.Route
		for i, line := range strings.Split(lines, "\n") {
			if line == "" {
				continue
			}
			m := prefixMatch(line[1:])
			m.Kind = config.PathKind(line[0]) % config.PathRegex
			list = append(list, newRoute(fmt.Sprint(i), m))
		}
		rc := configOf(append(list, unmatched(minIndexedRoutes)...)...)
		r := newRequest("h", path)
		got := ""
		if route := mustCompile(t, rc).Match(r, 0, Client{}).Route; route != nil {
			got = route.Name
		}
		if want := naiveRoute(rc, r, 0); got != want {
			t.Fatalf("got route %q, want %q", got, want)
		}
	})
}
