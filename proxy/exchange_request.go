package proxy

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/filter"
	"github.com/penguintechinc/marchproxy-alb/proxy/http1"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// prepare takes the request through everything that comes before an upstream: the checks of the connection manager, the
// fields it sets, the route, and what the route asks for. It returns the verdict of an answer that needs no upstream.
func (x *exchange) prepare() verdict {
	m := x.manager.config
	x.grpc = x.isGRPC()
	if x.request.Version != message.HTTP2 && string(x.request.Scheme) == "https" && !x.overTLS() {
		x.refused = refusalOf(http1.ErrHTTPSInPlaintext)
		return verdictCodecError
	}
	if m.HostIsServerName && !x.isForServerName() {
		return verdictMisdirected
	}
	if v := x.checkPath(m); v != verdictNone {
		return v
	}
	x.normalizeHost(m)
	if v := x.mutateRequestFields(m); v != verdictNone {
		return v
	}
	v := x.findRoute()
	if v == verdictNone && !x.upgradeAllowed(m) {
		x.chain.http.Inc(stats.HTTPDownstreamRqWsOnNonWsRoute)
		return verdictUpgradeForbidden
	}
	x.routeVerdict = v
	if v := x.filtered(x.filters.Open); v != verdictNone || x.stage == stageFilters {
		return v
	}
	return x.afterFilters()
}

// resumeFilters goes on when a filter has had the request wait for long enough.
func (x *exchange) resumeFilters() verdict {
	x.stage = stageHost
	if v := x.filtered(x.filters.Resume); v != verdictNone {
		return v
	}
	return x.afterFilters()
}

// afterFilters does what the route asks for, once the filters have seen the request.
func (x *exchange) afterFilters() verdict {
	if x.routeVerdict != verdictNone {
		return x.routeVerdict
	}
	return x.chooseTarget()
}

// filtered passes the head through the filters, which the answer to a request without a route passes as well.
func (x *exchange) filtered(
	pass func([]*filter.Entry, *route.Route, *filter.Opening, []*stats.Block) *filter.Reply,
) verdict {
	if len(x.manager.filters) == 0 {
		return verdictNone
	}
	o := &x.worker.opening
	*o = filter.Opening{Request: &x.request, Target: x.target, Random: x.random, Process: &x.worker.server.process}
	reply := pass(x.manager.filters, x.route, o, x.counts)
	x.healthCheck = x.healthCheck || o.HealthCheck
	switch {
	case reply == nil:
		return verdictNone
	case reply.Wait > 0:
		x.flags |= FlagDelayInjected
		x.resumeAt = x.worker.loop.Now() + int64(reply.Wait)
		x.stage = stageFilters
		return verdictNone
	}
	x.filterReplied = reply
	return verdictFilterReply
}

// checkPath refuses targets that no route can match and brings the others into their one form.
func (x *exchange) checkPath(m *config.HTTPConnectionManager) verdict {
	path := x.request.Path
	if string(x.request.Method) == "CONNECT" || string(path) == "*" {
		return verdictNone
	}
	if len(path) > 0 && path[0] == '?' {
		// The target was absolute, with an empty path: that is "/" (RFC 9110 section 4.2.3).
		start := len(x.arena)
		x.arena = append(append(x.arena, '/'), path...)
		path = x.added(start)
		x.request.Path = path
	}
	if len(path) == 0 || path[0] != '/' {
		x.chain.http.Inc(stats.HTTPDownstreamRqNonRelativePath)
		return verdictNotAbsolutePath
	}
	switch x.normalizePath(m) {
	case pathRefused:
		x.chain.http.Inc(stats.HTTPDownstreamRqFailedPathNormalization)
		return verdictPathNormalizationFailed
	case pathRedirected:
		if x.grpc {
			return verdictPathNormalizationFailed
		}
		x.chain.http.Inc(stats.HTTPDownstreamRqRedirectedWithNormalizedPath)
		return verdictNormalizedPathRedirect
	}
	return verdictNone
}

// findRoute matches the request and readies the counters and limits of the route.
func (x *exchange) findRoute() verdict {
	found, ok := x.matchRoute()
	if !ok {
		x.chain.http.Inc(stats.HTTPNoRoute)
		return verdictNoRoute
	}
	return x.takeRoute(found)
}

