package admin

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
)

// isProfile reports whether data is a profile of pprof: gzip of a protobuf message with something in it.
func isProfile(data []byte) bool {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return false
	}
	inside, err := io.ReadAll(z)
	return err == nil && len(inside) > 0
}

func TestProfilers(t *testing.T) {
	f := newFixture()
	f.options.ProfilePath = filepath.Join(t.TempDir(), "envoy.prof")
	p := f.admin(t)
	for _, wrong := range []string{"", "?enable=x", "?enable", "?on=y", "?enable=y&more=1"} {
		p.do("POST", "/cpuprofiler"+wrong).want(t, 400, "?enable=<y|n>\n")
		p.do("POST", "/heapprofiler"+wrong).want(t, 400, "?enable=<y|n>\n")
	}
	p.get("/cpuprofiler?enable=y").want(t, 405, "Method GET not allowed, POST required.")

	p.do("POST", "/cpuprofiler?enable=n").want(t, 200, "OK\n")
	p.do("POST", "/cpuprofiler?enable=y").want(t, 200, "OK\n")
	p.do("POST", "/cpuprofiler?enable=y").want(t, 200, "OK\n") // goes on
	p.do("POST", "/cpuprofiler?enable=n").want(t, 200, "OK\n")
	profile, err := os.ReadFile(f.options.ProfilePath)
	if err != nil || !isProfile(profile) {
		t.Errorf("%d bytes of a profile of CPU time, %v", len(profile), err)
	}
	if err := os.Remove(f.options.ProfilePath); err != nil {
		t.Fatal(err)
	}

	p.do("POST", "/heapprofiler?enable=n").want(t, 400, "Fail to stop heap profiler: not started")
	p.do("POST", "/heapprofiler?enable=y").want(t, 200, "Starting heap profiler")
	p.do("POST", "/heapprofiler?enable=y").want(t, 400, "Fail to start heap profiler: already started")
	p.do("POST", "/heapprofiler?enable=n").want(t, 200, "Heap profiler stopped and data written to "+f.options.ProfilePath+".")
	if profile, err = os.ReadFile(f.options.ProfilePath); err != nil || !isProfile(profile) {
		t.Errorf("%d bytes of a profile of the heap, %v", len(profile), err)
	}
	if a := p.get("/heap_dump"); a.StatusCode != 200 || !isProfile([]byte(a.body)) {
		t.Errorf("/heap_dump: %d with %d bytes", a.StatusCode, len(a.body))
	}
}

