package load

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// forever is a duration that ends by a number of requests or by a context.
const forever = time.Hour

// ran makes load and fails on any error.
func ran(t *testing.T, config Config) Result {
	t.Helper()
	result, err := Run(t.Context(), config)
	if err != nil || result.Errors.Total() != 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	return result
}

// TestRunOfANumber makes a number of requests in every way, and looks at what the server has seen.
func TestRunOfANumber(t *testing.T) {
	const n = 300
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, bytes.Repeat([]byte("x"), 200_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]Config{
		"HTTP/1.1":           {Connections: 3},
		"pipelined":          {Connections: 3, Pipeline: 8},
		"two loops":          {Connections: 3, Threads: 2},
		"more loops":         {Connections: 3, Threads: 8},
		"at a rate":          {Connections: 3, Rate: 20_000},
		"HTTP/2":             {Connections: 3, HTTP2: true},
		"many streams":       {Connections: 3, HTTP2: true, Streams: 20},
		"HTTP/2 at a rate":   {Connections: 3, HTTP2: true, Streams: 20, Rate: 20_000},
		"TLS":                {Connections: 3, TLS: true},
		"HTTP/2 under TLS":   {Connections: 3, HTTP2: true, Streams: 20, TLS: true},
		"pipelined in TLS":   {Connections: 3, Pipeline: 8, TLS: true},
		"a body":             {Connections: 3, BodyFile: body},
		"a body in HTTP/2":   {Connections: 3, HTTP2: true, Streams: 4, BodyFile: body},
		"a body at a rate":   {Connections: 3, BodyFile: body, Rate: 20_000},
		"some who are slow":  {Connections: 3, Slow: 1},
		"all of whom are":    {Connections: 3, Slow: 3},
		"more than there is": {Connections: 1000, Rate: 1e6},
	} {
		t.Run(name, func(t *testing.T) {
			var wrong atomic.Int64
			version := 1
			if config.HTTP2 {
				version = 2
			}
			handle := func(w http.ResponseWriter, r *http.Request) {
				got, err := io.Copy(io.Discard, r.Body)
				if r.ProtoMajor != version || r.Header.Get("X-A") != "b" || err != nil || (got == 200_000) != (config.BodyFile != "") {
					wrong.Add(1)
				}
				hello(w, r)
			}
			server := start(t, config, handle)
			config.Address, config.Path, config.Headers, config.Duration, config.Requests = server.address(), "/", []string{"X-A: b"}, forever, n
			result := ran(t, config)
			if result.Requests != n || server.requests.Load() != n || result.Bytes != 5*n || wrong.Load() != 0 || result.Unsent != 0 {
				t.Errorf("%+v; the server saw %d requests, %d of them wrong", result, server.requests.Load(), wrong.Load())
			}
			if got := server.connections.Load(); got != int64(config.Connections) && config.Connections < n {
				t.Errorf("%d connections, want %d", got, config.Connections)
			}
			if timed := config.Slow < config.Connections; (result.Mean > 0) != timed || (result.P50 > 0) != timed || result.P50 > result.Max {
				t.Errorf("latencies: %+v", result)
			}
		})
	}
}

// start serves what the config speaks.
func start(t *testing.T, config Config, handle http.HandlerFunc) *counter {
	t.Helper()
	if config.TLS {
		return serveTLS(t, handle)
	}
	return serve(t, -1, nil, handle)
}

// TestMixedSizes asks for several paths by turns.
func TestMixedSizes(t *testing.T) {
	for _, config := range []Config{{Connections: 2}, {Connections: 2, HTTP2: true, Streams: 3}} {
		var mu sync.Mutex
		asked := make(map[string]int)
		server := serve(t, -1, nil, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked[r.URL.Path]++
			mu.Unlock()
			w.Write(make([]byte, len(r.URL.Path)))
		})
		config.Address, config.Path, config.Paths = server.address(), "/", []string{"/a", "/bb", "/ccc"}
		config.Duration, config.Requests = forever, 300
		result := ran(t, config)
		mu.Lock()
		defer mu.Unlock()
		if asked["/a"] != 100 || asked["/bb"] != 100 || asked["/ccc"] != 100 || result.Bytes != 900 {
			t.Errorf("%v, %d bytes, want 100 of each and 900 bytes", asked, result.Bytes)
		}
	}
}

// TestLatencyCountsFromWhenItWasDue has a server that is late with its first answer, and a client with one connection: whoever
// was due meanwhile has waited.
func TestLatencyCountsFromWhenItWasDue(t *testing.T) {
	const n, late = 100, 400 * time.Millisecond // n requests are due in the first 100 ms
	for _, http2 := range []bool{false, true} {
		var once sync.Once
		server := serve(t, -1, nil, func(w http.ResponseWriter, r *http.Request) {
			once.Do(func() { time.Sleep(late) })
			hello(w, r)
		})
		config := Config{Address: server.address(), Path: "/", Connections: 1, HTTP2: http2, Rate: 1000, Requests: n, Duration: forever}
		result := ran(t, config)
		if least := late - n*time.Millisecond; result.Requests != n || result.P50 < least || result.Mean < least {
			t.Errorf("HTTP/2 %v: p50 %v and mean %v, want at least %v: %+v", http2, result.P50, result.Mean, least, result)
		}
	}
}

