// Package origin is the upstream server of the load lab: it answers any size
// asked for as cheaply as it can, so that the proxy in front of it is what gets
// measured.
//
//	/16  /1k  /64k  /1m  /1g   that many bytes, k = 1024, m = 1024 k, g = 1024 m
//	/bytes/N                   N bytes
//	/rN/...                    as what follows: N is the number of a route
//
// Everything else is answered 404. ServeMirror is another server, which shows what a
// proxy has made of a request.
package origin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// MaxBody bounds the size of an answer.
	MaxBody = 1 << 30
	// sharedBody is the size of an array that answers up to it are slices of; larger
	// ones repeat it.
	sharedBody = 16 << 20
	// maxRequestBody bounds what a scenario may upload.
	maxRequestBody = 16 << 20
	// maxConnections bounds the connections from all proxies together, far above
	// any upstream pool of the lab.
	maxConnections = 64 << 10
	// readBuffer bounds the header section of a request.
	readBuffer = 16 << 10
	// idleTimeout is longer than any run, so that the origin never closes a
	// pooled connection under a proxy.
	idleTimeout = time.Hour
	// shutdownGrace bounds the wait for requests in flight at the end.
	shutdownGrace = time.Second
)

// ParseSize returns the number of bytes that the path of a request asks for;
// false when it asks for none or for more than MaxBody.
func ParseSize(path []byte) (int, bool) {
	path = cutRoute(path)
	digits, ok := bytes.CutPrefix(path, []byte("/bytes/"))
	unit := 1
	if !ok {
		if digits, ok = bytes.CutPrefix(path, []byte("/")); !ok {
			return 0, false
		}
		digits, unit = cutUnit(digits)
	}
	if len(digits) == 0 {
		return 0, false
	}
	n := 0
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		if n = n*10 + int(d-'0'); n > MaxBody {
			return 0, false
		}
	}
	if n *= unit; n > MaxBody {
		return 0, false
	}
	return n, true
}

// cutRoute takes the number of a route off the path.
func cutRoute(path []byte) []byte {
	rest, ok := bytes.CutPrefix(path, []byte("/r"))
	digits := bytes.IndexByte(rest, '/')
	if !ok || digits < 1 || len(bytes.Trim(rest[:digits], "0123456789")) > 0 {
		return path
	}
	return rest[digits:]
}

func cutUnit(size []byte) (digits []byte, unit int) {
	if d, ok := bytes.CutSuffix(size, []byte("k")); ok {
		return d, 1 << 10
	}
	if d, ok := bytes.CutSuffix(size, []byte("m")); ok {
		return d, 1 << 20
	}
	if d, ok := bytes.CutSuffix(size, []byte("g")); ok {
		return d, 1 << 30
	}
	return size, 1
}

// Serve answers connections of ln until ctx ends, then closes ln and returns nil.
func Serve(ctx context.Context, ln net.Listener) error {
	server := newServer()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("origin on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if err := server.ShutdownWithContext(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("origin on %s: shut down: %w", ln.Addr(), err)
	}
	return nil
}

func newServer() *fasthttp.Server {
	body := bytes.Repeat([]byte{'x'}, sharedBody)
	return &fasthttp.Server{
		Name:               "origin",
		Handler:            func(ctx *fasthttp.RequestCtx) { answer(ctx, body) },
		Concurrency:        maxConnections,
		ReadBufferSize:     readBuffer,
		MaxRequestBodySize: maxRequestBody,
		IdleTimeout:        idleTimeout,
		CloseOnShutdown:    true,
	}
}

func answer(ctx *fasthttp.RequestCtx, body []byte) {
	n, ok := ParseSize(ctx.URI().PathOriginal())
	switch {
	case !ok:
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	case n <= len(body):
		ctx.Response.SetBodyRaw(body[:n])
	default:
		ctx.Response.SetBodyStream(&repeated{body: body}, n)
	}
}

// repeated reads body again and again.
type repeated struct {
	body []byte
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.body[r.at:])
	r.at = (r.at + n) % len(r.body)
	return n, nil
}
