package xds

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// TestBoundOfSources holds that what would need one source too many is refused, also when the others of the response are not open
// yet, and that what can share one is not.
func TestBoundOfSources(t *testing.T) {
	s := &sources{boot: &bootstrap.Bootstrap{}, open: make(map[sourceKey]*source), promised: make(map[sourceKey]bool)}
	dir := t.TempDir()
	// Many ways to write the same directory, which must exist.
	file := func(i int) config.ConfigSource { return config.ConfigSource{Path: dir + strings.Repeat("/", i)} }
	for i := range maxSources / 2 {
		s.open[keyOf(file(i), resource.AssignmentType)] = &source{}
	}
	for i := range maxSources {
		if err := s.check(file(i), resource.AssignmentType); err != nil {
			t.Fatalf("source %d: %v", i, err)
		}
	}
	err := s.check(file(maxSources), resource.AssignmentType)
	if err == nil || err.Error() != "would be the config source number 1025, at most 1024 are possible" {
		t.Errorf("at the bound: %v", err)
	}
	if err := s.check(file(maxSources-1), resource.AssignmentType); err != nil {
		t.Errorf("one that is to be opened: %v", err)
	}
	s.keep(nil)
	if err := s.check(file(maxSources), resource.AssignmentType); err != nil {
		t.Errorf("below the bound again: %v", err)
	}
}