// TestUnsent has a server that answers nothing until the time is up.
func TestUnsent(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	server := serve(t, -1, nil, func(w http.ResponseWriter, r *http.Request) {
		<-ctx.Done()
		hello(w, r)
	})
	result, err := Run(ctx, Config{Address: server.address(), Path: "/", Connections: 2, Rate: 1000, Duration: forever})
	if err != nil || result.Errors.Total() != 0 || result.Requests < 2 || result.Unsent < 100 {
		t.Errorf("%+v, %v, want at least 2 requests and at least 100 that were due and not sent", result, err)
	}
}

// TestBeats has requests be due at the times at which they are looked for.
func TestBeats(t *testing.T) {
	d := &driver{first: 1_000_300, beat: 500, interval: 200}
	for at, want := range map[int64]int64{1_000_300: 1_000_300, 1_000_799: 1_000_300, 1_000_800: 1_000_800, 1_001_799: 1_001_300} {
		if got := d.lastBeat(at); got != want {
			t.Errorf("the beat before %d is %d, want %d", at, got, want)
		}
	}
	d.started = d.lastBeat(1_000_700)
	for k := range int64(20) {
		if due := d.dueAt(k); due != d.lastBeat(due) || due <= 1_000_700 {
			t.Errorf("request %d is due at %d, which is no beat to come", k, due)
		}
	}
}

// TestRateIsKept looks at how many requests a rate comes to: never more than were due.
func TestRateIsKept(t *testing.T) {
	server := serve(t, -1, nil, hello)
	began := time.Now()
	result := ran(t, Config{Address: server.address(), Path: "/", Connections: 4, Rate: 500, Duration: 300 * time.Millisecond, Threads: 2})
	if due := 500*time.Since(began).Seconds() + 2; float64(result.Requests) > due || result.Requests == 0 {
		t.Errorf("%d requests, want some and no more than %.0f", result.Requests, due)
	}
}

// TestLimited counts refused requests by themselves where they are expected, and as errors where not.
func TestLimited(t *testing.T) {
	var n atomic.Int64
	server := serve(t, -1, nil, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%4 == 0 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
		hello(w, r)
	})
	config := Config{Address: server.address(), Path: "/", Connections: 2, Requests: 400, Duration: forever, Limited: true}
	if result := ran(t, config); result.Limited != 100 || result.Errors.Total() != 0 || result.Requests != 400 ||
		result.AdmittedPerSecond() >= result.RequestsPerSecond() {
		t.Errorf("%+v", result)
	}
	config.Limited = false
	if result, err := Run(t.Context(), config); err != nil || result.Limited != 0 || result.Errors.Status != 100 {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestCalls tells calls that failed by their trailers.
func TestCalls(t *testing.T) {
	for status, want := range map[string]bool{"0": true, "14": false, "": false} {
		server := serve(t, -1, nil, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Content-Type") != "application/grpc" {
				w.WriteHeader(400)
			}
			if status != "" {
				w.Header().Set(http.TrailerPrefix+"Grpc-Status", status)
			}
			hello(w, r)
		})
		config := Config{
			Address: server.address(), Path: "/", Headers: []string{"content-type: application/grpc", "te: trailers"},
			Connections: 1, HTTP2: true, GRPC: true, Streams: 2, Requests: 20, Duration: forever,
		}
		result, err := Run(t.Context(), config)
		if err != nil || (result.Requests == 20) != want || (result.Errors.Read == 20) == want {
			t.Errorf("grpc-status %q: %+v, %v", status, result, err)
		}
	}
}

// TestConnectionsThatEnd has a server that ends them now and then: what was in flight is lost and counted, and no more.
func TestConnectionsThatEnd(t *testing.T) {
	for _, config := range []Config{{Connections: 2}, {Connections: 2, Pipeline: 4}, {Connections: 2, HTTP2: true, Streams: 4}} {
		var n atomic.Int64
		server := serve(t, -1, nil, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1)%50 == 0 {
				panic(http.ErrAbortHandler)
			}
			hello(w, r)
		})
		config.Address, config.Path, config.Requests, config.Duration = server.address(), "/", 400, forever
		result, err := Run(t.Context(), config)
		if err != nil || result.Requests+result.Errors.Total() != 400 || result.Errors.Read == 0 || result.Errors.Total() != result.Errors.Read {
			t.Errorf("%+v: %+v, %v", config, result, err)
		}
	}
	// One that says so loses nothing.
	server := serve(t, -1, nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		hello(w, r)
	})
	ran(t, Config{Address: server.address(), Path: "/", Connections: 2, Requests: 50, Duration: forever})
}

// TestNoHTTP2 speaks to servers that do not.
func TestNoHTTP2(t *testing.T) {
	for _, tls := range []bool{false, true} {
		server := prepare(-1, nil, hello)
		server.Config.Protocols.SetUnencryptedHTTP2(false)
		if tls {
			server.Config.Protocols.SetHTTP2(false)
			server.StartTLS()
		} else {
			server.Start()
		}
		t.Cleanup(server.Close)
		config := Config{Address: server.address(), Path: "/", Connections: 2, Streams: 3, HTTP2: true, TLS: tls, Requests: 20, Duration: forever}
		result, err := Run(t.Context(), config)
		if err != nil || result.Requests != 0 || result.Errors.Total() != 20 {
			t.Errorf("TLS %v: %+v, %v, want 20 errors", tls, result, err)
		}
	}
}
