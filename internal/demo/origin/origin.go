// Package origin is a small HTTP/1.1 origin to put behind a proxy: it says who it is, and misbehaves on request.
//
//	/headers        the request as it arrived, request line and header fields
//	/status/503     that status, 200 to 599
//	/delay/250ms    an answer after that time, at most MaxDelay
//	/bytes/1048576  that many bytes, at most MaxBytes
//	/echo           the request's body, at most MaxEchoBytes
//	/ws             a WebSocket that sends every frame back
//	anything else   a line that names the origin's colour
//
// All of it is there under the colour's own prefix too (/green/headers is /headers), so that a route's prefix need not be rewritten. Every response has an
// x-origin header with the colour.
package origin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// Limits of what a request can ask for.
const (
	// MaxDelay is longer than every timeout somebody would wait for.
	MaxDelay = 30 * time.Second
	// MaxBytes is enough for a few seconds of loopback traffic. The body is generated: its size costs no memory.
	MaxBytes = 1 << 30
	// MaxEchoBytes is held in memory once per request.
	MaxEchoBytes = 8 << 20
)

const (
	// maxConnections bounds connections, and with MaxEchoBytes the memory that echoes can take.
	maxConnections = 1024
	// maxHeaderBytes is above what the proxy lets through (60 KiB).
	maxHeaderBytes = 64 << 10
	// requestTimeout bounds reading a request and writing a response, so that a hung peer does not keep its connection.
	requestTimeout = time.Minute
	// idleTimeout is above the proxy's (1 h): the side that sends requests should be the one that closes, or a request can meet a closing connection.
	idleTimeout = 2 * time.Hour
	// shutdownTimeout bounds how long Close waits for requests in flight. Delays and WebSockets end at once.
	shutdownTimeout = 2 * time.Second
)

// Server is a running origin.
type Server struct {
	colour   string
	listener net.Listener
	http     *fasthttp.Server
	closing  chan struct{} // closed by Close
	serving  sync.WaitGroup
	sockets  webSockets
}

// Start listens on addr, a host:port, and serves as colour, which is a word for responses and for the prefix of paths.
func Start(addr, colour string) (*Server, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("origin %s: %w", colour, err)
	}
	s := &Server{colour: colour, listener: listener, closing: make(chan struct{})}
	s.http = &fasthttp.Server{
		Name:               "demo-origin",
		Handler:            s.handle,
		ErrorHandler:       refuse,
		Concurrency:        maxConnections,
		MaxRequestBodySize: MaxEchoBytes,
		ReadBufferSize:     maxHeaderBytes,
		ReadTimeout:        requestTimeout,
		WriteTimeout:       requestTimeout,
		IdleTimeout:        idleTimeout,
		CloseOnShutdown:    true,
		Logger:             silent{},
		// /headers shows names as they arrived.
		DisableHeaderNamesNormalizing: true,
	}
	s.serving.Go(func() {
		// Serve ends without an error when Close closes the listener, and a loopback listener has no other way to end.
		_ = s.http.Serve(listener)
	})
	return s, nil
}

// refuse answers what is no request, or too much of one.
func refuse(ctx *fasthttp.RequestCtx, err error) {
	if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		ctx.Error(fmt.Sprintf("the body has more than %d bytes\n", MaxEchoBytes), fasthttp.StatusRequestEntityTooLarge)
		return
	}
	ctx.Error(err.Error()+"\n", fasthttp.StatusBadRequest)
}

// silent drops the HTTP server's log lines: they tell of clients that went away.
type silent struct{}

// Printf implements fasthttp.Logger.
func (silent) Printf(string, ...any) {}

// Addr returns the host:port the origin listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends WebSockets and delays, lets other requests finish for a bounded time and waits until nothing of the server runs. It must be called once.
func (s *Server) Close() error {
	close(s.closing)
	s.sockets.closeAll()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := s.http.ShutdownWithContext(ctx)
	// A server that has not yet come to accept does not know its listener and leaves it open.
	if closeErr := s.listener.Close(); !errors.Is(closeErr, net.ErrClosed) {
		err = errors.Join(err, closeErr)
	}
	s.serving.Wait()
	s.sockets.wait()
	if err != nil {
		return fmt.Errorf("origin %s: close: %w", s.colour, err)
	}
	return nil
}

func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	if rest, ok := strings.CutPrefix(path, "/"+s.colour); ok && (rest == "" || rest[0] == '/') {
		path = rest
	}
	endpoint, argument, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch endpoint {
	case "headers":
		writeHeaders(ctx)
	case "status":
		writeStatus(ctx, argument)
	case "delay":
		s.delay(ctx, argument)
	case "bytes":
		writeBytes(ctx, argument)
	case "echo":
		writeEcho(ctx)
	case "ws":
		s.upgrade(ctx)
	default:
		s.hello(ctx)
	}
	ctx.Response.Header.Set("x-origin", s.colour) // last: an error response starts from nothing
}

func (s *Server) hello(ctx *fasthttp.RequestCtx) {
	ctx.SetBodyString("Hello from " + s.colour + "\n")
}
