package admin

import (
	"fmt"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"github.com/valyala/fasthttp"
)

// The paths of the health server.
const (
	livenessPath  = "/healthz"
	readinessPath = "/ready"
)

// NewHealth returns the server of the probes: /healthz, whether the process is to be kept, and /ready, whether it is to
// get traffic. A server that drains is kept.
func NewHealth(o Options) (*Server, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	return newServer("health", o.Logger, serveEndpoints(
		endpoint{livenessPath, func(ctx *fasthttp.RequestCtx) { replyProbe(ctx, "OK", o.Alive()) }},
		endpoint{readinessPath, func(ctx *fasthttp.RequestCtx) { replyProbe(ctx, "Ready", readiness(o.State())) }},
	)), nil
}

// readiness returns why a server in that state should get no traffic, or nil.
func readiness(state adminv3.ServerInfo_State, reason string) error {
	switch {
	case state == adminv3.ServerInfo_LIVE:
		return nil
	case reason == "":
		return fmt.Errorf("not ready: %s", state)
	default:
		return fmt.Errorf("not ready: %s: %s", state, reason)
	}
}

// replyProbe answers with good, or with 503 and what is wrong.
func replyProbe(ctx *fasthttp.RequestCtx, good string, wrong error) {
	if wrong != nil {
		reply(ctx, fasthttp.StatusServiceUnavailable, plainText, visible(wrong.Error())+"\n")
		return
	}
	reply(ctx, fasthttp.StatusOK, plainText, good)
}
