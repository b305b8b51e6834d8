package health

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

func tcpCheck(send string, receive ...string) *config.HealthCheck {
	check := &config.HealthCheck{Timeout: guard, ReuseConnection: true, TCP: &config.TCPHealthCheck{Send: []byte(send)}}
	for _, r := range receive {
		check.TCP.Receive = append(check.TCP.Receive, []byte(r))
	}
	return check
}

// TestConnectIsEnough holds that a host without anything to say passes, and that the connection is made anew each time.
func TestConnectIsEnough(t *testing.T) {
	const probes = 3
	accepted := make(chan struct{}, probes)
	o := newOrigin(t, func(_ *origin, c net.Conn, _ int) {
		accepted <- struct{}{}
		_, _ = readUntil(c, "never")
	})
	p := o.prober(tcpCheck(""))
	for range probes {
		wantOutcome(t, p, passed)
	}
	for range probes {
		select {
		case <-accepted: // which may be after the probe
		case <-time.After(guard):
			t.Fatal("a connection is missing")
		}
	}
}

func TestFound(t *testing.T) {
	for _, tc := range []struct {
		segments, data string
		want           bool
	}{
		{"a", "a", true},
		{"a b", "a..b", true},
		{"a b", "ab", true},
		{"a b", "ba", false},
		{"a a", "a", false},
		{"aa ab", "aab", false}, // each byte is of one segment
		{"", "", true},
		{"a", "", false},
	} {
		var segments [][]byte
		for _, s := range strings.Fields(tc.segments) {
			segments = append(segments, []byte(s))
		}
		if got := found(segments, []byte(tc.data)); got != tc.want {
			t.Errorf("%q in %q: %v, want %v", tc.segments, tc.data, got, tc.want)
		}
	}
}

// TestReceiveSplit has what is expected come in two parts, split anywhere, with something around it.
func TestReceiveSplit(t *testing.T) {
	const answer = "...po..ng"
	for at := 1; at < len(answer); at++ {
		p := &tcpProber{check: tcpCheck("ping", "po", "ng").TCP}
		got := ""
		a := overPipe(t, p.speak, func(c net.Conn) {
			got, _ = readUntil(c, "ping")
			inTwo(c, answer, at)
		})
		if a.outcome != passed || !a.reusable || got != "ping" {
			t.Errorf("split at %d: %s (%s), reusable %v; the host got %q", at, a.outcome, a.why, a.reusable, got)
		}
	}
}

func TestReceiveFails(t *testing.T) {
	for name, tc := range map[string]struct{ answer, why string }{
		"wrong bytes, then the end": {"pong", "receive, after 4 bytes: EOF"},
		"nothing, then the end":     {"", "receive, after 0 bytes: EOF"},
		"too many bytes":            {strings.Repeat("x", config.MaxHealthResponseBytes+1), errTooMuch.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, func(_ *origin, c net.Conn, _ int) {
				if _, err := readUntil(c, "ping"); err != nil {
					return
				}
				_, _ = c.Write([]byte(tc.answer))
				_ = c.(*net.TCPConn).CloseWrite()
				_, _ = readUntil(c, "never")
			})
			if why := wantOutcome(t, o.prober(tcpCheck("ping", "hello")), networkFailure); why != tc.why {
				t.Errorf("why: %q, want %q", why, tc.why)
			}
			o.wantConnections(1)
		})
	}
}

// TestConnectionReuse holds when a connection is kept, and that one which the host has closed meanwhile is no failure.
func TestConnectionReuse(t *testing.T) {
	pong := func(times int) func(*origin, net.Conn, int) {
		return func(_ *origin, c net.Conn, _ int) {
			for range times {
				if _, err := readUntil(c, "ping"); err != nil {
					return
				}
				if _, err := c.Write([]byte("pong")); err != nil {
					return
				}
			}
		}
	}
	for _, tc := range []struct {
		name        string
		reuse       bool
		serves      int // probes per connection
		connections int // of 6 probes
	}{
		{"kept", true, 100, 1},
		{"not kept", false, 100, 6},
		{"closed by the host after each", true, 1, 6},
		{"closed by the host after two", true, 2, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := newOrigin(t, pong(tc.serves))
			check := tcpCheck("ping", "pong")
			check.ReuseConnection = tc.reuse
			p := o.prober(check)
			for range 6 {
				wantOutcome(t, p, passed)
			}
			o.wantConnections(tc.connections)
		})
	}
}
