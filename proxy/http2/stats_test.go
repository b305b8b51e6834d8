package http2

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// statistics returns those of the codec that are not zero, as text.
func (r *rig) statistics() string {
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	values := make(map[string]uint64)
	for sample := range r.store.Snapshot(ctx).All() {
		if name, ours := strings.CutPrefix(sample.Name, "http2."); ours && sample.Value != 0 {
			values[name] = sample.Value
		}
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list = append(list, fmt.Sprintf("%s=%d", name, values[name]))
	}
	return strings.Join(list, " ")
}

// TestStatistics counts what happens, and nothing else.
func TestStatistics(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(s *testServer, p *peer)
		want string
	}{
		{"an exchange", func(s *testServer, p *peer) { s.answerAll("x"); p.get(1) }, ""},
		{"an open stream", func(_ *testServer, p *peer) { p.post(1) }, "streams_active=1"},
		{"trailers", func(s *testServer, p *peer) { s.answerAll("x"); p.post(1).headers(1, endStream, "x", "y") }, "trailers=1"},
		{"reset by the client", func(_ *testServer, p *peer) { p.post(1).reset(1, http2.ErrCodeCancel) }, "rx_reset=1"},
		{"reset of a stream that has ended", func(s *testServer, p *peer) {
			s.answerAll("x")
			p.get(1).turn()
			p.reset(1, http2.ErrCodeCancel)
		}, ""},
		{"mistake on a stream", func(_ *testServer, p *peer) { p.post(1).windowUpdate(1, 0) }, "tx_reset=1"},
		{"malformed message", func(_ *testServer, p *peer) { p.headers(1, endStream, "x", "y") }, "rx_messaging_error=1 tx_reset=1"},
		{"refused stream", func(_ *testServer, p *peer) { p.post(1).post(3).get(5) }, "stream_refused_errors=1 streams_active=2 tx_reset=1"},
		{"mistake of the connection", func(_ *testServer, p *peer) { p.post(1).data(0, 0, "x") }, "goaway_sent=1"},
		{"head that is too large", func(_ *testServer, p *peer) {
			p.headers(1, endStream, with(getFields, "x", strings.Repeat("y", 2000))...)
		},
			"header_overflow=1"},
		{"waiting bytes", func(s *testServer, p *peer) {
			s.answerAll("0123456789")
			p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3}).get(1)
		}, "pending_send_bytes=7 streams_active=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions()
			o.MaxStreams, o.HeaderBytes = 2, 1000
			s, p := newServer(t, o)
			c.play(s, p)
			p.finish(&s.conn)
			if got := p.r.statistics(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
