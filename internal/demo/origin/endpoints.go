package origin

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// badRequest answers 400 with what would have been valid.
func badRequest(ctx *fasthttp.RequestCtx, format string, args ...any) {
	ctx.Error(fmt.Sprintf(format, args...)+"\n", fasthttp.StatusBadRequest)
}

func writeHeaders(ctx *fasthttp.RequestCtx) {
	fmt.Fprintf(ctx, "%s %s %s\n", ctx.Method(), ctx.Request.Header.RequestURI(), ctx.Request.Header.Protocol())
	for name, value := range ctx.Request.Header.All() {
		fmt.Fprintf(ctx, "%s: %s\n", name, value)
	}
}

// writeStatus answers a final status: 1xx ones are interim and would leave the client waiting.
func writeStatus(ctx *fasthttp.RequestCtx, argument string) {
	code, err := strconv.Atoi(argument)
	if err != nil || code < 200 || code > 599 {
		badRequest(ctx, "%q is not a status from 200 to 599", argument)
		return
	}
	ctx.SetStatusCode(code)
	if code != fasthttp.StatusNoContent && code != fasthttp.StatusNotModified { // which have no content, RFC 9110 sections 15.3.5 and 15.4.5
		fmt.Fprintf(ctx, "%d %s\n", code, fasthttp.StatusMessage(code))
	}
}

func (s *Server) delay(ctx *fasthttp.RequestCtx, argument string) {
	delay, err := time.ParseDuration(argument)
	if err != nil || delay < 0 || delay > MaxDelay {
		badRequest(ctx, "%q is not a delay from 0s to %s, such as 250ms", argument, MaxDelay)
		return
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		fmt.Fprintf(ctx, "%s after %s\n", s.colour, delay)
	case <-s.closing:
		ctx.Error("the origin is closing\n", fasthttp.StatusServiceUnavailable)
	}
}

func writeBytes(ctx *fasthttp.RequestCtx, argument string) {
	size, err := strconv.Atoi(argument)
	if err != nil || size < 0 || size > MaxBytes {
		badRequest(ctx, "%q is not a number of bytes from 0 to %d", argument, MaxBytes)
		return
	}
	ctx.SetContentType("application/octet-stream")
	ctx.SetBodyStream(io.LimitReader(new(alphabet), int64(size)), size)
}

// alphabet reads as a to z for ever, so that a lost or repeated piece shows.
type alphabet struct{ next byte }

func (a *alphabet) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a' + a.next
		a.next = (a.next + 1) % 26
	}
	return len(p), nil
}

func writeEcho(ctx *fasthttp.RequestCtx) {
	if contentType := ctx.Request.Header.ContentType(); len(contentType) > 0 {
		ctx.SetContentTypeBytes(contentType)
	}
	ctx.SetBody(ctx.PostBody())
}
