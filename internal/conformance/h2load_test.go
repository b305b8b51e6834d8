package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	h2loadRequests = 5000
	h2loadClients  = 4
	h2loadStreams  = 128
)

// TestH2load has many streams at a time, on few connections, and wants an answer on each.
func TestH2load(t *testing.T) {
	h2load := installed(t, "h2load")
	p := startWithOrigin(t)
	file := filepath.Join(t.TempDir(), "small")
	if err := os.WriteFile(file, pattern(1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for protocol, prefix := range originPaths {
		t.Run("GET to "+protocol, func(t *testing.T) { load(t, h2load, "http://"+p.Address()+prefix+"/bytes/16") })
		t.Run("POST to "+protocol, func(t *testing.T) { load(t, h2load, "--data="+file, "http://"+p.Address()+prefix+"/echo") })
	}
	t.Run("GET to nghttpd", func(t *testing.T) { load(t, h2load, "http://"+startWithNghttpd(t).Address()+"/small") })
}

// load runs h2load and fails unless every request succeeds.
func load(t *testing.T, h2load string, args ...string) {
	t.Helper()
	shape := []string{fmt.Sprint("--requests=", h2loadRequests), fmt.Sprint("--clients=", h2loadClients), fmt.Sprint("--max-concurrent-streams=", h2loadStreams)}
	out := mustOutput(t, h2load, append(shape, args...)...)
	n := h2loadRequests
	for _, want := range []string{
		fmt.Sprintf("requests: %d total, %d started, %d done, %d succeeded, 0 failed, 0 errored, 0 timeout\n", n, n, n, n),
		fmt.Sprintf("status codes: %d 2xx, 0 3xx, 0 4xx, 0 5xx\n", n),
	} {
		if !strings.Contains(out, want) {
			t.Errorf("h2load does not say %q; it wrote:\n%s", strings.TrimSpace(want), out)
		}
	}
}
