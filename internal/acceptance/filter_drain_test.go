package acceptance

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestFiltersOfAChainThatDrains holds that requests on a chain that was changed or removed pass filters, and are counted by them.
func TestFiltersOfAChainThatDrains(t *testing.T) {
	for name, change := range map[string]func(*harness.Setup, *harness.Proxy){
		"chain changed": func(s *harness.Setup, p *harness.Proxy) {
			next := harness.Listener(s.VirtualHost().Routes...)
			next.Default.HTTP.Filters = s.HTTP().Filters
			next.Default.HTTP.MaxHeaderCount++
			applyListener(p, next)
		},
		"listener removed": func(_ *harness.Setup, p *harness.Proxy) {
			p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Replace: true}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := faultSetup(t, &config.Fault{MaxActive: 1, Status: 418, AbortShare: everyRequest})
			p := s.Start(t)
			c := p.Dial()
			c.Get("/")
			change(s, p)
			if got := c.Get("/"); got.Status != 418 {
				t.Errorf("got %q", got.Raw)
			}
			if n := p.HTTPStat("fault.aborts_injected"); n != 2 {
				t.Errorf("aborts_injected is %d", n)
			}
		})
	}
}

// TestFiltersChangeWhileARequestWaits holds that a request goes through the filters that there were when it came.
func TestFiltersChangeWhileARequestWaits(t *testing.T) {
	s := faultSetup(t, &config.Fault{MaxActive: 1, Delay: time.Second, DelayShare: everyRequest})
	s.HTTP().Filters = append(s.HTTP().Filters, config.HTTPFilter{Name: "g", Config: &config.Fault{MaxActive: 10}})
	s.Route(0).Filters["g"] = config.FilterConfig{Config: &config.Fault{MaxActive: 2, Status: 418, AbortShare: everyRequest}}
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	p.Sync()
	applyListener(p, harness.Listener(harness.Forward("/", harness.ClusterName)))
	p.Advance(time.Second)
	if got := c.ReadResponse("GET"); got.Status != 418 {
		t.Errorf("got %q", got.Raw)
	}
}
