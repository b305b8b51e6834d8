package route

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// rewriter is a prefix_rewrite or a regex_rewrite; the zero value rewrites nothing.
type rewriter struct {
	prefix   string // begins with "/"
	regex    *regexp.Regexp
	template []byte
}

func newRewriter(prefix string, regex *config.Rewrite) (rewriter, error) {
	var w rewriter
	switch {
	case prefix != "" && regex != nil:
		return w, errors.New("both prefix_rewrite and regex_rewrite are set, want one")
	case prefix != "":
		w.prefix = withSlash(prefix)
	case regex != nil && regex.Pattern == nil:
		return w, errors.New("regex_rewrite without a regular expression")
	case regex != nil:
		w.regex, w.template = regex.Pattern, []byte(regex.Substitution)
	}
	for _, part := range []string{w.prefix, string(w.template)} {
		if !validTarget(part) {
			return w, fmt.Errorf("rewrite to %q: spaces and control characters are not allowed in a path", part)
		}
	}
	return w, nil
}

// validTarget reports whether s may stand in the target of a request: a space or a line break would end it and begin
// something else.
func validTarget(s string) bool {
	return validValue(s) && !strings.ContainsAny(s, " \t")
}

// withSlash puts a slash before a path that has none: without it the target of the rewritten request would be no valid
// one (RFC 9112 section 3.2.1).
func withSlash(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

// AppendPath appends what the upstream is asked for in place of path, the path and query of the request: with
// prefix_rewrite the part that the route matched is replaced as it stands ("/foo/" by "/" makes "/bar" of "/foo/bar", but
// "/foo" by "/" makes "//bar"), with regex_rewrite every match in the whole path. The query is kept. changed is false,
// and dst comes back as it is, where nothing is rewritten: the route says so, a regex_rewrite leaves nothing, or path is
// no longer one that the route matches.
//
// A regex_rewrite allocates what package regexp does for it; prefix_rewrite does not allocate beyond dst.
func (r *Route) AppendPath(dst, path []byte) (result []byte, changed bool) {
	if r.Config.Forward == nil {
		return dst, false
	}
	return r.appendRewritten(dst, path)
}

func (r *Route) appendRewritten(dst, path []byte) (result []byte, changed bool) {
	w := &r.rewrite
	switch only, _ := splitTarget(path); {
	case w.prefix != "":
		if !r.path.match(only) {
			return dst, false
		}
		dst = append(dst, w.prefix...)
		return append(dst, path[r.path.matchedLength(only):]...), true
	case w.regex != nil:
		rewritten := w.regex.ReplaceAll(only, w.template)
		if len(rewritten) == 0 {
			return dst, false
		}
		if rewritten[0] != '/' {
			dst = append(dst, '/')
		}
		dst = append(dst, rewritten...)
		return append(dst, path[len(only):]...), true
	default:
		return dst, false
	}
}

// AppendHost appends the host to send to the target in place of the request's: host_rewrite_literal or, where the request
// has that field, host_rewrite_header of the route, or what host_rewrite_path_regex makes of a path that it matches, else the rewrite of the target itself, which Envoy applies before the
// route's. changed is false when the host stays as it is or, with AutoHostRewrite, becomes the name of the upstream host,
// which the caller knows. target may be nil.
func (r *Route) AppendHost(dst []byte, req *message.Request, target *Target) (result []byte, changed bool) {
	forward := r.Config.Forward
	if forward == nil {
		return dst, false
	}
	if forward.HostRewrite != "" {
		return append(dst, forward.HostRewrite...), true
	}
	if r.hostField.name != nil {
		if value, _ := r.hostField.values(req); len(value) > 0 {
			return append(dst, value...), true
		}
	}
	if w := forward.HostRewritePath; w != nil {
		if host := hostOfPath(w, req.Path); host != nil {
			return append(dst, host...), true
		}
	}
	if target != nil && target.Config.HostRewrite != "" {
		return append(dst, target.Config.HostRewrite...), true
	}
	return dst, false
}

// hostOfPath returns what a rewrite makes of the path without query, nil when it does not match or makes no host.
func hostOfPath(w *config.Rewrite, path []byte) []byte {
	only, _ := splitTarget(path)
	if !w.Pattern.Match(only) {
		return nil
	}
	host := w.Pattern.ReplaceAll(only, []byte(w.Substitution))
	if len(host) == 0 || !message.ValidAuthority(host, false) {
		return nil
	}
	return host
}
