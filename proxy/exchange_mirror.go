package proxy

import (
	"slices"
	"strconv"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// mirrors returns where else the request is sent: what the target cluster says, or else the route.
func (x *exchange) mirrors() []route.Mirror {
	if own := x.clusterPolicies(); own != nil && own.Mirrors != nil {
		return own.Mirrors
	}
	return x.route.Mirrors()
}

// mirror sends the request, as its target is about to get it, to the other clusters that mirrors says. As in Envoy, what asks
// for a tunnel goes to its target alone.
func (x *exchange) mirror() {
	if x.wantsTunnel() {
		return
	}
	mirrors := x.mirrors()
	for i := range mirrors {
		m := &mirrors[i]
		if !m.Takes(x.worker.random.Uint64()) {
			continue
		}
		if k := m.Cluster(&x.request); k >= 0 {
			x.startShadow(m, x.clusters[k])
		}
	}
	if x.requestSent && len(x.shadows) > 0 { // it was, before a redirect
		x.shadowBody(x.replay, true, x.down.Trailers())
	}
}

// startShadow sends a copy of the request to one more cluster.
func (x *exchange) startShadow(m *route.Mirror, k *upstream.Cluster) {
	s := x.worker.takeShadow()
	s.cluster, s.grpc = k, x.grpc
	s.limit, s.timeout, s.idle = max(x.bodyBuffer(), 1), x.timeout, x.streamIdle
	s.arena = s.request.CloneFrom(&x.request, s.arena)
	x.shadowHead(m, s)
	if !s.request.EndStream {
		s.owner = x
	}
	if !s.start() {
		x.worker.putShadow(s)
		return
	}
	if s.owner != nil {
		x.shadows = append(x.shadows, s)
	}
}

// shadowHead makes the copy of the request's head what the mirror is to see. As with Envoy, where the shadow goes through a
// client of the proxy's own, it looks like one from inside that this machine has passed on.
func (x *exchange) shadowHead(m *route.Mirror, s *shadow) {
	fields, envoy := &s.request.Fields, !x.manager.config.Router.SuppressEnvoyHeaders
	if x.route.VirtualHost.Config.IncludeRequestAttemptCount {
		fields.Set(message.NameXEnvoyAttemptCount, valueOne)
	}
	if envoy && x.timeout > 0 {
		start := len(s.arena)
		s.arena = strconv.AppendInt(s.arena, x.timeout.Milliseconds(), 10)
		fields.Set(message.NameXEnvoyExpectedRqTimeoutMs, s.arena[start:len(s.arena):len(s.arena)])
	}
	ctx := x.mutationContext()
	ctx.Request = &s.request
	m.Mutate(&ctx, x.route, x.target, &s.arena)
	fields.Set(message.NameXEnvoyInternal, valueTrue)
	if own := x.worker.server.localAddress; own != nil {
		s.arena = appendToList(fields, message.NameXForwardedFor, own, s.arena)
	}
}

// shadowBody passes part of the body on to the shadows. Neither data nor trailers, which may be nil, are kept.
func (x *exchange) shadowBody(data []byte, done bool, trailers *message.Fields) {
	for _, s := range x.shadows {
		s.write(data, done, trailers)
	}
	if done {
		x.forgetShadows()
	}
}

// shadowsBehind reports whether no more of the body is to be read in this turn because a shadow has as much waiting as may be:
// what was written in a turn goes out at its end. One that still has it then is given up, because the client waits for no shadow.
func (x *exchange) shadowsBehind() (wait bool) {
	for i := len(x.shadows) - 1; i >= 0; i-- {
		s := x.shadows[i]
		switch {
		case s.waiting() < s.limit:
			s.behind = false
		case !s.behind:
			s.behind, wait = true, true
		default:
			x.cluster.Stats().Inc(stats.ClusterRetryOrShadowAbandoned)
			s.end(upstream.Cancelled, false)
		}
	}
	if wait {
		x.waker.Wake()
	}
	return wait
}

// cancelShadows gives up the shadows of a request that will not become whole.
func (x *exchange) cancelShadows() {
	for len(x.shadows) > 0 {
		x.shadows[len(x.shadows)-1].end(upstream.Cancelled, false)
	}
}

// forgetShadow lets go of a shadow that has ended before its request was whole.
func (x *exchange) forgetShadow(s *shadow) {
	if i := slices.Index(x.shadows, s); i >= 0 {
		x.shadows = slices.Delete(x.shadows, i, i+1)
	}
}

func (x *exchange) forgetShadows() {
	clear(x.shadows)
	x.shadows = x.shadows[:0]
}
