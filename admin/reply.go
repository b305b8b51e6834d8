package admin

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// Media types, as Envoy writes them.
const (
	plainText = "text/plain; charset=UTF-8"
	htmlText  = "text/html; charset=UTF-8"
	jsonText  = "application/json"

	binaryData = "application/octet-stream"
)

// setHeader sets the status and the fields that every response has.
func setHeader(ctx *fasthttp.RequestCtx, status int, mediaType string) {
	ctx.SetStatusCode(status)
	h := &ctx.Response.Header
	h.SetContentType(mediaType)
	h.Set(fasthttp.HeaderCacheControl, "no-cache, max-age=0")
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
}

// reply answers a request.
func reply(ctx *fasthttp.RequestCtx, status int, mediaType, body string) {
	setHeader(ctx, status, mediaType)
	ctx.Response.SetBodyString(body)
}

// visible returns s with its control characters and what is not UTF-8 escaped, so that a name cannot make lines of its own
// in text.
func visible(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, isControl) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		c, size := utf8.DecodeRuneInString(s)
		if c == utf8.RuneError && size == 1 || isControl(c) {
			for i := range size {
				fmt.Fprintf(&b, `\x%02x`, s[i])
			}
		} else {
			b.WriteRune(c)
		}
		s = s[size:]
	}
	return b.String()
}

// isControl reports whether c is of C0 or C1, or ends lines in Unicode.
func isControl(c rune) bool {
	return c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029'
}
