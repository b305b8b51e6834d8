package admin

import (
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// adminPrefix is where the administration interface counts its own traffic, apart from that of the listeners.
const adminPrefix = "http.admin."

// traffic counts the connections and requests of the administration interface.
type traffic struct {
	now                          func() time.Time
	http, listener, listenerHTTP *stats.Scope
}

func newTraffic(s *stats.Store, now func() time.Time) *traffic {
	return &traffic{
		now:          now,
		http:         s.Scope(adminPrefix, stats.HTTP),
		listener:     s.Scope("listener.admin.", stats.Listener),
		listenerHTTP: s.Scope("listener.admin.http.admin.", stats.ListenerHTTP),
	}
}

// watch has t count what goes through s, which does not serve yet.
func (t *traffic) watch(s *fasthttp.Server) {
	handle := s.Handler
	s.ConnState = t.connection
	s.Handler = func(ctx *fasthttp.RequestCtx) {
		start := t.now()
		t.begin()
		handle(ctx)
		t.end(ctx.Response.StatusCode(), t.now().Sub(start))
	}
}

// connection is fasthttp.Server.ConnState.
func (t *traffic) connection(_ net.Conn, state fasthttp.ConnState) {
	switch state {
	case fasthttp.StateNew:
		t.http.Inc(stats.HTTPDownstreamCxTotal)
		t.http.Inc(stats.HTTPDownstreamCxHTTP1Total)
		t.http.Inc(stats.HTTPDownstreamCxActive)
		t.http.Inc(stats.HTTPDownstreamCxHTTP1Active)
		t.listener.Inc(stats.ListenerDownstreamCxTotal)
		t.listener.Inc(stats.ListenerDownstreamCxActive)
	case fasthttp.StateClosed:
		t.http.Inc(stats.HTTPDownstreamCxDestroy)
		t.http.Dec(stats.HTTPDownstreamCxActive)
		t.http.Dec(stats.HTTPDownstreamCxHTTP1Active)
		t.listener.Inc(stats.ListenerDownstreamCxDestroy)
		t.listener.Dec(stats.ListenerDownstreamCxActive)
	}
}

func (t *traffic) begin() {
	t.http.Inc(stats.HTTPDownstreamRqTotal)
	t.http.Inc(stats.HTTPDownstreamRqHTTP1Total)
	t.http.Inc(stats.HTTPDownstreamRqActive)
}

func (t *traffic) end(status int, took time.Duration) {
	t.http.Dec(stats.HTTPDownstreamRqActive)
	t.http.IncStatus(status)
	t.http.Record(stats.HTTPDownstreamRqTime, uint64(max(took, 0).Microseconds()))
	t.listenerHTTP.IncStatus(status)
}
