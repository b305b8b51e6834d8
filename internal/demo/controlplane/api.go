package controlplane

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// requestTimeout bounds reading one request: MaxConfigBytes in this time is a slow modem.
	requestTimeout = 30 * time.Second
	// idleTimeout bounds how long a connection is kept for its next request.
	idleTimeout = time.Minute
	// maxAPIConnections bounds connections, and with MaxConfigBytes the memory that requests can take.
	maxAPIConnections = 16
	// maxDiscardBytes is how much of a body beyond MaxConfigBytes is read and dropped so that the client, which reads only after it has written, gets to see the
	// refusal instead of a reset connection.
	maxDiscardBytes = 64 << 20
	configPath      = "/v1/config"
	healthPath      = "/healthz"
)

// applied answers a POST that was taken.
type applied struct {
	Status     string  `json:"status"`
	Version    Version `json:"version"`     // as posted
	XDSVersion string  `json:"xds_version"` // as clients see it in version_info
}

// refused answers a request that was not.
type refused struct {
	Error string `json:"error"`
	Field string `json:"field,omitempty"`
}

func (s *Server) startHTTP() {
	s.httpServer = &fasthttp.Server{
		Name:               "demo-control-plane",
		Handler:            s.handle,
		ErrorHandler:       handleUnreadable,
		Concurrency:        maxAPIConnections,
		MaxRequestBodySize: MaxConfigBytes,
		StreamRequestBody:  true, // handlePost keeps the limit, see maxDiscardBytes
		ReadTimeout:        requestTimeout,
		WriteTimeout:       requestTimeout,
		IdleTimeout:        idleTimeout,
		CloseOnShutdown:    true,
		Logger:             printer(s.opts.Logf),
	}
	s.serving.Go(func() {
		if err := s.httpServer.Serve(s.httpLn); err != nil {
			s.opts.Logf("control plane: HTTP API on %s ended: %v", s.HTTPAddr(), err)
		}
	})
}

func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	// Only a browser sends Origin, and only for a page of another site would it come here: such a page must not reconfigure the proxy.
	if len(ctx.Request.Header.Peek(fasthttp.HeaderOrigin)) > 0 {
		writeJSON(ctx, fasthttp.StatusForbidden, refused{Error: "requests of web pages are not taken"})
		return
	}
	switch path := string(ctx.Path()); {
	case path == healthPath && ctx.IsGet():
		ctx.SetBodyString("OK\n")
	case path == configPath && ctx.IsGet():
		writeJSON(ctx, fasthttp.StatusOK, s.Config().redacted())
	case path == configPath && ctx.IsPost():
		s.handlePost(ctx)
	case path == healthPath:
		methodNotAllowed(ctx, "GET")
	case path == configPath:
		methodNotAllowed(ctx, "GET, POST")
	default:
		writeJSON(ctx, fasthttp.StatusNotFound, refused{Error: "no such path: there are " + configPath + " and " + healthPath})
	}
}

func (s *Server) handlePost(ctx *fasthttp.RequestCtx) {
	body, err := readBody(ctx.RequestBodyStream())
	if err != nil {
		writeError(ctx, err)
		return
	}
	config, err := DecodeConfig(body)
	if err != nil {
		writeError(ctx, err)
		return
	}
	version, err := s.apply(config)
	if err != nil {
		writeError(ctx, err)
		return
	}
	writeJSON(ctx, fasthttp.StatusOK, applied{Status: "ok", Version: config.Version, XDSVersion: version})
}

// readBody returns at most MaxConfigBytes from stream, which is nil for a request without a body.
func readBody(stream io.Reader) ([]byte, error) {
	if stream == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(stream, MaxConfigBytes+1))
	if err != nil {
		return nil, fieldErrorf("", "the body cannot be read: %s", err)
	}
	if len(body) > MaxConfigBytes {
		// An error here is the client's going away, to which there is nothing to add.
		_, _ = io.CopyN(io.Discard, stream, maxDiscardBytes)
		return nil, fieldErrorf("", "the body has more than %d bytes", MaxConfigBytes)
	}
	return body, nil
}

// printer gives the HTTP server's own log lines to a Logf.
type printer func(format string, args ...any)

// Printf implements fasthttp.Logger.
func (p printer) Printf(format string, args ...any) { p("control plane: "+format, args...) }

// writeError answers 400 for what the client can mend and 500 for the rest.
func writeError(ctx *fasthttp.RequestCtx, err error) {
	var field *FieldError
	if errors.As(err, &field) {
		writeJSON(ctx, fasthttp.StatusBadRequest, refused{Error: field.Error(), Field: field.Path})
		return
	}
	writeJSON(ctx, fasthttp.StatusInternalServerError, refused{Error: err.Error()})
}

// handleUnreadable answers a request that ended in an error before handle saw it.
func handleUnreadable(ctx *fasthttp.RequestCtx, err error) {
	writeJSON(ctx, fasthttp.StatusBadRequest, refused{Error: "the request cannot be read: " + err.Error()})
}

func methodNotAllowed(ctx *fasthttp.RequestCtx, allowed string) {
	ctx.Response.Header.Set(fasthttp.HeaderAllow, allowed)
	writeJSON(ctx, fasthttp.StatusMethodNotAllowed, refused{Error: "method not allowed: use " + allowed})
}

func writeJSON(ctx *fasthttp.RequestCtx, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		ctx.Error(err.Error(), fasthttp.StatusInternalServerError)
		return
	}
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.SetBody(append(body, '\n'))
}
