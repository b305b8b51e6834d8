package load

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// counter is an HTTP server that counts requests and connections.
type counter struct {
	*httptest.Server
	requests, connections atomic.Int64
}

// serve starts a server that passes each request to handle. After stopAfter requests
// it calls stop, which makes runs end by count and not by time.
func serve(t *testing.T, stopAfter int64, stop func(), handle http.HandlerFunc) *counter {
	t.Helper()
	c := prepare(stopAfter, stop, handle)
	c.Start()
	t.Cleanup(c.Close)
	return c
}

// serveTLS is serve under TLS, without a limit.
func serveTLS(t *testing.T, handle http.HandlerFunc) *counter {
	t.Helper()
	c := prepare(-1, nil, handle)
	c.EnableHTTP2 = true
	c.StartTLS()
	t.Cleanup(c.Close)
	return c
}

func prepare(stopAfter int64, stop func(), handle http.HandlerFunc) *counter {
	c := &counter{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.requests.Add(1) == stopAfter {
			stop()
		}
		handle(w, r)
	}))
	c.Config.Protocols = new(http.Protocols)
	c.Config.Protocols.SetHTTP1(true)
	c.Config.Protocols.SetUnencryptedHTTP2(true)
	c.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			c.connections.Add(1)
		}
	}
	return c
}

func (c *counter) address() string { return c.Listener.Addr().String() }

func hello(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }

func TestRunKeepsConnections(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wrong atomic.Int64
	server := serve(t, 500, cancel, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-A") != "b" || r.URL.Path != "/p" || r.Method != http.MethodGet {
			wrong.Add(1)
		}
		hello(w, r)
	})
	config := Config{Address: server.address(), Path: "/p", Headers: []string{"x-a: b"}, Connections: 4, Duration: time.Hour}
	result, err := Run(ctx, config)
	if err != nil || result.Errors.Total() != 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	if n := uint64(server.requests.Load()); result.Requests != n || n < 500 || result.Bytes != 5*n {
		t.Errorf("%d requests and %d bytes counted, the server saw %d", result.Requests, result.Bytes, n)
	}
	if n := server.connections.Load(); n != 4 {
		t.Errorf("%d connections, want 4", n)
	}
	if wrong.Load() != 0 {
		t.Errorf("%d requests were not as asked", wrong.Load())
	}
	if result.P50 <= 0 || result.P50 > result.P99 || result.P99 > result.Max || result.RequestsPerSecond() <= 0 {
		t.Errorf("latency or rate: %+v", result)
	}
}

func TestRunNewConnections(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := serve(t, 50, cancel, hello)
	config := Config{Address: server.address(), Path: "/", Connections: 2, Duration: time.Hour, NewConnections: true}
	result, err := Run(ctx, config)
	if err != nil || result.Errors.Total() != 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	if c, r := server.connections.Load(), server.requests.Load(); c != r {
		t.Errorf("%d connections for %d requests", c, r)
	}
}

func TestRunCountsErrors(t *testing.T) {
	tests := []struct {
		name   string
		handle http.HandlerFunc
		count  func(Errors) uint64
	}{
		{"status", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(302) }, func(e Errors) uint64 { return e.Status }},
		{"chunked", func(w http.ResponseWriter, r *http.Request) {
			hello(w, r)
			w.(http.Flusher).Flush()
		}, func(e Errors) uint64 { return e.Read }},
		{"aborted", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, func(e Errors) uint64 { return e.Read }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			server := serve(t, 3, cancel, test.handle)
			result, err := Run(ctx, Config{Address: server.address(), Path: "/", Connections: 1, Duration: time.Hour})
			if n := test.count(result.Errors); err != nil || n < 3 || result.Errors.Total() != n {
				t.Errorf("%+v, %v, want 3 errors of one kind, and those until the run has stopped", result.Errors, err)
			}
		})
	}
}

func TestRunCountsConnectErrors(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	config := Config{Address: ln.Addr().String(), Path: "/", Connections: 1, Duration: 3 * errorPause}
	result, err := Run(t.Context(), config)
	if err != nil || result.Errors.Connect == 0 || result.Requests != 0 {
		t.Errorf("%+v, %v, want connect errors", result, err)
	}
}

