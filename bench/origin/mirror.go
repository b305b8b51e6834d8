package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// ServeMirror answers each request on ln, in HTTP/1.1 or in HTTP/2 with prior
// knowledge, with the request line and the header section that it has, a line
// "name: value" per value, names in lower case. Answers to gRPC calls are of their
// content type and end with the trailer grpc-status: 0. It returns when ctx ends.
func ServeMirror(ctx context.Context, ln net.Listener) error {
	return serveBoth(ctx, ln, "mirror", mirror)
}

// serveBoth has the handler answer requests in HTTP/1.1 and in HTTP/2 with prior knowledge until ctx ends.
func serveBoth(ctx context.Context, ln net.Listener, name string, handler http.HandlerFunc) error {
	server := &http.Server{
		Handler: handler, Protocols: new(http.Protocols), IdleTimeout: idleTimeout,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s on %s: %w", name, ln.Addr(), err)
	}
	return nil
}

func mirror(w http.ResponseWriter, r *http.Request) {
	const contentType, grpc = "Content-Type", "application/grpc"
	// A server that answers before the request has ended may have the proxy end it.
	io.Copy(io.Discard, io.LimitReader(r.Body, maxRequestBody))
	if r.Header.Get(contentType) == grpc {
		w.Header().Set(contentType, grpc)
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}
	io.WriteString(w, section(r))
}

func section(r *http.Request) string {
	lines := []string{"host: " + r.Host}
	for name, values := range r.Header {
		for _, value := range values {
			lines = append(lines, strings.ToLower(name)+": "+value)
		}
	}
	slices.Sort(lines)
	return fmt.Sprintf("%s %s %s\n%s\n", r.Method, r.URL.RequestURI(), r.Proto, strings.Join(lines, "\n"))
}
