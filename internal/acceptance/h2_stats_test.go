package acceptance

import (
	"testing"

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

// heldHTTP2 is a script that takes so many requests, and answers all of them when it is let go.
func heldHTTP2(requests int, letGo <-chan struct{}, r harness.H2Response) func(*harness.H2Peer) {
	return func(p *harness.H2Peer) {
		var ids []uint32
		for range requests {
			req, ok := p.ReadRequest()
			if !ok {
				return
			}
			ids = append(ids, req.StreamID)
		}
		if !p.Wait(letGo) {
			return
		}
		for _, id := range ids {
			p.Respond(id, r)
		}
		p.Drain()
	}
}

// TestHTTP2Statistics holds what is counted of connections and streams, while they are there and when they have gone.
func TestHTTP2Statistics(t *testing.T) {
	answer := make(chan struct{})
	origin := harness.NewH2Origin(t, heldHTTP2(3, answer, harness.H2Response{Status: 200, Body: "hi", Trailers: harness.Fields{{Name: "x-t", Value: "1"}}}))
	p := toH2(origin).Start(t)
	c := p.DialH2()
	var ids []uint32
	for range 3 {
		ids = append(ids, c.Get("/"))
	}
	origin.WaitCounts("three requests", func(n harness.H2Counts) bool { return n.InFlight == 3 })
	expectStats(t, p, map[string]uint64{
		"http.in.downstream_cx_http2_total": 1, "http.in.downstream_cx_http2_active": 1, "http.in.downstream_cx_http1_total": 0,
		"http.in.downstream_rq_http2_total": 3, "http.in.downstream_rq_active": 3, "http2.streams_active": 3,
		"cluster.c.upstream_cx_http2_total": 1, "cluster.c.upstream_cx_http1_total": 0, "cluster.c.upstream_cx_active": 1,
		"cluster.c.upstream_rq_active": 3, "cluster.c.http2.streams_active": 3,
	})
	close(answer)
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
