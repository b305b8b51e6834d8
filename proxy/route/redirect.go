package route

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// redirect is a compiled config.Redirect.
type redirect struct {
	scheme       string // empty: the request's
	host         string // empty: the request's
	port         string // ":" and digits, or empty: the host's
	path         string // empty: the request's, perhaps rewritten
	pathHasQuery bool
	stripQuery   bool
}

func newRedirect(c *config.Redirect) (redirect, error) {
	for _, part := range []string{c.Scheme, c.Host, c.Path} {
		if !validTarget(part) {
			return redirect{}, fmt.Errorf("redirect to %q: spaces and control characters are not allowed", part)
		}
	}
	d := redirect{scheme: c.Scheme, host: c.Host, stripQuery: c.StripQuery, pathHasQuery: strings.Contains(c.Path, "?")}
	if c.HTTPSRedirect && d.scheme == "" {
		d.scheme = "https"
	}
	if c.Port != 0 {
		d.port = ":" + strconv.FormatUint(uint64(c.Port), 10)
	}
	if c.Path != "" {
		d.path = withSlash(c.Path)
	}
	return d, nil
}

// AppendRedirect appends the location that a redirecting route answers with: scheme://host[:port]path[?query], each part
// from the route where it sets it, else from the request. dst comes back as it is for other routes.
//
// The request's port goes when the route sets one, and when the scheme changes and the port is the default of the scheme
// that the client used: x-forwarded-proto where present, else the request's. A query in path_redirect takes the place
// of the request's and is never stripped.
func (r *Route) AppendRedirect(dst []byte, req *message.Request) []byte {
	if r.Config.Redirect == nil {
		return dst
	}
	d := &r.redirect
	scheme := req.Scheme
	if d.scheme != "" {
		dst = append(dst, d.scheme...)
	} else {
		dst = append(dst, scheme...)
	}
	dst = append(dst, "://"...)
	switch {
	case d.host != "":
		dst = append(dst, d.host...)
	case d.port != "" || d.dropsPort(req):
		dst = append(dst, withoutPort(req.Authority)...)
	default:
		dst = append(dst, req.Authority...)
	}
	dst = append(dst, d.port...)
	return r.appendRedirectPath(dst, req.Path)
}

// dropsPort reports whether the request's port is the default of the scheme that the client used, and that scheme is
// not the location's.
func (d *redirect) dropsPort(req *message.Request) bool {
	client, ok := req.Fields.Get(message.NameXForwardedProto)
	if !ok {
		client = req.Scheme
	}
	scheme := d.scheme
	if scheme == "" && bytes.Equal(client, req.Scheme) || scheme != "" && string(client) == scheme {
		return false
	}
	colon := portStart(req.Authority)
	if colon < 0 {
		return false
	}
	port := req.Authority[colon:]
	return string(client) == "https" && string(port) == ":443" || string(client) == "http" && string(port) == ":80"
}

func (r *Route) appendRedirectPath(dst, path []byte) []byte {
	d := &r.redirect
	only, query := splitTarget(path)
	if d.path != "" {
		dst = append(dst, d.path...)
		if d.pathHasQuery {
			return dst
		}
	} else {
		start := len(dst)
		rewritten, changed := r.appendRewritten(dst, only)
		if !changed {
			rewritten = appendPathOnly(dst, only)
		}
		dst = rewritten
		// A rewrite may bring a query of its own.
		if i := bytes.IndexByte(dst[start:], '?'); i >= 0 && d.stripQuery {
			dst = dst[:start+i]
		}
	}
	if !d.stripQuery && len(only) < len(path) && path[len(only)] == '?' {
		dst = append(dst, '?')
		dst = append(dst, query...)
	}
	return dst
}

// appendPathOnly appends a path, after a slash where it has none, as "*" of OPTIONS does.
func appendPathOnly(dst, path []byte) []byte {
	if len(path) == 0 || path[0] != '/' {
		dst = append(dst, '/')
	}
	return append(dst, path...)
}

// AppendTLSRedirect appends the location of a request that must come again over TLS (Result.RedirectTLS): the same with
// the scheme https. Like Envoy it keeps the port.
func AppendTLSRedirect(dst []byte, req *message.Request) []byte {
	dst = append(dst, "https://"...)
	dst = append(dst, req.Authority...)
	return appendPathOnly(dst, req.Path)
}
