package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

// serverName is the server field of all responses.
const serverName = "proxy-alb"

// Server is one HTTP server. Its methods may be called from any goroutine.
type Server struct {
	http  fasthttp.Server
	after func() // called at the end of Shutdown, nil for nothing

	mu        sync.Mutex // guards all below
	closed    bool
	listeners []net.Listener
}

// newServer returns a Server that answers with handle. face names it in logs.
func newServer(face string, log *zap.Logger, handle fasthttp.RequestHandler) *Server {
	log = log.With(zap.String("server", face))
	return &Server{http: fasthttp.Server{
		Handler:            withRecovery(log, handle),
		ErrorHandler:       badRequest,
		Name:               serverName,
		Concurrency:        maxConnections,
		ReadBufferSize:     maxHeaderBytes,
		MaxRequestBodySize: maxBodyBytes,
		ReadTimeout:        readTimeout,
		WriteTimeout:       writeTimeout,
		IdleTimeout:        idleTimeout,
		CloseOnShutdown:    true,
		Logger:             debugLogger{log.Sugar()},

		DisablePreParseMultipartForm: true,
	}}
}

// Serve accepts connections from l until Shutdown is called, then returns nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	if err := s.http.Serve(l); err != nil {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown stops accepting, closes idle connections and waits until the others have had their answer, or ctx ends. The
// timeouts of the server bound how long those that are left live on.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	err := s.http.ShutdownWithContext(ctx)
	// A listener that Serve has not handed on yet is not known to s.http.
	for _, l := range listeners {
		_ = l.Close() // closed already, but for that case
	}
	if s.after != nil {
		s.after()
	}
	return err
}

// withRecovery keeps a panic in handle from taking the process down.
func withRecovery(log *zap.Logger, handle fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		defer func() {
			if value := recover(); value != nil {
				log.Error("panic, the request was answered with 500", zap.Any("panic", value),
					zap.ByteString("target", ctx.Request.Header.RequestURI()), zap.ByteString("stack", debug.Stack()))
				ctx.Response.Reset()
				reply(ctx, fasthttp.StatusInternalServerError, plainText, "internal error, see the log\n")
			}
		}()
		handle(ctx)
	}
}

// badRequest answers what could not be read as a request.
func badRequest(ctx *fasthttp.RequestCtx, err error) {
	var tooLarge *fasthttp.ErrSmallBuffer
	var network *net.OpError
	switch {
	case errors.As(err, &tooLarge):
		reply(ctx, fasthttp.StatusRequestHeaderFieldsTooLarge, plainText,
			fmt.Sprintf("request line and fields are over %d bytes\n", maxHeaderBytes))
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		reply(ctx, fasthttp.StatusRequestEntityTooLarge, plainText, fmt.Sprintf("body is over %d bytes\n", maxBodyBytes))
	case errors.As(err, &network) && network.Timeout():
		reply(ctx, fasthttp.StatusRequestTimeout, plainText, fmt.Sprintf("request took over %s\n", readTimeout))
	default:
		reply(ctx, fasthttp.StatusBadRequest, plainText, "bad request\n")
	}
}

// debugLogger takes what fasthttp has to say about broken connections.
type debugLogger struct{ log *zap.SugaredLogger }

func (l debugLogger) Printf(format string, args ...any) { l.log.Debugf(format, args...) }
