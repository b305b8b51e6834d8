package harness

import (
	"slices"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// canaryPath is what canaries ask for. Its route comes before all others.
const canaryPath = "/harness-canary"

// addCanary gives the setup a route to an origin that always behaves, unless it has no routes, or a matcher that would have to lead
// there.
func (s *Setup) addCanary(o *Origin) {
	if s.HTTP() == nil {
		return
	}
	r := Forward(canaryPath, "harness-canary")
	r.Name = "harness-canary"
	s.Clusters = append(s.Clusters, Cluster("harness-canary", o.Addr()))
	if rc := s.HTTP().Routes; rc != nil && len(rc.VirtualHosts) > 0 && rc.VirtualHosts[0].Matcher == nil {
		v := rc.VirtualHosts[0]
		v.Routes = slices.Concat([]*config.Route{r}, v.Routes)
	}
}

// Canary has n requests answered on a connection of their own: whatever others do, the proxy is alive and serves them. They
// have no outcomes.
func (p *Proxy) Canary(n int) {
	p.t.Helper()
	c := p.Dial()
	defer c.Close()
	for range n {
		c.Send("POST " + canaryPath + " HTTP/1.1\r\nHost: canary\r\nContent-Length: 5\r\n\r\nalive")
		resp := c.ReadResponse("POST")
		if want := "POST " + canaryPath + " alive"; resp.Status != 200 || resp.Body != want {
			p.t.Fatalf("the canary got %q", resp.Raw)
		}
	}
}
