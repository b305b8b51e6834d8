package load

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// TestRunTLS makes load on one connection after another, and looks at the handshakes that it took.
func TestRunTLS(t *testing.T) {
	const connections, requests = 1, 50
	for _, test := range []struct {
		name        string
		config      Config
		handshakes  func(requests int64) int64
		resumedLess uint64 // than requests
	}{
		{"keep-alive", Config{}, func(int64) int64 { return connections }, requests},
		{"full", Config{NewConnections: true}, func(n int64) int64 { return n }, requests},
		{"resumed", Config{NewConnections: true, Resume: true}, func(n int64) int64 { return n }, connections},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var served atomic.Int64
			server := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
				if served.Add(1) >= requests {
					cancel()
				}
				hello(w, r)
			})
			config := test.config
			config.TLS, config.Address, config.Path, config.Connections, config.Duration = true, server.address(), "/", connections, time.Hour
			got, err := Run(ctx, config)
			if err != nil || got.Errors.Total() != 0 || got.Requests < requests {
				t.Fatalf("%+v, %v", got, err)
			}
			if n := server.connections.Load(); n != test.handshakes(server.requests.Load()) {
				t.Errorf("%d connections for %d requests", n, server.requests.Load())
			}
			want := got.Requests - test.resumedLess
			if !config.Resume {
				want = 0
			}
			if got.Resumed != want {
				t.Errorf("%d of %d sessions were resumed, want %d", got.Resumed, got.Requests, want)
			}
		})
	}
}

// TestSecureNeedsTLS has a server that takes no handshake.
func TestSecureNeedsTLS(t *testing.T) {
	server := serve(t, -1, nil, hello)
	c := newConn(Config{TLS: true, Address: server.address()}, 0)
	_, err := c.exchange([]byte("GET / HTTP/1.1\r\n\r\n"), time.Now().Add(Timeout))
	if step, ok := errors.AsType[*stepError](err); !ok || step.step != stepConnect {
		t.Errorf("got %v, want an error of step %s", err, stepConnect)
	}
	if n := server.requests.Load(); n != 0 || c.tcp != nil {
		t.Errorf("%d requests, connection %v, want none", n, c.tcp)
	}
}
