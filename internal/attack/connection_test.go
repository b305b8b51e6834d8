package attack

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// perConnection bounds what a connection may cost the proxy whose client has said no more than hello. Of the beginning of a
// head it may be HTTP/1, which is read by a task.
const (
	perConnection     = 16 << 10
	perHTTP1Beginning = 32 << 10
)

// idleTimeout is how long such a connection may stay.
const idleTimeout = "1s"

// TestManyConnections opens connections that do nothing.
func TestManyConnections(t *testing.T) {
	abreast(t)
	conns := count(1000, 10_000)
	for _, test := range []struct {
		name  string
		hello string
		each  int64 // bytes of memory
	}{
		{"nothing", "", perConnection},
		{"three bytes", "PRI", perHTTP1Beginning},
		{"preface", http2.ClientPreface, perConnection},
		{"preface and half of a frame", http2.ClientPreface + "\x00\x00\x00\x04", perConnection},
		{"preface and SETTINGS", http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00", perConnection},
	} {
		t.Run(test.name, func(t *testing.T) {
			abreast(t)
			g := newTarget(t, fastH2, func(s *process.Setup) {
				s.HTTP()["request_headers_timeout"] = idleTimeout
				s.HTTP()["common_http_protocol_options"] = process.Fields{"idle_timeout": idleTimeout}
			})
			g.run(attack{
				name: "connections that say " + test.name, growth: 4*mebibyte + int64(conns)*test.each,
				run: func() int {
					all := make([]*harness.H2Client, conns)
					for i := range all {
						all[i] = g.dialRaw()
						all[i].RawBytes(test.hello)
					}
					g.WaitStat("http.in.downstream_cx_active", 1) // that of the canary
					for _, c := range all {
						c.Close()
					}
					return conns
				},
			})
		})
	}
}
