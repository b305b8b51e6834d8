package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// setRuntime sets whole numbers of the runtime.
func setRuntime(p *harness.Proxy, numbers map[string]uint64) {
	values := make(map[string]config.RuntimeValue)
	for key, n := range numbers {
		values[key] = config.RuntimeValue{Whole: &n}
	}
	p.Apply(config.Delta{Runtime: config.NewRuntime([]config.RuntimeValues{{Layer: "test", Values: values}})})
}

// TestRuntimeChangesRoutes holds that a value of the runtime is in force for the next request on the same connection.
func TestRuntimeChangesRoutes(t *testing.T) {
	s := harness.NewSetup()
	share := harness.Direct("/", 200, "some")
	share.Match.Fraction = config.RuntimeFraction{Key: "share"}
	s.SetRoutes(share, harness.Direct("/", 200, "rest"))
	p := s.Start(t)
	c := p.Dial()
	get := func(want string) {
		t.Helper()
		if got := c.Get("/").Body; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	get("rest")
	setRuntime(p, map[string]uint64{"share": 100})
	get("some")
	setRuntime(p, map[string]uint64{"share": 0})
	get("rest")
}