// matchRoute finds what the routes say of the request. ok is false when that is nothing.
func (x *exchange) matchRoute() (found route.Result, ok bool) {
	if x.manager.scopes != nil {
		x.table = nil
		if i := x.manager.scopes.Find(&x.request); i >= 0 {
			x.table = x.scopes[i]
		}
	}
	if x.table == nil {
		return found, false
	}
	if !x.internal {
		x.table.StripInternalOnly(&x.request.Fields)
	}
	found = x.table.Match(&x.request, x.random, x.routeClient())
	return found, found.RedirectTLS || found.Route != nil
}

// takeRoute readies the counters and limits of the route that was found, and picks one of its clusters.
func (x *exchange) takeRoute(found route.Result) verdict {
	if found.RedirectTLS {
		return verdictTLSRequired
	}
	x.route = found.Route
	x.routeState = x.table.route(x.worker, found.Route.Index)
	if !x.routeState.allow(x.worker.loop.Now()) {
		return verdictRateLimited
	}
	x.setStatGroups(found.VirtualHost)
	if x.route.Config.Forward != nil {
		x.target = x.route.Target(&x.request, x.splitValue(), &x.named)
	}
	return verdictNone
}

// overTLS reports whether the client speaks TLS to us.
func (x *exchange) overTLS() bool { return x.conn.secure != nil }

// secure reports whether the client spoke TLS to us or to the trusted proxy before us.
func (x *exchange) secure() bool {
	proto, _ := x.request.Fields.Get(message.NameXForwardedProto)
	return string(proto) == "https"
}

// routeClient returns what routes may ask of the client.
func (x *exchange) routeClient() route.Client {
	out := route.Client{TLS: x.secure()}
	if s := x.conn.secure; s != nil {
		out.Presented, out.Validated = s.Certificate != nil, s.Validated
	}
	return out
}

// upgradeAllowed reports whether the protocol that the client wants to switch to, if any, is allowed. What the route says
// of a protocol goes before what the connection manager says.
func (x *exchange) upgradeAllowed(m *config.HTTPConnectionManager) bool {
	if !x.wantsTunnel() {
		return true
	}
	protocol := x.request.Upgrade
	if len(protocol) == 0 {
		protocol = x.request.Method // CONNECT
	}
	if f := x.route.Config.Forward; f != nil {
		if u := findUpgrade(f.Upgrades, protocol); u != nil {
			return u.Enabled
		}
	}
	u := findUpgrade(m.Upgrades, protocol)
	return u != nil && u.Enabled
}

func findUpgrade(list []config.Upgrade, name []byte) *config.Upgrade {
	for i := range list {
		if message.EqualFold(name, list[i].Type) {
			return &list[i]
		}
	}
	return nil
}

// chooseTarget takes the route's decision. For a route that forwards it makes the request what its cluster is to see.
func (x *exchange) chooseTarget() verdict {
	http := x.chain.http
	switch c := x.route.Config; {
	case c.Redirect != nil:
		http.Inc(stats.HTTPRqRedirect)
		return verdictRedirect
	case c.Direct != nil:
		http.Inc(stats.HTTPRqDirectResponse)
		return verdictDirectResponse
	}
	forward := x.route.Config.Forward
	if x.target == nil || x.target.Index < 0 {
		http.Inc(stats.HTTPNoCluster)
		return verdictNoCluster
	}
	x.routed = x.clusters[x.target.Index]
	x.cluster = x.routed
	if share := x.routed.DropOverload(); share > 0 && x.worker.random.Uint64()%config.FractionAll < uint64(share) {
		return verdictDropOverload
	}
	x.setTimeout(forward)
	x.setRetry()
	if forward.IdleTimeout != nil {
		x.streamIdle = *forward.IdleTimeout
	}
	http.Inc(stats.HTTPRqTotal)
	return x.mutateForRoute(forward)
}