func TestRunRefusesConfig(t *testing.T) {
	good := Config{Address: "127.0.0.1:1", Path: "/", Connections: 1, Duration: time.Second}
	for name, change := range map[string]func(*Config){
		"no connections":          func(c *Config) { c.Connections = 0 },
		"too many connections":    func(c *Config) { c.Connections = maxConnections + 1 },
		"no duration":             func(c *Config) { c.Duration = 0 },
		"no path":                 func(c *Config) { c.Path = "" },
		"relative path":           func(c *Config) { c.Path = "x" },
		"streams":                 func(c *Config) { c.Streams = 2 },
		"too many streams":        func(c *Config) { c.HTTP2, c.Streams = true, maxStreams+1 },
		"calls in HTTP/1.1":       func(c *Config) { c.GRPC = true },
		"churn in HTTP/2":         func(c *Config) { c.HTTP2, c.NewConnections = true, true },
		"pipelining in HTTP/2":    func(c *Config) { c.HTTP2, c.Pipeline = true, 2 },
		"slow HTTP/2":             func(c *Config) { c.HTTP2, c.Slow = true, 1 },
		"pipelined churn":         func(c *Config) { c.NewConnections, c.Pipeline = true, 2 },
		"too deep a pipeline":     func(c *Config) { c.Pipeline = maxPipeline + 1 },
		"a negative rate":         func(c *Config) { c.Rate = -1 },
		"too high a rate":         func(c *Config) { c.Rate = maxRate + 1 },
		"slow ones that are not":  func(c *Config) { c.Slow = 2 },
		"too many threads":        func(c *Config) { c.Threads = maxThreads + 1 },
		"a file that is not":      func(c *Config) { c.BodyFile = "/nonexistent" },
		"another relative path":   func(c *Config) { c.Paths = []string{"/", "x"} },
		"a name for an address":   func(c *Config) { c.Address = "localhost:1" },
		"resumption in the clear": func(c *Config) { c.Resume, c.NewConnections = true, true },
		"resumption of nothing":   func(c *Config) { c.Resume, c.TLS = true, true },
	} {
		config := good
		change(&config)
		if _, err := Run(t.Context(), config); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func TestHold(t *testing.T) {
	t.Run("HTTP/1.1", func(t *testing.T) { testHold(t, Config{}) })
	t.Run("HTTP/2", func(t *testing.T) { testHold(t, Config{HTTP2: true}) })
	t.Run("TLS", func(t *testing.T) { testHold(t, Config{TLS: true}) })
}

func testHold(t *testing.T, config Config) {
	const n = 200
	start := func(t *testing.T, handle http.HandlerFunc) *counter { return serve(t, -1, nil, handle) }
	if config.TLS {
		start = serveTLS
	}
	server := start(t, hello)
	config.Address, config.Path, config.Connections = server.address(), "/", n
	held, err := Hold(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if got := server.requests.Load(); got != n {
		t.Errorf("%d requests, want one on each of %d connections", got, n)
	}
	if got := held.Closed(); got != 0 {
		t.Errorf("%d connections closed, want none", got)
	}
	if got := server.connections.Load(); got != n {
		t.Errorf("%d connections, want %d", got, n)
	}
	server.CloseClientConnections()
	if got := held.Closed(); got != n {
		t.Errorf("%d connections closed, want all %d", got, n)
	}
}

func TestHoldFails(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"close": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			hello(w, r)
		},
	} {
		server := serve(t, -1, nil, handle)
		for _, http2 := range []bool{false, true} {
			config := Config{Address: server.address(), Path: "/", Connections: 3, HTTP2: http2}
			if held, err := Hold(t.Context(), config); err == nil && !(http2 && name == "close") {
				held.Close()
				t.Errorf("%s, HTTP/2 %v: want an error", name, http2)
			}
		}
	}
}

func TestSourcesLeavePorts(t *testing.T) {
	seen := make(map[string]int)
	for i := range maxConnections {
		seen[source(i).String()]++
	}
	for address, n := range seen {
		if n > perSource || !strings.HasPrefix(address, "127.0.0.") {
			t.Errorf("%d connections from %s", n, address)
		}
	}
}

func TestHeaderCannotSplitRequest(t *testing.T) {
	request := string(appendRequest(nil, Config{Address: "h", Path: "/", Headers: []string{"a: b\r\n\r\nGET / HTTP/1.1"}}, 0))
	if strings.Count(request, "\r\n\r\n") != 1 {
		t.Errorf("%q", request)
	}
}
