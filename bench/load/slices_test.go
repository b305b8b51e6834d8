package load

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// TestSlices makes load in every way by slices, and looks at what the server has seen: nothing between slices, and as many
// connections as at the beginning.
func TestSlices(t *testing.T) {
	echo, body := echoServer(t), bodyFile(t, 100)
	for name, config := range map[string]Config{
		"HTTP/1.1":  {Connections: 3, Threads: 2},
		"pipelined": {Connections: 2, Pipeline: 3},
		"HTTP/2":    {Connections: 2, HTTP2: true, Streams: 4},
		"rate":      {Connections: 2, Rate: 2000},
		"messages":  streaming(echo, body),
		"WebSocket": tunnels(echo, body),
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, -1, nil, hello)
			if config.Address == "" {
				config.Address, config.Path = server.address(), "/"
			}
			s, err := OpenSlices(config)
			if err != nil {
				t.Fatal(err)
			}
			var requests uint64
			for range 4 {
				before := uint64(server.requests.Load())
				result, err := s.Make(t.Context(), 20*time.Millisecond)
				if err != nil || result.Requests == 0 || result.Errors.Total() != 0 || result.Elapsed < 20*time.Millisecond {
					t.Fatalf("%+v, %v", result, err)
				}
				if seen := uint64(server.requests.Load()) - before; config.Address == server.address() && seen != result.Requests {
					t.Errorf("%d requests counted, the server saw %d", result.Requests, seen)
				}
				requests += result.Requests
			}
			if n := server.connections.Load(); config.Address == server.address() && n != int64(config.Connections) {
				t.Errorf("%d connections, want %d", n, config.Connections)
			}
			if s.total.Requests != requests {
				t.Errorf("%d requests in all, want %d", s.total.Requests, requests)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, err := s.Make(t.Context(), time.Millisecond); err == nil {
				t.Error("a slice after the end: want an error")
			}
		})
	}
}

// TestSliceThatIsCut ends with its context, and counts what failed.
func TestSliceThatIsCut(t *testing.T) {
	server := serve(t, -1, nil, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	s, err := OpenSlices(Config{Address: server.address(), Path: "/", Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	result, err := s.Make(ctx, time.Hour)
	if err == nil || result.Errors.Status != result.Requests {
		t.Errorf("%+v, %v", result, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := OpenSlices(Config{Path: "/", Connections: 1}); err == nil {
		t.Error("no address: want an error")
	}
}
