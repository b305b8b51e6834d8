package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestPace counts a request that the server is late with, and those that wait for it, in full, and one that it refuses.
func TestPace(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	const late = 50 * time.Millisecond
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch asked.Add(1) {
		case 1:
			time.Sleep(late)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 20:
			cancel()
		}
	}))
	defer s.Close()
	p, err := Pace(ctx, Question{Address: s.Listener.Addr().String(), Path: "/"}, time.Millisecond)
	if err != nil || p.Failed != 1 || len(p.Latencies) != 19 {
		t.Fatalf("%d answered, %d failed, %v, want 19, 1 and no error", len(p.Latencies), p.Failed, err)
	}
	for i := range 3 {
		if got, atLeast := p.Latencies[i], late-time.Duration(i+1)*time.Millisecond; got < atLeast {
			t.Errorf("request %d took %v, want at least %v", i, got, atLeast)
		}
	}
}
