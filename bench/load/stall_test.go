package load

import (
	"net/http"
	"testing"
	"time"
)

// megabyte answers with more than any buffer of the server holds.
func megabyte(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20)) }

func TestStall(t *testing.T) {
	server := serve(t, -1, nil, megabyte)
	stalled, err := Stall(t.Context(), Config{Address: server.address(), Path: "/", Connections: 2, Streams: 50})
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	if got := server.requests.Load(); got != 100 {
		t.Errorf("%d requests, want one on each of 100 streams", got)
	}
	if got := server.connections.Load(); got != 2 {
		t.Errorf("%d connections, want 2", got)
	}
	if got := stalled.Lost(); got != 0 {
		t.Errorf("%d streams lost, want none", got)
	}
	server.CloseClientConnections()
	deadline := time.Now().Add(Timeout)
	for stalled.Lost() < 100 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if got := stalled.Lost(); got != 100 {
		t.Errorf("%d streams lost, want all 100", got)
	}
}

func TestStallFails(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"ended":  func(http.ResponseWriter, *http.Request) {},
		"reset": func(w http.ResponseWriter, r *http.Request) {
			panic(http.ErrAbortHandler)
		},
	} {
		server := serve(t, -1, nil, handle)
		if s, err := Stall(t.Context(), Config{Address: server.address(), Path: "/", Connections: 1, Streams: 3}); err == nil {
			s.Close()
			t.Errorf("%s: want an error", name)
		}
	}
}

func TestStallRefusesConfig(t *testing.T) {
	good := Config{Address: "127.0.0.1:1", Path: "/", Connections: 1, Streams: 1}
	for name, change := range map[string]func(*Config){
		"no connections":   func(c *Config) { c.Connections = 0 },
		"no streams":       func(c *Config) { c.Streams = 0 },
		"too many streams": func(c *Config) { c.Streams = maxStreams + 1 },
		"TLS":              func(c *Config) { c.TLS = true },
		"no path":          func(c *Config) { c.Path = "" },
	} {
		config := good
		change(&config)
		if s, err := Stall(t.Context(), config); err == nil {
			s.Close()
			t.Errorf("%s: want an error", name)
		}
	}
}
