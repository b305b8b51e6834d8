package acceptance

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// names are looked up when the test says so.
type heldNames map[string]chan struct{}

// lookup is an upstream.Lookup by which every name is this machine's.
func (h heldNames) lookup(ctx context.Context, _, name string) ([]netip.Addr, time.Duration, error) {
	select {
	case <-h[name]:
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, 0, nil
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

// managed is a proxy whose only route leads to the cluster c of a control plane.
type managed struct {
	*harness.Proxy
	t       *testing.T
	control *harness.ControlPlane
	route   *routev3.RouteConfiguration
}

func startManaged(t *testing.T, s *harness.Setup) *managed {
	control := harness.NewControlPlane(t)
	m := &managed{
		Proxy: s.StartBootstrap(t, control.ADSBootstrap(rdsListener)), t: t, control: control,
		route: harness.Resource[routev3.RouteConfiguration](t, `
name: r
virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: c}}]}]`),
	}
	control.Set(nil, nil, []*routev3.RouteConfiguration{m.route}) // the first clusters would hold up the routes
	return m
}

// set has the control plane send the cluster c, in YAML but for its name and its endpoints.
func (m *managed) set(yaml string, endpoints ...string) {
	var list []string
	for _, e := range endpoints {
		host, port, _ := strings.Cut(e, ":")
		list = append(list, fmt.Sprintf("{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}", host, port))
	}
	c := harness.Resource[clusterv3.Cluster](m.t, "name: c\nconnect_timeout: 5s\n"+yaml+
		"\nload_assignment: {cluster_name: c, endpoints: [{lb_endpoints: ["+strings.Join(list, ", ")+"]}]}")
	m.control.Set([]*clusterv3.Cluster{c}, nil, []*routev3.RouteConfiguration{m.route})
}

// wantWarming sends requests while the cluster warms, each of which is to be answered like this.
func (m *managed) wantWarming(c *harness.Client, answer string) {
	m.t.Helper()
	if got := answers(c, 10); got != answer {
		m.t.Errorf("%q answer while the cluster warms, want %q", got, answer)
	}
	if got := m.ClusterStat("warming_state"); got != 1 {
		m.t.Errorf("warming_state is %d while it warms", got)
	}
}

// untilWarm waits until the cluster is as wanted, and holds that requests are answered as before until then.
func (m *managed) untilWarm(c *harness.Client, before, after string) {
	m.t.Helper()
	for end := time.Now().Add(harness.Guard); ; {
		got := answers(c, 1)
		if got == after {
			break
		}
		if got != before || time.Now().After(end) {
			m.t.Fatalf("%q answers, want %q and then %q", got, before, after)
		}
	}
	m.Sync()
	if got := m.ClusterStat("warming_state"); got != 0 {
		m.t.Errorf("warming_state is %d when it is warm", got)
	}
}

// TestClusterWarmsForLookup holds that a cluster of a control plane takes no traffic before its names have been looked up, and that
// the version before it does until then.
func TestClusterWarmsForLookup(t *testing.T) {
	a, b := newPatient(t, "A", nil), newPatient(t, "B", nil)
	at := func(name string, o *patient) string { return fmt.Sprintf("%s:%d", name, o.Addr().Port()) }
	held := heldNames{"a.test": make(chan struct{}), "b.test": make(chan struct{}), "c.test": make(chan struct{})}
	m := startManaged(t, &harness.Setup{Workers: 2, Lookup: held.lookup})
	m.set("type: STRICT_DNS", at("a.test", a))
	c := m.Dial()
	m.wantWarming(c, "503")
	if o := m.Outcome(); o.String() != "503 NC cluster_not_found" {
		t.Errorf("%v before the cluster is there", o)
	}
	close(held["a.test"])
	m.untilWarm(c, "503", "A")

	m.set("type: LOGICAL_DNS", at("b.test", b))
	m.wantWarming(c, "A")
	close(held["b.test"])
	m.untilWarm(c, "A", "B")

	m.set("type: STRICT_DNS\nwait_for_warm_on_init: false", at("c.test", a))
	m.untilWarm(c, "B", "503")
	close(held["c.test"])
	m.untilWarm(c, "503", "A")
}

// TestClusterWarmsForHealthChecks holds the same of the first checks of hosts, and that what they find is known from the first
// request on.
func TestClusterWarmsForHealthChecks(t *testing.T) {
	const check = `
health_checks:
- {timeout: 60s, interval: 60s, unhealthy_threshold: 1, healthy_threshold: 1, http_health_check: {path: /health}}`
	release, releaseSick := make(chan struct{}), make(chan struct{})
	a, sick := newPatient(t, "A", release), newPatient(t, "sick", releaseSick)
	sick.status.Store(503)
	m := startManaged(t, &harness.Setup{Workers: 2})
	m.set("type: STATIC"+check, a.Addr().String())
	c := m.Dial()
	m.wantWarming(c, "503")
	close(release)
	m.untilWarm(c, "503", "A")

	m.set("type: STATIC"+check, a.Addr().String(), sick.Addr().String())
	m.wantWarming(c, "A")
	if got := m.ClusterStat("membership_total"); got != 1 {
		t.Errorf("membership_total is %d while the second version warms", got)
	}
	close(releaseSick)
	for end := time.Now().Add(harness.Guard); m.ClusterStat("membership_total") != 2; m.Sync() {
		if time.Now().After(end) {
			t.Fatal("the second version does not come into force")
		}
	}
	if got := answers(c, 20); got != "A" {
		t.Errorf("%q answer, though only A passes its checks", got)
	}
	if got := m.ClusterStat("membership_healthy"); got != 1 {
		t.Errorf("membership_healthy is %d", got)
	}
}
