package route

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// everyCondition is a match that asks a question of every kind.
func everyCondition() config.RouteMatch {
	yes := true
	return config.RouteMatch{
		Kind: config.PathRegex, Regex: regexp.MustCompile(`^(?:/[a-z]+/.*)$`), Fraction: config.RuntimeFraction{Default: config.FractionAll}, GRPC: true,
		Headers: []config.HeaderMatcher{
			{Name: "x-present", Present: true},
			{Name: "x-regex", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringRegex, Regex: regexp.MustCompile(`^(?:a+)$`)}},
			{Name: "x-list", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringContains, Value: "c"}},
			{Name: "x-list", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringContains, Value: "c", IgnoreCase: true}},
			{Name: "cookie", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringContains, Value: "a=1; b=2"}},
			{Name: "x-number", Kind: config.HeaderRange, Start: 1, End: 10},
			{Name: ":authority", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringSuffix, Value: "example", IgnoreCase: true}},
		},
		Query: []config.QueryMatcher{{Name: "a", Present: &yes}, {Name: "b", String: config.StringMatcher{Value: "2"}}},
	}
}

// requireNoAllocations fails when f allocates.
func requireNoAllocations(t *testing.T, name string, f func()) {
	t.Helper()
	if allocs := testing.AllocsPerRun(200, f); allocs != 0 && !raceEnabled {
		t.Errorf("%s: %v allocations, want 0", name, allocs)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	every := newRequest("A.Example", "/svc/Method?a=1&b=2", "content-type", "application/grpc", "x-present", "", "x-regex", "aaa",
		"x-list", "a", "x-list", "b", "x-list", "c", "x-number", "7", "cookie", "a=1", "cookie", "b=2")
	plain := newRequest("www.example", "/"+strings.Repeat("long/", 20))
	rc := configOf(newRoute("every", everyCondition()), newRoute("rest", prefixMatch("/")))
	rc.VirtualHosts[0].Domains = []string{"*", "a.example", "*.example", "www.*"}
	few := mustCompile(t, rc)
	rc.VirtualHosts[0].Routes = append(unmatched(minIndexedRoutes), rc.VirtualHosts[0].Routes...)
	many := mustCompile(t, rc)
	for name, table := range map[string]*Table{"few": few, "many": many} {
		for want, request := range map[string]*message.Request{"every": every, "rest": plain} {
			if got := table.Match(request, 1, Client{}).Route; got == nil || got.Name != want {
				t.Fatalf("%s: got %+v, want route %s", name, got, want)
			}
			requireNoAllocations(t, name+" "+want, func() { table.Match(request, 1, Client{}) })
		}
	}
}

func TestPickClusterDoesNotAllocate(t *testing.T) {
	rc := newRoute("r", prefixMatch("/"))
	rc.Forward = forwardTo("a", "b", "c")
	r := mustCompile(t, configOf(rc)).Routes()[0]
	random := uint64(0)
	requireNoAllocations(t, "PickCluster", func() {
		random++
		r.PickCluster(random)
	})
}

func TestRewritingDoesNotAllocate(t *testing.T) {
	rc := newRoute("r", prefixMatch("/foo"))
	rc.Forward.PrefixRewrite, rc.Forward.HostRewriteHeader = "/bar", "x-host"
	redirect := &config.Route{Name: "redirect", Match: prefixMatch("/foo"), Redirect: &config.Redirect{HTTPSRedirect: true, PrefixRewrite: "/bar"}}
	routes := mustCompile(t, configOf(rc, redirect)).Routes()
	request := newRequest("h.example:80", "/foo/x?q=1", "x-host", "n.example")
	dst := make([]byte, 0, 256)
	target := routes[0].PickCluster(0)
	requireNoAllocations(t, "AppendPath", func() { routes[0].AppendPath(dst, request.Path) })
	requireNoAllocations(t, "AppendHost", func() { routes[0].AppendHost(dst, request, target) })
	requireNoAllocations(t, "AppendRedirect", func() { routes[1].AppendRedirect(dst, request) })
	requireNoAllocations(t, "AppendTLSRedirect", func() { AppendTLSRedirect(dst, request) })
}

func TestMutatingDoesNotAllocate(t *testing.T) {
	all := levelsConfig(false)
	rc := all.VirtualHosts[0].Routes[0]
	for _, value := range []string{
		"%REQ(x-keep?:path)%", "%PROTOCOL%", "%DOWNSTREAM_REMOTE_ADDRESS%", "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", "%DOWNSTREAM_REMOTE_PORT%",
		"%START_TIME%", "%START_TIME(%s.%3f %Y)%", "%ROUTE_NAME% %UPSTREAM_CLUSTER% %HOSTNAME%", "%QUERY_PARAM(q)%", "constant",
	} {
		v := config.HeaderValue{Name: "x-value", Value: value}
		rc.RequestAdd, rc.ResponseAdd = append(rc.RequestAdd, v), append(rc.ResponseAdd, v)
	}
	r := mustCompile(t, all).Routes()[0]
	target := r.PickCluster(0)
	received := newRequest("h", "/?q=1", "x-keep", "1", "x-remove-route", "1", "via", "a")
	request, response := newRequest("h", "/?q=1"), &message.Response{Status: 200}
	buffer := make([]byte, 0, 4096)
	ctx := &MutationContext{
		DownstreamRemote: netip.MustParseAddrPort("192.0.2.1:1000"), DownstreamLocal: netip.MustParseAddrPort("[2001:db8::3]:443"),
		StartTime: time.Unix(1, 2), Hostname: "machine",
	}
	requireNoAllocations(t, "MutateRequest and MutateResponse", func() {
		request.Fields.CopyFrom(&received.Fields)
		response.Fields.CopyFrom(&received.Fields)
		arena := buffer
		ctx.Request, ctx.Response = request, nil
		r.MutateRequest(ctx, target, &arena)
		ctx.Response = response
		r.MutateResponse(ctx, target, &arena)
	})
}
