package route

import (
	"fmt"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// serviceRoutes makes n routes such as a control plane writes for n services.
func serviceRoutes(n int, kind config.PathKind) []*config.Route {
	routes := make([]*config.Route, n)
	for i := range routes {
		m := prefixMatch(fmt.Sprintf("/api/v1/service-%05d", i))
		m.Kind = kind
		routes[i] = newRoute(fmt.Sprint(i), m)
	}
	return routes
}

func BenchmarkMatch(b *testing.B) {
	kinds := map[string]config.PathKind{"exact": config.PathExact, "prefix": config.PathPrefix, "separated": config.PathSeparatedPrefix}
	for _, name := range []string{"exact", "prefix", "separated"} {
		for _, n := range []int{1, 100, 10_000} {
			table := mustCompile(b, configOf(serviceRoutes(n, kinds[name])...))
			for _, at := range []string{"first", "last"} {
				i := 0
				if at == "last" {
					i = n - 1
				}
				path := fmt.Sprintf("/api/v1/service-%05d", i)
				if kinds[name] != config.PathExact {
					path += "/items"
				}
				request := newRequest("h.example", path)
				b.Run(fmt.Sprintf("%s/%d/%s", name, n, at), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if table.Match(request, 0, Client{}).Route == nil {
							b.Fatal("no route")
						}
					}
				})
			}
		}
	}
}

// BenchmarkMatchSpread asks for one route after the other, so that the index is not in the first cache.
func BenchmarkMatchSpread(b *testing.B) {
	const n = 10_000
	table := mustCompile(b, configOf(serviceRoutes(n, config.PathPrefix)...))
	requests := make([][]byte, n)
	for i := range requests {
		requests[i] = fmt.Appendf(nil, "/api/v1/service-%05d/items", i)
	}
	request := newRequest("h.example", "/")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		request.Path = requests[i*7919%n]
		if table.Match(request, 0, Client{}).Route == nil {
			b.Fatal("no route")
		}
	}
}

// BenchmarkMatchLengths has prefixes of many lengths, each of which costs a probe.
func BenchmarkMatchLengths(b *testing.B) {
	var routes []*config.Route
	for i := range 1000 {
		routes = append(routes, newRoute(fmt.Sprint(i), prefixMatch(fmt.Sprintf("/api/%.*s%03d", 1+i%20, "a-rather-long-service-name", i))))
	}
	table := mustCompile(b, configOf(routes...))
	request := newRequest("h.example", "/api/a-rather-long-servic999/items/1234")
	b.ReportAllocs()
	for b.Loop() {
		table.Match(request, 0, Client{})
	}
}

func BenchmarkDomain(b *testing.B) {
	const n = 10_000
	var lists [][]string
	for i := range n / 2 {
		lists = append(lists, []string{fmt.Sprintf("host-%d.example.com", i)}, []string{fmt.Sprintf("*.zone-%d.example.com", i)})
	}
	table := mustCompile(b, hostsConfig(lists...))
	for name, host := range map[string]string{
		"exact": "host-4999.example.com", "upper": "Host-4999.example.com", "suffix": "a.zone-4999.example.com", "none": "none.example.org",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			request := newRequest(host, "/")
			for b.Loop() {
				table.Match(request, 0, Client{})
			}
		})
	}
}

func BenchmarkMutateRequest(b *testing.B) {
	rc := newRoute("r", prefixMatch("/"))
	rc.RequestAdd = []config.HeaderValue{
		{Name: "x-constant", Value: "1", Action: config.OverwriteIfExistsOrAdd},
		{Name: "x-client", Value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"},
	}
	r := mustCompile(b, configOf(rc)).Routes()[0]
	ctx := testContext()
	received := newRequest("h", "/", "user-agent", "curl", "accept", "*/*")
	buffer := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		arena := buffer
		ctx.Request.Fields.CopyFrom(&received.Fields)
		r.MutateRequest(ctx, nil, &arena)
	}
}
