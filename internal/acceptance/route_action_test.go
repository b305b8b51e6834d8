package acceptance

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestClusterHeader holds that a request may name its cluster where the route says so.
func TestClusterHeader(t *testing.T) {
	for _, other := range []string{"", "other"} {
		one, two := harness.NewOrigin(t, harness.Respond(harness.OK("one"))), harness.NewOrigin(t, harness.Respond(harness.OK("two")))
		s := harness.NewSetup(one.Addr())
		s.Clusters = append(s.Clusters, harness.Cluster("d", two.Addr()))
		f := s.Route(0).Forward
		f.Clusters, f.ClusterHeader, f.ClusterNotFoundStatus = nil, "x-cluster", 500
		s.Route(0).RequestAdd = []config.HeaderValue{{Name: "x-is", Value: "%UPSTREAM_CLUSTER%"}}
		p := s.Start(t)
		c := p.Dial()
		for name, want := range map[string]string{"c": "one", "d": "two"} {
			if r := c.Get("/", "x-cluster: "+name); r.Body != want {
				t.Errorf("cluster %s: got %q", name, r.Raw)
			}
			if o := p.Outcome(); o.Cluster != name {
				t.Errorf("cluster %s: outcome of %q", name, o.Cluster)
			}
		}
		if got := two.Requests()[0].Fields.Get("x-is"); got != "d" {
			t.Errorf("the host was told of cluster %q", got)
		}
		fields := []string{}
		if other != "" {
			fields = append(fields, "x-cluster: "+other)
		}
		if r := c.Get("/", fields...); r.Status != 500 {
			t.Errorf("cluster %q: got %q", other, r.Raw)
		}
		if o := p.Outcome(); o.String() != "500 NC cluster_not_found" {
			t.Errorf("cluster %q: outcome %v", other, o)
		}
	}
}

// TestSplitHeader holds that a request may give the number that decides on a split, and name the cluster of a share of it.
func TestSplitHeader(t *testing.T) {
	one, two := harness.NewOrigin(t, harness.Respond(harness.OK("one"))), harness.NewOrigin(t, harness.Respond(harness.OK("two")))
	s := harness.NewSetup(one.Addr())
	s.Clusters = append(s.Clusters, harness.Cluster("d", two.Addr()))
	f := s.Route(0).Forward
	f.SplitHeader, f.Clusters = "x-n", []config.WeightedCluster{
		{Name: "c", Weight: 1}, {Header: "x-cluster", Weight: 1, HeaderMutations: config.HeaderMutations{RequestAdd: []config.HeaderValue{{Name: "x-share", Value: "named"}}}},
	}
	p := s.Start(t)
	c := p.Dial()
	for range 5 {
		for number, want := range map[string]string{"0": "one", "1": "two", "18446744073709551614": "one", "18446744073709551615": "two"} {
			if r := c.Get("/", "x-n: "+number, "x-cluster: d"); r.Body != want {
				t.Errorf("%s: got %q", number, r.Raw)
			}
		}
	}
	if got := two.Requests()[0].Fields.Get("x-share"); got != "named" {
		t.Errorf("x-share is %q", got)
	}
	if r := c.Get("/", "x-n: 1"); r.Status != 503 {
		t.Errorf("got %q", r.Raw)
	}
	seen := make(map[string]bool) // what is no number, once, is left to chance
	for i := 0; len(seen) < 2 && i < 1000; i++ {
		numbers := [][]string{{"x-n: x"}, {"x-n: -1"}, {"x-n: 18446744073709551616"}, {"x-n: 0", "x-n: 0"}, nil}[i%5]
		seen[c.Get("/", append(numbers, "x-cluster: d")...).Body] = true
	}
	if !seen["one"] || !seen["two"] {
		t.Errorf("got %v", seen)
	}
}

// TestBodyFormat holds what command operators make of the body of a direct response, and its type.
func TestBodyFormat(t *testing.T) {
	for _, test := range []struct{ format, contentType, want, wantType string }{
		{"", "", "plain", "text/plain"},
		{"just text, 100%%", "", "just text, 100%", "text/plain"},
		{"\x89PNG\r\n\x00", "image/png", "\x89PNG\r\n\x00", "image/png"},
		{`{"path":"%REQ(:PATH)%","code":"%RESPONSE_CODE%","route":"%ROUTE_NAME%"}`, "application/json",
			`{"path":"/x","code":"418","route":"all /"}`, "application/json"},
		{"%REQ(X-NONE)%", "", "", ""},
		{"%REQ(X-LONG)%", "", strings.Repeat("x", 4000), "text/plain"},
	} {
		s := harness.NewSetup()
		s.SetRoutes(harness.Direct("/", 418, "plain"))
		s.Route(0).Direct.Format, s.Route(0).Direct.ContentType = test.format, test.contentType
		r := s.Start(t).Dial().Get("/x", "X-Long: "+strings.Repeat("x", 4000))
		if r.Status != 418 || r.Body != test.want || r.Fields.Get("content-type") != test.wantType {
			t.Errorf("%q: got %q", test.format, r.Raw)
		}
	}
}

// TestForwardedHostOfAnotherAttempt holds that a request that is sent again names the host that the client has asked for once.
func TestForwardedHostOfAnotherAttempt(t *testing.T) {
	origin := harness.NewOrigin(t, harness.InTurn(once(statusOnly(503)), harness.Echo))
	s := retrying("5xx", origin.Addr())
	s.Clusters[0].Assignment.Localities[0].Endpoints[0].Hostname = "host.test"
	s.Route(0).Forward.AutoHostRewrite, s.Route(0).Forward.AppendForwardedHost = true, true
	s.Start(t).Dial().Get("/")
	requests := origin.Requests()
	if len(requests) != 2 {
		t.Fatalf("%d attempts, want 2", len(requests))
	}
	first, second := requests[0].Fields.Get("x-forwarded-host"), requests[1].Fields.Get("x-forwarded-host")
	if first == "" || first != second {
		t.Errorf("x-forwarded-host is %q, then %q", first, second)
	}
}