func TestProfilersWithoutAPlace(t *testing.T) {
	f := newFixture()
	f.options.ProfilePath = filepath.Join(t.TempDir(), "none", "envoy.prof")
	p := f.admin(t)
	if a := p.do("POST", "/cpuprofiler?enable=y"); a.StatusCode != 500 || !strings.HasPrefix(a.body, "failure to start the profiler: open "+f.options.ProfilePath) {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
	p.do("POST", "/heapprofiler?enable=y").want(t, 200, "Starting heap profiler")
	if a := p.do("POST", "/heapprofiler?enable=n"); a.StatusCode != 500 || !strings.HasPrefix(a.body, "failure to write the profile: open "+f.options.ProfilePath) {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}

// TestProfileEndsWithTheServer holds that the file of a profile that nobody ended is whole.
func TestProfileEndsWithTheServer(t *testing.T) {
	f := newFixture()
	f.options.ProfilePath = filepath.Join(t.TempDir(), "envoy.prof")
	s, err := New(f.options)
	p := serve(t, s, err)
	p.do("POST", "/cpuprofiler?enable=y").want(t, 200, "OK\n")
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if profile, err := os.ReadFile(f.options.ProfilePath); err != nil || !isProfile(profile) {
		t.Errorf("%d bytes of a profile, %v", len(profile), err)
	}
}

func TestContention(t *testing.T) {
	f := newFixture()
	f.admin(t).get("/contention").want(t, 200, "Mutex contention tracing is not enabled. To enable, run Envoy with flag --enable-mutex-tracing.")

	f.options.MutexTracing = true
	defer runtime.SetMutexProfileFraction(runtime.SetMutexProfileFraction(1))
	var mu sync.Mutex
	var waiting sync.WaitGroup
	mu.Lock()
	for range 100 {
		waiting.Go(func() { mu.Lock(); runtime.Gosched(); mu.Unlock() })
	}
	runtime.Gosched()
	mu.Unlock()
	waiting.Wait()
	a := f.admin(t).get("/contention")
	var stats adminv3.MutexStats
	if err := protojson.Unmarshal([]byte(a.body), &stats); err != nil || a.StatusCode != 200 {
		t.Fatalf("%d %q: %v", a.StatusCode, a.body, err)
	}
	if !strings.Contains(a.body, `"current_wait_cycles": "0"`) {
		t.Errorf("defaults are not printed: %s", a.body)
	}
}

func TestRecentLookups(t *testing.T) {
	p := newFixture().admin(t)
	const off, on = "Lookup tracking is not enabled. Use /stats/recentlookups/enable to enable.\n\ntotal: 0\n", "   Count Lookup\n\ntotal: 0\n"
	p.get("/stats/recentlookups").want(t, 200, off)
	p.do("POST", "/stats/recentlookups/enable").want(t, 200, "OK\n")
	p.get("/stats/recentlookups").want(t, 200, on)
	p.do("POST", "/stats/recentlookups/clear").want(t, 200, "OK\n")
	p.do("POST", "/stats/recentlookups/disable").want(t, 200, "OK\n")
	p.get("/stats/recentlookups").want(t, 200, off)
	p.get("/stats/recentlookups/enable").want(t, 405, "Method GET not allowed, POST required.")
}

func TestInitDump(t *testing.T) {
	f := newFixture()
	var waiting []Unready
	f.options.Unready = func() []Unready { return waiting }
	p := f.admin(t)
	p.get("/init_dump").want(t, 200, "{}\n")
	waiting = []Unready{{"cluster", "c", []string{`cluster_load_assignment "e"`}}, {"listener", "l", []string{`route_configuration "r"`, `secret "s"`}}}
	const cluster = `{"name":"init manager cluster c","target_names":["target cluster_load_assignment \"e\""]}`
	const listener = `{"name":"init manager Listener-local-init-manager l","target_names":["target route_configuration \"r\"","target secret \"s\""]}`
	for mask, want := range map[string]string{"": cluster + "," + listener, "?mask=cluster": cluster, "?mask=listener": listener} {
		a := p.get("/init_dump" + mask)
		if got := compact(t, a.body); a.StatusCode != 200 || got != `{"unready_targets_dumps":[`+want+`]}` {
			t.Errorf("%s: %d %s", mask, a.StatusCode, got)
		}
	}
	p.get("/init_dump?mask=x").want(t, 400, "x is not a component, want one of listener, cluster\n")
}

func TestAllowPaths(t *testing.T) {
	f := newFixture()
	f.options.AllowPaths = func(path string) bool { return strings.HasPrefix(path, "/ready") }
	p := f.admin(t)
	p.get("/ready").want(t, 200, "LIVE\n")
	p.get("//ready?x").want(t, 200, "LIVE\n")
	p.get("/stats?format=/ready").want(t, 403, "request to path /stats not allowed\n")
	p.get("/stats").want(t, 403, "request to path /stats not allowed\n")
	p.get("/nothing").want(t, 403, "request to path /nothing not allowed\n")
	p.get("/ready/../stats").want(t, 403, "request to path /stats not allowed\n")

	f.options.AllowPaths = func(path string) bool { return path == "/ready?a=b" }
	p = f.admin(t)
	p.get("/ready?a=b").want(t, 200, "LIVE\n")
	p.get("/ready").want(t, 403, "request to path /ready not allowed\n")
}

// TestConfigDumpReadsBack reads /config_dump as programs do that look into it, and finds all of it.
func TestConfigDumpReadsBack(t *testing.T) {
	f := newFixture()
	f.dump.Configs = f.dump.Configs[:3] // the listener has a type that nobody knows
	for _, target := range []string{"/config_dump", "/config_dump?include_eds"} {
		var got adminv3.ConfigDump
		if err := protojson.Unmarshal([]byte(f.admin(t).get(target).body), &got); err != nil {
			t.Fatal(err)
		}
		want := redacted(withoutEDS(cloneDump(f.dump), strings.Contains(target, "eds")))
		if !equalDumps(&got, want) {
			t.Errorf("%s:\ngot  %v\nwant %v", target, &got, want)
		}
	}
}
