package xds

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// TestBoundOfSources holds that what would need one source too many is refused, and what can share one is not.
func TestBoundOfSources(t *testing.T) {
	s := &sources{boot: &bootstrap.Bootstrap{ADS: &bootstrap.ControlPlane{}}, open: make(map[sourceKey]*source)}
	for i := range maxSources - 1 {
		s.open[sourceKey{url: strings.Repeat("x", i+1)}] = &source{}
	}
	aggregated := config.ConfigSource{}
	if err := s.check(aggregated, resource.RouteType); err != nil {
		t.Errorf("below the bound: %v", err)
	}
	s.open[sourceKey{}] = &source{}
	if err := s.check(aggregated, resource.RouteType); err != nil {
		t.Errorf("one that is open: %v", err)
	}
	delete(s.open, sourceKey{})
	s.open[sourceKey{url: "other"}] = &source{}
	err := s.check(aggregated, resource.RouteType)
	if err == nil || err.Error() != "would be the config source number 1025, at most 1024 are possible" {
		t.Errorf("at the bound: %v", err)
	}
}
