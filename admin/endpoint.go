package admin

import (
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"
)

// endpoint is a path that is read only.
type endpoint struct {
	path   string
	answer fasthttp.RequestHandler
}

// serveEndpoints answers requests for one of the endpoints, and others with what there is.
func serveEndpoints(endpoints ...endpoint) fasthttp.RequestHandler {
	var paths []string
	for _, e := range endpoints {
		paths = append(paths, e.path)
	}
	notFound := fmt.Sprintf("no such path, want %s\n", strings.Join(paths, " or "))
	return func(ctx *fasthttp.RequestCtx) {
		target, _ := splitTarget(ctx.Request.Header.RequestURI())
		path := normalizePath(target)
		for _, e := range endpoints {
			if e.path != path {
				continue
			}
			if !ctx.IsGet() && !ctx.IsHead() {
				ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD")
				reply(ctx, fasthttp.StatusMethodNotAllowed, plainText, "method not allowed, want GET or HEAD\n")
				return
			}
			e.answer(ctx)
			return
		}
		reply(ctx, fasthttp.StatusNotFound, plainText, notFound)
	}
}
