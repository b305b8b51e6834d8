package bench

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// mirrored is what the mirror shows of a request that a proxy has done its work on.
const mirrored = `GET /16 HTTP/2.0
content-type: application/grpc
host: origin
te: trailers
x-bench-request: added
x-forwarded-for: 127.0.0.1
x-forwarded-proto: http
x-request-id: 1
`

func callScenario() Scenario {
	return Scenario{
		Traffic: peer.Traffic{Downstream: peer.HTTP2, Upstream: peer.HTTP2, AddHeaders: true, GRPC: true},
		Path:    "/16", Body: len(mirrored),
	}
}

func goodAnswer() load.Answer {
	return load.Answer{
		Status: 200, Body: []byte(mirrored),
		Header: http.Header{"X-Bench-Response": {"added"}}, Trailer: http.Header{"Grpc-Status": {"0"}},
	}
}

func TestCheckWork(t *testing.T) {
	if err := callScenario().checkWork(goodAnswer()); err != nil {
		t.Error(err)
	}
	for _, field := range []string{"content-type: ", "te: ", "x-bench-request: ", "x-forwarded-for: ", "x-forwarded-proto: ", "x-request-id: "} {
		name := strings.TrimSuffix(field, ": ")
		for what, text := range map[string]string{
			"missing": strings.Replace(mirrored, "\n"+field, "\nx-other: ", 1),
			"twice":   mirrored + strings.Split(mirrored[strings.Index(mirrored, "\n"+field)+1:], "\n")[0] + "\n",
		} {
			answer := goodAnswer()
			answer.Body = []byte(text)
			if err := callScenario().checkWork(answer); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %s: got %v", name, what, err)
			}
		}
	}
	secure := callScenario()
	secure.Traffic.TLS = true
	if err := secure.checkWork(goodAnswer()); err == nil || !strings.Contains(err.Error(), "x-forwarded-proto") {
		t.Errorf("http where clients speak https: got %v", err)
	}
	answer := goodAnswer()
	answer.Body = []byte(strings.Replace(mirrored, "HTTP/2.0", "HTTP/1.1", 1))
	if err := callScenario().checkWork(answer); err == nil {
		t.Error("HTTP/1.1 to the origin: want an error")
	}
}

func TestCheckAnswer(t *testing.T) {
	if err := callScenario().checkAnswer(goodAnswer()); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*load.Answer){
		"short":              func(a *load.Answer) { a.Body = a.Body[1:] },
		"no response header": func(a *load.Answer) { a.Header = nil },
		"two of them":        func(a *load.Answer) { a.Header.Add(peer.ResponseHeader, peer.HeaderValue) },
		"another value":      func(a *load.Answer) { a.Header.Set(peer.ResponseHeader, "x") },
		"no trailers":        func(a *load.Answer) { a.Trailer = nil },
		"TLS":                func(a *load.Answer) { a.TLS = "TLS 1.3" },
		"a gRPC error":       func(a *load.Answer) { a.Trailer.Set("Grpc-Status", "14") },
	} {
		answer := goodAnswer()
		change(&answer)
		if err := callScenario().checkAnswer(answer); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	secure, answer := callScenario(), goodAnswer()
	secure.Traffic.TLS, answer.TLS = true, "TLS 1.3, TLS_AES_128_GCM_SHA256, X25519"
	if err := secure.checkAnswer(answer); err != nil {
		t.Error(err)
	}
	for _, other := range []string{"", "TLS 1.2, TLS_AES_128_GCM_SHA256, X25519", "TLS 1.3, TLS_AES_256_GCM_SHA384, X25519"} {
		if answer.TLS = other; secure.checkAnswer(answer) == nil {
			t.Errorf("%q: want an error", other)
		}
	}
	plain := Scenario{Path: "/16", Body: 2}
	answer = load.Answer{Status: 200, Body: []byte("ok"), Header: http.Header{"Content-Length": {"2"}}}
	if err := plain.checkAnswer(answer); err != nil {
		t.Error(err)
	}
	answer.Header = nil
	if err := plain.checkAnswer(answer); err == nil {
		t.Error("HTTP/1.1 without content-length: want an error")
	}
}

