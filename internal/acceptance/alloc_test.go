package acceptance

import (
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy"
)

// TestNoAllocations holds that the running proxy serves requests on kept connections without allocating. The whole process
// is counted, so client and origin do not allocate either.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const (
		warmUp   = 2000
		requests = 5000
		// noise is what the runtime may allocate in the background: less than one in a hundred requests.
		noise = requests / 100
	)
	busy := harness.Get("/api/x?y=z", "User-Agent: test", "Accept: */*", "Cookie: a=b", "X-Forwarded-For: 1.2.3.4", "X-Envoy-Retry-On: 5xx",
		"Connection: keep-alive, X-Hop", "X-Hop: 1")
	mutated := func(s *harness.Setup) {
		r := harness.Forward("/api", "c")
		r.Forward.PrefixRewrite, r.Forward.HostRewrite = "/v2", "b.test"
		r.RequestAdd = []config.HeaderValue{{Name: "x-method", Value: "%REQ(:METHOD)%"}, {Name: "x-fixed", Value: "1"}}
		r.ResponseAdd = []config.HeaderValue{{Name: "x-code", Value: "%RESPONSE_CODE%"}}
		r.ResponseRemove = []string{"server"}
		s.SetRoutes(r)
	}
	normalised := func(s *harness.Setup) {
		s.HTTP().NormalizePath, s.HTTP().MergeSlashes = true, true
	}
	hashed := func(s *harness.Setup) {
		s.Clusters[0].LB = config.Maglev
		s.Route(0).Forward.HashPolicies = []config.HashPolicy{
			{Name: "x-a"}, {Kind: config.HashSourceIP}, {Kind: config.HashQueryParameter, Name: "q"},
			{Kind: config.HashCookie, Name: "lb", Cookie: &config.HashedCookie{TTL: time.Hour, Path: "/"}},
		}
	}
	for _, test := range []struct {
		name, request, answer string
		setup                 func(*harness.Setup)
	}{
		{"plain GET", harness.Get("/"), harness.OK("0123456789abcdef"), nil},
		{"GET with fields", busy, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-a: 1\r\nset-cookie: a\r\nconnection: keep-alive\r\n\r\nhi", nil},
		{"route's mutations", busy, harness.OK("x"), mutated},
		{"normalised path", harness.Get("/a/../b//c?d"), harness.OK("x"), normalised},
		{"behind proxies", busy, harness.OK("x"), func(s *harness.Setup) { behind(s); loopback(s) }},
		{"internal", harness.Get("/"), harness.OK("x"), loopback},
		{"original address", busy, harness.OK("x"), func(s *harness.Setup) {
			s.HTTP().UseRemoteAddress = false
			s.HTTP().OriginalIPs = []config.OriginalIP{{Header: "x-real-ip"}, {Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Append: true}}
		}},
		{"early mutations", busy, harness.OK("x"), func(s *harness.Setup) {
			m := s.HTTP()
			m.EarlyMutations = []config.HeaderMutations{{RequestAdd: []config.HeaderValue{{Name: "x-method", Value: "%REQ(:METHOD)%"}}}, {RequestRemove: []string{"cookie"}}}
			m.AppendForwardedPort, m.SchemeOfHost, m.PreserveExternalRequestID = true, true, true
		}},
		{"routes by a matcher", harness.Get("/", "X-Version: 2.1"), harness.OK("x"), func(s *harness.Setup) {
			s.SetRoutes(harness.Direct("/", 200, ""), s.Route(0), harness.Direct("/", 404, ""))
			byVersion(s)
		}},
		{"chunked response", harness.Get("/"), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", nil},
		{"POST", harness.Head("POST /", "Content-Length: 5") + "hello", harness.OK("x"), nil},
		{"chunked POST", chunked("5\r\nhello\r\n0\r\n\r\n"), harness.OK("x"), nil},
		{"POST that may be tried again", harness.Head("POST /", "Content-Length: 8192") + strings.Repeat("x", 8192), harness.OK("x"),
			func(s *harness.Setup) { s.Route(0).Forward.Retry = retryPolicy("5xx,retriable-headers,unavailable") }},
		{"POST that may be raced", harness.Head("POST /", "Content-Length: 5") + "hello", harness.OK("x"), func(s *harness.Setup) {
			s.Route(0).Forward.Retry, s.Route(0).Forward.Hedge = retryPolicy("5xx"), &config.HedgePolicy{OnPerTryTimeout: true}
			s.Route(0).Forward.Retry.PerTryTimeout = time.Second
		}},
		{"POST that may be redirected", harness.Head("POST /", "Content-Length: 5") + "hello", harness.OK("x"), func(s *harness.Setup) {
			s.Route(0).Forward.InternalRedirect = &config.InternalRedirect{Max: 1, Statuses: []int{302}}
		}},
		{"redirected to an answer", harness.Get("/"), statusOnly(302, "location: http://a/next"), func(s *harness.Setup) {
			s.Route(0).Forward.InternalRedirect = &config.InternalRedirect{Max: 1, Statuses: []int{302}}
			s.SetRoutes(harness.Direct("/next", 200, "hello"), s.Route(0))
		}},
		{"retries of a client's wish", harness.Get("/", "X-Envoy-Retry-On: 5xx,reset", "X-Envoy-Retry-Grpc-On: cancelled", "X-Envoy-Max-Retries: 3"),
			harness.OK("x"), loopback},
		{"CORS", harness.Get("/", "Origin: http://a.test"), harness.OK("x"), corsOnRoute},
		{"fault", harness.Get("/"), "", func(s *harness.Setup) {
			s.HTTP().Filters = []config.HTTPFilter{{Name: "f", Config: &config.Fault{MaxActive: 9, Status: 503, AbortShare: everyRequest}}}
		}},
		{"CORS preflight", harness.Head("OPTIONS /", "Origin: http://a.test", "Access-Control-Request-Method: PUT"), "", corsOnRoute},
		{"larger response", harness.Get("/"), harness.OK(strings.Repeat("x", 48<<10)), nil},
		{"hashed", harness.Get("/?q=1", "X-A: 1", "X-A: 2"), harness.OK("x"), hashed},
		{"watched", harness.Get("/"), harness.OK("x"), func(s *harness.Setup) { s.Clusters[0].Outlier = outliers() }},
		{"watched by its head", harness.Get("/"), harness.OK("x"), func(s *harness.Setup) {
			s.Clusters[0].Outlier, s.Clusters[0].Errors = outliers(), either(headMatch(statusFrom(500, 600)), headMatch(config.HeaderMatcher{Name: "x-failed", Kind: config.HeaderPresent, Present: true}))
		}},
		{"original destination", harness.Get("/", "X-Envoy-Original-Dst-Host: 127.0.0.1:1"), harness.OK("x"), func(s *harness.Setup) {
			k := s.Clusters[0]
			port := k.Assignment.Localities[0].Endpoints[0].Address.Port
			k.Type, k.OriginalDst = config.ClusterOriginalDst, config.OriginalDstHosts{Field: config.DefaultHostField, Port: uint16(port), Cleanup: time.Hour}
			k.Assignment = &config.ClusterLoadAssignment{Name: k.Name, Overprovision: config.DefaultOverprovision}
		}},
		{"mirrored", harness.Head("POST /", "Content-Length: 5", "X-A: 1") + "hello", harness.OK("x"), func(s *harness.Setup) {
			_, address := harness.NewServer(t, harness.OK("y")) // of one connection
			mirror := harness.Cluster(mirrorName, address)
			mirror.Breakers.MaxConnections, mirror.Breakers.MaxPending = 1, 1 // all copies that there ever are at a time are there soon
			s.Clusters = append(s.Clusters, mirror)
			s.Route(0).Forward.Mirrors = []config.MirrorPolicy{mirrorTo(mirrorName)}
		}},
		{"policies of the cluster", harness.Head("POST /", "Content-Length: 5") + "hello", harness.OK("x"), func(s *harness.Setup) {
			s.Clusters[0].Retry, s.Clusters[0].Mirrors = retryPolicy("5xx"), []config.MirrorPolicy{mirrorTo("none")}
		}},
		{"load reports", harness.Get("/"), "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nendpoint-load-metrics: TEXT cpu_utilization:0.5,rps_fractional:9\r\n\r\nx",
			func(s *harness.Setup) {
				s.Clusters[0].LoadReports = loadReports()
				s.Clusters[0].LoadReports.Update = time.Hour // what is done with them beside traffic does allocate
			}},
		{"spelled as it came", busy, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nhi", func(s *harness.Setup) {
			s.HTTP().HeaderCase = config.HeaderCase{Preserve: true, ProperOthers: true}
			s.Clusters[0].HeaderCase = config.HeaderCase{Preserve: true, ForwardReason: true}
		}},
		{"logged", busy, harness.OK("x"), logsEverything},
		{"subset", harness.Get("/"), harness.OK("x"), func(s *harness.Setup) {
			s.Clusters[0].Subsets = versions(config.SubsetNone)
			s.Clusters[0].Assignment.Localities[0].Endpoints[0].SubsetLabels = subsetLabels("1")
			s.Route(0).Forward.Match = wantsVersion("1")
		}},
		{"counted in groups", harness.Get("/"), harness.OK("x"), func(s *harness.Setup) { grouped(s) }},
		{"no content", harness.Get("/"), "HTTP/1.1 304 Not Modified\r\n\r\n", nil},
		{"direct response", harness.Get("/"), "", func(s *harness.Setup) { s.SetRoutes(harness.Direct("/", 200, "hello")) }},
		{"no route", harness.Get("/"), "", func(s *harness.Setup) { s.SetRoutes() }},
		{"local reply", busy, "", func(s *harness.Setup) {
			s.Clusters[0].Assignment = &config.ClusterLoadAssignment{}
			s.HTTP().LocalReply = &config.LocalReply{
				Mappers: []config.ReplyMapper{{Filter: flagged("UH"), Status: 500, Add: []config.HeaderValue{{Name: "x-code", Value: "%RESPONSE_CODE%"}}}},
				Format:  jsonReply(map[string]any{"status": "%RESPONSE_CODE%", "body": "%LOCAL_REPLY_BODY%"}),
			}
		}},
		{"no host", harness.Get("/"), "", func(s *harness.Setup) { s.Clusters[0].Assignment = &config.ClusterLoadAssignment{} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, address := harness.NewServer(t, test.answer)
			s := harness.NewSetup(address)
			s.Observe = func(*proxy.Outcome) {}
			s.SystemClock = true
			s.HTTP().Router.SuppressEnvoyHeaders = true // x-envoy-upstream-service-time is not always as long
			if test.setup != nil {
				test.setup(s)
			}
			p := s.Start(t)
			d := p.NewDriver(test.request)
			d.Do(warmUp)
			defer debug.SetGCPercent(debug.SetGCPercent(-1))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d.Do(requests)
			runtime.ReadMemStats(&after)
			if n := after.Mallocs - before.Mallocs; n > noise {
				t.Errorf("%d allocations for %d requests, want none", n, requests)
			}
			d.Close()
		})
	}
}
