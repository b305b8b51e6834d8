package managed

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/management"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// outage is a proxy in a process of its own, with traffic, whose control planes come and go.
type outage struct {
	*process.Proxy
	t         *testing.T
	main      netip.AddrPort
	client    *http.Client
	generator *generator
	traffic   *traffic
	primary   *management.Server
	secondary *management.Server
}

// newOutage starts the proxy with two control planes, of which the second does not serve yet.
func newOutage(t *testing.T, api string) *outage {
	f := &outage{t: t, primary: management.New(t), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: harness.Guard}}
	f.secondary = f.primary.Another()
	f.secondary.Stop()
	f.main = netip.MustParseAddrPort(process.FreeAddress(t))
	f.generator = &generator{t: t, r: rand.New(rand.NewPCG(1, 1)), origins: make(map[string]netip.AddrPort), mainPort: f.main.Port()}
	for _, body := range []string{"stable", "first", "second", "third"} {
		f.generator.origins[body] = answering(t, body)
	}
	f.primary.Set(f.world("first")...)
	f.Proxy = (&process.Setup{}).StartText(t, []byte(management.Bootstrap(api, f.primary, f.secondary)))
	f.primary.Settle()
	f.traffic = newTraffic(f.main, "stable")
	t.Cleanup(func() { f.traffic.stop(t) })
	f.reaches("first")
	return f
}

// world leads /a to the origin that answers with body, and what traffic asks for always to the same.
func (f *outage) world(body string) []management.Resource {
	g := f.generator
	routes := map[string]string{"/a": "a", "/" + stableEDS: stableEDS, "/" + stableStatic: stableStatic}
	things := []*thing{
		g.edsCluster(stableEDS, stableEDS), g.staticCluster(stableStatic, "stable"), g.edsCluster("a", "a"),
		g.endpoints(stableEDS, "stable"), g.endpoints("a", body), g.listener(mainName, g.mainPort, mainName), g.routesTo(mainName, routes),
	}
	all := make([]management.Resource, len(things))
	for i, t := range things {
		all[i] = t.Resource
	}
	return all
}

// reaches waits until requests to the cluster that moves are answered by body.
func (f *outage) reaches(body string) {
	f.t.Helper()
	f.Eventually("answers from "+body, func() bool { return ask(f.client, f.main.String(), "/a") == "200 "+body })
}

// disconnected waits until the proxy knows that there is no control plane, has tried again, and has served a good many
// requests since.
func (f *outage) disconnected() {
	f.t.Helper()
	const attempts, requests = 3, 200
	failures := f.Stat("cluster_manager.cds.update_failure")
	f.Eventually("to have tried again", func() bool {
		return f.Stat("control_plane.connected_state") == 0 && f.Stat("cluster_manager.cds.update_failure") >= failures+attempts
	})
	sent := f.traffic.sent.Load()
	f.Eventually("requests", func() bool { return f.traffic.sent.Load() >= sent+requests })
}

// TestOutage has the control plane die under traffic and come back as it was, with other versions and another world, and at
// another address. No request fails meanwhile, and each time what is served then comes into force. What the proxy says
// about the versions that it has is held against the rules.
func TestOutage(t *testing.T) {
	for _, api := range []string{"GRPC", "DELTA_GRPC"} {
		t.Run(api, func(t *testing.T) {
			f := newOutage(t, api)
			f.primary.Stop()
			f.disconnected()
			f.reaches("first")

			f.primary.Answers()
			f.primary.Start()
			f.primary.AwaitStreams(2)
			f.primary.Settle()
			for _, a := range f.primary.Answers() {
				t.Errorf("the same world is sent again: %s %v", a.TypeURL, a.Names)
			}
			f.primary.Set(f.world("second")...)
			f.reaches("second")
			f.primary.Settle() // so that it is known what the proxy holds

			f.primary.Stop()
			f.disconnected()
			f.primary.Forget("other-")
			f.primary.Start()
			f.primary.AwaitStreams(3)
			f.reaches("second")
			f.primary.Set(f.world("third")...)
			f.reaches("third")
			f.primary.Settle()

			f.primary.Stop()
			f.disconnected()
			f.secondary.Forget("secondary-")
			f.secondary.Start()
			f.secondary.Set(f.world("first")...)
			f.secondary.AwaitStreams(1)
			f.reaches("first")
			f.secondary.Settle()
			if n := f.Stat("cluster_manager.cds.update_rejected") + f.Stat("listener_manager.lds.update_rejected"); n != 0 {
				t.Errorf("%d responses were refused", n)
			}
			t.Logf("%d requests", f.traffic.sent.Load())
		})
	}
}