func TestCheckLoad(t *testing.T) {
	http2 := Scenario{Traffic: peer.Traffic{Downstream: peer.HTTP2}, Body: 16}
	full := Scenario{Traffic: peer.Traffic{TLS: true}, Connections: 2, NewConnections: true}
	resumed := full
	resumed.Resume = true
	for _, test := range []struct {
		name   string
		s      Scenario
		result load.Result
		ok     bool
	}{
		{"whole", http2, load.Result{Requests: 2, Bytes: 32}, true},
		{"an answer without a message", http2, load.Result{Requests: 2, Bytes: 16}, false},
		{"failures, which are told anyway", http2, load.Result{Requests: 1, Bytes: 1, Errors: load.Errors{Read: 1}}, true},
		{"nothing", http2, load.Result{Errors: load.Errors{Read: 1}}, false},
		{"full handshakes", full, load.Result{Requests: 9}, true},
		{"one that is not", full, load.Result{Requests: 9, Resumed: 1}, false},
		{"resumed handshakes", resumed, load.Result{Requests: 9, Resumed: 7}, true},
		{"one that is not", resumed, load.Result{Requests: 9, Resumed: 6}, false},
		{"one after a failure", resumed, load.Result{Requests: 9, Resumed: 6, Errors: load.Errors{Read: 1}}, true},
		{"bytes of wrk", Scenario{Body: 16}, load.Result{Requests: 2, Bytes: 300}, true},
	} {
		if err := test.s.checkLoad(test.result); (err == nil) != test.ok {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}

// TestMissing is about machines without nghttpd: goals of scenarios that are left out are not measured.
func TestMissing(t *testing.T) {
	two, one := Scenario{Traffic: peer.Traffic{Upstream: peer.HTTP2}}, Scenario{Traffic: peer.Traffic{Upstream: peer.HTTP1}}
	if l := (&lab{}); l.missing(one) != "" || !strings.Contains(l.missing(two), "no nghttpd") {
		t.Errorf("%q and %q", l.missing(one), l.missing(two))
	}
	if l := (&lab{nghttpd: "/bin/nghttpd"}); l.missing(two) != "" {
		t.Errorf("with nghttpd %q", l.missing(two))
	}
}

func TestGenerators(t *testing.T) {
	there := func(name Generator) generator { return generator{name: name, path: "/bin/x"} }
	all := generators{there(Own), there(Wrk), there(H2load)}
	none := generators{own: there(Own)}
	h2 := Scenario{Traffic: peer.Traffic{Downstream: peer.HTTP2}}
	for _, test := range []struct {
		name        string
		s           Scenario
		asked       Generator
		want, check Generator
	}{
		{"HTTP/1.1", Scenario{}, Auto, Wrk, Own},
		{"HTTP/1.1 by the lab", Scenario{}, Own, Own, Wrk},
		{"HTTP/2", h2, Auto, H2load, Own},
		{"HTTP/2 by the lab", h2, Own, Own, H2load},
		{"handshakes", Scenario{Traffic: peer.Traffic{TLS: true}, NewConnections: true}, Wrk, Own, ""},
		{"pipelined", Scenario{Pipeline: 2}, Auto, Own, ""},
		{"bodies", Scenario{Message: 2}, Auto, Own, ""},
		{"at a rate", Scenario{Rate: 2}, Auto, Own, ""},
		{"HTTP/2 at a rate", Scenario{Rate: 2, Traffic: h2.Traffic}, Auto, Own, ""},
		{"mixed", Scenario{Also: []string{"/"}}, Auto, Own, ""},
		{"slow", Scenario{Slow: 1}, Auto, Own, ""},
	} {
		check, ok := all.other(test.s, test.asked)
		if got := all.of(test.s, test.asked).name; got != test.want || ok != (test.check != "") || ok && check.name != test.check {
			t.Errorf("%s: %s checked by %s, want %s and %s", test.name, got, check.name, test.want, test.check)
		}
		if got := none.of(test.s, test.asked).name; got != Own {
			t.Errorf("%s with nothing installed: %s", test.name, got)
		}
		if _, ok := none.other(test.s, test.asked); ok {
			t.Errorf("%s with nothing installed: there is nothing to check it", test.name)
		}
	}
}

func TestRequestsFor(t *testing.T) {
	if got := requestsFor(load.Result{Requests: 500, Elapsed: time.Second / 2}, 3*time.Second); got != 3000 {
		t.Errorf("%d requests, want 3000", got)
	}
	if got := requestsFor(load.Result{Requests: 1, Elapsed: time.Hour}, time.Second); got != 1 {
		t.Errorf("%d requests, want at least one", got)
	}
}

func TestRounds(t *testing.T) {
	for measure, want := range map[Measure]int{Throughput: 7, Download: 7, Idle: memoryRounds, Stalled: memoryRounds} {
		if got := (Options{Rounds: 7}).rounds(Scenario{Measure: measure}); got != want {
			t.Errorf("%s: %d rounds, want %d", measure, got, want)
		}
	}
	if got := (Options{Rounds: 1}).rounds(Scenario{Measure: Idle}); got != 1 {
		t.Errorf("%d rounds, want the one asked for", got)
	}
	beside := Options{Rounds: 9, Proxies: []Proxy{{Label: Baseline}}}
	if got := beside.rounds(Scenario{Measure: Idle}); got != 9 {
		t.Errorf("%d rounds with a baseline, want all of them", got)
	}
}
