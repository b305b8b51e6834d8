package acceptance

import (
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// expectStats fails for each statistic that is not what it should be.
func expectStats(t *testing.T, p *harness.Proxy, want map[string]uint64) {
	t.Helper()
	for name, value := range want {
		if got := p.Stat(name); got != value {
			t.Errorf("%s is %d, want %d", name, got, value)
		}
	}
}

// TestHTTP2Statistics holds what is counted of connections and streams, while they are there and when they have gone.
func TestHTTP2Statistics(t *testing.T) {
	origin := newHandOrigin(t)
	p := h2Setup(origin.H2Origin).Start(t)
	c := p.DialH2()
	ids := ask(c, 3)
	held := origin.take(3)
	expectStats(t, p, map[string]uint64{
		"http.in.downstream_cx_http2_total": 1, "http.in.downstream_cx_http2_active": 1, "http.in.downstream_cx_http1_total": 0,
		"http.in.downstream_rq_http2_total": 3, "http.in.downstream_rq_active": 3, "http2.streams_active": 3,
		"cluster.c.upstream_cx_http2_total": 1, "cluster.c.upstream_cx_http1_total": 0, "cluster.c.upstream_cx_active": 1,
		"cluster.c.upstream_rq_active": 3, "cluster.c.http2.streams_active": 3,
	})
	for _, r := range held {
		r.peer.Respond(r.StreamID, harness.H2Response{Status: 200, Body: "hi", Trailers: harness.Fields{{Name: "x-t", Value: "1"}}})
	}
	for _, id := range ids {
		c.Response(id)
	}
	p.Sync()
	expectStats(t, p, map[string]uint64{
		"http.in.downstream_rq_2xx": 3, "http.in.downstream_rq_active": 0, "http2.streams_active": 0, "http2.trailers": 0,
		"http2.rx_reset": 0, "http2.tx_reset": 0,
		"cluster.c.upstream_rq_2xx": 3, "cluster.c.upstream_rq_active": 0, "cluster.c.http2.streams_active": 0,
		"cluster.c.http2.trailers": 3, "cluster.c.http2.rx_reset": 0, "cluster.c.http2.tx_reset": 0, "cluster.c.upstream_cx_total": 1,
	})
	c.Close()
	p.Sync()
	expectStats(t, p, map[string]uint64{
		"http.in.downstream_cx_http2_total": 1, "http.in.downstream_cx_http2_active": 0, "http.in.downstream_cx_active": 0,
		"http.in.downstream_cx_destroy": 1, "http.in.downstream_cx_destroy_remote": 1, "cluster.c.upstream_cx_active": 1,
	})
}

// TestConnectionEnds holds what is counted of who ended a connection, and of requests that were there then.
func TestConnectionEnds(t *testing.T) {
	const client, host = "http.in.downstream_cx_destroy", "cluster.c.upstream_cx_destroy"
	origin := newHandOrigin(t)
	start := func(t *testing.T) *harness.Proxy {
		s := h2Setup(origin.H2Origin)
		s.HTTP().ConnectionIdle = 10 * time.Second
		keepalive(&s.Clusters[0].HTTP2)
		return s.Start(t)
	}
	t.Run("client of HTTP/2 leaves, idle", func(t *testing.T) {
		p := start(t)
		p.DialH2().Close()
		p.Sync()
		expectStats(t, p, map[string]uint64{client: 1, client + "_remote": 1, client + "_local": 0, client + "_active_rq": 0, client + "_remote_active_rq": 0})
	})
	t.Run("client of HTTP/2 leaves, with requests", func(t *testing.T) {
		p := start(t)
		c := p.DialH2()
		ask(c, 2)
		origin.take(2)
		c.Close()
		p.Outcome()
		p.Sync()
		expectStats(t, p, map[string]uint64{client: 1, client + "_remote": 1, client + "_active_rq": 1, client + "_remote_active_rq": 1, client + "_local_active_rq": 0})
	})
	t.Run("client of HTTP/2 breaks the protocol, with requests", func(t *testing.T) {
		p := start(t)
		c := p.DialH2()
		c.Get("/")
		origin.next()
		c.Ping("")
		c.Raw(http2.FramePing, 0, 1, make([]byte, 8))
		c.ExpectEnd()
		c.Close()
		p.Sync()
		expectStats(t, p, map[string]uint64{client: 1, client + "_local": 1, client + "_remote": 0, client + "_local_active_rq": 1})
	})
	t.Run("client of HTTP/2 is idle for too long", func(t *testing.T) {
		p := start(t)
		c := p.DialH2()
		p.Advance(11 * time.Second)
		c.ExpectEnd()
		c.Close()
		p.Sync()
		expectStats(t, p, map[string]uint64{client: 1, client + "_local": 1, client + "_active_rq": 0})
	})
	t.Run("client of HTTP/1 leaves, idle", func(t *testing.T) {
		p := start(t)
		p.Dial().Close()
		p.Sync()
		expectStats(t, p, map[string]uint64{client: 1, client + "_remote": 1, client + "_active_rq": 0})
	})
	t.Run("client of HTTP/1 leaves, with a request", func(t *testing.T) {
		p := start(t)
		c := p.Dial()
		c.Send(harness.Get("/"))
		origin.next()
		c.Close()
		p.Outcome()
		p.Sync()
		expectStats(t, p, map[string]uint64{client: 1, client + "_remote": 1, client + "_active_rq": 1, client + "_remote_active_rq": 1})
	})
	t.Run("client of HTTP/1 is idle for too long", func(t *testing.T) {
		p := start(t)
		c := p.Dial()
		p.Sync()
		p.Advance(11 * time.Second)
		c.ExpectClosed()
		c.Close()
		p.Sync()
		expectStats(t, p, map[string]uint64{client: 1, client + "_local": 1})
	})
	t.Run("host closes, with requests", func(t *testing.T) {
		p := start(t)
		c := p.DialH2()
		ids := ask(c, 2)
		origin.take(2)[0].peer.Close()
		for _, id := range ids {
			c.Response(id)
		}
		p.Sync()
		expectStats(t, p, map[string]uint64{host: 1, host + "_remote": 1, host + "_with_active_rq": 1, host + "_remote_with_active_rq": 1, host + "_local_with_active_rq": 0})
	})
	t.Run("host closes, idle", func(t *testing.T) {
		p := start(t)
		c := p.DialH2()
		id := c.Get("/")
		r := origin.next()
		r.answer()
		c.Response(id)
		r.peer.Close()
		for p.ClusterStat("upstream_cx_active") > 0 {
			p.Sync()
		}
		expectStats(t, p, map[string]uint64{host: 1, host + "_remote": 1, host + "_with_active_rq": 0})
	})
	t.Run("host breaks the protocol, with a request", func(t *testing.T) {
		p := start(t)
		c := p.DialH2()
		id := c.Get("/")
		origin.next().peer.Raw(http2.FramePing, 0, 1, make([]byte, 8))
		c.Response(id)
		p.Sync()
		expectStats(t, p, map[string]uint64{host: 1, host + "_local": 1, host + "_with_active_rq": 1, host + "_local_with_active_rq": 1})
	})
}

// TestCodecType holds which protocol a listener takes a connection for.
func TestCodecType(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	start := func(t *testing.T, codec config.Codec) *harness.Proxy {
		s := harness.NewSetup(origin.Addr())
		s.HTTP().Codec = codec
		return s.Start(t)
	}
	t.Run("AUTO", func(t *testing.T) {
		p := start(t, config.CodecAuto)
		p.DialH2().RoundTrip()
		p.Dial().Get("/")
		expectStats(t, p, map[string]uint64{"http.in.downstream_cx_http2_total": 1, "http.in.downstream_cx_http1_total": 1})
	})
	t.Run("HTTP1", func(t *testing.T) {
		p := start(t, config.CodecHTTP1)
		c := p.Dial()
		c.Send(http2.ClientPreface)
		if r := c.ReadResponse("PRI"); r.Status != 400 {
			t.Errorf("got %q", r.Raw)
		}
	})
	t.Run("HTTP2", func(t *testing.T) {
		p := start(t, config.CodecHTTP2)
		p.DialH2().RoundTrip()
		c := p.DialH2Raw()
		c.RawBytes(harness.Get("/"))
		c.ExpectSettings()
		c.ExpectGoAway(http2.ErrCodeProtocol)
		c.ExpectEnd()
		expectStats(t, p, map[string]uint64{
			"http.in.downstream_cx_http2_total": 2, "http.in.downstream_cx_http1_total": 0, "http.in.downstream_cx_protocol_error": 1,
		})
	})
}
