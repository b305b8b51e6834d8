package controlplane

import (
	"encoding/json"
	"errors"
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
	configPath        = "/v1/config"
	healthPath        = "/healthz"
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
		ReadTimeout:        requestTimeout,
		WriteTimeout:       requestTimeout,
		IdleTimeout:        idleTimeout,
		CloseOnShutdown:    true,
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
	config, err := DecodeConfig(ctx.PostBody())
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
	if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		writeError(ctx, fieldErrorf("", "the body has more than %d bytes", MaxConfigBytes))
		return
	}
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
