package moduleservice

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

func TestGetStatus(t *testing.T) {
	f := start(t)
	f.set(func() { f.now = began.Add(90*time.Second + 700*time.Millisecond) })
	got, err := f.GetStatus(t.Context(), &marchproxypb.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetModuleId() != "alb-7" || got.GetModuleType() != "ALB" || got.GetVersion() != "v1.2.3" || got.GetUptimeSeconds() != 90 ||
		got.GetHealth() != marchproxypb.HealthStatus_HEALTHY {
		t.Errorf("status: %v", got)
	}
	wantText(t, got.GetEnvoyVersion(), "proxy-alb", "Envoy API 1.38")
	want := map[string]string{"xds_server": "api-server:18000", "admin_port": "9901", "listen_port": "10000"}
	if len(got.GetMetadata()) != len(want) {
		t.Errorf("metadata: %v, want %v", got.GetMetadata(), want)
	}
	for key, value := range want {
		if got.GetMetadata()[key] != value {
			t.Errorf("metadata[%q]: %q, want %q", key, got.GetMetadata()[key], value)
		}
	}
	f.set(func() { f.unhealthy = "waiting for \xff"; f.now = began.Add(-time.Hour) })
	got, err = f.GetStatus(t.Context(), &marchproxypb.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetHealth() != marchproxypb.HealthStatus_UNHEALTHY || got.GetMetadata()["health_reason"] != "waiting for \uFFFD" || got.GetUptimeSeconds() != 0 {
		t.Errorf("unhealthy status: %v", got)
	}
}

func TestReload(t *testing.T) {
	f := start(t)
	var forced []bool
	f.set(func() { f.reload = func(force bool) error { forced = append(forced, force); return nil } })
	for _, force := range []bool{false, true} {
		got, err := f.Reload(t.Context(), &marchproxypb.ReloadRequest{Force: force})
		if err != nil || !got.GetSuccess() || got.GetReloadTimestamp() != began.Unix() {
			t.Fatalf("reload: %v, %v", got, err)
		}
		if strings.Contains(got.GetMessage(), "xDS") != force {
			t.Errorf("force %v: message %q", force, got.GetMessage())
		}
	}
	if len(forced) != 2 || forced[0] || !forced[1] {
		t.Errorf("reloads with force: %v", forced)
	}
	f.set(func() {
		f.now = began.Add(time.Hour)
		f.reload = func(bool) error { return errors.New("envoy.yaml: line 3: \xfe is no key") }
	})
	got, err := f.Reload(t.Context(), &marchproxypb.ReloadRequest{})
	if err != nil || got.GetSuccess() || got.GetReloadTimestamp() != began.Unix() {
		t.Errorf("failed reload: %v, %v", got, err)
	}
	wantText(t, got.GetMessage(), "envoy.yaml: line 3: \uFFFD is no key")
}

func TestReloadsDoNotOverlap(t *testing.T) {
	f := start(t)
	running, most := 0, 0
	var mu sync.Mutex
	f.set(func() {
		f.reload = func(bool) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		}
	})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if got, err := f.Reload(t.Context(), &marchproxypb.ReloadRequest{}); err != nil || !got.GetSuccess() {
				t.Errorf("reload: %v, %v", got, err)
			}
		})
	}
	group.Wait()
	if most != 1 {
		t.Errorf("%d reloads at once", most)
	}
}

func TestPanicFailsTheCallOnly(t *testing.T) {
	f := start(t)
	f.set(func() { f.healthy = func() (bool, string) { panic("broken health") } })
	_, err := f.GetStatus(t.Context(), &marchproxypb.StatusRequest{})
	if status.Code(err) != codes.Internal {
		t.Fatalf("error %v, want INTERNAL", err)
	}
	if strings.Contains(err.Error(), "broken health") {
		t.Errorf("%v tells the client what went wrong inside", err)
	}
	entries := f.logs.FilterMessage("panic in a call").All()
	if len(entries) != 1 || entries[0].ContextMap()["cause"] != "broken health" || entries[0].ContextMap()["stack"] == "" {
		t.Errorf("log entries: %v", entries)
	}
	f.set(func() { f.healthy = nil })
	if _, err := f.GetStatus(t.Context(), &marchproxypb.StatusRequest{}); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

// Everything at once, while the control plane replaces the configuration.
func TestConcurrentCalls(t *testing.T) {
	f := start(t)
	f.set(func() { f.reload = func(bool) error { return nil } })
	const rounds = 40
	var group sync.WaitGroup
	call := func(do func(i int) error) {
		group.Go(func() {
			for i := range rounds {
				if err := do(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	ctx := t.Context()
	call(func(int) error { return f.store.Apply(config.SourceXDS, delta()) })
	call(func(i int) error {
		_, err := f.ApplyRateLimit(ctx, rateLimit("cart", int32(i+1), 0))
		return err
	})
	call(func(i int) error {
		_, err := f.SetTrafficWeight(ctx, weights("split", int32(i+1), 1))
		return err
	})
	call(func(int) error { _, err := f.GetRoutes(ctx, &marchproxypb.RoutesRequest{}); return err })
	call(func(int) error { _, err := f.GetMetrics(ctx, &marchproxypb.MetricsRequest{}); return err })
	call(func(int) error { _, err := f.GetStatus(ctx, &marchproxypb.StatusRequest{}); return err })
	call(func(int) error { _, err := f.Reload(ctx, &marchproxypb.ReloadRequest{}); return err })
	call(func(int) error { f.stats.Flush(); return nil })
	group.Wait()
	overlay := f.store.Current().Overlay
	if overlay.RateLimits["cart"].RequestsPerSecond != rounds || overlay.Weights["split"][0].Weight != rounds {
		t.Errorf("overlay after all calls: %v", overlay)
	}
}
