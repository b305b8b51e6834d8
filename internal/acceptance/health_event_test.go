package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/file"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// TestHealthEvents has the events of a host that fails and comes back in a file.
func TestHealthEvents(t *testing.T) {
	files := file.New(file.Options{
		Workers: 1, FlushInterval: time.Hour, FlushBytes: 1 << 20, Logger: zap.NewNop(),
		Stats: stats.NewStore(stats.Options{}).Scope("filesystem.", stats.Filesystem),
	})
	path := filepath.Join(t.TempDir(), "events")
	a, b := newPatient(t, "A", nil), newPatient(t, "B", nil)
	s := harness.NewSetup(a.Addr(), b.Addr())
	s.Clusters[0].HealthCheck = httpCheck()
	s.Clusters[0].HealthCheck.EventLogs = []string{path}
	s.OpenEventLog = func(path string) (proxy.EventLog, error) { return files.OpenLines(path) }
	p := s.Start(t)
	untilFlags(t, p, "A B", both(a, b)...)
	b.status.Store(503)
	untilFlags(t, p, "A b", both(a, b)...)
	b.status.Store(200)
	untilFlags(t, p, "A B", both(a, b)...)
	files.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for event, want := range map[string]int{
		`"cluster_name":"` + harness.ClusterName + `"`:                             4,
		`"add_healthy_event":{"first_check":true}`:                                 2,
		`"eject_unhealthy_event":{"failure_type":"ACTIVE","http_status_code":503}`: 1,
		`"add_healthy_event":{"first_check":false}`:                                1,
	} {
		if n := strings.Count(string(text), event); n != want {
			t.Errorf("%d times %s, want %d:\n%s", n, event, want, text)
		}
	}
}
