package acceptance

import (
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy"
)

// h2Frames is a message for a driver or its server: a head, a body, and trailers, each if it is not empty. Its field blocks
// leave the tables of HPACK as they are.
func h2Frames(t *testing.T, head []string, body string, trailers ...string) string {
	return harness.H2Bytes(t, func(w *harness.H2Writer) {
		w.HeadersBlock(1, body == "" && len(trailers) == 0, true, harness.H2Literals(head...))
		if body != "" {
			w.Data(1, len(trailers) == 0, body)
		}
		if len(trailers) > 0 {
			w.HeadersBlock(1, true, true, harness.H2Literals(trailers...))
		}
	})
}

// h2Alloc is traffic whose allocations are counted.
type h2Alloc struct {
	name    string
	request string // frames, or bytes of HTTP/1
	host    func(*testing.T) netip.AddrPort
	http1   bool // what the host speaks
	setup   func(*harness.Setup)
}

func h2Allocs(t *testing.T) []h2Alloc {
	kilobyte := webFrame(0, strings.Repeat("x", 1<<10))
	get := h2Frames(t, harness.H2Head("GET", "/api/x?y=z", "user-agent", "test", "accept", "*/*"), "")
	busy := h2Frames(t, harness.H2Head("POST", "/api/x", "cookie", "a=b", "cookie", "c=d", "te", "trailers", "x-forwarded-for", "1.2.3.4",
		"x-envoy-retry-on", "5xx", "content-length", "5"), "hello")
	call := h2Frames(t, grpcCall("user-agent", "grpc-go/1.80.0", "grpc-timeout", "1S"), kilobyte)
	host2 := func(frames string) func(*testing.T) netip.AddrPort {
		return func(t *testing.T) netip.AddrPort { return harness.NewH2Server(t, frames) }
	}
	host1 := func(answer string) func(*testing.T) netip.AddrPort {
		return func(t *testing.T) netip.AddrPort {
			_, address := harness.NewServer(t, answer)
			return address
		}
	}
	small := h2Frames(t, []string{":status", "200", "content-type", "text/plain", "content-length", "16"}, "0123456789abcdef")
	reply := h2Frames(t, []string{":status", "200", "content-type", "application/grpc"}, kilobyte, "grpc-status", "0", "grpc-message", "")
	return []h2Alloc{
		{"h2 to h2, GET", get, host2(small), false, nil},
		{"h2 to h2, fields and a body", busy, host2(small), false, nil},
		{"h2 to h2, mutations", busy, host2(small), false, func(s *harness.Setup) {
			r := harness.Forward("/api", "c")
			r.Forward.PrefixRewrite, r.Forward.HostRewrite = "/v2", "b.test"
			r.RequestAdd = []config.HeaderValue{{Name: "x-method", Value: "%REQ(:METHOD)%"}}
			r.ResponseAdd = []config.HeaderValue{{Name: "x-code", Value: "%RESPONSE_CODE%"}}
			s.SetRoutes(r)
		}},
		{"h2 to h2, larger response", get, host2(h2Frames(t, []string{":status", "200"}, strings.Repeat("x", 16<<10))), false, nil},
		{"h2 to h1, GET", get, host1(harness.OK("0123456789abcdef")), true, nil},
		{"h1 to h2, GET", harness.Get("/"), host2(small), false, nil},
		{"gRPC", call, host2(reply), false, nil},
		{"gRPC, timeouts", call, host2(reply), false, func(s *harness.Setup) {
			s.Route(0).Forward.GRPCTimeout = &config.GRPCTimeout{Max: time.Minute}
		}},
		{"gRPC, logged", call, host2(reply), false, logsEverything},
		{"gRPC, trailers-only", call, host2(h2Frames(t, []string{":status", "200", "content-type", "application/grpc", "grpc-status", "5"}, "")), false, nil},
		{"direct response", get, nil, false, func(s *harness.Setup) { s.SetRoutes(harness.Direct("/", 200, "hello")) }},
		{"no host for gRPC", h2Frames(t, grpcCall(), ""), nil, false, nil},
	}
}

// TestNoAllocsHTTP2 holds that the running proxy serves requests on kept connections of HTTP/2 without allocating, one at a
// time and many at once. The whole process is counted, so client and host do not allocate either.
func TestNoAllocsHTTP2(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const (
		warmUp   = 1000
		requests = 2000
		// noise is what the runtime may allocate in the background, and the proxy now and then.
		noise = requests / 100
	)
	for _, test := range h2Allocs(t) {
		for _, batch := range []int{1, 20} {
			if batch > 1 && (test.http1 || strings.HasPrefix(test.name, "h1")) {
				continue // a harness.Server answers one connection
			}
			t.Run(fmt.Sprintf("%s, %d at once", test.name, batch), func(t *testing.T) {
				if n := test.allocations(t, batch, warmUp, requests); n > noise {
					t.Errorf("%d allocations for %d requests, want none", n, requests)
				}
			})
		}
	}
}

// TestFewAllocsForManyCalls holds that calls whose bodies are kept, in case their host refuses them, find buffers for that when
// there are many at once. How many pooled objects there are at most depends on who is served first, so that a few are still made.
func TestFewAllocsForManyCalls(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const (
		batch    = 80 // of the 100 streams that a client may have open
		warmUp   = 1600
		requests = 3200
		few      = requests / 10
	)
	for _, test := range h2Allocs(t) {
		if test.name != "gRPC" {
			continue
		}
		if n := test.allocations(t, batch, warmUp, requests); n > few {
			t.Errorf("%d allocations for %d calls, want fewer than %d", n, requests, few)
		}
	}
}

// allocations returns how many there are for so many requests in batches, after others.
func (test *h2Alloc) allocations(t *testing.T, batch, warmUp, requests int) uint64 {
	t.Helper()
	do := test.start(t, batch)
	do(warmUp / batch)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do(requests / batch)
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// start serves the traffic and returns what has a batch of it answered n times.
func (test *h2Alloc) start(t *testing.T, batch int) (do func(n int)) {
	t.Helper()
	s := harness.NewSetup()
	if test.host != nil {
		s = harness.NewSetup(test.host(t))
	}
	if !test.http1 {
		speakHTTP2(s.Clusters[0])
	}
	s.Observe = func(*proxy.Outcome) {}
	s.SystemClock = true
	s.HTTP().Router.SuppressEnvoyHeaders = true // x-envoy-upstream-service-time is not always as long
	if test.setup != nil {
		test.setup(s)
	}
	p := s.Start(t)
	if slices.Contains(strings.Fields(test.request), "HTTP/1.1") {
		d := p.NewDriver(test.request)
		t.Cleanup(d.Close)
		return d.Do
	}
	d := p.NewH2Driver(test.request, batch)
	t.Cleanup(d.Close)
	return d.Do
}
