package health

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const okResponse = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

// answerAll is a script that notes every request head and answers it with the same bytes.
func answerAll(response string) func(*origin, net.Conn, int) {
	return func(o *origin, c net.Conn, _ int) {
		for {
			head, err := readUntil(c, "\r\n\r\n")
			if err != nil {
				return
			}
			o.note(head)
			if _, err := c.Write([]byte(response)); err != nil {
				return
			}
		}
	}
}

// httpCheck returns a GET of / that expects 200, changed.
func httpCheck(change func(*config.HTTPHealthCheck)) *config.HealthCheck {
	check := everyKind()["HTTP/1"]
	if change != nil {
		change(check.HTTP)
	}
	return check
}

func TestHTTP1Request(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*config.HTTPHealthCheck)
		want   string
	}{
		{"plain", nil, "GET / HTTP/1.1|host: k|user-agent: Envoy/HC||"},
		{"path and host", func(c *config.HTTPHealthCheck) { c.Path, c.Host = "/health?x=1", "*" },
			"GET /health?x=1 HTTP/1.1|host: *|user-agent: Envoy/HC||"},
		{"POST without content", func(c *config.HTTPHealthCheck) { c.Method = "POST" },
			"POST / HTTP/1.1|host: k|user-agent: Envoy/HC|content-length: 0||"},
		{"POST", func(c *config.HTTPHealthCheck) { c.Method, c.Send = "POST", []byte("ping\r\n\r\n") },
			"POST / HTTP/1.1|host: k|user-agent: Envoy/HC|content-length: 8||ping||"},
		{"fields", func(c *config.HTTPHealthCheck) {
			c.Remove = []string{"user-agent", "x-none"}
			c.Headers = []config.HeaderValue{
				{Name: "a", Value: "1"}, {Name: "a", Value: "2"}, {Name: "a", Value: "3", Action: config.AddIfAbsent},
				{Name: "b", Value: "1"}, {Name: "b", Value: "2", Action: config.OverwriteIfExistsOrAdd},
				{Name: "c", Value: "1", Action: config.OverwriteIfExists}, {Name: "d", Value: "1", Action: config.AddIfAbsent},
				{Name: "e", Value: ""}, {Name: "f", Value: "", KeepEmpty: true},
			}
		}, "GET / HTTP/1.1|host: k|a: 1|a: 2|b: 2|d: 1|f: ||"},
		{"another user-agent", func(c *config.HTTPHealthCheck) {
			c.Headers = []config.HeaderValue{{Name: "user-agent", Value: "me", Action: config.OverwriteIfExists}}
		}, "GET / HTTP/1.1|host: k|user-agent: me||"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			check := httpCheck(tc.change)
			want := strings.ReplaceAll(tc.want, "|", "\r\n")
			o := newOrigin(t, func(o *origin, c net.Conn, _ int) {
				got := make([]byte, len(want))
				for n := 0; n < len(got); {
					m, err := c.Read(got[n:])
					if err != nil {
						o.note(string(got[:n]))
						return
					}
					n += m
				}
				o.note(string(got))
				_, _ = c.Write([]byte(okResponse))
			})
			wantOutcome(t, o.prober(check), passed)
			if got := strings.Join(o.notes(), "\n"); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestHTTP1Answers(t *testing.T) {
	receive := func(texts ...string) func(*config.HTTPHealthCheck) {
		return func(c *config.HTTPHealthCheck) {
			for _, text := range texts {
				c.Receive = append(c.Receive, []byte(text))
			}
		}
	}
	statuses := func(c *config.HTTPHealthCheck) {
		c.Expected = []config.StatusRange{{Start: 200, End: 202}, {Start: 300, End: 301}}
		c.Retriable = []config.StatusRange{{Start: 500, End: 600}}
	}
	huge := strings.Repeat("x", config.MaxHealthResponseBytes)
	for _, tc := range []struct {
		name     string
		change   func(*config.HTTPHealthCheck)
		response string
		want     outcome
		excluded bool
		kept     bool
	}{
		{"200", nil, okResponse, passed, false, true},
		{"204 is not 200", nil, "HTTP/1.1 204 No Content\r\n\r\n", failed, false, true},
		{"a redirect is not followed", nil, "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", failed, false, true},
		{"expected", statuses, "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n", passed, false, true},
		{"up to but not including", statuses, "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", failed, false, true},
		{"another expected", statuses, "HTTP/1.1 300 Multiple Choices\r\ncontent-length: 0\r\n\r\n", passed, false, true},
		{"retriable", statuses, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", retriable, false, true},
		{"degraded", nil, "HTTP/1.1 200 OK\r\nX-Envoy-Degraded: true\r\ncontent-length: 0\r\n\r\n", degraded, false, true},
		{"immediate failure", nil, "HTTP/1.1 503 Busy\r\nX-Envoy-Immediate-Health-Check-Fail: true\r\ncontent-length: 0\r\n\r\n", failed, true, true},
		{"no immediate failure when it passes", nil, "HTTP/1.1 200 OK\r\nx-envoy-immediate-health-check-fail: true\r\ncontent-length: 0\r\n\r\n", passed, false, true},
		{"informational first", nil, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + okResponse, passed, false, true},
		{"chunked with trailers", receive("ok"), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nx: y\r\n\r\n", passed, false, true},
		{"until the end", receive("ok"), "HTTP/1.1 200 OK\r\n\r\nok", passed, false, false},
		{"connection: close", nil, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", passed, false, false},
		{"HTTP/1.0", nil, "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", passed, false, false},
		{"more than the answer", nil, okResponse + "x", passed, false, false},
		{"HEAD", func(c *config.HTTPHealthCheck) { c.Method = "HEAD" }, "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", passed, false, true},
		{"what is expected", receive("o", "k"), okResponse, passed, false, true},
		{"what is not expected", receive("k", "o"), okResponse, failed, false, true},
		{"what is expected, with another status", receive("ok"), "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nok", failed, false, true},
		{"what is expected, beyond what is looked at", func(c *config.HTTPHealthCheck) { receive("ok")(c); c.ResponseBytes = 3 },
			"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n..ok", failed, false, true},
		{"what is expected, just there", func(c *config.HTTPHealthCheck) { receive("ok")(c); c.ResponseBytes = 4 },
			"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n..ok.", passed, false, true},
		{"what is not expected, retriable", func(c *config.HTTPHealthCheck) { receive("ok")(c); statuses(c) },
			"HTTP/1.1 503 Busy\r\nx-envoy-immediate-health-check-fail: true\r\ncontent-length: 0\r\n\r\n", failed, true, true},
		{"as much as is kept", nil, fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", len(huge), huge), passed, false, true},
		{"more than is kept", receive("x"), fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%sx", len(huge)+1, huge), passed, false, false},
		{"no HTTP", nil, "SSH-2.0-OpenSSH_9.2\r\n\r\n", networkFailure, false, false},
		{"HTTP/2", nil, "\x00\x00\x00\x04\x00\x00\x00\x00\x00", networkFailure, false, false},
		{"cut in the head", nil, "HTTP/1.1 200 OK\r\ncontent-", networkFailure, false, false},
		{"cut in the body", nil, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", networkFailure, false, false},
		{"too long a head", nil, "HTTP/1.1 200 OK\r\nx: " + huge[:maxProbeHead] + "\r\n\r\n", networkFailure, false, false},
		{"informational without end", nil, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000), networkFailure, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := newOrigin(t, func(_ *origin, c net.Conn, _ int) {
				for {
					if _, err := readUntil(c, "\r\n\r\n"); err != nil {
						return
					}
					if _, err := c.Write([]byte(tc.response)); err != nil {
						return
					}
					if !tc.kept {
						_ = c.(*net.TCPConn).CloseWrite()
					}
				}
			})
			p := o.prober(httpCheck(tc.change))
			for range 2 {
				if r := ask(t, p); r.outcome != tc.want || r.excluded != tc.excluded {
					t.Errorf("%s (%s), excluded %v, want %s, %v", r.outcome, r.why, r.excluded, tc.want, tc.excluded)
				}
			}
			want := 2
			if tc.kept {
				want = 1
			}
			o.wantConnections(want)
		})
	}
}

// TestHTTP1Split has answers come in two parts, split anywhere.
func TestHTTP1Split(t *testing.T) {
	check := httpCheck(func(c *config.HTTPHealthCheck) { c.Receive = [][]byte{[]byte("ok")} }).HTTP
	for _, response := range []string{
		"HTTP/1.1 200 OK\r\nX-Envoy-Degraded: 1\r\ncontent-length: 2\r\n\r\nok",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-Envoy-Degraded: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	} {
		for at := 1; at < len(response); at++ {
			a := overPipe(t, newHTTP1Prober(keeper{}, check, "k").speak, func(c net.Conn) {
				_, _ = readUntil(c, "\r\n\r\n")
				inTwo(c, response, at)
			})
			if a.outcome != degraded || !a.reusable {
				t.Errorf("split at %d: %s (%s), reusable %v", at, a.outcome, a.why, a.reusable)
			}
		}
	}
}

// TestHTTP1Truncated cuts an answer anywhere: nothing of it passes.
func TestHTTP1Truncated(t *testing.T) {
	for at := range okResponse {
		a := overPipe(t, newHTTP1Prober(keeper{}, httpCheck(nil).HTTP, "k").speak, func(c net.Conn) {
			_, _ = readUntil(c, "\r\n\r\n")
			_, _ = c.Write([]byte(okResponse[:at]))
			_ = c.Close()
		})
		if a.outcome != networkFailure || a.silent != (at == 0) {
			t.Errorf("cut at %d: %s (%s), silent %v", at, a.outcome, a.why, a.silent)
		}
	}
}

// TestUnsolicitedAnswer has a host say goodbye on a kept connection, as those do that give up waiting for a request: it is not the
// answer to the next probe.
func TestUnsolicitedAnswer(t *testing.T) {
	const goodbye = "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
	said, next := make(chan struct{}), make(chan struct{}, 1)
	o := newOrigin(t, func(_ *origin, c net.Conn, number int) {
		if _, err := readUntil(c, "\r\n\r\n"); err != nil {
			return
		}
		_, _ = c.Write([]byte(okResponse))
		if number > 0 {
			return
		}
		<-next // the answer has been read
		_, _ = c.Write([]byte(goodbye))
		close(said)
		_, _ = readUntil(c, "never")
	})
	p := o.prober(httpCheck(nil))
	wantOutcome(t, p, passed)
	next <- struct{}{}
	<-said
	wantOutcome(t, p, passed)
	o.wantConnections(2)
}
