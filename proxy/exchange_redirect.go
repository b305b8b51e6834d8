package proxy

import (
	"bytes"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// followsRedirects reports whether the route has redirects in responses followed here, for which the request body is kept.
func (x *exchange) followsRedirects() bool { return x.route.InternalRedirect() != nil }

// followRedirect follows the response at hand if it is a redirect that the route says the proxy is to follow, as if the client had
// done so: the request is routed anew within the exchange. followed is false when the response is for the client.
func (x *exchange) followRedirect() (followed bool, v verdict) {
	p := x.route.InternalRedirect()
	if p == nil || !p.Takes(x.response.Status) {
		return false, verdictNone
	}
	was, k := x.request, x.cluster.Stats()
	found, ok := x.findRedirected(p)
	if !ok {
		k.Inc(stats.ClusterUpstreamInternalRedirectFailedTotal)
		return false, verdictNone
	}
	k.Inc(stats.ClusterUpstreamInternalRedirectSucceededTotal)
	x.tellHop(&was)
	x.endHop()
	x.stage = stageHost
	x.routeVerdict = x.takeRoute(found)
	if v := x.filtered(x.filters.Open); v != verdictNone || x.stage == stageFilters {
		return true, v
	}
	return true, x.afterFilters()
}

// findRedirected makes the request one to where the response leads, and finds its route. If that is not to be, the request is as it
// was.
func (x *exchange) findRedirected(p *route.InternalRedirect) (found route.Result, ok bool) {
	http := x.chain.http
	if !x.requestSent || x.bodySent && !x.replayable || x.wantsTunnel() || !x.filters.LeavesBodies() {
		return found, false // it cannot be sent again as it came
	}
	location, told := x.response.Fields.Get(message.NameLocation)
	if !told {
		return found, false
	}
	req := &x.request
	was, table, https := *req, x.table, string(req.Scheme) == "https"
	target, ok := x.parseLocation(location)
	if !ok {
		http.Inc(stats.HTTPPassthroughInternalRedirectBadLocation)
		return found, false
	}
	switch {
	case https != target.https && !p.AllowCrossScheme:
		http.Inc(stats.HTTPPassthroughInternalRedirectUnsafeScheme)
		return found, false
	case uint32(len(x.redirects)) >= p.Max:
		http.Inc(stats.HTTPPassthroughInternalRedirectTooManyRedirects)
		return found, false
	}
	target.apply(req)
	if p.Copies() {
		x.worker.fields.CopyFrom(&was.Fields)
		x.arena = p.CopyFields(&req.Fields, &x.response.Fields, x.arena)
	}
	found, ok = x.allowedRedirect(p, https, target.https)
	if !ok {
		aim(req, &was)
		x.table = table
		if p.Copies() {
			req.Fields.CopyFrom(&x.worker.fields)
		}
		return found, false
	}
	x.tellOriginalURL(&was)
	if x.response.Status == 303 && string(req.Method) != "GET" && string(req.Method) != "HEAD" {
		x.dropBody()
	}
	return found, true
}

// allowedRedirect finds the route of the request, which is one to where the response leads, if it may be followed there.
func (x *exchange) allowedRedirect(p *route.InternalRedirect, https, toHTTPS bool) (found route.Result, ok bool) {
	http, m := x.chain.http, x.manager.config
	if r := x.normalizePath(m); r == pathRefused || r == pathRedirected {
		http.Inc(stats.HTTPPassthroughInternalRedirectBadLocation)
		return found, false
	}
	x.normalizeHost(m)
	if found, ok = x.matchRoute(); !ok {
		http.Inc(stats.HTTPPassthroughInternalRedirectNoRoute)
		return found, false
	}
	if found.Route == nil {
		return found, true // over TLS, which the client is told
	}
	r := x.route.Redirect(found.Route)
	if !p.Allows(r, x.redirects, https, toHTTPS) {
		http.Inc(stats.HTTPPassthroughInternalRedirectPredicate)
		return found, false
	}
	x.redirects = append(x.redirects, r)
	return found, true
}

// aim has r go where another request goes.
func aim(r, as *message.Request) {
	r.Method, r.Scheme, r.Authority, r.Path = as.Method, as.Scheme, as.Authority, as.Path
}

// tellHop counts the part of the exchange that has led to a redirect, and tells of it, as if it had been a request of its own. was is
// the request as it went out.
func (x *exchange) tellHop(was *message.Request) {
	http, micros := x.chain.http, uint64(x.worker.loop.Now()-x.started)/uint64(time.Microsecond)
	next := x.request
	aim(&x.request, was)
	x.details = "internal_redirect"
	http.Record(stats.HTTPDownstreamRqTime, micros)
	x.countRoute(micros, x.response.Status)
	x.tellEnd(x.response.Status)
	aim(&x.request, &next)
	http.Inc(stats.HTTPDownstreamRqTotal)
	http.Inc(x.conn.protocol.rqTotal)
}

// endHop leaves the host that has redirected the request, and readies the exchange for the next: the body is there, and its time
// begins anew.
func (x *exchange) endHop() {
	x.releaseRetry()
	x.cancelRivals()
	x.leaveHost(upstream.Success, x.response.EndStream)
	x.filters.Close()
	clear(x.tried)
	x.tried = x.tried[:0]
	x.retry, x.hash, x.overrides = retry{}, route.Hash{}, 0
	x.route, x.routeState, x.target, x.virtualCluster, x.grouped = nil, nil, nil, nil, false
	x.attempts, x.resent = 0, false
	x.flags, x.details = 0, ""
	x.timeout, x.timeoutStatus = 0, 0
	x.streamIdle, x.maxDuration = x.manager.config.StreamIdle, x.manager.config.MaxStreamDuration
	x.requestEnd = x.worker.loop.Now()
	x.lastActivity = x.requestEnd
}

// dropBody makes the request a GET, which is what a 303 asks for (RFC 9110 section 15.4.4).
func (x *exchange) dropBody() {
	req := &x.request
	req.Method, req.EndStream, req.ContentLength = methodGet, true, 0
	req.Fields.Del(message.NameContentLength)
	x.replay, x.bodySent = x.replay[:0], false
}

// tellOriginalURL tells the next host where the request was to go before.
func (x *exchange) tellOriginalURL(was *message.Request) {
	start := len(x.arena)
	x.arena = append(x.arena, was.Scheme...)
	x.arena = append(x.arena, "://"...)
	x.arena = append(x.arena, was.Authority...)
	x.arena = append(x.arena, was.Path...)
	x.request.Fields.Set(message.NameXEnvoyOriginalURL, x.added(start))
}

// location is where a redirect leads.
type location struct {
	https           bool
	authority, path []byte
}

// parseLocation returns where a redirect leads, in the arena. As in Envoy that must be an absolute URL. The fragment is for who shows
// the answer (RFC 9110 section 10.2.2).
func (x *exchange) parseLocation(value []byte) (l location, ok bool) {
	rest, l := value, location{}
	switch {
	case len(rest) > 7 && message.EqualFold(rest[:7], "http://"):
		rest = rest[7:]
	case len(rest) > 8 && message.EqualFold(rest[:8], "https://"):
		l.https, rest = true, rest[8:]
	default:
		return l, false
	}
	if i := bytes.IndexByte(rest, '#'); i >= 0 {
		rest = rest[:i]
	}
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if !message.ValidAuthority(rest[:end], false) || !visible(rest[end:]) {
		return l, false
	}
	l.authority = x.arenaBytes(rest[:end])
	start := len(x.arena)
	if path := rest[end:]; len(path) == 0 || path[0] != '/' {
		x.arena = append(x.arena, '/')
	}
	x.arena = append(x.arena, rest[end:]...)
	l.path = x.added(start)
	return l, true
}

// visible reports whether b has nothing but characters that a request's target may have, and some that it should not.
func visible(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// apply makes r a request to l.
func (l location) apply(r *message.Request) {
	r.Scheme, r.Authority, r.Path = valueHTTP, l.authority, l.path
	if l.https {
		r.Scheme = valueHTTPS
	}
}
