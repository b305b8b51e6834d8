package load

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/bench/origin"
)

// echoServer serves package origin's echo and returns its address.
func echoServer(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- origin.ServeEcho(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// bodyFile writes a message of n bytes with the prefix of gRPC.
func bodyFile(t *testing.T, n int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "message")
	message := append([]byte{0, 0, byte(n >> 16), byte(n >> 8), byte(n)}, bytes.Repeat([]byte{'x'}, n)...)
	if err := os.WriteFile(file, message, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func streaming(address, body string) Config {
	return Config{
		Address: address, Path: "/bench.Origin/Stream", Headers: []string{"content-type: application/grpc", "te: trailers"},
		Connections: 2, Streams: 3, HTTP2: true, GRPC: true, BodyFile: body, Messages: 7, Requests: 500, Duration: forever,
	}
}

// TestMessages counts messages of calls. Calls end in the middle of the run, and at its end some are not over.
func TestMessages(t *testing.T) {
	for _, size := range []int{1, 1 << 10, 100 << 10} {
		result, err := Run(t.Context(), streaming(echoServer(t), bodyFile(t, size)))
		if err != nil || result.Requests != 500 || result.Errors.Total() != 0 || result.Bytes != uint64(500*(size+5)) || result.P50 <= 0 {
			t.Errorf("%d bytes: %+v, %v", size, result, err)
		}
	}
}

// TestCallsThatBreakOff has servers that end a call before its last message.
func TestCallsThatBreakOff(t *testing.T) {
	server := serve(t, -1, nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		hello(w, r)
	})
	result, err := Run(t.Context(), streaming(server.address(), bodyFile(t, 1<<10)))
	if err != nil || result.Requests != 0 || result.Errors.Read != 500 {
		t.Errorf("%+v, %v", result, err)
	}
}

func tunnels(address, body string) Config {
	return Config{Address: address, Path: "/", Connections: 3, WebSocket: true, BodyFile: body, Requests: 300, Duration: forever}
}

// TestWebSocket sends frames with each kind of length.
func TestWebSocket(t *testing.T) {
	for _, size := range []int{1, 200, 100 << 10} {
		result, err := Run(t.Context(), tunnels(echoServer(t), bodyFile(t, size)))
		if err != nil || result.Requests != 300 || result.Errors.Total() != 0 || result.Bytes != uint64(300*(size+5)) || result.P50 <= 0 {
			t.Errorf("%d bytes: %+v, %v", size, result, err)
		}
	}
}

// TestNoWebSocket has servers that do not upgrade, do it wrongly, or do not send back what they get.
func TestNoWebSocket(t *testing.T) {
	takeOver := func(w http.ResponseWriter, answer string) {
		conn, stream, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		stream.WriteString(answer)
		if stream.Flush() == nil {
			stream.ReadByte()
			stream.WriteString("something else")
			stream.Flush()
		}
	}
	for name, handle := range map[string]http.HandlerFunc{
		"status": hello,
		"key": func(w http.ResponseWriter, _ *http.Request) {
			takeOver(w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
		},
		"echo": func(w http.ResponseWriter, r *http.Request) {
			accept := origin.WebSocketAccept(r.Header.Get("Sec-WebSocket-Key"))
			takeOver(w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+accept+"\r\n\r\n")
		},
		"early": func(w http.ResponseWriter, r *http.Request) {
			accept := origin.WebSocketAccept(r.Header.Get("Sec-WebSocket-Key"))
			takeOver(w, "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: "+accept+"\r\n\r\nunasked")
		},
	} {
		config := tunnels(serve(t, -1, nil, handle).address(), bodyFile(t, 10))
		config.Requests = 6
		result, err := Run(t.Context(), config)
		if err != nil || result.Requests != 0 || result.Errors.Read != 6 {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
	}
}

// TestMessagesRefused refuses what cannot be made.
func TestMessagesRefused(t *testing.T) {
	body := bodyFile(t, 10)
	for name, change := range map[string]func(*Config){
		"no gRPC":             func(c *Config) { c.Messages, c.HTTP2 = 5, true },
		"no body":             func(c *Config) { c.Messages, c.HTTP2, c.GRPC, c.BodyFile = 5, true, true, "" },
		"too many":            func(c *Config) { c.Messages, c.HTTP2, c.GRPC = maxMessages+1, true, true },
		"WebSocket in HTTP/2": func(c *Config) { c.WebSocket, c.HTTP2 = true, true },
		"an empty frame":      func(c *Config) { c.WebSocket, c.BodyFile = true, "" },
	} {
		config := Config{Address: "127.0.0.1:1", Path: "/", Connections: 1, BodyFile: body, Duration: forever}
		change(&config)
		if _, err := Run(t.Context(), config); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}
