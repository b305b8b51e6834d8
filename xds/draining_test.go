package xds_test

import (
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
)

// connections are those of a data plane: every listener that was ever in force has some until it is ended.
type connections struct {
	mu   sync.Mutex
	open map[*config.Listener]bool
	last *config.Snapshot
}

func (c *connections) install(next *config.Snapshot) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = next
	for _, l := range next.Listeners {
		c.open[l] = true
	}
	return nil
}

// draining is xds.Options.Draining.
func (c *connections) draining() map[*config.Listener]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := maps.Clone(c.open)
	for _, l := range c.last.Listeners {
		delete(left, l)
	}
	return left
}

// end ends the connections of a listener that accepted on port.
func (c *connections) end(port int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.open, func(l *config.Listener, _ bool) bool { return int(l.Address.Port) == port })
}

// wantDraining compares which listener, in which version, is shown to drain under a name; nil for none.
func (p *proxy) wantDraining(what, name string, l *listenerv3.Listener, version string, since time.Time) {
	p.t.Helper()
	synctest.Wait()
	var dump adminv3.ListenersConfigDump
	p.part(xds.DumpOptions{}, &dump)
	var state *adminv3.ListenersConfigDump_DynamicListenerState
	for _, d := range dump.GetDynamicListeners() {
		if d.GetName() != name {
			continue
		}
		if state != nil {
			p.t.Errorf("%s: %q is in the dump twice", what, name)
		}
		state = d.GetDrainingState()
	}
	switch {
	case l == nil && state != nil:
		p.t.Errorf("%s: drains: %v", what, state)
	case l != nil && (!holds(state.GetListener(), l) || state.GetVersionInfo() != version || !state.GetLastUpdated().AsTime().Equal(since)):
		p.t.Errorf("%s: drains: %v, want version %s since %v of %v", what, state, version, since, l)
	}
}

// TestConfigDumpDraining changes a listener twice and removes it. Of what drains the last is shown, and the one before it when
// that has ended first.
func TestConfigDumpDraining(t *testing.T) {
	c := &connections{open: make(map[*config.Listener]bool)}
	run(t, func(p *proxy) { p.refuse, p.draining = c.install, c.draining }, func(p *proxy) {
		s := p.connect()
		one, two, other := plainListener("l", 81, "c"), plainListener("l", 82, "c"), plainListener("other", 90, "c")
		since := make(map[string]time.Time)
		send := func(version string, listeners ...*listenerv3.Listener) {
			time.Sleep(time.Second)
			since[version] = time.Now()
			resources := make([]proto.Message, len(listeners))
			for i, l := range listeners {
				resources[i] = l
			}
			s.Send(listenerURL, version, resources...)
			s.Next()
		}
		send("1", one, other)
		p.wantDraining("added", "l", nil, "", time.Time{})
		send("2", two, other)
		p.wantDraining("changed", "l", one, "1", since["1"])
		p.wantDraining("not changed", "other", nil, "", time.Time{})
		send("3", badListener("l", 83), other)
		p.wantDraining("refused", "l", one, "1", since["1"])
		send("4", other)
		p.wantDraining("removed", "l", two, "2", since["2"])
		c.end(82)
		p.wantDraining("the later has drained", "l", one, "1", since["1"])
		c.end(81)
		p.wantDraining("both have drained", "l", nil, "", time.Time{})
		var dump adminv3.ListenersConfigDump
		p.part(xds.DumpOptions{}, &dump)
		if n := len(dump.GetDynamicListeners()); n != 1 {
			t.Errorf("%d listeners in the dump when the removed one has drained, want 1", n)
		}
	})
}
