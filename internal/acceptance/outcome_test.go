package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestOutcomeNamesNoEarlierHost holds that a refused request is not laid at the door of the host that had the one before.
func TestOutcomeNamesNoEarlierHost(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	p := harness.NewSetup(origin.Addr()).Start(t)
	c := p.Dial()
	c.Get("/")
	if o := p.Outcome(); o.UpstreamHost != origin.Addr().String() {
		t.Errorf("outcome %+v", o)
	}
	c.Send("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
	c.ReadResponse("GET")
	if o := p.Outcome(); o.Status != 400 || o.UpstreamHost != "" {
		t.Errorf("outcome %+v", o)
	}
}