// setTimeout takes the route's timeout, or the one that an internal client asks for; those of others were taken out.
func (x *exchange) setTimeout(forward *config.Forward) {
	x.timeout = forward.Timeout
	x.setGRPCTimeout(forward)
	fields := &x.request.Fields
	if !fields.HasAny(&timeoutFields) {
		return
	}
	value, _ := fields.Get(message.NameXEnvoyUpstreamRqTimeoutMs)
	if millis, ok := parseUint32(value); ok {
		x.timeout = time.Duration(millis) * time.Millisecond
	}
	if fields.Has(message.NameXEnvoyUpstreamRqTimeoutAltResponse) {
		x.timeoutStatus = 204
	}
	fields.DelSet(&timeoutFields)
}

// timeoutFields are those by which a client chooses the timeout and its answer. It is never written.
var timeoutFields = message.NewNameSet(message.NameXEnvoyUpstreamRqTimeoutMs, message.NameXEnvoyUpstreamRqTimeoutAltResponse)

// mutateForRoute applies what the route changes in the request.
func (x *exchange) mutateForRoute(forward *config.Forward) verdict {
	x.tellTimeout(x.timeout)
	x.tellGRPCTimeout(forward)
	if x.route.HasRequestMutations() {
		ctx := x.mutationContext()
		x.route.MutateRequest(&ctx, x.target, &x.arena)
	}
	x.rewriteAuthority(forward) // which may be made of the path as it came
	return x.rewritePath()
}

// rewritePath applies the route's rewrite. A path that was normalized stays so: "/" or "/files/" for the "/a" of
// "/a../secret" must not have the host go a directory up.
func (x *exchange) rewritePath() verdict {
	if len(x.request.Path) == 0 {
		return verdictNone // CONNECT
	}
	start := len(x.arena)
	arena, changed := x.route.AppendPath(x.arena, x.request.Path)
	if !changed {
		return verdictNone
	}
	if x.manager.config.NormalizePath && hasDotSegment(arena[start:]) {
		x.chain.http.Inc(stats.HTTPDownstreamRqFailedPathNormalization)
		return verdictPathNormalizationFailed
	}
	x.arena = arena
	if !x.manager.config.Router.SuppressEnvoyHeaders {
		x.request.Fields.Set(message.NameXEnvoyOriginalPath, x.request.Path)
	}
	x.request.Path = arena[start:len(arena):len(arena)]
	return verdictNone
}

// rewriteAuthority applies the host rewrites that are known before a host is picked.
func (x *exchange) rewriteAuthority(forward *config.Forward) {
	start := len(x.arena)
	arena, changed := x.route.AppendHost(x.arena, &x.request, x.target)
	if changed {
		x.arena = arena
		x.setAuthority(forward, arena[start:len(arena):len(arena)])
	}
}

// rewriteHost applies auto_host_rewrite once the host is known.
func (x *exchange) rewriteHost(h *upstream.Host) {
	if f := x.route.Config.Forward; f.AutoHostRewrite && h.Hostname != "" {
		if x.authority == nil {
			x.authority = x.request.Authority
		}
		start := len(x.arena)
		x.arena = append(x.arena, h.Hostname...)
		x.setAuthority(f, x.added(start))
	}
}

func (x *exchange) setAuthority(forward *config.Forward, host []byte) {
	if forward.AppendForwardedHost && x.attempts <= 1 {
		x.appendToList(message.NameXForwardedHost, x.request.Authority)
	}
	x.request.Authority = host
}

// mutationContext gathers what added fields may be made of.
func (x *exchange) mutationContext() route.MutationContext {
	ctx := route.MutationContext{
		Request:                &x.request,
		DownstreamRemote:       x.client(),
		DownstreamDirectRemote: x.conn.raw.RemoteAddr(),
		DownstreamLocal:        x.conn.localAddr(),
		DownstreamPath:         x.conn.path(),
		Hostname:               x.worker.server.options.Hostname,
	}
	if s := x.conn.secure; s != nil {
		ctx.DownstreamTLSVersion, ctx.DownstreamTLSCipher, ctx.RequestedServerName = s.Version, s.CipherSuite, s.ServerName
	}
	if h := x.lease.Host(); h != nil {
		ctx.UpstreamRemote, ctx.UpstreamPath = h.Addr(), h.At().Path
	}
	return ctx
}
